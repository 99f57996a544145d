"""Programs do under the second lock what they do without it, and the result says what holds."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import HostError, RequestError, Result, Sandbox, run
from sandbox.host import probe
from tests.slowness import SLOW

ABI = probe().landlock
pytestmark = pytest.mark.skipif(ABI < 2, reason="no Landlock in this kernel")

# since which ABI, as linux/landlock.h and landlock(7) have it
SINCE = {"execute": 1, "write_file": 1, "read_file": 1, "read_dir": 1, "remove_dir": 1, "remove_file": 1,
         "make_char": 1, "make_dir": 1, "make_reg": 1, "make_sock": 1, "make_fifo": 1, "make_block": 1, "make_sym": 1,
         "refer": 2, "truncate": 3, "ioctl_dev": 5}  # fmt: skip


def python(code: str, **options: Any) -> Result:
    return run(["/usr/bin/python3", "-IS", "-c", code], **options)


def works(code: str, **options: Any) -> bytes:
    """Its output; it must do the same with and without."""
    outputs = []
    for landlock in ("on", "off"):
        result = python(code, landlock=landlock, **options)
        assert result.ok, (landlock, result.stderr.decode())
        outputs.append(result.stdout)
    assert outputs[0] == outputs[1]
    return outputs[0]


# ---- what is said ----


def test_the_result_says_what_holds() -> None:
    found = run(["true"]).landlock
    assert found.abi == ABI and not found.why
    assert set(found.filesystem) == {name for name, since in SINCE.items() if since <= ABI}
    assert found.network == ()  # inside of a network namespace of its own it may do what it likes
    assert set(found.scoped) == ({"signal", "abstract_unix_socket"} if ABI >= 6 else set())
    assert set(found.missing) == ({n for n, s in SINCE.items() if s > ABI}
                                  | (set() if ABI >= 6 else {"signal", "abstract_unix_socket"}))  # fmt: skip


def test_switched_off() -> None:
    found = run(["true"], landlock="off").landlock
    assert found.abi == 0 and found.why == "switched off" and not (found.filesystem or found.scoped or found.missing)


def test_no_line_is_printed_for_it(pysandbox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = pysandbox("run", "--landlock", "on", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_the_mount_namespace() -> None:
    with pytest.raises(RequestError, match="nothing to lock"):
        run(["true"], without=["mount"], landlock="on")
    found = run(["true"], without=["mount"]).landlock
    assert found.filesystem == () and (found.abi == ABI) == (ABI >= 6) == (not found.why)


@pytest.mark.parametrize("errno", [38, 95])
def test_a_kernel_without_it(errno: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox import warm

    host = probe().replace(landlock=-errno)
    monkeypatch.setattr(warm, "probe", lambda: host)
    with Sandbox() as box:
        result = box.run(["true"])
        assert result.ok and result.landlock.abi == 0 and os.strerror(errno).lower() in result.landlock.why
        with pytest.raises(HostError, match="CONFIG_SECURITY_LANDLOCK"):
            box.run(["true"], landlock="on")


@pytest.mark.parametrize("abi", range(1, 7))
def test_older_kernels_are_told_apart(abi: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older ABI handles less on this kernel too: what is reported as missing is not refused, the rest is."""
    from sandbox import warm

    if abi > ABI:
        pytest.skip(f"this kernel has ABI {ABI}")
    host = probe().replace(landlock=abi)
    monkeypatch.setattr(warm, "probe", lambda: host)
    with Sandbox() as box:
        result = box.run(["sh", "-c", "kill -0 1; mkdir a b; echo > a/x; mv a/x b/x; echo > /dev/null"])
        assert result.ok, result
        found = result.landlock
        assert found.abi == (abi if abi >= 2 else 0)
        assert ("signal" in found.scoped) == (abi >= 6) == (b"not permitted" in result.stderr)
        assert abi < 2 or ("truncate" in found.missing) == (abi < 3)
        if abi < 6:
            with pytest.raises(HostError, match="ABI"):
                box.run(["true"], landlock="on", net="host")


# ---- what programs do ----


