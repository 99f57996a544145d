"""config.json to a request: what becomes of each property, and the errors for what cannot be had."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import RequestError
from sandbox.oci.container import Caller, Container, Hook
from sandbox.oci.features import features
from sandbox.oci.translate import translate
from sandbox.request import LayeredRoot, Mount, Request
from sandbox.validate import validate
from tests.oci import bundles

USER = Caller(uid=1001, gid=1002, subuid=100000, subgid=100000)
INSIDE = Caller(uid=0, gid=0, inside=True, uids=((0, 1), (1, 65536)), gids=((0, 1), (1, 65536)))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in ("rootfs/bin", "shared"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    return tmp_path


def done(bundle: Path, config: dict[str, Any], caller: Caller = USER) -> Container:
    return translate(json.dumps(config).encode(), str(bundle), caller)


def runc(**places: Any) -> dict[str, Any]:
    return bundles.changed(bundles.runc(1001, 1002), **places)


def podman(**places: Any) -> dict[str, Any]:
    return bundles.changed(bundles.podman(), **places)


def with_mount(**mount: Any) -> dict[str, Any]:
    config = runc()
    config["mounts"].append(mount)
    return config


def test_what_runc_writes(bundle: Path) -> None:
    found = done(bundle, runc())
    request = found.request
    assert request["argv"] == ("sh",) and request["workdir"] == "/" and request["tty"] is True
    assert request["env"] == {"PATH": bundles._PATH[5:], "TERM": "xterm"} and request["exact_env"]
    assert request["rootfs"] == LayeredRoot(layers=(str(bundle / "rootfs"),), direct=True, read_only=True)
    assert (request["ids"], request["user"], request["hostname"]) == ("single", "0:0", "runc")
    assert request["cap_add"] == ("KILL", "NET_BIND_SERVICE", "AUDIT_WRITE") and request["cap_drop"] == ("ALL",)
    assert request["net"] == "host" and set(request["without"]) == {"cgroup", "time"}
    assert request["nofile"] == 1024 and request["policy"] == "ci" and request["best_effort"] is True
    noted = [note.partition(":")[0] for note in found.notes]
    assert noted == ["mounts[4]", "mounts[5]", "mounts[6]", "process.capabilities"]


def test_what_podman_writes(bundle: Path) -> None:
    found = done(bundle, podman(), INSIDE)
    request = found.request
    assert (request["ids"], request["user"], found.maps, "net" in request) == ("range", "0:0", True, False)
    assert request["volumes"] == (
        Mount(source=f"{bundle}/shared", target="/mnt", writable=True),
        Mount(source=f"{bundle}/hosts", target="/etc/hosts", noexec=True),
    )
    assert request["tmpfs"] == ("/x:64m", "/tmp:64m")
    assert "SETUID" in request["cap_add"] and request["pids"] == 32768 and request["nofile"] == 20000
    assert found.annotations["io.container.manager"] == "libpod"
    kept = {note.partition(":")[0] for note in found.notes}
    assert {"process.user.additionalGids", "mounts[9]", "linux.sysctl.net.ipv4.ping_group_range"} <= kept


def test_a_request_can_be_made_of_it(bundle: Path) -> None:
    spec = validate(Request(**done(bundle, runc()).request))
    assert spec.rootfs is not None and spec.rootfs.direct and dict(spec.env) == {
        b"PATH": bundles._PATH[5:].encode(), b"TERM": b"xterm"}  # fmt: skip
    spec = validate(Request(**done(bundle, podman(), INSIDE).request))
    assert [volume.noexec for volume in spec.volumes] == [False, True]


def test_ids_of_a_range(bundle: Path) -> None:
    both = {
        f"linux__{kind}Mappings": [{"containerID": 0, "hostID": own, "size": 1},
                                   {"containerID": 1, "hostID": 100000, "size": 65536}]
        for kind, own in (("uid", 1001), ("gid", 1002))
    }  # fmt: skip
    found = done(bundle, runc(**both, process__user={"uid": 33, "gid": 44}))
    assert (found.request["ids"], found.request["user"], found.maps) == ("range", "33:44", False)


def test_without_mappings_the_one_id_is_the_callers(bundle: Path) -> None:
    """As crun spec --rootless writes it."""
    found = done(bundle, runc(linux__uidMappings=None, linux__gidMappings=None, process__user={"uid": 7, "gid": 8}))
    assert (found.request["ids"], found.request["user"]) == ("single", "7:8")


def test_capabilities_of_root_are_the_bounding_set_and_of_others_the_ambient_one(bundle: Path) -> None:
    sets = {"bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
    assert done(bundle, podman(process__capabilities=sets), INSIDE).request["cap_add"] == ("CHOWN", "KILL")
    other = podman(process__capabilities=sets, process__user={"uid": 5, "gid": 5})
    assert done(bundle, other, INSIDE).request["cap_add"] == ("KILL",)
    none = done(bundle, runc(process__capabilities=None))
    assert "cap_add" not in none.request and none.request["cap_drop"] == ("ALL",)


def test_a_capability_that_cannot_be_granted_is_a_warning(bundle: Path) -> None:
    """config.md, "capabilities": no failure for what cannot be granted."""
    sets = {"bounding": ["CAP_SYS_ADMIN", "CAP_KILL", "CAP_FUTURE"]}
    found = done(bundle, runc(process__capabilities=sets))
    assert found.request["cap_add"] == ("KILL",)
    assert any("CAP_SYS_ADMIN" in note for note in found.notes) and any("CAP_FUTURE" in note for note in found.notes)


def test_limits(bundle: Path) -> None:
    resources = {"memory": {"limit": 64 << 20, "swap": 96 << 20}, "pids": {"limit": 20},
                 "cpu": {"quota": 50000, "period": 100000, "cpus": "0"},
                 "devices": [{"allow": False, "access": "rwm"}]}  # fmt: skip
    request = done(bundle, runc(linux__resources=resources)).request
    assert (request["mem"], request["swap"], request["pids"]) == (64 << 20, 32 << 20, 20)
    assert (request["cpus"], request["cpuset"], request["best_effort"]) == ("0.500", "0", False)


def test_no_limit_is_said_with_minus_one(bundle: Path) -> None:
    resources = {"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1, "shares": 1024}}
    request = done(bundle, runc(linux__resources=resources)).request
    assert "mem" not in request and request["pids"] == 4096 and request["best_effort"] is True


def test_hooks(bundle: Path) -> None:
    hooks = {"prestart": [{"path": "/bin/true", "args": ["true", "x"], "env": ["A=b"], "timeout": 5}],
             "poststop": [{"path": "/bin/false"}], "createContainer": []}  # fmt: skip
    found = done(bundle, runc(hooks=hooks)).hooks
    assert found == {"prestart": (Hook(path="/bin/true", args=("true", "x"), env=("A=b",), timeout_s=5),),
                     "poststop": (Hook(path="/bin/false"),)}  # fmt: skip


def test_unknown_properties_are_left_alone(bundle: Path) -> None:
    """config.md, "Extensibility"."""
    config = runc(somethingNew=[1], process__shiny=True, linux__warp=9)
    assert done(bundle, config) == done(bundle, runc())


def test_the_policy_of_an_annotation(bundle: Path) -> None:
    assert done(bundle, runc(annotations={"org.pysandbox.policy": "strict"})).request["policy"] == "strict"


def test_a_joined_network(bundle: Path) -> None:
    config = podman()
    config["linux"]["namespaces"][1]["path"] = "/run/netns/n"
    found = done(bundle, config, INSIDE)
    assert (found.join, found.request["net"]) == ("/run/netns/n", "host")
    assert any("CAP_NET_BIND_SERVICE" in note for note in found.notes)
    joined = [*runc()["linux"]["namespaces"], {"type": "network", "path": "/run/netns/n"}]
    with pytest.raises(RequestError, match=r"linux\.namespaces: a network namespace can be joined from"):
        done(bundle, runc(linux__namespaces=joined))


BIND = {"destination": "/data", "type": "bind", "source": "shared"}

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    (runc(ociVersion="2.0.0"), "ociVersion", "version 1"),
    (runc(ociVersion="one"), "ociVersion", "expected a version"),
    (runc(ociVersion=None), "ociVersion", "expected a version"),
    (runc(process=None), "process", "without a program"),
    (runc(linux=None), "linux", "missing"),
    (runc(windows={"layerFolders": ["x"]}), "windows", "for Linux"),
    (runc(process__args=[]), "process.args", "no program"),
    (runc(process__args="sh"), "process.args", "expected a list"),
    (runc(process__args=[1]), r"process.args\[0\]", "expected a text"),
    (runc(process__env=["A"]), r"process.env\[0\]", "NAME=VALUE"),
    (runc(process__cwd="work"), "process.cwd", "absolute"),
    (runc(process__cwd=None), "process.cwd", "absolute"),
    (runc(process__terminal="yes"), "process.terminal", "true or false"),
    (runc(process__user__uid=7), "linux.uidMappings", "does not map process.user's id 7"),
    (runc(process__user__uid=-1), "process.user", "32 bits"),
    (runc(process__user__uid=True), "process.user.uid", "expected a number"),
    (runc(process__user__additionalGids=[5]), "process.user.additionalGids", "supplementary groups"),
    (runc(process__user__umask=0o77), "process.user.umask", "022"),
    (runc(process__apparmorProfile="mine"), "process.apparmorProfile", "AppArmor"),
    (runc(process__selinuxLabel="a:b:c:d"), "process.selinuxLabel", "SELinux"),
    (runc(process__ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 4}), "process.ioPriority", "I/O priority"),
    (runc(process__scheduler={"policy": "SCHED_FIFO"}), "process.scheduler", "scheduling"),
    (runc(process__oomScoreAdj=-500), "process.oomScoreAdj", "without root"),
    (runc(process__oomScoreAdj=5000), "process.oomScoreAdj", "-1000 to 1000"),
    (runc(process__rlimits=[{"type": "RLIMIT_WARP", "soft": 1, "hard": 1}]), r"rlimits\[0\].type", "cannot be set"),
    (runc(process__rlimits=[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]), r"rlimits\[0\].type", "cannot be set"),
    (runc(process__rlimits=[{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]), r"rlimits\[0\].soft", "hard limit"),
    (runc(process__rlimits=[{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2), r"rlimits\[1\].type", "twice"),
    (runc(root=None), "root.path", "missing"),
    (runc(root__path="elsewhere"), "root.path", "no directory"),
    (runc(domainname="example.org"), "domainname", "cannot be set"),
    (runc(linux__namespaces=[{"type": "mount"}]), "linux.namespaces", "no ordinary user"),
    (runc(linux__namespaces=[{"type": "user"}]), "linux.namespaces", "root of its own"),
    (runc(linux__namespaces=[{"type": "warp"}]), r"namespaces\[0\].type", "no such namespace"),
    (runc(linux__namespaces=[{"type": "pid"}] * 2), r"namespaces\[1\].type", "twice"),
    (runc(linux__namespaces=[{"type": "ipc", "path": "/proc/1/ns/ipc"}]), r"namespaces\[0\].path", "cannot be joined"),
    (runc(linux__namespaces=[{"type": "network", "path": "n"}]), r"namespaces\[0\].path", "absolute"),
    (runc(linux__namespaces=[{"type": "user"}, {"type": "mount"}, {"type": "pid"}]), "hostname", "uts"),
    (runc(linux__uidMappings=None), "linux.uidMappings", "one id on your own"),
    (runc(linux__uidMappings=[{"containerID": 0, "hostID": 0, "size": 1}]), "linux.uidMappings", "one id on your own"),
    (runc(linux__uidMappings=[{"containerID": 0, "hostID": 1001, "size": 0}]), r"uidMappings\[0\]", "size of 1"),
    (runc(linux__resources={"memory": {"swap": 5}}), "resources.memory.swap", "give a memory limit"),
    (runc(linux__resources={"memory": {"limit": 5, "swap": -1}}), "resources.memory.swap", "cannot be had"),
    (runc(linux__resources={"memory": {"reservation": 5}}), "resources.memory.reservation", "no such limit"),
    (runc(linux__resources={"memory": {"swappiness": 0}}), "resources.memory.swappiness", "no such limit"),
    (runc(linux__resources={"memory": {"disableOOMKiller": True}}), "memory.disableOOMKiller", "always killed"),
    (runc(linux__resources={"cpu": {"shares": 5}}), "resources.cpu.shares", "no such limit"),
    (runc(linux__resources={"cpu": {"mems": "0"}}), "resources.cpu.mems", "no such limit"),
    (runc(linux__resources={"blockIO": {"weight": 10}}), "resources.blockIO.weight", "no such limit"),
    (runc(linux__resources={"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1}]}}),
     "throttleReadBpsDevice", "one device"),
    (runc(linux__resources={"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}), "hugepageLimits", "no such limit"),
    (runc(linux__resources={"unified": {"memory.high": "1"}}), "resources.unified", "no such limit"),
    (runc(linux__sysctl={"net.core.somaxconn": "256"}), r"linux.sysctl.net.core.somaxconn", "cannot be set"),
    (runc(linux__rootfsPropagation="shared"), "linux.rootfsPropagation", "private"),
    (runc(linux__rootfsPropagation="warp"), "linux.rootfsPropagation", "expected"),
    (runc(linux__mountLabel="l"), "linux.mountLabel", "SELinux"),
    (runc(linux__intelRdt={"closID": "x"}), "linux.intelRdt", "root"),
    (runc(linux__personality={"domain": "LINUX32"}), "linux.personality.domain", "LINUX"),
    (runc(linux__timeOffsets={"monotonic": {"secs": 5}}), "linux.timeOffsets", "begin at zero"),
    (runc(linux__devices=[{"path": "/dev/sda", "type": "b", "major": 8, "minor": 0}]), r"linux.devices\[0\]", "root"),
    (runc(linux__devices=[{"path": "/dev/null", "type": "c", "major": 8, "minor": 0}]), r"linux.devices\[0\]", "root"),
    (runc(linux__maskedPaths=["/etc/shadow"]), r"linux.maskedPaths\[0\]", "hides anyway"),
    (runc(linux__maskedPaths=["/proc/meminfo"]), r"linux.maskedPaths\[0\]", "hides anyway"),
    (runc(linux__readonlyPaths=["/etc"]), r"linux.readonlyPaths\[0\]", "hides anyway"),
    (runc(linux__seccomp={"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/run/agent"}), "listenerPath", "agent"),
    (runc(hooks={"createContainer": [{"path": "/bin/true"}]}), "hooks.createContainer", "inside of the container"),
    (runc(hooks={"startContainer": [{"path": "/bin/true"}]}), "hooks.startContainer", "inside of the container"),
    (runc(hooks={"prestart": [{"path": "true"}]}), r"hooks.prestart\[0\].path", "absolute"),
    (runc(hooks={"prestart": [{"path": "/x", "timeout": 0}]}), r"hooks.prestart\[0\].timeout", "more than 0"),
    (with_mount(**{**BIND, "destination": "data"}), r"mounts\[7\].destination", "absolute"),
    (with_mount(**{**BIND, "destination": "/a/../data"}), r"mounts\[7\].destination", "absolute"),
    (with_mount(**BIND, options=["rshared"]), r"mounts\[7\].options\[0\]", "cannot be had"),
    (with_mount(**BIND, options=["idmap"]), r"mounts\[7\].options\[0\]", "cannot be had"),
    (with_mount(**BIND, options=["size=5"]), r"mounts\[7\].options", "takes no values"),
    (with_mount(**BIND, uidMappings=[{"containerID": 0}]), r"mounts\[7\].uidMappings", "ids of their own"),
    (with_mount(destination="/data", type="bind"), r"mounts\[7\].source", "needs one"),
    (with_mount(destination="/data", type="ext4", source="/dev/sda1"), r"mounts\[7\].type", "without root"),
    (with_mount(destination="/data", type="overlay", source="o"), r"mounts\[7\].type", "without root"),
    (with_mount(destination="/proc", type="bind", source="/proc"), r"mounts\[7\].type", "sandbox's own"),
    (with_mount(destination="/sys", type="sysfs", source="sysfs"), r"mounts\[7\].options", "writable"),
    (with_mount(destination="/sys/fs/cgroup", type="cgroup", source="cgroup"), r"mounts\[7\].options", "writable"),
    (with_mount(destination="/elsewhere", type="sysfs", options=["ro"]), r"mounts\[7\].destination", "/sys only"),
    (with_mount(destination="/t", type="tmpfs", options=["ro"]), r"mounts\[7\].options", "stay empty"),
    (with_mount(destination="/t", type="tmpfs", options=["uid=5"]), r"mounts\[7\].options", "size and mode"),
    (with_mount(destination="/t", type="tmpfs", options=["size=50%"]), r"mounts\[7\].options", "bytes"),
    (with_mount(destination="/bin", type="tmpfs", options=["tmpcopyup"]), r"mounts\[7\].options", "not empty"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "place", "why"), REFUSED, ids=[f"{p}-{w}" for _c, p, w in REFUSED])
def test_refused(bundle: Path, config: dict[str, Any], place: str, why: str) -> None:
    (bundle / "rootfs/bin/sh").touch()
    with pytest.raises(RequestError) as caught:
        done(bundle, config)
    assert re.search(f"{place}$", caught.value.field) and caught.value.field.startswith("config.json: ")
    assert why in str(caught.value) and not str(caught.value).endswith(".")


def test_a_tmpfs_on_a_volume_is_refused(bundle: Path) -> None:
    config = with_mount(**BIND)
    config["mounts"].append({"destination": "/data/t", "type": "tmpfs", "source": "tmpfs"})
    with pytest.raises(RequestError, match="a tmpfs on /data, which is a volume"):
        done(bundle, config)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000, b'{"ociVersion": 1}'])
def test_what_is_no_config(bundle: Path, text: bytes) -> None:
    with pytest.raises(RequestError, match="config.json"):
        translate(text, str(bundle), USER)


def test_ids_inside_of_an_engine(bundle: Path) -> None:
    with pytest.raises(RequestError, match="map each id to itself"):
        done(bundle, podman(linux__uidMappings=[{"containerID": 0, "hostID": 1, "size": 1000}]), INSIDE)
    few = INSIDE.replace(uids=((0, 1), (1, 100)))
    with pytest.raises(RequestError, match="from 1 on in one piece"):
        done(bundle, podman(), few)


def test_features_are_what_is_recognised(bundle: Path) -> None:
    """features.md: every listed hook, namespace and mount option must be recognised in config.json."""
    found = features()
    assert found["ociVersionMin"] == "1.0.0" and found["ociVersionMax"] == "1.2.0"
    for version in (found["ociVersionMin"], found["ociVersionMax"]):
        done(bundle, runc(ociVersion=version))
    for hook in found["hooks"]:
        done(bundle, runc(hooks={hook: [{"path": "/bin/true"}]}))
    for option in found["mountOptions"]:
        kind = "tmpfs" if option == "tmpcopyup" else "bind"
        done(bundle, with_mount(destination="/data", type=kind, source="shared", options=[option]))
    done(bundle, runc(linux__namespaces=[{"type": name} for name in found["linux"]["namespaces"]]))
    sets = {"bounding": found["linux"]["capabilities"]}
    assert not [n for n in done(bundle, runc(process__capabilities=sets)).notes if "never kept" in n or "knows no" in n]
    assert "SCMP_ACT_NOTIFY" not in found["linux"]["seccomp"]["actions"]
