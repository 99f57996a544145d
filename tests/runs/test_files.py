"""Volumes, tmpfs, other roots, the work directory and the shared program."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import RequestError, Result, SetupError, run

Command = Callable[..., SimpleNamespace]


def sh(text: str, **options: object) -> Result:
    return run(["sh", "-c", text], **options)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("content\n")
    return tmp_path / "shared"


def test_volume_is_read_only_by_default(shared: Path) -> None:
    for mode in ("", ":ro"):
        result = sh("cat /data/file; echo x > /data/file || echo x > /data/new || rm -f /data/file || chmod 777 /data",
                    volumes=[f"{shared}:/data{mode}"])  # fmt: skip
        assert result.stdout == b"content\n" and not result.ok
    assert (shared / "file").read_text() == "content\n" and os.listdir(shared) == ["file"]


def test_writable_volume(shared: Path) -> None:
    result = sh("echo more >> /data/file; mkdir /data/d; id -u", volumes=[f"{shared}:/data:rw"])
    assert result.ok and (shared / "file").read_text() == "content\nmore\n"
    assert (shared / "d").stat().st_uid == os.geteuid()


def test_single_file_as_volume(shared: Path) -> None:
    assert (
        sh("cat /etc/special; ls /etc/special", volumes=[f"{shared}/file:/etc/special"]).stdout
        == b"content\n/etc/special\n"
    )
    sh("echo changed > /data", volumes=[f"{shared}/file:/data:rw"])
    assert (shared / "file").read_text() == "changed\n"


def test_several_volumes_and_one_inside_another(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "deep").write_text("deep\n")
    (shared / "sub").mkdir()
    result = sh("cat /data/file /data/sub/deep; touch /data/sub/ok && ! touch /data/no",
                volumes=[f"{shared}:/data", f"{tmp_path}/inner:/data/sub:rw"])  # fmt: skip
    assert result.ok and result.stdout == b"content\ndeep\n"


def test_volume_gives_no_setuid_and_no_devices(shared: Path) -> None:
    result = sh("grep ' /data ' /proc/self/mounts", volumes=[f"{shared}:/data:rw"])
    flags = result.stdout.split()[3].split(b",")
    assert b"nosuid" in flags and b"nodev" in flags


def test_way_up_from_a_volume_ends_at_the_root(shared: Path) -> None:
    assert sh("cd /data && ls ../../../.. && cat ../secret", volumes=[f"{shared}:/data"]).stdout.find(b"secret") < 0


def test_symlinks_in_a_volume_lead_nowhere_on_the_host(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (shared / "absolute").symlink_to(tmp_path / "secret")
    (shared / "relative").symlink_to("../secret")
    (shared / "root").symlink_to("/")
    result = sh(f"cat /data/absolute /data/relative /data/root{tmp_path}/secret", volumes=[f"{shared}:/data"])
    assert result.stdout == b"" and not result.ok


def test_source_that_is_a_symlink_is_followed_once_by_us(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shared)
    assert sh("cat /data/file", volumes=[f"{tmp_path}/link:/data"]).stdout == b"content\n"


# A mount of its own below the shared directory, made in a mount namespace of the test's.
RECURSIVE = """
import os, sys
from sandbox import run
base = sys.argv[1]
for mode, expected in (("ro", "read-only"), ("rw", "written")):
    text = "echo x > /data/sub/new 2>/dev/null && echo written || echo read-only; cat /data/sub/below"
    result = run(["sh", "-c", text], volumes=[f"{base}:/data:{mode}"])
    assert result.stdout == f"{expected}\\nbelow\\n".encode(), (mode, result)