def test_names_in_writable_trees() -> None:
    works("""
import os, stat
for top in ("/tmp", "/work", "/dev/shm", "/mnt"):
    os.chdir(top)
    os.makedirs("a/b"); os.mkdir("c")
    open("a/b/f", "w").write("x" * 10)
    os.rename("a/b/f", "c/f"); os.link("c/f", "a/g"); os.symlink("../c/f", "a/s"); os.mkfifo("a/p")
    os.truncate("a/g", 3); assert open("a/s").read() == "xxx"
    os.rename("a", "c/a"); os.replace("c/f", "c/a/new")
    os.unlink("c/a/g"); os.rename("c/a/new", "c/a/g"); os.rmdir("c/a/b")
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600); os.write(fd, b"t")
    os.link(f"/proc/self/fd/{fd}", "t", src_dir_fd=fd, follow_symlinks=True); assert open("t").read() == "t"
    os.chmod("t", 0o755); os.utime("t"); os.unlink("t"); os.unlink("c/a/p")
    os.unlink("c/a/g"); os.unlink("c/a/s"); os.rmdir("c/a"); os.rmdir("c"); assert not os.listdir(".")
""", tmpfs=["/mnt"])  # fmt: skip


def test_moving_between_mounts_fails_as_ever() -> None:
    assert works("""
import os
open("/tmp/f", "w").close()
try:
    os.rename("/tmp/f", "/work/f")
except OSError as error:
    print(error.errno)
""") == b"18\n"  # fmt: skip


def test_sockets_and_pipes() -> None:
    works("""
import os, socket
for name in ("/tmp/s", "\\0abstract"):
    server = socket.socket(socket.AF_UNIX); server.bind(name); server.listen()
    client = socket.socket(socket.AF_UNIX); client.connect(name); client.send(b"x")
    assert server.accept()[0].recv(1) == b"x"
tcp = socket.create_server(("127.0.0.1", 0)); socket.create_connection(tcp.getsockname())
os.mkfifo("/work/p")
if os.fork():
    assert open("/work/p").read() == "y"; os.wait()
else:
    open("/work/p", "w").write("y")
""")


def test_signals_among_its_own() -> None:
    works("""
import os, signal, threading
pid = os.fork()
if not pid:
    os.setsid(); signal.pause()
os.kill(pid, 9); assert os.waitpid(pid, 0)[1] == 9
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1); os.kill(0, signal.SIGUSR1)
assert seen
""")


def test_proc() -> None:
    works("""
import os
open("/proc/self/comm", "w").write("other"); assert open("/proc/self/comm").read() == "other\\n"
open("/proc/self/oom_score_adj", "w").write("500"); open("/proc/self/coredump_filter", "w").write("0")
with open("/proc/thread-self/comm", "w") as f: f.write("thread")
os.readlink("/proc/self/exe"); os.listdir("/proc/self/fd")
open("/proc/self/maps").read(); open("/proc/self/environ").read()
value = bytearray(b"before"); import ctypes
where = ctypes.addressof((ctypes.c_char * 6).from_buffer(value))
fd = os.open("/proc/self/mem", os.O_RDWR); os.pwrite(fd, b"behind", where); assert value == b"behind"
open("/proc/self/exe", "rb").read(4)
""")


def test_devices_and_memory() -> None:
    works("""
import fcntl, os, termios
for name in ("null", "zero", "full", "random", "urandom"):
    fd = os.open("/dev/" + name, os.O_RDWR | os.O_TRUNC)
    try: termios.tcgetattr(fd)
    except termios.error as error: assert error.args[0] in (22, 25), (name, error)
master, slave = os.openpty(); os.ttyname(slave); termios.tcgetattr(slave); assert os.path.exists("/dev/ptmx")
m = os.memfd_create("m"); os.write(m, open("/bin/true", "rb").read())
os.lseek(m, 0, 0)
if not (pid := os.fork()): os.execve(m, ["true"], {})
assert os.waitpid(pid, 0)[1] == 0
open(f"/proc/self/fd/{m}", "r+b").close()
""")


