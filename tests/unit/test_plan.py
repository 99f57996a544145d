"""Plans of hand-written hosts: word for word, and what a setup depends on.

``plans/NAME.txt`` is what ``describe()`` says. After a change that is meant, run with
``PYSANDBOX_WRITE_PLANS=1`` and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import plan, steps
from sandbox.host import Entry, HostFacts
from sandbox.isolation import placed
from sandbox.listening import Listening
from sandbox.procview import View
from sandbox.request import Request
from sandbox.spec import NAMESPACES, Limits, Rootfs, Shown, Spec, Stack, Tmpfs, Volume
from sandbox.validate import validate

PLANS = Path(__file__).resolve().parent / "plans"

HOST = HostFacts(
    uid=1234,
    gid=1234,
    groups=(),
    cpus=2,
    machine="x86_64",
    system=(
        Entry(path="/usr", kind="dir"),
        Entry(path="/bin", kind="link", target="usr/bin"),
        Entry(path="/nix/store", kind="dir"),
    ),
    etc=(
        Entry(path="/etc/ld.so.cache", kind="file"),
        Entry(path="/etc/ssl", kind="dir"),
        Entry(path="/etc/localtime", kind="link", target="/usr/share/zoneinfo/UTC"),
    ),
    proc_masked=(Entry(path="/proc/acpi", kind="dir"), Entry(path="/proc/keys", kind="file")),
    proc_readonly=("/proc/sys",),
)
ROOT = HOST.replace(uid=0, gid=0, is_root=True, opens_trees=True)
BARE = HOST.replace(system=(Entry(path="/usr", kind="dir"),), etc=(), proc_masked=(), proc_readonly=())
FILTER = bytes(8 * 5)
SYSINFO = Listening(number=1536, sysinfo=True, denials=True)

BASE = validate(Request(argv=["/usr/bin/prog", "x"]))
VOLUMES = (Volume(source="/srv/in", target="/in"), Volume(source="/srv/out", target="/out", writable=True),
           Volume(source="/srv/file", target="/work/file", is_dir=False))  # fmt: skip

FILES = {"proc/meminfo": b"MemTotal: 1 kB\n", "sys/devices/system/cpu/online": b"0\n", "proc/loadavg": b"0\n"}
STATIC = View(kind="static", files=FILES)
LXCFS = View(kind="lxcfs", files=FILES, served=("proc/meminfo",), source="/var/lib/lxcfs", optional=True)
PRIVATE = LXCFS.replace(kind="private", source="fd:lxcfs", optional=False)


def stack(*layers: str, upper: str | None = None) -> Stack:
    return Stack(layers=layers, inodes=((0, 0),) * len(layers), upper=upper)


SCRATCH_ROOT = Rootfs(stack=stack("/srv/image"), writable=True)
LAYERED = Rootfs(stack=stack("/l/2", "/l/1", upper="/c/1"), writable=True, whole=True, files=(("/etc/hosts", b"x"),))


CASES: dict[str, tuple[Spec, HostFacts, dict[str, Any]]] = {
    "default": (BASE, HOST, {}),
    "bare-host": (BASE, BARE, {}),
    "cgroup-v1": (
        BASE,
        HOST,
        {"attach": ("cgroup:0", "cgroup:1"), "baseline": True, "rlimit_nproc": False, "cpus": (0, 2)},
    ),
    "range": (BASE.replace(ids="range", absent=frozenset()), HOST, {"clocks_ns": (5, 7)}),
    "terminal": (BASE.replace(tty=True, pass_fds=(5, 7), policy="strict"), HOST, {}),
    "shares": (
        BASE.replace(volumes=VOLUMES, tmpfs=(Tmpfs(target="/mnt", size_bytes=1 << 20),), workdir="/deep/below"),
        HOST,
        {},
    ),
    "root-shares": (BASE.replace(volumes=VOLUMES, program="/home/me/prog", argv=(b"/app/prog",)), ROOT, {}),
    "rootfs": (BASE.replace(rootfs=Rootfs(stack=stack("/srv/image:1"))), HOST, {}),
    "layers": (BASE.replace(rootfs=LAYERED, workdir="/srv", devices=("/dev/fuse",)), HOST, {}),
    "layers-root": (BASE.replace(rootfs=LAYERED, workdir="/"), HOST.replace(is_root=True, opens_trees=True), {}),
    "layers-direct": (BASE.replace(rootfs=Rootfs(stack=stack("/b"), direct=True, whole=True), workdir="/"), HOST, {}),
    "overlays": (BASE.replace(overlays=(Shown(target="/mnt", stack=stack("/l/1")),)), HOST, {}),
    "rootfs-scratch": (BASE.replace(rootfs=SCRATCH_ROOT, workdir="/home"), HOST, {}),
    "bare-name": (BASE.replace(argv=(b"prog",), env=((b"PATH", b"/usr/bin::/bin"),)), HOST, {"seccomp": None}),
    "no-namespaces": (BASE.replace(absent=frozenset(NAMESPACES)), HOST, {}),
    "no-pid-no-net": (BASE.replace(absent=frozenset({"pid", "net", "time", "cgroup"}), net="host"), HOST, {}),
    "sysinfo": (
        BASE.replace(limits=BASE.limits.replace(mem_bytes=64 << 20, swap_bytes=16 << 20)),
        HOST,
        {"attach": ("cgroup:0",), "gauges": {"memory": False, "swap": True, "tasks": False}, "listening": SYSINFO},
    ),
    "sysinfo-unlimited": (
        BASE.replace(sysinfo="on", absent=frozenset({"time"})),
        HOST.replace(ptrace_scope=2),
        {"gauges": {}, "seccomp": None, "listening": Listening(number=2048, sysinfo=True, required=True)},
    ),
    "landlock": (BASE.replace(volumes=VOLUMES, tmpfs=(Tmpfs(target="/mnt", size_bytes=1 << 20),)),
                 HOST.replace(landlock=7), {}),
    "landlock-abi-2": (BASE.replace(rootfs=SCRATCH_ROOT), HOST.replace(landlock=2), {}),
    "landlock-without-mount": (BASE.replace(absent=frozenset({"mount"})), HOST.replace(landlock=6), {}),
    "isolation-landlock": (placed(validate(Request(argv=["/usr/bin/prog"], isolation="landlock")), "/tmp/scratch"),
                           HOST.replace(landlock=7), {}),
    "isolation-landlock-net": (
        validate(Request(argv=["/usr/bin/prog"], isolation="landlock", net="host", env={"TMPDIR": "/a"})).replace(
            volumes=(VOLUMES[0].replace(target="/srv/in"),), program="/home/me/prog"),
        HOST.replace(landlock=3), {}),
    "denials": (BASE, HOST, {"listening": Listening(number=1536, denials=True)}),
    "notify": (BASE.replace(notify=True), HOST, {"listening": Listening(number=1536, notify=True, required=True)}),
    "capabilities": (
        BASE.replace(ids="range", uid=0, gid=0, kept=1 << 0 | 1 << 7 | 1 << 12 | 1 << 18),
        HOST,
        {"gauges": {}, "listening": SYSINFO},
    ),
    # no request comes to this: without a user namespace the network is left out as well
    "own-network": (BASE.replace(absent=frozenset({"user", "time"})), HOST, {}),
    "proc-static": (BASE, HOST, {"view": STATIC, "attach": ("cgroup:0",)}),
    "proc-lxcfs": (BASE.replace(absent=frozenset({"pid"})), HOST, {"view": LXCFS}),
    "proc-private": (BASE, HOST, {"view": PRIVATE}),
    "joinable": (BASE.replace(joinable=True, gated=True), HOST, {"attach": ("cgroup:0",)}),
    "limits": (
        BASE.replace(
            limits=Limits(
                fsize_bytes=-1,
                stack_bytes=8 << 20,
                nofile=64,
                pids=5,
                core_bytes=4096,
                disk_bytes=1 << 20,
                inodes=99,
                asked=frozenset({"fsize", "stack", "nofile", "pids", "core", "disk", "inodes"}),
            )
        ),
        HOST,
        {},
    ),
}


def built(name: str) -> plan.LaunchPlan:
    spec, host, options = CASES[name]
    return plan.build(spec, host, **{"seccomp": FILTER, "asking": FILTER, **options})


@pytest.mark.parametrize("name", CASES)
def test_snapshots(name: str) -> None:
    text = "".join(f"{line}\n" for line in built(name).describe())
    file = PLANS / f"{name}.txt"
    if os.environ.get("PYSANDBOX_WRITE_PLANS"):
        file.write_text(text)
        pytest.fail(f"{file.name} was written, not compared")
    assert text == file.read_text()


def test_every_snapshot_has_a_case() -> None:
    assert {path.stem for path in PLANS.glob("*.txt")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_descriptions(name: str) -> None:
    """One line each, no full stop, and nothing that a terminal would act on."""
    for line in built(name).describe():
        assert line and line.isprintable() and not line.endswith(".") and not line[:1].isupper()


def test_every_step_is_in_some_snapshot() -> None:
    def below(cls: type) -> set[type]:
        return {cls, *(inner for sub in cls.__subclasses__() for inner in below(sub))}

    used = {type(s) for name in CASES for phase in ("setup", "enter", "program") for s in getattr(built(name), phase)}
    elsewhere = {steps.Export, steps.Join}  # test_lxcfs_root.py, test_joining.py
    assert used == below(steps.Step) - {steps.Step} - elsewhere


# ---- rules that every plan keeps ----


def places(spec: Spec, host: HostFacts = HOST) -> list[str]:
    return [type(s).__name__ for s in plan.build(spec, host, seccomp=FILTER).program]


@pytest.mark.parametrize("name", CASES)
def test_the_lock_comes_last(name: str) -> None:
    kinds = [type(s).__name__ for s in built(name).program]
    spec, host, _ = CASES[name]
    domain = ["Restrict"] if host.landlock else []
    domain += ["Confine"] if spec.isolation == "landlock" else []
    seccomp = ["Seccomp"] if name != "bare-name" else []
    gate = ["Wait"] if spec.gated else []
    tail = ["DropCaps", "NoNewPrivs", *domain, *gate, "Started", *seccomp, "Exec"]
    assert kinds[-len(tail) :] == tail
    assert kinds[0] == "Session" and kinds.index("Keyring") < kinds.index("DropCaps")
    assert not {"Exec", "Seccomp", "Started", "Restrict", "Confine", "Wait"} & set(kinds[: -len(tail)])


@pytest.mark.parametrize("name", CASES)
def test_the_listener_s_way_out(name: str) -> None:
    """Taken before the limit of open files that closes it to the program; the init is ready iff it is asked."""
    made = built(name)
    channels = [n for n, s in enumerate(made.program) if isinstance(s, steps.Channel)]
    listeners = [s.listener for s in made.program if isinstance(s, steps.Seccomp)]
    if "listening" not in CASES[name][2]:
        assert not channels and listeners in ([], [""])
        return
    limit = next(n for n, s in enumerate(made.program) if isinstance(s, steps.Rlimit) and s.name == "NOFILE")
    assert len(channels) == 1 and channels[0] < limit
    channel, files = made.program[channels[0]], made.program[limit]
    assert isinstance(channel, steps.Channel) and isinstance(files, steps.Rlimit) and channel.number >= files.hard
    assert listeners == ["python" if channel.to_python else "init"]
    assert [isinstance(s, steps.Listen) for s in made.setup].count(True) == (not channel.to_python)


@pytest.mark.parametrize("name", [n for n, (spec, _, _) in CASES.items() if spec.has("mount")])
def test_the_root_is_closed_before_it_is_entered(name: str) -> None:
    setup = built(name).setup
    kinds = [type(s).__name__ for s in setup if not type(s).__name__.startswith("Landlock")]
    assert kinds.index("PrivateMounts") < kinds.index("Scratch") and kinds[-1 - kinds.count("Listen")] == "SwitchRoot"
    root = [s for s in setup if isinstance(s, steps.SetAttributes) and s.path == "/"]
    writable = CASES[name][0].rootfs is not None and CASES[name][0].rootfs.writable
    assert bool(root) != writable and all(s.attributes & steps.RDONLY for s in root)


@pytest.mark.parametrize("name", CASES)
def test_every_mount_is_nosuid(name: str) -> None:
    """Rule 9. Devices have no attributes: they are single files, checked to be devices."""
    for step in built(name).setup:
        if isinstance(step, (steps.Bind, steps.MountFs)):
            if isinstance(step, steps.Bind) and step.chardev:
                assert step.source.startswith("/dev/") and not step.recursive
                continue
            assert step.attributes & steps.NOSUID, step
            if step.path == "/proc":
                assert step.attributes & steps.NOEXEC and step.attributes & steps.NODEV
            if isinstance(step, steps.Bind) and step.origin in ("view", "fd:lxcfs:proc/meminfo"):
                assert step.attributes == steps.RDONLY | steps.NOSUID | steps.NODEV | steps.NOEXEC
            if isinstance(step, steps.Bind) and step.origin == "host" and not step.path.startswith(("/out", "/proc")):
                assert step.attributes & steps.RDONLY, step


def test_the_cgroup_is_entered_before_its_namespace() -> None:
    """CVE-2023-25809: the other way round its root would be the caller's cgroup."""
    assert [type(s).__name__ for s in built("cgroup-v1").enter] == ["Attach", "Attach", "UnshareCgroup", "UnshareTime"]


