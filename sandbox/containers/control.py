"""The control socket of a running container: one question, one answer, each one datagram with fds.

``control`` in the container's directory is a socket of sequenced packets (unix(7)), reached through /proc/self/fd, for
sun_path takes 107 bytes. A question is ``{"verb": NAME, ...}``, an answer ``{"ok": {...}}`` or ``{"error": KIND,
"args": [...]}``, which the other side raises again; both may bring fds. What is longer than a packet may be lies in a
memfd, the first fd of it, and the packet says ``@``. A connection may ask again; closing it ends what hangs on it (an
exec). Only the container's own user is answered, and none of its sandboxes (peer.py).
"""

from __future__ import annotations

import _socket
import os
import sys
from time import monotonic, sleep

from .. import errors, locks
from ..errors import RequestError, SandboxError, SupervisorError
from ..lightjson import dumps, loads
from ..peer import is_ours
from . import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_PACKET = 65536
_MAX_FDS = 16
# How long a container may take from its record to its program: an image may have to be unpacked.
PATIENCE_S = 10.0
_MAX_BYTES = 16 << 20
_CLOEXEC = 0x40000000  # MSG_CMSG_CLOEXEC, recvmsg(2)
_ERRORS = ("RequestError", "PolicyError", "HostError", "SetupError", "SupervisorError")


class Connection:
    """One end. ``fileno()`` is readable when there is something to ``receive``."""

    def __init__(self, sock: Any, patient: bool = True) -> None:
        self._socket = sock
        self._flags = _socket.MSG_NOSIGNAL | (0 if patient else _socket.MSG_DONTWAIT)

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def close(self) -> None:
        self._socket.close()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Raises OSError if nobody is there any more. The fds stay the caller's."""
        data = dumps(message).encode()
        large = -1
        try:
            if len(data) > _PACKET:
                large = os.memfd_create("pysandbox-control", os.MFD_CLOEXEC)
                with open(large, "wb", closefd=False) as file:
                    file.write(data)
                data, fds = b"@", (large, *fds)
            numbers = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
            extra = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)] if fds else []
            self._socket.sendmsg([data], extra, self._flags)
        finally:
            if large >= 0:
                os.close(large)

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """A message and its fds, which become the caller's; None if the other end is closed."""
        try:
            data, extra, _flags, _from = self._socket.recvmsg(_PACKET + 1, _socket.CMSG_SPACE(4 * _MAX_FDS), _CLOEXEC)
        except ConnectionError:
            return None
        fds: list[int] = []
        for level, kind, content in extra:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds += [int.from_bytes(content[n : n + 4], sys.byteorder) for n in range(0, len(content) - 3, 4)]
        if not data:
            close_all(fds)
            return None
        try:
            if data == b"@":
                large = fds.pop(0)
                try:
                    size = os.fstat(large).st_size
                    if size > _MAX_BYTES:
                        raise ValueError(f"{size} bytes")
                    data = os.pread(large, size, 0)
                finally:
                    os.close(large)
            message = loads(data.decode())
            if not isinstance(message, dict):
                raise ValueError("no object")
        except (ValueError, IndexError, OSError) as error:
            close_all(fds)
            raise SupervisorError(f"a packet on a control socket that is none of ours: {error}") from error
        return message, fds


class Listening:
    """The container's end, before anybody has connected."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/control"
        self._socket = _new()
        try:
            with _Near(directory) as near:
                self._socket.bind(f"{near}/control")
            self._socket.listen(64)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return int(self._socket.fileno())

    def accept(self) -> Connection | None:
        """Somebody of our own user; None if it was nobody."""
        try:
            fd, _address = self._socket._accept()
        except OSError:
            return None
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd)
        sock.setblocking(True)
        connection = Connection(sock, patient=False)  # a monitor waits for nobody
        if not is_ours(sock):
            connection.close()
            return None
        return connection

    def close(self) -> None:
        self._socket.close()
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass


class _Near:
    """A short path to a directory."""

    def __init__(self, directory: str) -> None:
        self._fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_exc: object) -> None:
        os.close(self._fd)


def connect(identity: str) -> Connection:
    """To a running container; one that is about to begin is waited for. Raises RequestError if it does not run."""
    directory = f"{paths.containers()}/{identity}"
    end = monotonic() + PATIENCE_S
    while True:
        sock = _new()
        try:
            with _Near(directory) as near:
                sock.connect(f"{near}/control")
            return Connection(sock)
        except OSError:
            sock.close()
        if monotonic() > end or not _held(directory):
            raise RequestError("container", identity[: paths.SHORT], "is not running")
        sleep(0.005)


def _held(directory: str) -> bool:
    try:
        return locks.held(f"{directory}/lock")
    except FileNotFoundError:
        return False


def call(identity: str, verb: str, fds: Sequence[int] = (), **arguments: Any) -> tuple[dict[str, Any], list[int]]:
    """Ask a running container once. Raises what the other side raised, RequestError if it does not run."""
    connection = connect(identity)
    try:
        connection.send({"verb": verb, **arguments}, fds)
        return answer(connection, identity)
    except OSError:
        raise RequestError("container", identity[: paths.SHORT], "is not running any more") from None
    finally:
        connection.close()


def answer(connection: Connection, identity: str) -> tuple[dict[str, Any], list[int]]:
    """The answer to what was asked, and its fds. Raises what the other side raised."""
    found = connection.receive()
    if found is None:
        raise RequestError("container", identity[: paths.SHORT], "ended before it answered")
    message, fds = found
    if "error" in message:
        close_all(fds)
        raise_failure(message)
    return message.get("ok", {}), fds


def raise_failure(message: dict[str, Any]) -> None:
    """Raise what ``failure`` was made of."""
    kind = message["error"] if message["error"] in _ERRORS else "SupervisorError"
    raise getattr(errors, kind)(*message.get("args", ()))


def failure(error: Exception) -> dict[str, Any]:
    """The answer that makes the other side raise the same."""
    kind = type(error).__name__
    if isinstance(error, SandboxError) and kind in _ERRORS:
        args = [value if isinstance(value, (str, int)) else repr(value) for value in error.args]
        return {"error": kind, "args": args}
    return {"error": "SupervisorError", "args": [f"a fault of pysandbox: {kind}: {error}"]}


def close_all(fds: Sequence[int]) -> None:
    """Close each of them."""
    for fd in fds:
        os.close(fd)


def _new() -> Any:
    return _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0)