def test_message_queues() -> None:
    """They are files of a mount that has no place, which Landlock refuses unless a rule names it."""
    works("""
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mq_open(b"/queue", 0o102, 0o600, None) >= 0, ctypes.get_errno()
assert libc.mq_open(b"/queue", 2) >= 0, ctypes.get_errno()
assert libc.mq_unlink(b"/queue") == 0, ctypes.get_errno()
""")


def test_programs_built_inside() -> None:
    result = run(["sh", "-ec", """
cat > x.c <<'END'
#include <stdio.h>
int main(void) { puts("built"); }
END
printf 'x: x.o\\n\\tgcc -o $@ $<\\n' > Makefile
make -s x && ./x && cp x /tmp/y && /tmp/y && install -m 755 x z && ./z
printf '#!/bin/sh\\necho script\\n' > s && chmod +x s && ./s
"""], landlock="on", wall=60 * SLOW, pids=64)  # fmt: skip
    assert result.stdout == b"built\nbuilt\nbuilt\nscript\n", result.stderr


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_git() -> None:
    result = run(["sh", "-ec", """
git init -q . && git config user.email a@b && git config user.name a
echo 1 > f && git add f && git commit -qm one && git mv f g && git commit -qm two
git checkout -q -b other && git gc -q && git log --oneline | wc -l
git clone -q . /tmp/copy && cat /tmp/copy/g
"""], landlock="on", wall=60 * SLOW)  # fmt: skip
    assert result.stdout == b"2\n1\n", result.stderr


@pytest.mark.skipif(shutil.which("gdb") is None, reason="no gdb here")
def test_gdb_inside(tmp_path: Path) -> None:
    policy = {"policy": "none"}
    result = run(["gdb", "-nx", "-batch", "-ex", "run", "-ex", "info inferiors", "--args", "/bin/true"],
                 landlock="on", wall=60 * SLOW, **policy)  # fmt: skip
    assert b"exited normally" in result.stdout, result


def test_ptrace_inside() -> None:
    works("""
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if not pid:
    signal.pause()
assert libc.ptrace(16, pid, 0, 0) == 0, ctypes.get_errno()
os.waitpid(pid, 0x40000000)
open(f"/proc/{pid}/mem", "rb").close()
os.kill(pid, 9); os.wait()
""", policy="none")


