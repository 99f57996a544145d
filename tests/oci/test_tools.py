"""Bundles and calls of other tools: runc spec, crun spec, umoci, and podman with this runtime."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.oci import bundles
from tests.oci.conftest import Oci
from tests.slowness import SLOW

Podman = Callable[..., "subprocess.CompletedProcess[str]"]


def needs(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"{tool} is not installed")


def tool(*words: str | Path, **options: object) -> str:
    env = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    given: dict[str, object] = {"stdin": subprocess.DEVNULL, "env": env, **options}
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True, timeout=60 * SLOW,
                          check=False, **given)  # type: ignore[call-overload] # fmt: skip
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return str(done.stdout)


def edited(bundle: Path, *argv: str) -> None:
    """The tool's config with another program and without a terminal."""
    written = json.loads((bundle / "config.json").read_text())
    bundles.write(bundle, bundles.changed(written, process__terminal=False, process__args=list(argv)))


@pytest.mark.parametrize("other", ["runc", "crun"])
def test_spec_of_other_runtimes(oci: Oci, bundle: Path, other: str) -> None:
    needs(other)
    (bundle / "config.json").unlink()
    tool(other, "spec", "--rootless", cwd=bundle)
    edited(bundle, "/bin/sh", "-c", "id -u; hostname; touch /x")
    done = oci("run", "--bundle", bundle, "x", check=False)
    assert done.stdout.splitlines() == ["0", other] and "Read-only file system" in done.stderr, done


def test_a_bundle_that_umoci_unpacks(oci: Oci, bundle: Path, tmp_path: Path) -> None:
    needs("umoci")
    image = f"{tmp_path}/layout:box"
    tool("umoci", "init", "--layout", tmp_path / "layout")
    tool("umoci", "new", "--image", image)
    tool("umoci", "insert", "--rootless", "--image", image, bundle / "rootfs", "/")
    tool("umoci", "config", "--image", image, "--config.env", "WORD=from the image",
         "--config.workingdir", "/root", "--config.cmd", "/bin/sh", "--config.cmd", "-c",
         "--config.cmd", "pwd; echo $WORD")  # fmt: skip
    tool("umoci", "unpack", "--rootless", "--image", image, tmp_path / "unpacked")
    written = json.loads((tmp_path / "unpacked/config.json").read_text())
    edited(tmp_path / "unpacked", *written["process"]["args"])
    assert oci("run", "--bundle", tmp_path / "unpacked", "x").stdout == "/root\nfrom the image\n"


@pytest.fixture
def podman(runtime: Path, bundle: Path, short_tmp: Path) -> Podman:
    """``podman("run", "--rm", "box", "true")`` with this runtime, a store of its own and an image called box."""
    needs("podman", "conmon", "newuidmap")
    home = short_tmp
    (home / "run").mkdir(mode=0o700)
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), "LANG": "C.UTF-8", "TMPDIR": str(home),
           "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}  # fmt: skip
    command = ["podman", "--cgroup-manager=cgroupfs", "--events-backend=file", "--storage-driver=vfs",
               "--runtime", str(runtime)]  # fmt: skip

    def run(*words: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        given: dict[str, object] = {"stdin": subprocess.DEVNULL, **options}
        done: subprocess.CompletedProcess[str] = subprocess.run(  # type: ignore[call-overload]
            [*command, *words], env=env, cwd=home, text=True, capture_output=True, timeout=50 * SLOW, check=False,
            **given,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    tool("tar", "-C", bundle / "rootfs", "-cf", home / "box.tar", ".")
    found = run("import", str(home / "box.tar"), "box", check=False)
    if found.returncode:
        pytest.skip(f"podman cannot run here: {found.stderr.strip().splitlines()[-1]}")
    return run


def end_pause(runtime: Path) -> None:
    """podman leaves a process behind that keeps its user namespace for the next command."""
    try:
        os.kill(int((runtime / "libpod/tmp/pause.pid").read_text()), signal.SIGKILL)
    except (OSError, ValueError):
        pass


@pytest.fixture
def short_tmp(tmp_path: Path) -> Iterator[Path]:
    """conmon's sockets want short paths (unix(7)); files in it belong to subordinate ids."""
    import tempfile

    path = Path(tempfile.mkdtemp(prefix="pb", dir="/tmp"))
    yield path
    end_pause(path / "run")
    subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", str(path)], check=False,
                   capture_output=True, timeout=60 * SLOW)  # fmt: skip
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.v2
@pytest.mark.guests("debian13")
def test_podman_runs_with_it(podman: Podman) -> None:
    """Streams and status; few commands, for in the lab each takes 10 s."""
    words = ("run", "--rm", "--net", "none", "-i", "box", "/bin/sh", "-c", "id; cat; exit 4")
    done = podman(*words, check=False, stdin=None, input="in\n")
    assert (done.returncode, done.stdout) == (4, "uid=0(root) gid=0(root)\nin\n"), done
    podman("run", "-d", "--name", "b", "--net", "none", "box", "/bin/sleep", "1000")
    assert podman("exec", "b", "/bin/sh", "-c", "exit 9", check=False).returncode == 9
    podman("rm", "-f", "-t", "0", "b")


def test_podman_with_mounts_users_terminals_and_signals(podman: Podman, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    common = ("run", "--rm", "--net", "none")
    done = podman(*common, "-v", f"{tmp_path}/shared:/mnt", "--tmpfs", "/t", "--read-only", "box", "/bin/sh", "-c",
                  "echo new > /mnt/file; touch /t/x && touch /x", check=False)  # fmt: skip
    assert (tmp_path / "shared/file").read_text() == "new\n" and "Read-only" in done.stderr
    assert podman(*common, "--user", "5:6", "box", "/bin/id").stdout.startswith("uid=5")
    assert podman(*common, "-t", "box", "/bin/tty").stdout.strip() == "/dev/pts/0"
    assert podman(*common, "box", "/bin/nothing", check=False).returncode == 127
    assert "writable sysfs" in podman(*common, "--privileged", "box", "/bin/true", check=False).stderr
    podman("run", "-d", "--name", "b", "--net", "none", "box", "/bin/sh", "-c",
           "trap 'echo got; exit 7' TERM; echo here; while :; do sleep 0.1; done")  # fmt: skip
    done = podman("exec", "b", "/bin/sh", "-c", "ps | grep -c 'echo here'; exit 9", check=False)
    assert done.returncode == 9 and int(done.stdout) >= 1
    podman("stop", "-t", "20", "b")
    assert podman("logs", "b").stdout == "here\ngot\n"
    assert podman("inspect", "b", "--format", "{{.State.ExitCode}} {{.State.Status}}").stdout == "7 exited\n"
    podman("rm", "b")