def test_a_setup_that_is_given_is_used() -> None:
    mine = (steps.PrivateMounts(),)
    assert plan.build(BASE, HOST, seccomp=None, setup=mine).setup is mine


# ---- the key ----

TEXT = st.sampled_from(["/a", "/b", "/work", "/tmp", "/a/b"])
INODE = st.tuples(st.integers(0, 1), st.integers(0, 1))
VOLUME = st.builds(Volume, source=TEXT, target=TEXT, writable=st.booleans(), is_dir=st.booleans(), inode=INODE)
STACKS = st.builds(stack, TEXT, upper=st.none() | TEXT)
CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "argv": st.sampled_from([(b"a",), (b"/app/a", b"b")]),
    "env": st.sampled_from([(), ((b"A", b"b"),)]),
    "program": st.sampled_from([None, "/home/me/a", "/home/me/b"]),
    "limits": st.builds(Limits, disk_bytes=st.integers(1, 3), inodes=st.integers(1, 3), pids=st.integers(1, 3),
                        mem_bytes=st.none() | st.integers(1, 3), nofile=st.integers(3, 5),
                        core_bytes=st.integers(0, 2)),
    "volumes": st.lists(VOLUME, max_size=2).map(tuple),
    "tmpfs": st.lists(st.builds(Tmpfs, target=TEXT, size_bytes=st.integers(1, 3)), max_size=2).map(tuple),
    "rootfs": st.none() | st.builds(Rootfs, stack=STACKS, writable=st.booleans(), direct=st.booleans(),
                                    whole=st.booleans()),
    "overlays": st.lists(st.builds(Shown, target=TEXT, stack=STACKS), max_size=2).map(tuple),
    "devices": st.sampled_from([(), ("/dev/fuse",)]),
    "workdir": st.sampled_from(["/work", "/", "/a/b", "/c"]),
    "hostname": st.sampled_from(["sandbox", "other"]),
    "hostname_asked": st.booleans(),
    "policy": st.sampled_from(["default", "none"]),
    "proc": st.sampled_from(["auto", "plain", "static"]),
    "ids": st.sampled_from(["single", "range"]),
    "uid": st.integers(0, 2),
    "gid": st.integers(0, 2),
    "net": st.sampled_from(["none", "host"]),
    "absent": st.frozensets(st.sampled_from(NAMESPACES), max_size=3),
    "cap_add": st.sampled_from([0, 1]),
    "cap_drop": st.sampled_from([0, 2]),
    "kept": st.sampled_from([0, 1, 1 << 12, 1 << 18]),
    "pass_fds": st.sampled_from([(), (3,)]),
    "tty": st.booleans(),
    "sysinfo": st.sampled_from(["auto", "on", "off"]),
    "denials": st.sampled_from(["auto", "on", "off"]),
    "notify": st.booleans(),
    "notify_all": st.booleans(),
    "cgroup": st.sampled_from(["auto", "none"]),
    "best_effort": st.booleans(),
    "grace_ns": st.integers(1, 2),
    "landlock": st.sampled_from(["auto", "on", "off"]),
    "isolation": st.sampled_from(["namespaces", "landlock"]),
    "scratch": st.sampled_from([None, "/tmp/scratch"]),
    "program_inode": INODE,
    "leaf": st.booleans(),
    "joinable": st.booleans(),
    "gated": st.booleans(),
    "joins": st.just(False),  # joining.py makes those plans
    "network": st.just(None),
}  # fmt: skip
SPECS = st.fixed_dictionaries({}, optional=CHANGES).map(lambda changes: BASE.replace(**changes))
EXAMPLES = settings(max_examples=800, database=None, derandomize=True, deadline=None)


