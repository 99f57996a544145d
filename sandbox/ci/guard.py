"""What a run of jobs leaves behind when it is killed is removed by others.

A run has a directory ``DATA/ci/runs/ID`` with a ``lock``, held by flock(2) as long as the run or its guard lives. The
guard is a process that waits for the end of a pipe which only the run writes to: kill -9 of the run lets it remove the
run's containers, networks and files. When both are killed, the next run finds a lock that nobody holds and does it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys

from ..errors import HostError, SandboxError
from ..images.data import check, data_directory
from ..locks import Lock
from .cachestore import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess

    from ..containers import Container

LABEL = "pysandbox.ci"
_DONE = b"done"
_GONE = ".gone-"


def runs() -> str:
    """The directory of all runs, made if it was not there. Raises HostError."""
    path = f"{data_directory()}/ci/runs"
    for part in (os.path.dirname(path), path):
        check(part)
    return path


class Guard:
    """One run's directory and guard; with ``keep`` its containers stay when it ends in order."""

    def __init__(self, run: str, *, keep: bool = False) -> None:
        self._run, self._keep = run, keep
        self._base = runs()
        self._path = f"{self._base}/{run}"
        self._lock = self._pipe = -1
        self._child: subprocess.Popen[bytes] | None = None

    def staging(self) -> str:
        """A directory that goes with the run."""
        path = f"{self._path}/artifacts"
        os.mkdir(path, 0o700)
        return path

    def __enter__(self) -> Guard:
        for name in abandoned(self._base):
            sweep(name)
        with _alone(self._base):
            _remove_dead(self._base)
            os.mkdir(self._path, 0o700)
            self._lock = os.open(f"{self._path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._start()
        return self

    def _start(self) -> None:
        import subprocess

        if not sys.executable:
            raise HostError("this Python does not know its own executable", "start it from another one")
        tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = f"import sys; sys.path.insert(0, {tree!r}); from sandbox.ci.guard import watch; watch({self._run!r})"
        read, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            # The lock goes along and is let go with the last of both. A session of its own: Ctrl-C is not for it.
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._lock,),
                start_new_session=True,
            )
        except OSError as error:
            raise HostError(
                f"the guard cannot be started: {error.strerror}", "see to the limits of this user"
            ) from None
        finally:
            os.close(read)

    def __exit__(self, *_exc: object) -> None:
        try:
            sweep(self._run, containers=not self._keep)
        finally:
            with contextlib.suppress(OSError):
                os.write(self._pipe, _DONE)
            os.close(self._pipe)
            if self._child is not None:
                self._child.wait()
            os.close(self._lock)


def watch(run: str) -> None:
    """What the guard does: wait for the end of the run, and clean up unless it says that it has done so itself."""
    said = b""
    while chunk := os.read(0, 64):
        said += chunk
    if said != _DONE:
        sweep(run)


def abandoned(base: str) -> list[str]:
    """The ids of runs that nobody is at any more."""
    found = []
    for name in os.listdir(base):
        if name.startswith("."):
            continue
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, BlockingIOError):
            fd = os.open(f"{base}/{name}/lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found.append(name)
            finally:
                os.close(fd)
    return found


def _alone(base: str) -> Lock:
    return Lock(f"{base}/.lock")


def labelled(run: str) -> list[Container]:
    """The containers of a run."""
    from ..containers.container import list_containers

    found = []
    for container in list_containers():
        with contextlib.suppress(SandboxError):
            if container.config.labels.get(LABEL) == run:
                found.append(container)
    return found


def sweep(run: str, *, containers: bool = True) -> None:
    """Remove everything of a run. Raises the first SandboxError, after all was tried."""
    from .network import remove_all

    faults: list[SandboxError] = []
    if containers:
        for container in labelled(run):
            try:
                container.remove(force=True)
            except SandboxError as error:
                if container.directory and os.path.isdir(container.directory):
                    faults.append(error)
        try:
            remove_all(f"ci-{run}")  # as machine.py names what it makes
        except SandboxError as error:
            faults.append(error)
    base = runs()
    with _alone(base):
        if os.path.isdir(f"{base}/{run}"):
            os.rename(f"{base}/{run}", f"{base}/{_GONE}{os.urandom(8).hex()}")
        _remove_dead(base)
    if faults:
        raise faults[0]


def _remove_dead(base: str) -> None:
    """Runs that were swept, and what is left of one that was killed before it had a lock; the lock of all is held."""
    for name in os.listdir(base):
        path = f"{base}/{name}"
        if name.startswith(_GONE) or (os.path.isdir(path) and not os.path.exists(f"{path}/lock")):
            remove(path)
