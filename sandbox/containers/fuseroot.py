"""A root by fuse-overlayfs, for an upper directory that the kernel's overlayfs refuses: one on an overlay (in another
container), on NFS, on a FUSE.

    Holder (networks/holder.py)   P, mapped as a spawner's user namespace; the container's own network's if it has one
      unshare                     a mount and a pid namespace in P
        fuseserver                pid 1: clones the mount (open_tree(2)), sends it here; ends when we end
          fuse-overlayfs          the mount's server

FUSE lets only processes of the mount's user namespace and below it in (fuse_allow_current_process() of the kernel), so
the sandbox's spawner enters P, as it does for a network of others, and the root is that detached mount. The caller
itself, who is outside of P, cannot even fstat(2) it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from ..errors import HostError, RequestError
from ..networks import tools
from ..networks.holder import Holder
from ..request import NetworkPlace
from ..userns import outer_ids
from .upper import NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM, DEVICE = "fuse-overlayfs", "/dev/fuse"
_START_S = 60
_MESSAGE = 4096


class FuseRoot:
    """``tree``: the root, as a detached mount; ``place``: where the spawner has to be. ``fileno()`` is readable when
    the server has ended."""

    def __init__(self, directory: str, layers: Sequence[str], ids: str, place: NetworkPlace | None, why: str) -> None:
        """Serve ``layers``, topmost first, with upper and work of ``directory``. ``place``: of the container's network,
        None to make one without a way out. ``why`` it has to be, for the errors. Raises HostError."""
        self.tree = -1
        self._holder: Holder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        program = check(why)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                if place is None:
                    self._holder = Holder(ids)
                    self._holder.ip("link set lo up", what="a root by fuse-overlayfs")
                    place = self._holder.place
                self.place = place
                os.makedirs(f"{directory}/{NAME}", mode=0o700, exist_ok=True)
                self._start(directory, layers, program, theirs)
            self._receive(directory, why)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def _start(self, directory: str, layers: Sequence[str], program: str, theirs: socket.socket) -> None:
        tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        code = f"import sys; sys.path.insert(0, {tree!r}); from sandbox.containers.fuseserver import start; start()"
        user = self.place.user_fd
        command = [
            *tools.entering(user=user, net=self.place.net_fd, as_root=False),
            tools.find("unshare", PROGRAM), "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "--mount-proc", "--", sys.executable, "-PB", "-c", code,
            str(theirs.fileno()), directory, program, *layers,
        ]  # fmt: skip
        with open(f"{directory}/fuse.err", "wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", start_new_session=True,
                pass_fds=(user, self.place.net_fd, theirs.fileno()), env=tools.environment(),
            )  # fmt: skip

    def _receive(self, directory: str, why: str) -> None:
        self._socket.settimeout(_START_S)
        try:
            said, fds, _flags, _address = socket.recv_fds(self._socket, _MESSAGE, 1)
        except TimeoutError:
            said, fds = f"it has not begun within {_START_S} s".encode(), []
        if said == b"mounted" and fds:
            self.tree = fds[0]
            return
        with open(f"{directory}/fuse.err", encoding="utf-8", errors="replace") as file:
            text = tools.said(file.read(65536))
        raise HostError(f"{why}, and {PROGRAM} does not work here: {said.decode() or 'it did not begin'}: {text}", _FIX)

    def close(self) -> None:
        """End the server, and with it the mount. The sandbox must have ended."""
        if self.tree >= 0:
            os.close(self.tree)
            self.tree = -1
        self._socket.close()
        if self._process is not None:
            try:
                self._process.wait(timeout=_START_S)
            except subprocess.TimeoutExpired:
                self._process.kill()  # --kill-child
                self._process.wait()
            self._process = None
        if self._holder is not None:
            self._holder.close()
            self._holder = None


_FIX = "use --upper tmpfs (Linux 6.6), or set PYSANDBOX_DATA to a directory on ext4, xfs or btrfs"


def check(why: str) -> str:
    """The path of fuse-overlayfs. Raises HostError where it cannot work."""
    if outer_ids() is not None:
        raise HostError(f"{why}, and {PROGRAM} for root's containers would run as another user, who cannot reach them",
                        f"start it as an ordinary user; or {_FIX}")  # fmt: skip
    program = tools.look_for(PROGRAM)
    if not program:
        raise HostError(f"{why}, and {PROGRAM} is not installed", f"apt install {PROGRAM}; or {_FIX}")
    try:
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        fix = f"chmod 666 {DEVICE}" if os.path.exists(DEVICE) else "modprobe fuse (in a container: --device /dev/fuse)"
        reason = (error.strerror or "").lower()
        raise HostError(f"{why}, and {PROGRAM} needs {DEVICE}, which cannot be opened: {reason}",
                        f"an administrator: {fix}; or {_FIX}") from error  # fmt: skip
    return program


def refuse(net: str, io: bool, why: str) -> None:
    """Raises HostError, RequestError for what cannot be had together with it."""
    if net == "host":
        raise HostError(f"{why}, and {PROGRAM} cannot be had with --net host", f"use --net user; or {_FIX}")
    if io:
        raise RequestError("--io-read, --io-write", "", f"{why}, and what {PROGRAM} reads and writes is not limited")