def test_every_field_is_varied() -> None:
    assert set(CHANGES) == set(Spec._fields)


def test_a_listener_makes_another_setup() -> None:
    assert plan.setup_key(BASE, listens=True) != plan.setup_key(BASE)
    assert plan.setup_steps(BASE, HOST, listens=True)[:-1] == plan.setup_steps(BASE, HOST)


def test_the_figures_of_a_run_do_not_make_another_setup() -> None:
    """Those in /proc; what is in /sys depends on the number of CPUs alone and is written by the setup."""
    other = STATIC.replace(files={**FILES, "proc/meminfo": b"MemTotal: 2 kB\n"})
    assert plan.setup_key(BASE, STATIC) == plan.setup_key(BASE, other) != plan.setup_key(BASE)
    assert plan.setup_steps(BASE, HOST, STATIC) == plan.setup_steps(BASE, HOST, other)
    contents = {s.path: s.content for s in built("proc-static").enter if isinstance(s, steps.ViewFile)}
    assert contents == {"/proc/meminfo": b"MemTotal: 1 kB\n", "/proc/loadavg": b"0\n"}


VIEWS = st.builds(
    View,
    files=st.sampled_from([{}, FILES, {**FILES, "sys/devices/system/cpu/online": b"0-1\n"}, {"proc/stat": b""}]),
    served=st.sampled_from([(), ("proc/meminfo",), ("proc/loadavg",)]),
    source=st.sampled_from(["/a", "/b", "fd:lxcfs"]),
    optional=st.booleans(),
    kind=st.sampled_from(["static", "lxcfs"]),
    cpuset=st.none() | st.just("1"),
)