print("fine")
"""


def test_read_only_reaches_submounts(shared: Path, pysandbox_env: dict[str, str]) -> None:
    (shared / "sub").mkdir()
    script = (
        f'mount -t tmpfs none {shared}/sub && echo below > {shared}/sub/below && exec setpriv --ambient-caps=-all "$@"'
    )
    world = [
        "unshare",
        "--user",
        "--map-user=4242",
        "--map-group=4242",
        "--mount",
        "--keep-caps",
        "sh",
        "-c",
        script,
        "sh",
    ]
    done = subprocess.run([*world, "/usr/bin/python3", "-c", RECURSIVE, shared], env=pysandbox_env, capture_output=True,
                          text=True, check=False, timeout=60)  # fmt: skip
    assert done.stdout == "fine\n", done


def test_vanished_source_is_a_setup_error_or_refused(tmp_path: Path) -> None:
    with pytest.raises((RequestError, SetupError)) as caught:
        sh("true", volumes=[f"{tmp_path}/gone:/data"])
    assert "gone" in str(caught.value)


def test_source_that_the_caller_may_not_read() -> None:
    with pytest.raises((RequestError, SetupError)):
        sh("true", volumes=["/root/.ssh:/data"])
    assert not sh("cat /data", volumes=["/etc/shadow:/data"]).ok


def test_tmpfs() -> None:
    result = sh("df -k /scratch/a | tail -1; touch /scratch/a/x && stat -c %U /scratch/a", tmpfs=["/scratch/a:1M"])
    assert result.ok, result
    assert result.stdout.split()[1] == b"1024" and result.stdout.split()[-1] == b"sandbox"


def test_workdir(shared: Path) -> None:
    assert sh("pwd; echo $HOME; touch x").stdout == b"/work\n/work\n"
    assert sh("pwd; echo $HOME", workdir="/somewhere/else").stdout == b"/somewhere/else\n/somewhere/else\n"
    assert sh("pwd; cat file", workdir="/data", volumes=[f"{shared}:/data"]).stdout == b"/data\ncontent\n"
    assert sh("pwd; touch x", workdir="/tmp").ok


def test_work_directory_can_be_a_volume(shared: Path) -> None:
    assert sh("pwd; echo new > made", volumes=[f"{shared}:/work:rw"]).stdout == b"/work\n"
    assert (shared / "made").read_text() == "new\n"


def test_program_of_the_caller_is_shown_at_app(tmp_path: Path, program: Callable[[str], str]) -> None:
    script = tmp_path / "tool"
    script.write_text('#!/bin/sh\necho "$0" "$@"\nls /app\necho x >> "$0"\n')
    script.chmod(0o755)
    (tmp_path / "neighbour").write_text("secret")
    result = run([str(script), "a b"])
    assert result.stdout == b"/app/tool a b\ntool\n"
    assert b"ead-only" in result.stderr
    assert "echo x" in script.read_text() and script.read_text().count("\n") == 4


def test_program_by_relative_path_and_by_path(tmp_path: Path, pysandbox: Command) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho tool\n")
    (tmp_path / "tool").chmod(0o755)
    assert pysandbox("run", "--", "./tool").stdout == "tool\n"
    found = pysandbox("run", "--", "tool", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found.stdout == "tool\n", found.stderr
    assert pysandbox("run", "--", "/usr/bin/env", "echo", "x").stdout == "x\n"


def test_system_program_wins_over_one_of_the_callers(tmp_path: Path, pysandbox: Command) -> None:
    (tmp_path / "true").write_text("#!/bin/sh\necho not the system's\n")
    (tmp_path / "true").chmod(0o755)
    assert pysandbox("run", "--", "true", env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).stdout == ""


def test_hint_on_what_to_share(tmp_path: Path, pysandbox: Command) -> None:
    (tmp_path / "input.txt").write_text("x")
    done = pysandbox("run", "--", "cat", "input.txt")
    assert done.returncode == 1
    hint = next(line for line in done.stderr.splitlines() if "hint" in line)
    assert f"-v {tmp_path}/input.txt:/work/input.txt" in hint
    taken = pysandbox("run", "-v", f"{tmp_path}/input.txt:/work/input.txt", "--", "cat", "input.txt")
    assert (taken.returncode, taken.stdout) == (0, "x"), taken.stderr
    assert "hint" not in pysandbox("run", "--", "sh", "-c", "exit 1").stderr


# ---- another root


@pytest.fixture
def busybox_root(tmp_path: Path) -> Path:
    """The tree of an image: busybox and its links, an /etc of its own, files with traps in them."""
    root = tmp_path / "root"
    for name in ("bin", "etc", "proc", "data"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    for name in ("sh", "ls", "cat", "touch", "rm", "id", "mount", "echo", "readlink", "pwd", "wc", "dd", "mv"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "etc" / "issue").write_text("of the image\n")
    (root / "data" / "file").write_text("lower\n")
    return root


def snapshot(root: Path) -> dict[str, tuple[int, float, bytes]]:
    found = {}
    for directory, _names, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            found[path] = (
                status.st_mode,
                status.st_mtime,
                b"" if os.path.islink(path) else Path(path).read_bytes()[:64],
            )
    return found


def test_rootfs_read_only(busybox_root: Path) -> None:
    before = snapshot(busybox_root)
    result = sh("cat /etc/issue; ls /usr; touch /new || touch /data/new || rm /data/file", rootfs=str(busybox_root))
    assert result.stdout == b"of the image\n" and not result.ok
    assert sh("touch /tmp/x /work/x && echo fine", rootfs=f"{busybox_root}:ro").stdout == b"fine\n"
    assert snapshot(busybox_root) == before


def test_rootfs_scratch_is_thrown_away(busybox_root: Path) -> None:
    before = snapshot(busybox_root)
    text = "echo upper > /data/file; touch /new; rm /etc/issue; mv /data /moved; cat /moved/file; ls /new /etc"
    result = sh(text, rootfs=f"{busybox_root}:scratch")
    assert result.ok, result
    assert result.stdout.startswith(b"upper\n/new\n") and b"issue" not in result.stdout
    assert snapshot(busybox_root) == before
    assert sh("cat /data/file", rootfs=f"{busybox_root}:scratch").stdout == b"lower\n"


def test_rootfs_scratch_is_bounded_by_disk(busybox_root: Path) -> None:
    result = sh(
        "dd if=/dev/zero of=/data/big bs=64k count=1024; wc -c < /data/big", rootfs=f"{busybox_root}:scratch", disk="4M"
    )
    assert int(result.stdout) <= 4 << 20


def test_rootfs_has_our_proc_and_dev(busybox_root: Path) -> None:
    (busybox_root / "dev").mkdir()
    (busybox_root / "dev" / "null").write_text("a plain file that pretends")
    result = sh(
        "cat /dev/null; ls /dev; cat /proc/1/cmdline; id -u; cat /etc/hostname",
        rootfs=str(busybox_root),
        hostname="inside",
    )
    assert result.ok, result
    assert (
        b"pretends" not in result.stdout and b"urandom" in result.stdout and result.stdout.endswith(b"1000\ninside\n")
    )


@pytest.mark.parametrize("trap", ["dev", "proc", "tmp", "work", "etc/hosts", "data/in"])
@pytest.mark.parametrize("mode", ["ro", "scratch"])
def test_links_in_a_rootfs_do_not_lead_out(trap: str, mode: str, busybox_root: Path, tmp_path: Path) -> None:
    """A mount point that is a link to somewhere on the host (CVE-2021-30465, CVE-2025-31133)."""
    target = tmp_path / "victim"
    target.mkdir()
    (target / "file").write_text("untouched")
    place = busybox_root / trap
    if place.is_dir():
        place.rmdir()
    place.symlink_to(target / "file" if trap == "etc/hosts" else target)
    try:
        run(["/bin/sh", "-c", f"echo x > /{trap}/planted; echo x > /tmp/planted; cat /{trap}/file"],
            rootfs=f"{busybox_root}:{mode}",
            volumes=[f"{busybox_root}/data:/data/in"] if trap == "data/in" else [])  # fmt: skip
    except SetupError:
        pass  # a refusal is as good
    assert os.listdir(target) == ["file"] and (target / "file").read_text() == "untouched"


def test_rootfs_hides_the_system(busybox_root: Path) -> None:
    with_host = sh("ls /usr/bin/python3", rootfs=str(busybox_root))
    assert not with_host.ok
    missing = run(["python3"], rootfs=str(busybox_root))
    assert (missing.outcome, missing.exit_status) == ("exec_failed", 127)


def test_rootfs_with_volumes_and_tmpfs(busybox_root: Path, shared: Path) -> None:
    result = sh("cat /mnt/deep/file; touch /mnt/deep/made /t/x", rootfs=str(busybox_root),
                volumes=[f"{shared}:/mnt/deep:rw"], tmpfs=["/t:1M"])  # fmt: skip
    assert result.ok, result
    assert (shared / "made").exists()
    assert not (busybox_root / "mnt").exists() and not (busybox_root / "t").exists()
