"""Programs and devices of the host that some features need: present, and usable by this user."""

from __future__ import annotations

import errno
import os

from ..diagnose import container
from ..procview.lxcfs import find as find_lxcfs
from .check import Check, as_root, limited, missing, ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# A FUSE daemon that hangs would hang whoever reads from it.
_ANSWER_S = 5


def which(program: str) -> str:
    """Its path, also from the directories of root's programs; "" if it is not there."""
    for directory in (*os.environ.get("PATH", os.defpath).split(":"), *_SBIN):
        path = f"{directory}/{program}"
        if directory.startswith("/") and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def output_of(*command: str) -> str:
    """The first line of what a command says. Raises OSError, also where it does not answer."""
    import subprocess

    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=_ANSWER_S, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"no answer for {_ANSWER_S} s", command[0]) from None
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode != 0:
        raise OSError(errno.EIO, lines[-1] if lines else f"exit status {done.returncode}", command[0])
    return lines[0] if lines else ""


def lxcfs(name: str) -> Check:
    """Is it mounted, and does it answer?"""
    point = find_lxcfs()
    if point:
        restart = as_root("systemctl restart lxcfs")
        try:
            answer = output_of("head", "-n", "1", f"{point}/proc/meminfo")
        except OSError as error:
            return limited(name, f"mounted at {point} but dead: {error.strerror}", restart)
        if answer.startswith("MemTotal:"):
            return ok(name, f"running at {point}")
        return limited(name, f"{point}/proc/meminfo says {answer[:60]!r}", restart)
    if which("lxcfs"):
        start = "systemctl enable --now lxcfs"
        if container():
            usual = "/var/lib/lxcfs"
            return limited(name, "installed but not running",
                           f"run it on the host, and start the container with -v {usual}:{usual}:ro")  # fmt: skip
        if not os.path.isdir("/run/systemd/system"):
            start = "sh -c 'mkdir -p /var/lib/lxcfs && lxcfs /var/lib/lxcfs &'"
        return limited(name, "installed but not running", as_root(start))
    return missing(name, "not installed", as_root("apt-get install lxcfs"))


def device(path: str, module: str, use: str) -> Callable[[str], Check]:
    """Can this user open a device for reading and writing?"""

    def ask(name: str) -> Check:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        except OSError as error:
            there = error.errno in (errno.EACCES, errno.EPERM)
            # 0666 is what udev gives to both, see 50-udev-default.rules: opening them gives no right by itself.
            fix = as_root(f"chmod 0666 {path}" if there else f"modprobe {module}")
            if container():
                fix = f"start the container with --device {path}"
            said = (error.strerror or "").lower()
            return missing(name, f"cannot be opened ({said}), so no {use}", fix)
        return ok(name, f"can be opened, for {use}")

    return ask


def user_network(name: str) -> Check:
    """A program that connects a network namespace without root."""
    for program in ("pasta", "slirp4netns"):
        path = which(program)
        if path:
            return ok(name, output_of(path, "--version") or path)  # AppArmor may let it say nothing
    return missing(name, "neither pasta nor slirp4netns is installed; --net none and host need neither",
                 as_root("apt-get install passt"))  # fmt: skip


QUESTIONS: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("lxcfs", lxcfs),
    ("/dev/fuse", device("/dev/fuse", "fuse", "file systems of this user's own")),
    ("/dev/net/tun", device("/dev/net/tun", "tun", "user-mode networking")),
    ("user network", user_network),
)