def test_a_writable_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("usr", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            (root / name).symlink_to(os.readlink(f"/{name}"))
    argv = ["sh", "-c", "mkdir /new /etc/x && echo y > /new/f && mv /new/f /etc/f && cat /etc/f && rmdir /new"]
    options: dict[str, Any] = {"volumes": ["/usr:/usr"], "workdir": "/"}
    assert run(argv, rootfs=f"{root}:scratch", landlock="on", **options).stdout == b"y\n"
    assert run(argv, rootfs=str(root), landlock="on", **options).exit_code


def test_volumes(tmp_path: Path) -> None:
    for name in ("read", "write"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("old")
    code = """
import os
os.mkdir("/w/d"); open("/w/d/f", "w").write("x"); os.rename("/w/d/f", "/w/f"); open("/f", "w").write("new")
try: os.mkdir("/r/d")
except OSError as error: print(error.errno)
"""
    result = python(code, volumes=[f"{tmp_path}/read:/r", f"{tmp_path}/write:/w:rw", f"{tmp_path}/file:/f:rw"],
                    landlock="on")  # fmt: skip
    assert result.ok and result.stdout == b"30\n", result.stderr
    assert (tmp_path / "write" / "f").read_text() == "x" and (tmp_path / "file").read_text() == "new"


# ---- what was handed over ----


def test_what_was_handed_over_can_be_opened_anew(tmp_path: Path) -> None:
    """In its own mode and no other: /dev/stdout is /proc/self/fd/1."""
    (tmp_path / "in").write_text("input")
    with open(tmp_path / "in", "rb") as given, open(tmp_path / "out", "w+b") as log, open(tmp_path / "w", "wb") as w:
        code = f"""
import os
def mode(number, flags):
    try: os.close(os.open(f"/proc/self/fd/{{number}}", flags)); return "yes"
    except PermissionError: return "no"
print(*[mode(n, f) for n in ({given.fileno()}, {log.fileno()}, {w.fileno()}) for f in (os.O_RDONLY, os.O_WRONLY)])
os.write({log.fileno()}, b"written"); os.truncate({log.fileno()}, 4); os.read({given.fileno()}, 3)
"""
        fds = (given.fileno(), log.fileno(), w.fileno())
        result = python(code, pass_fds=fds, landlock="on")
        assert result.stdout == b"yes no yes yes no yes\n", result.stderr
    assert (tmp_path / "out").read_bytes() == b"writ"


def test_an_inherited_stdout(
    pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path
) -> None:
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([*pysandbox_argv, "run", "--stdout", "inherit", "--landlock", "on", "--", "sh", "-c",
                        "echo one; echo two >> /dev/stdout; echo three | tee -a /dev/fd/3 3>&1 >/dev/null"],
                       env=pysandbox_env, stdout=out, check=True, stdin=subprocess.DEVNULL)  # fmt: skip
    assert (tmp_path / "out").read_text() == "one\ntwo\nthree\n"


def test_an_inherited_terminal(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    master, slave = pty.openpty()
    done = subprocess.run([*pysandbox_argv, "run", "--stdin", "inherit", "--landlock", "on", "--", "/usr/bin/python3",
                           "-c", "import os, termios; termios.tcgetattr(0); print(os.get_terminal_size(0).columns); "
                           "termios.tcgetattr(os.open('/dev/stdin', os.O_RDWR | os.O_NOCTTY))"],
                          env=pysandbox_env, stdin=slave, capture_output=True, text=True, check=False)  # fmt: skip
    os.close(master)
    os.close(slave)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_terminal_of_its_own(pysandbox_argv: list[str], pysandbox_env: dict[str, str]) -> None:
    code = ("import os, fcntl, struct, termios, tty; old = termios.tcgetattr(0); tty.setraw(0); "
            "termios.tcsetattr(0, termios.TCSANOW, old); t = os.open('/dev/tty', os.O_RDWR); "
            "fcntl.ioctl(t, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 90, 0, 0)); "
            "print(os.get_terminal_size(os.open(os.ttyname(1), os.O_RDWR)).columns, "
            "os.tcgetpgrp(t) == os.getpgrp())")  # fmt: skip
    argv = [*pysandbox_argv, "run", "-t", "--landlock", "on", "--", "/usr/bin/python3", "-c", code]
    done = subprocess.run(argv, env=pysandbox_env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.stdout.strip() == "90 True", done


def test_sysinfo_is_still_answered() -> None:
    """The init, which is outside of the domain, writes into the memory of whoever asks."""
    result = run(["/usr/bin/getconf", "_PHYS_PAGES"], mem="64M", sysinfo="on", landlock="on")
    assert int(result.stdout) * os.sysconf("SC_PAGE_SIZE") == 64 << 20


def test_one_made_ahead_has_it_ready() -> None:
    with Sandbox(landlock="on") as box:
        for number in range(4):
            result = box.run(["sh", "-c", f"echo {number}; kill -0 1; echo > /tmp/x && cat /tmp/x"])
            assert result.stdout == f"{number}\n\n".encode() and result.landlock.abi == ABI
            assert ABI < 6 or b"not permitted" in result.stderr


def test_two_runs_that_differ_in_it_alone() -> None:
    """The second must not get the first one's sandbox."""
    with Sandbox() as box:
        for landlock in ("on", "off", "on", "off", "off", "on"):
            result = box.run(["sh", "-c", "kill -0 1"], landlock=landlock)
            assert (result.exit_code == 0) == (landlock == "off" or ABI < 6)


def test_plan_and_json_agree(pysandbox: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    plan = pysandbox("plan", "--", "true").stdout
    assert f"make a Landlock ruleset (ABI {ABI})" in plan and "enter a Landlock domain" in plan
    assert "Landlock" not in pysandbox("plan", "--landlock", "off", "--", "true").stdout
    pysandbox("run", "--json", tmp_path / "j", "--", "true")
    assert json.loads((tmp_path / "j").read_text())["landlock"]["abi"] == ABI
