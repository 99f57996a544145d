"""Acceptance line 5: what a program can look at shows the sandbox's own world and nothing of the host's."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import Result, run

pytestmark = pytest.mark.v2


def shell(text: str, **options: object) -> str:
    result = run(["sh", "-c", text], **options)
    assert result.ok, result
    return result.stdout.decode(errors="surrogateescape")


def test_id() -> None:
    assert shell("id") == "uid=1000(sandbox) gid=1000(sandbox) groups=1000(sandbox)\n"
    assert shell("id", user="4711:4712").split()[:2] == ["uid=4711(sandbox)", "gid=4712(sandbox)"]


def test_hostname() -> None:
    assert shell("hostname; uname -n; cat /etc/hostname /proc/sys/kernel/hostname").split() == ["sandbox"] * 4
    assert shell("hostname", hostname="elsewhere.test") == "elsewhere.test\n"
    assert socket.gethostname() not in ("sandbox", "elsewhere.test")


def test_ps_aux() -> None:
    lines = shell("ps -eo pid,user,args --no-headers").splitlines()
    assert len(lines) == 3, lines  # the init, the shell, ps
    assert [line.split()[0] for line in lines[:2]] == ["1", "2"]
    assert {line.split()[1] for line in lines} == {"sandbox"}


def test_no_process_of_the_host_in_proc() -> None:
    assert shell("cd /proc; echo [0-9]*").split() == ["1", "2"]
    assert shell(f"test -e /proc/{os.getpid()} && echo seen || echo hidden") == "hidden\n"


def test_ip_link_and_proc_net_dev() -> None:
    interfaces = [line.split(":")[0].strip() for line in shell("cat /proc/net/dev").splitlines()[2:]]
    assert interfaces == ["lo"]
    links = [line for line in shell("ip -o link").splitlines() if line]
    assert len(links) == 1 and "LOOPBACK,UP" in links[0]


def test_no_route_and_no_connection_of_the_host() -> None:
    assert len(shell("cat /proc/net/route").splitlines()) == 1
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempt = f"socket.create_connection(('127.0.0.1', {port}), 5)"
        text = f"import socket\ntry: {attempt}\nexcept OSError as e: print(e.errno)"
        assert run(["python3", "-I", "-c", text]).stdout == b"111\n"


def test_abstract_sockets_of_the_host_are_out_of_reach() -> None:
    name = f"pysandbox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        attempt = f"socket.socket(socket.AF_UNIX).connect('\\0{name}')"
        text = f"import socket\ntry: {attempt}\nexcept OSError as e: print(e.errno)"
        assert run(["python3", "-I", "-c", text]).stdout == b"111\n"


def test_ipcs() -> None:
    made = subprocess.run(["ipcmk", "-M", "4096"], capture_output=True, text=True, check=True).stdout.split()[-1]
    try:
        assert made in subprocess.run(["ipcs", "-m"], capture_output=True, text=True, check=True).stdout
        listed = shell("ipcs")
        assert made not in listed and "0x" not in listed
    finally:
        subprocess.run(["ipcrm", "-m", made], check=True)


def test_mount() -> None:
    lines = [line.split() for line in shell("cat /proc/self/mountinfo").splitlines()]
    points = {fields[4]: set(fields[5].split(",")) for fields in lines}
    sources = {fields[fields.index("-") + 1] for fields in lines}
    assert sources & {"cgroup", "cgroup2", "sysfs", "securityfs", "tracefs", "debugfs"} == set()
    for point, flags in points.items():
        if not point.startswith(("/tmp", "/work", "/dev", "/proc")):
            assert "ro" in flags, f"{point} is writable"
        # nosuid and nodev mean nothing on what is one device only, and on what is masked by /dev/null
        if not (point.startswith("/dev/") and point not in ("/dev/pts", "/dev/shm")) and point not in MASKED_BY_NULL:
            assert {"nosuid"} <= flags, point
            assert "nodev" in flags or point == "/dev/pts", point
    assert {"nosuid", "nodev", "noexec"} <= points["/proc"]
    assert not any("pysandbox" in " ".join(fields) for fields in lines)


MASKED_BY_NULL = ("/proc/keys", "/proc/key-users", "/proc/latency_stats", "/proc/locks", "/proc/sched_debug",
                  "/proc/timer_stats")  # fmt: skip


def test_root_holds_no_old_root() -> None:
    assert set(shell("ls -A /").split()) <= {
        "app", "bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "nix", "gnu", "opt", "proc", "root",
        "run",
        "sbin", "tmp", "usr", "var", "work",
    }  # fmt: skip
    assert shell("cd /; cd ..; cd ../..; pwd; readlink /proc/self/root /proc/1/root 2>/dev/null; true").split() == [
        "/",
        "/",
    ]


def test_ls_proc_self_fd() -> None:
    secret = os.memfd_create("of-the-caller", 0)  # inheritable on purpose
    try:
        text = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))"
        # 3 is the listing's own
        assert run(["python3", "-I", "-c", text]).stdout == b"[0, 1, 2, 3]\n"
        listed = shell("ls -l /proc/self/fd")
        assert "of-the-caller" not in listed and "socket" not in listed and "anon_inode" not in listed
    finally:
        os.close(secret)


def test_env(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "of-the-caller")
    found = dict(line.split("=", 1) for line in shell("env", env={"MINE": "1"}).splitlines())
    found = {k: v for k, v in found.items() if k not in ("PWD", "OLDPWD", "SHLVL", "_")}  # the shell's own
    assert found == {
        "HOME": "/work", "LANG": "C.UTF-8", "LOGNAME": "sandbox", "MINE": "1", "USER": "sandbox",
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    }  # fmt: skip


@pytest.mark.parametrize("limits", [{}, {"mem": "64M"}], ids=["plain", "limited"])
def test_proc_self_cgroup(limits: dict[str, object]) -> None:
    ours = {line.split(":")[1] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    for line in shell("cat /proc/self/cgroup", **limits).splitlines():
        _number, controllers, path = line.split(":", 2)
        assert controllers in ours
        assert path == "/", line


def test_etc_passwd() -> None:
    names = [line.split(":")[0] for line in shell("cat /etc/passwd").splitlines()]
    assert names == ["root", "sandbox", "nobody"]
    caller = pwd.getpwuid(os.geteuid()).pw_name
    assert shell(f"grep -rl {caller} /etc/passwd /etc/group /etc/hosts /etc/hostname; true") == ""
    assert (
        shell("ls /etc/shadow /etc/gshadow /etc/sudoers /etc/ssh /etc/machine-id /etc/subuid 2>/dev/null; true") == ""
    )


def test_no_files_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the caller")
    assert shell(f"cat {tmp_path}/secret 2>/dev/null; ls -A /home /root /tmp /run /opt /work | grep -v :").split() == []
    assert shell("ls -d /sys /boot /mnt /srv /media 2>/dev/null; true") == ""


def test_temporary_files_do_not_pass_from_run_to_run() -> None:
    shell("echo mine | tee /tmp/left /dev/shm/left /work/left")
    assert shell("ls -A /tmp /dev/shm /work | grep left; true") == ""


def test_init_tells_nothing_of_the_host() -> None:
    told = run(
        [
            "sh",
            "-c",
            "tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/environ /proc/1/maps /proc/1/stack; "
            "readlink /proc/1/exe /proc/1/cwd",
        ]
    )
    assert told.stdout.split() == [b"pysandbox-spawner"]
    assert told.stderr.count(b"ermission denied") >= 3
    assert shell("grep -c . /proc/1/cmdline") == "1\n"


def test_own_ids_and_capabilities() -> None:
    status = dict(line.split(":\t", 1) for line in shell("cat /proc/self/status").splitlines())
    assert {status[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert status["SigIgn"] == "0" * 16 and status["SigBlk"] == "0" * 16
    assert status["TracerPid"] == "0"


@pytest.mark.parametrize("path", [
    "/proc/keys", "/proc/key-users", "/proc/acpi", "/proc/asound", "/proc/scsi", "/proc/latency_stats", "/proc/locks",
    "/proc/timer_stats",
    "/proc/sched_debug", "/proc/kcore", "/proc/kmsg", "/proc/timer_list", "/proc/kallsyms", "/proc/kpagecount",
])  # fmt: skip
def test_proc_is_masked(path: str) -> None:
    # Addresses are shown as zeros; the last line that is read may be cut off.
    if not os.path.exists(path):
        assert shell(f"ls -d {path} 2>/dev/null; true") == ""
        return
    seen = run(
        [
            "sh",
            "-c",
            f"if test -d {path}; then ls -A {path}; else head -c 4096 {path} | grep -vE '^0{{16}} |^0+$'; fi",
        ]
    ).stdout
    assert seen == b"", path


@pytest.mark.parametrize("path", [
    "/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sys/kernel/core_pattern",
    "/proc/sys/user/max_user_namespaces", "/proc/irq/0/smp_affinity", "/proc/1/oom_score_adj", "/proc/1/mem",
])  # fmt: skip
def test_proc_cannot_be_written(path: str) -> None:
    result = run(["sh", "-c", f"echo 1 > {path}"])
    assert result.exit_code != 0
    assert any(
        word in result.stderr for word in (b"ermission", b"Read-only", b"cannot create", b"Directory nonexistent")
    )


def test_devices() -> None:
    assert set(shell("ls /dev").split()) == {
        "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
    }  # fmt: skip
    shell("echo x > /dev/null; head -c 4 /dev/zero /dev/urandom | wc -c")
    assert not run(["sh", "-c", "mknod /tmp/d b 7 0"]).ok
    assert not run(["sh", "-c", "exec 3</dev/tty"]).ok


def test_session_of_its_own(python_program: Callable[..., Result]) -> None:
    text = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0), os.getppid())"
    assert python_program(text).stdout == b"True 1\n"


def test_keyring_of_its_own() -> None:
    assert not run(["sh", "-c", "keyctl show @s"]).ok


def test_new_namespaces_cannot_be_made() -> None:
    for flags in ("-U", "-Ur", "-Urm", "-n", "-m"):
        assert not run(["unshare", flags, "true"]).ok, flags


def test_setuid_programs_gain_nothing() -> None:
    for program in ("su", "mount", "passwd", "newgrp", "sudo"):
        found = subprocess.run(
            ["sh", "-c", f"command -v {program}"], capture_output=True, text=True, check=False
        ).stdout
        if found and os.stat(found.strip()).st_mode & 0o4000:
            break
    else:
        pytest.fail("no setuid program on this host to try")
    assert "nosuid" in shell("grep ' / \\| /usr ' /proc/self/mounts")
    copied = f"cp {found.strip()} /tmp/p && chmod 4755 /tmp/p; id -u"
    assert shell(copied) == "1000\n"
