"""The directory of a container below the runtime's root: its record and its lock.

    ROOT/ID/lock         held (flock(2)) by the monitor as long as it lives; never asked by a number of a process
    ROOT/ID/state.json   written by the monitor alone, whole or not at all
    ROOT/ID/control      its socket
    ROOT/.policies/      policies made of profiles, called by their content

A record that says "running" under a free lock is that of a monitor that was killed: the kernel has ended its processes,
and the container is stopped. It stays until ``delete``, as the specification has it.
"""

from __future__ import annotations

import fcntl
import os

from ..errors import HostError, RequestError, SupervisorError
from ..locks import held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CREATING, CREATED, RUNNING, STOPPED, PAUSED = "creating", "created", "running", "stopped", "paused"
ALIVE = (CREATING, CREATED, RUNNING, PAUSED)
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
_MAX_BYTES = 16 << 20


def root(given: str | None) -> str:
    """The runtime's root, made if it is not there: ``--root``, or a place in $XDG_RUNTIME_DIR.

    Raises HostError if there is none that only we can enter.
    """
    path = given
    if path is None:
        base = os.environ.get("XDG_RUNTIME_DIR", "")
        if not base.startswith("/"):
            raise HostError("XDG_RUNTIME_DIR is not set, so there is no place for the state of containers",
                            "set it (a login does), or use --root DIR")  # fmt: skip
        path = f"{base}/pysandbox/oci"
    path = os.path.abspath(path)
    try:
        os.makedirs(path, 0o700, exist_ok=True)
        found = os.stat(path)
    except OSError as error:
        raise HostError(f"{path} cannot be made: {(error.strerror or '').lower()}", "use --root DIR") from None
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise HostError(f"{path} can be written to by others", f"chmod go-w {path}, or use --root DIR")
    return path


def policies(base: str) -> str:
    """Where policies of bundles are kept."""
    path = f"{base}/.policies"
    os.makedirs(path, 0o700, exist_ok=True)
    return path


class Entry:
    """A container by its id. Raises RequestError for a name that can be none."""

    def __init__(self, base: str, identity: str) -> None:
        if not identity or not set(identity) <= _NAME or identity[0] == "." or len(identity) > 255:
            why = "expected 1 to 255 letters, digits and _ + - . and no dot first"
            raise RequestError("container id", identity, why)
        self.base, self.id = base, identity
        self.path = f"{base}/{identity}"

    def create(self) -> int:
        """Make the directory; the fd of its lock, which is held. Raises RequestError if the id is taken."""
        try:
            os.mkdir(self.path, 0o700)
        except FileExistsError:
            why = "is taken; delete that container first, or use another"
            raise RequestError("container id", self.id, why) from None
        fd = os.open(f"{self.path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def read(self) -> dict[str, Any]:
        """The record, with "stopped" in it if nobody holds the lock. Raises RequestError if there is none."""
        import json

        alive = self.alive()
        try:
            with open(f"{self.path}/state.json", "rb") as file:
                record: dict[str, Any] = json.loads(file.read(_MAX_BYTES))
        except FileNotFoundError:
            if not os.path.isdir(self.path):
                raise RequestError("container id", self.id, "does not exist") from None
            record = {"ociVersion": "1.0.0", "id": self.id, "status": CREATING, "bundle": "", "pysandbox": {}}
        except ValueError as error:
            raise HostError(f"{self.path}/state.json cannot be read: {error}", "delete --force the container") from None
        if not alive and record["status"] in ALIVE:
            record["status"] = STOPPED
            record.pop("pid", None)
        return record

    def write(self, record: dict[str, Any]) -> None:
        """For who holds the lock."""
        import json

        fresh = f"{self.path}/state.json.new"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(record, file)
        os.rename(fresh, f"{self.path}/state.json")

    def alive(self) -> bool:
        """Does somebody hold the lock?"""
        try:
            return held(f"{self.path}/lock")
        except FileNotFoundError:
            return False

    def wait_stopped(self, seconds: float) -> bool:
        """Wait for the end of the monitor; False if it is still there."""
        import time

        end = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def remove(self) -> None:
        """All of a container that has stopped. Raises SupervisorError if something stays."""
        for name in ("control", "state.json.new", "state.json", "lock"):
            try:
                os.unlink(f"{self.path}/{name}")
            except FileNotFoundError:
                pass
        try:
            os.rmdir(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise SupervisorError(f"{self.path} cannot be removed: {(error.strerror or '').lower()}") from None


def entries(base: str) -> Iterator[Entry]:
    """All containers, by name."""
    for name in sorted(os.listdir(base)):
        if not name.startswith("."):
            yield Entry(base, name)


def shown(record: dict[str, Any]) -> dict[str, Any]:
    """The State of runtime.md, without what is kept for ourselves."""
    return {key: value for key, value in record.items() if key != "hooks"}
