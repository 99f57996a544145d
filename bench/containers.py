"""What a container costs: a run of an image against a plain run, exec against run, a commit against the disk; runc
and podman beside them, where they work without root.

    python3 bench/containers.py [--runs N]

One interleaved run, medians; each command is a whole process. Ratios count, milliseconds are this machine's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from common import installed_copy, machine, median, require_user, table, timed
from peers import Runc, find, spawn

BUSYBOX = shutil.which("busybox") or "/bin/busybox"
LAYER_BYTES = 100 << 20


def make_root(directory: Path) -> Path:
    """A root file system of one static program."""
    (directory / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, directory / "bin" / "busybox")
    for name in ("sh", "true", "sleep", "cat", "dd", "head"):
        (directory / "bin" / name).symlink_to("busybox")
    for name in ("etc", "tmp", "proc", "dev", "root"):
        (directory / name).mkdir()
    (directory / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return directory


class Commands:
    """The command line of an installed copy, with a store of its own."""

    def __init__(self, installed: Path, data: Path) -> None:
        self._argv = ["/usr/bin/python3", "-P", str(installed / "bin" / "pysandbox")]
        self._env = {**os.environ, "PYTHONPATH": str(installed), "PYSANDBOX_DATA": str(data)}

    def __call__(self, *words: str) -> None:
        """Run it; it must succeed."""
        spawn([*self._argv, *words], self._env)

    def quiet(self, *words: str) -> str:
        """Its stdout."""
        done = subprocess.run([*self._argv, *words], env=self._env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"pysandbox {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


class RootedRunc(Runc):
    """runc on the same root file system."""

    root = Path()

    def prepare(self) -> None:
        """The bundle of the other benchmarks, with this root and its /bin/true."""
        super().prepare()
        shutil.rmtree(self.directory / "rootfs")
        shutil.copytree(self.root, self.directory / "rootfs", symlinks=True)
        self._config["process"]["args"] = ["/bin/true"]
        self._config["mounts"] = [m for m in self._config["mounts"] if not str(m["source"]).startswith("/")]
        self._write(self._config)

    def _write(self, config: object) -> None:
        import json

        (self.directory / "config.json").write_text(json.dumps(config))

    def _check(self) -> None:
        done = subprocess.run(self.command([]), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            self.why = f"{self.binary} does not work here: {done.stderr.strip()[-200:]}"


def podman_environ(directory: Path) -> dict[str, str]:
    """With a runtime directory of its own: its pause process is ours to end, and not one of the user's podman."""
    runtime = directory / "podman-runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    bus = f"{os.environ.get('XDG_RUNTIME_DIR', '')}/bus"
    known = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}"} if os.path.exists(bus) else {}
    return {**known, **os.environ, "XDG_RUNTIME_DIR": str(runtime)}


def podman(root: Path, directory: Path) -> tuple[list[str], str]:
    """The command that runs /bin/true in an image of the same root, or why there is none."""
    binary = find("podman")
    if binary is None:
        return [], "podman is not installed"
    base = [binary, "--root", str(directory / "podman"), "--runroot", str(directory / "podman-run")]
    archive = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
    env = podman_environ(directory)
    done = subprocess.run([*base, "import", "-", "box"], stdin=archive.stdout, capture_output=True, text=True,
                          check=False, env=env)  # fmt: skip
    archive.wait()
    command = [*base, "run", "--rm", "--network", "none", "box", "/bin/true"]
    if done.returncode == 0:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                              env=env)  # fmt: skip
    said = done.stderr.strip().splitlines() or [str(done.returncode)]
    return command, "" if done.returncode == 0 else f"podman does not work here: {said[-1]}"


def forget_podman(directory: Path) -> None:
    """Its pause process, and its files: they belong to subordinate ids, which only its own user namespace may
    remove."""
    with suppress(OSError, ValueError):
        os.kill(int((directory / "podman-runtime/libpod/tmp/pause.pid").read_text()), signal.SIGKILL)
    places = [str(directory / name) for name in ("podman", "podman-run", "podman-runtime")]
    command = ["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", *places]
    subprocess.run(command, capture_output=True, check=False)


@contextmanager
def running(pysandbox: Commands, name: str) -> Iterator[None]:
    """A container to enter."""
    pysandbox.quiet("run", "-d", "--name", name, "--image", "box", "/bin/sleep", "3600")
    try:
        yield
    finally:
        pysandbox.quiet("rm", "-f", name)


def launches(pysandbox: Commands, root: Path, directory: Path, runs: int) -> str:
    """The table of runs and exec."""
    RootedRunc.root = root
    runc = RootedRunc(directory / "runc")
    command, why = podman(root, directory)
    env = podman_environ(directory)
    ways: dict[str, Callable[[], object]] = {
        "`pysandbox run /bin/true`": lambda: pysandbox("run", "/bin/true"),
        "`pysandbox run --rm --image box /bin/true`": lambda: pysandbox("run", "--rm", "--image", "box", "/bin/true"),
        "`pysandbox exec NAME /bin/true`": lambda: pysandbox("exec", "bench", "/bin/true"),
    }
    if not runc.why:
        ways["runc run, rootless"] = lambda: spawn(runc.command([]))
    if not why:
        ways["podman run --rm, rootless"] = lambda: spawn(command, env)
    for problem in filter(None, (runc.why, why)):
        print(f"({problem})", file=sys.stderr)
    times: dict[str, list[float]] = {name: [] for name in ways}
    with running(pysandbox, "bench"):
        for turn in range(runs + 3):
            for name, call in ways.items():
                took = timed(call)
                if turn >= 3:
                    times[name].append(took)
    first = median(next(iter(times.values())))
    rows = [(name, f"{median(t):.2f}", f"{median(t) / first:.2f}") for name, t in times.items()]
    return table(("way", "ms", "x run"), rows)


def commits(pysandbox: Commands, directory: Path, runs: int) -> str:
    """A layer of 100 MB that does not compress: commit, against writing as much to the same disk and waiting for it."""
    script = f"head -c {LAYER_BYTES} /dev/urandom > /big"
    pysandbox.quiet("run", "--name", "big", "--image", "box", "/bin/sh", "-c", script)
    data, target = os.urandom(1 << 20), directory / "written"

    def write() -> None:
        with open(target, "wb") as file:
            for _ in range(LAYER_BYTES >> 20):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        target.unlink()

    def commit() -> None:
        pysandbox.quiet("commit", "big", "made")

    def forget() -> None:
        pysandbox.quiet("image", "rm", "made")

    times: dict[str, list[float]] = {"write and fsync of 100 MB": [], "`pysandbox commit`, 100 MB": []}
    for _ in range(runs):
        times["write and fsync of 100 MB"].append(timed(write))
        times["`pysandbox commit`, 100 MB"].append(timed(commit))
        forget()
    pysandbox.quiet("rm", "big")
    first = median(next(iter(times.values())))
    return table(("way", "ms", "x disk"), [(n, f"{median(t):.0f}", f"{median(t) / first:.2f}") for n, t in
    times.items()])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    options = parser.parse_args()
    require_user()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        directory = Path(name)
        pysandbox = Commands(installed_copy(directory), directory / "data")
        root = make_root(directory / "root")
        pysandbox.quiet("image", "import", str(root), "--name", "box")
        print(machine(), end="\n\n")
        try:
            print(launches(pysandbox, root, directory, options.runs), end="\n\n")
        finally:
            forget_podman(directory)
        print(commits(pysandbox, directory, max(3, options.runs // 12)))


if __name__ == "__main__":
    main()
