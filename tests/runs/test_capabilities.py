"""What a capability that is kept lets a program do inside, for each kind of ids."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import PolicyError, RequestError, Result, run
from tests.runs.test_ids import first_subid

pytestmark = pytest.mark.v2
Python = Callable[..., Result]
USERS = pytest.mark.parametrize("user", [0, 1000])


def tried(python_program: Python, text: str, **options: object) -> str:
    """What the statement prints, or the name of its error."""
    program = f"import errno, os, socket\ntry:\n    {text}\nexcept OSError as e:\n    print(errno.errorcode[e.errno])"
    result = python_program(program, **options)
    assert result.ok, result
    return result.stdout.decode().strip()


def test_nothing_is_kept_by_default(python_program: Python) -> None:
    assert python_program("").capabilities == ()
    assert tried(python_program, "os.chown('/tmp', 7, 7)", ids="range", user=0) == "EPERM"


def test_the_result_tells(judged: Callable[..., SimpleNamespace]) -> None:
    done = judged("--cap-add", "cap_kill,Chown", "--cap-add", "SYS_TIME", "--cap-drop", "FOWNER", "--", "true")
    assert done.capabilities == ["CHOWN", "KILL", "SYS_TIME"] and done.code == 0
    assert done.notes == ["without effect in a user namespace: CAP_SYS_TIME"]
    assert judged("--", "true").capabilities == []


def test_command_line(pysandbox: Callable[..., SimpleNamespace]) -> None:
    wrong = pysandbox("run", "--cap-add", "NET_ADMIM", "--", "true")
    assert wrong.returncode == 125 and "--cap-add" in wrong.stderr and "did you mean NET_ADMIN?" in wrong.stderr
    never = pysandbox("run", "--cap-add", "SYS_ADMIN", "--", "true")
    assert never.returncode == 125 and "never kept" in never.stderr
    plan = pysandbox("plan", "--cap-add", "CHOWN", "--", "true")
    assert "keep CHOWN in the other four sets" in plan.stdout


@USERS
def test_chown_within_a_range(user: int, python_program: Python, tmp_path: Path) -> None:
    """Inside it is any id; on the host a subordinate one, also in a writable volume."""
    tmp_path.chmod(0o777)
    text = ("open('/data/made', 'w'); os.chown('/data/made', 33, 44); s = os.stat('/data/made'); "
            "print(s.st_uid, s.st_gid)")  # fmt: skip
    found = tried(python_program, text, ids="range", user=user, cap_add=["CHOWN"], volumes=[f"{tmp_path}:/data:rw"])
    assert found == "33 44"
    assert (tmp_path / "made").stat().st_uid == first_subid() + 32
    (tmp_path / "made").unlink()


def test_chown_with_one_id(python_program: Python) -> None:
    """Another id does not exist in a map of one."""
    text = "open('/tmp/a', 'w'); os.chown('/tmp/a', 33, 33)"
    assert tried(python_program, text, cap_add=["CHOWN"]) == "EINVAL"


@USERS
def test_becoming_another_id(user: int, python_program: Python) -> None:
    text = "os.setgroups([]); os.setresgid(7, 7, 7); os.setresuid(7, 7, 7); print(os.getresuid(), os.getgroups())"
    caps = ["SETUID", "SETGID"]
    assert tried(python_program, text, ids="range", user=user, cap_add=caps) == "(7, 7, 7) []"
    assert tried(python_program, "os.setuid(7)", cap_add=caps) == "EINVAL"
    assert tried(python_program, "os.setuid(7)", ids="range", user=user, cap_add=["SETGID"]) == "EPERM"


def test_who_leaves_uid_0_leaves_its_capabilities(python_program: Python) -> None:
    """As su(1) does it: what runs as another id afterwards has none."""
    text = ("os.setresuid(7, 7, 7); os.execv('/bin/sh', ['sh', '-c', "
            "\"grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status\"])")  # fmt: skip
    out = tried(python_program, text, ids="range", user=0, cap_add=["SETUID", "CHOWN"])
    sets = dict(line.split() for line in out.splitlines())
    assert {name: int(mask, 16) for name, mask in sets.items() if name != "CapInh:"} == {
        "CapPrm:": 0, "CapEff:": 0, "CapAmb:": 0}  # fmt: skip


@pytest.mark.parametrize("ids", ["single", "range"])
def test_the_own_network(ids: str, python_program: Python) -> None:
    bind = "s = socket.socket(); s.bind(('127.0.0.1', 80)); s.listen(); print('bound')"
    assert tried(python_program, bind, ids=ids, cap_add=["NET_BIND_SERVICE"]) == "bound"
    raw = ("s = socket.socket(2, 3, 1); s.sendto(b'\\x08\\0\\xf7\\xff' + bytes(4), ('127.0.0.1', 0)); "
           "print(len(s.recv(99)) > 20)")  # fmt: skip
    assert tried(python_program, raw, ids=ids, cap_add=["NET_RAW"], policy="none") == "True"
    assert tried(python_program, raw, ids=ids, policy="none") == "EPERM"
    # the policy's rules for socket(2) go on: AF_PACKET
    assert tried(python_program, "socket.socket(17, 3, 0)", ids=ids, cap_add=["NET_RAW"]) != ""


@pytest.mark.parametrize("ids", ["single", "range"])
def test_the_own_interfaces(ids: str) -> None:
    """The namespace belongs to the run's user namespace then, and is up as the prepared ones are."""
    command = ["sh", "-c", "ip -o link show lo; ip addr add 10.1.2.3/24 dev lo && ip -o -4 addr show lo"]
    result = run(command, ids=ids, cap_add=["NET_ADMIN"])
    assert b"LOOPBACK,UP" in result.stdout and b"10.1.2.3/24" in result.stdout, result
    assert run(["ip", "link", "set", "lo", "down"], ids=ids, cap_add=["NET_ADMIN"]).ok
    assert not run(["ip", "link", "set", "lo", "down"], ids=ids, cap_add=["CHOWN"]).ok