@settings(max_examples=300, database=None, derandomize=True, deadline=None)
@given(VIEWS, VIEWS)
def test_equal_views_mean_equal_setups(one: View, other: View) -> None:
    same = plan.setup_key(BASE, one) == plan.setup_key(BASE, other)
    assert not same or plan.setup_steps(BASE, HOST, one) == plan.setup_steps(BASE, HOST, other)


def test_lxcfs_lies_on_top_of_our_own() -> None:
    """Taken off again when lxcfs dies, it leaves ours in place."""
    for name, origin in (("proc-lxcfs", "host"), ("proc-private", "fd:lxcfs:proc/meminfo")):
        over = [s.origin for s in built(name).setup if isinstance(s, steps.Bind) and s.path == "/proc/meminfo"]
        assert over == ["view", origin]


def test_the_figures_are_written_before_the_cgroup_is_entered() -> None:
    """What they take is not the program's."""
    kinds = [type(s).__name__ for s in built("proc-static").enter]
    assert kinds.index("Attach") > max(n for n, kind in enumerate(kinds) if kind == "ViewFile")


@EXAMPLES
@given(SPECS, SPECS, st.sampled_from([HOST, ROOT, BARE]))
def test_equal_keys_mean_equal_setups(one: Spec, other: Spec, host: HostFacts) -> None:
    if plan.setup_key(one) == plan.setup_key(other):
        assert plan.setup_steps(one, host) == plan.setup_steps(other, host)


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_a_field_that_changes_the_setup_changes_the_key(field: str) -> None:
    """One field at a time, so that each pair is close; random pairs hardly ever share a key."""

    @settings(max_examples=100, database=None, derandomize=True, deadline=None)
    @given(SPECS, CHANGES[field])
    def compare(one: Spec, value: Any) -> None:
        other = one.replace(**{field: value})
        if plan.setup_steps(one, HOST) != plan.setup_steps(other, HOST):
            assert plan.setup_key(one) != plan.setup_key(other)
        hash(plan.setup_key(one))

    compare()


@pytest.mark.parametrize("limit", sorted(Limits._fields))
def test_limits_of_a_run_do_not_make_another_setup(limit: str) -> None:
    """Or no sandbox could be made ahead for runs that differ in their time alone."""
    value: Any = frozenset({"mem"}) if limit == "asked" else "0-1" if limit == "cpuset" else 77
    other = BASE.replace(limits=BASE.limits.replace(**{limit: value}))
    in_setup = limit in ("disk_bytes", "inodes")
    assert (plan.setup_key(BASE) != plan.setup_key(other)) == in_setup
    assert (plan.setup_steps(BASE, HOST) != plan.setup_steps(other, HOST)) == in_setup
