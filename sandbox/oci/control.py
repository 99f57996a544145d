"""What is said to the monitor of a container: one question, one answer, each one datagram of JSON, with fds.

The socket lies in the container's directory and is reached through /proc/self/fd: sun_path takes 107 bytes (unix(7)).
"""

from __future__ import annotations

import os
import socket

from .. import errors
from ..errors import RequestError, SandboxError
from ..peer import is_unconfined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .state import Entry

_PACKET = 65536
_MAX_FDS = 16
_KINDS = ("RequestError", "PolicyError", "HostError", "SetupError", "SupervisorError")


def listen(directory: str) -> socket.socket:
    """The monitor's end."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    near = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.bind(f"/proc/self/fd/{near}/control")
        sock.listen(64)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(near)
    return sock


def accept(listening: socket.socket) -> socket.socket | None:
    """Somebody of our own user; None if it was nobody."""
    try:
        sock, _address = listening.accept()
    except OSError:
        return None
    sock.setblocking(True)
    if is_unconfined(sock):
        return sock
    sock.close()
    return None


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A question and its fds, which become ours; None if nobody asks any more."""
    import json

    try:
        data, fds, _flags, _address = socket.recv_fds(sock, _PACKET, _MAX_FDS)
    except OSError:
        return None
    try:
        message = json.loads(data) if data else None
    except ValueError:
        message = None
    if not isinstance(message, dict):
        for fd in fds:
            os.close(fd)
        return None
    for fd in fds:
        os.set_inheritable(fd, False)
    return message, fds


def send(sock: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> bool:
    """False if nobody is there any more."""
    import json

    try:
        socket.send_fds(sock, [json.dumps(message).encode()], list(fds))
    except OSError:
        return False
    return True


def ask(entry: Entry, verb: str, fds: Sequence[int] = (), **arguments: Any) -> dict[str, Any]:
    """One question to a container. Raises what its monitor raised; RequestError if it has stopped."""
    sock = connect(entry)
    with sock:
        if send(sock, {"verb": verb, **arguments}, fds):
            return answer(sock, entry)
    raise RequestError("container id", entry.id, "has stopped")


def connect(entry: Entry) -> socket.socket:
    """To the monitor. Raises RequestError if there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        near = os.open(entry.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sock.connect(f"/proc/self/fd/{near}/control")
        finally:
            os.close(near)
    except OSError:
        sock.close()
        why = "has stopped" if os.path.isdir(entry.path) else "does not exist"
        raise RequestError("container id", entry.id, why) from None
    return sock


def answer(sock: socket.socket, entry: Entry) -> dict[str, Any]:
    """What the monitor answers. Raises what it raised."""
    found = receive(sock)
    if found is None:
        raise RequestError("container id", entry.id, "stopped before it answered")
    return opened(found[0])


def opened(message: dict[str, Any]) -> dict[str, Any]:
    """The content of an answer. Raises the error that it holds."""
    if "error" in message:
        kind = message["error"] if message["error"] in _KINDS else "SupervisorError"
        raise getattr(errors, kind)(*message["args"])
    return message


def failure(error: BaseException) -> dict[str, Any]:
    """The answer that makes the other side raise the same."""
    kind = type(error).__name__
    if isinstance(error, SandboxError) and kind in _KINDS:
        return {"error": kind, "args": [a if isinstance(a, (str, int)) else repr(a) for a in error.args]}
    return {"error": "SupervisorError", "args": [f"a fault of pysandbox: {kind}: {error}"]}


