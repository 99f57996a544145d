"""Other launchers, set to the same isolation: every namespace with a network of its own, a tmpfs root,
the system read-only, /proc, /dev, /tmp. None of them loads a seccomp filter or sets a cgroup limit here.

Where there is a choice it is the peer's faster one (no /etc at all, for example, against our fifteen
files of it).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NAMESPACES = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
TRUE = "/usr/bin/true"


def spawn(argv: list[str], env: dict[str, str] | None = None) -> None:
    """Start, wait, and insist on status 0: a launcher that fails is always fast."""
    pid = os.posix_spawn(argv[0], argv, os.environ if env is None else env)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        raise RuntimeError(f"{argv[0]} ended with status {status}")


def system_links() -> list[tuple[str, str]]:
    """(target, path) of the links of a merged /usr; empty where /bin is a directory."""
    return [(os.readlink(p), p) for p in ("/bin", "/sbin", "/lib", "/lib64") if os.path.islink(p)]


def system_directories() -> list[str]:
    """The directories of the system that are none of those links."""
    return [p for p in ("/usr", "/bin", "/sbin", "/lib", "/lib64") if os.path.isdir(p) and not os.path.islink(p)]


def find(name: str) -> str | None:
    """A peer's binary: BENCH_NAME in the environment, PATH, or beside this interpreter (a wheel's)."""
    named = os.environ.get(f"BENCH_{name.upper()}")
    beside = os.path.join(os.path.dirname(sys.executable), name)
    candidates = (named, shutil.which(name), beside, f"/usr/sbin/{name}")
    return next((p for p in candidates if p and os.access(p, os.X_OK)), None)


class Peer:
    """A launcher that may be missing: then ``why`` says so."""

    name = ""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.why = ""
        self.namespaces: tuple[str, ...] = ()
        self.binary = find(self.name) or ""
        if not self.binary:
            self.why = f"{self.name} is not installed"
            return
        self.prepare()
        self._check()

    def prepare(self) -> None:
        """Make what the command needs."""

    def command(self, argv: list[str]) -> list[str]:
        """The command line that runs ``argv`` in the sandbox."""
        raise NotImplementedError

    def run(self) -> None:
        """Run /usr/bin/true once."""
        spawn(self.command([TRUE]))

    def _check(self) -> None:
        """Does it work here, and which namespaces does it really make?"""
        script = f'cd /proc/self/ns; for n in {" ".join(NAMESPACES)}; do readlink "$n"; done'
        done = subprocess.run(self.command(["/usr/bin/sh", "-c", script]), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=20, check=False)  # fmt: skip
        links = done.stdout.split()
        if done.returncode or len(links) != len(NAMESPACES):
            said = done.stderr.strip().splitlines()
            self.why = f"{self.binary} does not work here: {said[-1] if said else f'status {done.returncode}'}"
            return
        inside = dict(zip(NAMESPACES, links, strict=True))
        self.namespaces = tuple(n for n in NAMESPACES if inside[n] != os.readlink(f"/proc/self/ns/{n}"))


class Bubblewrap(Peer):
    name = "bwrap"

    def command(self, argv: list[str]) -> list[str]:
        binds = [word for path in system_directories() for word in ("--ro-bind", path, path)]
        links = [word for target, path in system_links() for word in ("--symlink", target, path)]
        return [self.binary, "--unshare-all", *binds, *links, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
                "--new-session", "--die-with-parent", "--cap-drop", "ALL", *argv]  # fmt: skip


class Nsjail(Peer):
    name = "nsjail"

    def command(self, argv: list[str]) -> list[str]:
        binds = [word for path in system_directories() for word in ("-R", path)]
        links = [word for target, path in system_links() for word in ("-s", f"{target}:{path}")]
        devices = [word for name in DEVICES for word in ("-B", f"/dev/{name}")]
        scratch = ["-T", "/tmp", "-T", "/dev/shm"]
        return [self.binary, "-Mo", "--really_quiet", *binds, *links, *devices, *scratch, "--", *argv]


class Runc(Peer):
    """A bundle as `runc spec --rootless` makes it, less its cgroup settings, plus network and cgroup namespaces."""

    name = "runc"

    def prepare(self) -> None:
        self._numbers = count()
        self.directory.mkdir()
        (self.directory / "rootfs").mkdir()
        for name in ("usr", "proc", "dev", "tmp"):
            (self.directory / "rootfs" / name).mkdir()
        for target, path in system_links():
            (self.directory / "rootfs" / path[1:]).symlink_to(target)
        subprocess.run([self.binary, "spec", "--rootless"], cwd=self.directory, check=True)
        config = json.loads((self.directory / "config.json").read_text())
        config["process"]["terminal"] = False
        config["process"]["args"] = [TRUE]
        config["root"] = {"path": "rootfs", "readonly": True}
        unwanted = ("/sys", "/sys/fs/cgroup", "/dev/mqueue")
        config["mounts"] = [m for m in config["mounts"] if m["destination"] not in unwanted]
        options = ["rbind", "ro", "nosuid", "nodev"]
        for path in system_directories():
            config["mounts"].append({"destination": path, "source": path, "type": "bind", "options": options})
        options = ["nosuid", "nodev"]
        config["mounts"].append({"destination": "/tmp", "source": "tmpfs", "type": "tmpfs", "options": options})
        config["linux"].pop("resources", None)
        config["linux"].pop("cgroupsPath", None)
        present = {n["type"] for n in config["linux"]["namespaces"]}
        config["linux"]["namespaces"] += [{"type": t} for t in ("network", "cgroup") if t not in present]
        self._config = config
        (self.directory / "config.json").write_text(json.dumps(config))

    def _check(self) -> None:
        config = json.loads(json.dumps(self._config))
        probe = self.directory / "config.json"
        plain = probe.read_text()

        def command(argv: list[str]) -> list[str]:
            config["process"]["args"] = argv
            probe.write_text(json.dumps(config))
            return Runc.command(self, argv)

        self.command = command  # type: ignore[method-assign]
        super()._check()
        del self.command
        probe.write_text(plain)

    def command(self, argv: list[str]) -> list[str]:
        # the program is in the bundle's config.json
        root, name = str(self.directory / "state"), f"bench-{os.getpid()}-{next(self._numbers)}"
        return [self.binary, "--root", root, "run", "--bundle", str(self.directory), name]