def test_the_hosts_network_is_not_the_programs(python_program: Python) -> None:
    result = python_program("", net="host", cap_add=["NET_ADMIN"])
    assert result.notes[-1] == "without effect on the host's network: CAP_NET_ADMIN"
    assert not run(["ip", "link", "set", "lo", "mtu", "60000"], net="host", cap_add=["NET_ADMIN"]).ok


def test_files_of_others(python_program: Python) -> None:
    """CAP_DAC_OVERRIDE and CAP_FOWNER, over files whose owner is an id of the sandbox."""
    made = "open('/tmp/a', 'w').write('x'); os.chmod('/tmp/a', 0); os.chown('/tmp/a', 33, 33); "
    both = {"ids": "range", "user": 5}
    assert tried(python_program, made + "open('/tmp/a')", cap_add=["CHOWN"], **both) == "EACCES"
    read = made + "print(open('/tmp/a').read())"
    assert tried(python_program, read, cap_add=["CHOWN", "DAC_OVERRIDE"], **both) == "x"
    assert tried(python_program, made + "os.chmod('/tmp/a', 1)", cap_add=["CHOWN"], **both) == "EPERM"
    assert tried(python_program, made + "os.chmod('/tmp/a', 1)", cap_add=["CHOWN", "FOWNER"], **both) == ""
    # the host's are not: /etc/passwd's owner there is no id in here
    assert tried(python_program, "open('/usr/bin/env', 'r+')", cap_add=["ALL"], **both) in ("EACCES", "EROFS")


def test_processes_of_others(python_program: Python) -> None:
    child = "p = os.fork(); p or (os.setresuid(9, 9, 9), __import__('time').sleep(60)); __import__('time').sleep(.2); "
    other = {"ids": "range", "user": 5}
    kill = child + "os.kill(p, 9); print(os.wait()[1])"
    assert tried(python_program, kill, cap_add=["SETUID", "KILL"], **other) == "9"
    assert tried(python_program, kill.replace("9, 9, 9", "5, 5, 5"), **other) == "9"  # its own
    code = ("import ctypes; l = ctypes.CDLL(None, use_errno=True); r = l.ptrace(0x4206, p, 0, 0); "
            "print(r and ctypes.get_errno()); os.kill(p, 9)")  # fmt: skip
    # the child has all that we have: who traces it needs CAP_SYS_PTRACE for its uid
    assert tried(python_program, child + code, cap_add=["SETUID", "KILL"], **other) == "1"
    assert tried(python_program, child + code, cap_add=["SETUID", "KILL", "SYS_PTRACE"], **other) == "0"


def test_chroot(python_program: Python) -> None:
    text = "os.chroot('/usr'); print(os.path.isdir('/bin') and not os.path.exists('/usr'))"
    assert tried(python_program, text, cap_add=["SYS_CHROOT"], policy="none") == "True"
    assert tried(python_program, text, policy="none") == "EPERM"


def test_no_devices(python_program: Python) -> None:
    text = "os.mknod('/tmp/null', 0o20666, os.makedev(1, 3))"
    options: dict[str, Any] = {"ids": "range", "user": 0, "cap_add": ["MKNOD"], "policy": "none"}
    assert tried(python_program, text, landlock="off", **options) == "EPERM"
    assert tried(python_program, text, landlock="on", **options) == "EACCES"  # Landlock is asked first


@pytest.mark.parametrize("ids", ["single", "range"])
def test_sysinfo_still_tells_the_limits(ids: str) -> None:
    """The init writes into the memory of a process that has more than it: it keeps CAP_SYS_PTRACE for that."""
    result = run(["getconf", "_PHYS_PAGES"], mem="64M", ids=ids, cap_add=["CHOWN", "KILL"], sysinfo="on")
    assert result.sysinfo and int(result.stdout) == (64 << 20) // os.sysconf("SC_PAGE_SIZE"), result
    assert not any("sysinfo" in note for note in result.notes), result.notes


def test_without_a_user_namespace_there_is_nothing_to_keep() -> None:
    with pytest.raises(RequestError, match="would be the host's"):
        run(["true"], cap_add=["CHOWN"], without=["user", "pid", "mount", "net", "ipc", "uts", "cgroup"])


# ---- those who ask for them ----

CI = {"ids": "range", "user": 0, "cap_add": ["CHOWN,DAC_OVERRIDE,FOWNER,SETUID,SETGID"]}


def test_making_a_user_and_becoming_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("bin", "etc", "home", "root", "tmp", "proc", "dev", "work", "usr"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    tmp_path.chmod(0o755)
    # Debian's busybox has no adduser: what it does
    script = ("for a in sh chown chmod stat su id cat mkdir grep; do busybox ln -s busybox /bin/$a; done; "
              "echo bob:x:500:500::/home/bob:/bin/sh >> /etc/passwd; echo bob:x:500: >> /etc/group; "
              "mkdir /home/bob && chown bob:bob /home/bob && chmod 700 /home/bob && stat -c %u /home/bob && "
              "su bob -c 'id -u; cd && echo mine > file; stat -c %u file; grep CapEff /proc/self/status'")  # fmt: skip
    result = run(["/bin/busybox", "sh", "-c", script], rootfs=f"{root}:scratch", env={"PATH": "/bin"}, **CI)
    assert result.stdout.split() == [b"500", b"500", b"500", b"CapEff:", b"0" * 16], result
    assert (root / "etc" / "passwd").read_text().count("\n") == 1


def test_dpkg_unpacks_with_owners(tmp_path: Path) -> None:
    script = """
set -e
mkdir -p p/DEBIAN p/srv/www r/var/lib/dpkg/updates r/var/lib/dpkg/info
touch r/var/lib/dpkg/status r/var/lib/dpkg/available
printf 'Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: d\\n' > p/DEBIAN/control
echo hello > p/srv/www/index; chown 33:33 p/srv/www/index; chmod 640 p/srv/www/index
dpkg-deb --build p p.deb >&2
dpkg --root=/work/r --log=/dev/null --force-script-chrootless -i p.deb >&2
stat -c '%u:%g %a' r/srv/www/index r/srv/www
"""
    result = run(["sh", "-c", script], **CI)
    assert result.stdout.decode().split("\n") == ["33:33 640", "0:0 755", ""], result
    without = run(["sh", "-c", script], **{**CI, "cap_add": []})
    assert not without.ok


def test_json_names_are_those_of_the_result() -> None:
    result = run(["true"], cap_add=["ALL"])
    assert json.loads(json.dumps(result.to_json()))["capabilities"] == list(result.capabilities)


# ---- a policy's ----


def test_a_policy_keeps_some(tmp_path: Path, pysandbox: Callable[..., SimpleNamespace]) -> None:
    policy = tmp_path / "ci.toml"
    policy.write_text('version = 1\nextends = "default"\ncapabilities = ["CAP_CHOWN", "fowner", "KILL"]\n')
    assert run(["true"], policy=str(policy)).capabilities == ("CHOWN", "FOWNER", "KILL")
    again = run(["true"], policy=str(policy), cap_drop=["KILL"], cap_add=["SETGID"])  # the filter from the cache
    assert again.capabilities == ("CHOWN", "FOWNER", "SETGID")
    assert run(["true"], policy=str(policy), cap_drop=["ALL"]).capabilities == ()
    assert "keep CHOWN,FOWNER,KILL" in pysandbox("plan", "--policy", policy, "--", "true").stdout
    with pytest.raises(RequestError, match="would be the host's"):
        run(["true"], policy=str(policy), without=["user", "pid", "mount", "net", "ipc", "uts", "cgroup"])


@pytest.mark.parametrize(("names", "said"), [('"SYS_ADMIN"', "never kept"), ('"CHWON"', "did you mean CHOWN?")])
def test_a_policy_with_a_wrong_one(names: str, said: str, tmp_path: Path) -> None:
    policy = tmp_path / "wrong.toml"
    policy.write_text(f'version = 1\nextends = "default"\n\ncapabilities = [{names}]\n')
    with pytest.raises(PolicyError) as caught:
        run(["true"], policy=str(policy))
    assert said in str(caught.value) and caught.value.line == 4, caught.value
