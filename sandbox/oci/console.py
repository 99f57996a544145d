"""The terminal of a container: the engine gets its master by a socket, as runc's "detached terminal" has it.

``run`` without a socket is its own engine: it copies between the master and its own terminal.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios

from ..errors import RequestError, SupervisorError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 65536


def connect(path: str) -> socket.socket:
    """To the engine's socket. Raises RequestError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        why = f"cannot connect: {(error.strerror or str(error)).lower()}"
        raise RequestError("--console-socket", path, why) from None
    return sock


def hand_over(sock: socket.socket, master: int, size: tuple[int, int]) -> None:
    """Give the engine its end of the terminal, with its size if one is known. Raises SupervisorError."""
    if size != (0, 0):
        resize(master, size)
    try:
        socket.send_fds(sock, [b"/dev/ptmx"], [master])
    except OSError as error:
        raise SupervisorError(f"nobody takes the terminal at --console-socket: {error.strerror}") from None


def take(sock: socket.socket) -> int:
    """The other side of ``hand_over``; -1 if the other side has gone."""
    _data, fds, _flags, _address = socket.recv_fds(sock, 64, 1)
    return fds[0] if fds else -1


def resize(master: int, size: tuple[int, int]) -> None:
    """Rows and columns; ioctl_tty(2), TIOCSWINSZ."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


def own_size() -> tuple[int, int]:
    """Of the terminal that is our stdin; (0, 0) if it is none."""
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return 0, 0
    return size.lines, size.columns


def attach(master: int, ended: Callable[[], bool]) -> None:
    """As ``copy``, with our terminal raw and of one size with it."""
    import signal
    import tty

    size = own_size()
    if size != (0, 0):
        resize(master, size)
        signal.signal(signal.SIGWINCH, lambda _number, _frame: resize(master, own_size()))
    saved = termios.tcgetattr(0) if os.isatty(0) else None
    if saved is not None:
        tty.setraw(0, termios.TCSADRAIN)
    try:
        copy(master, ended)
    finally:
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def copy(master: int, ended: Callable[[], bool]) -> None:
    """Between our stdin and stdout and the terminal, until it is closed inside; ``ended`` says that nobody is left."""
    import select

    keys, screen = select.poll(), True
    keys.register(master, select.POLLIN)
    keys.register(0, select.POLLIN)
    while screen:
        for fd, _mask in keys.poll(200):
            try:
                data = os.read(fd, _CHUNK)
            except OSError:  # EIO: nobody has the other end any more
                data = b""
            if fd == 0:
                if not data:
                    keys.unregister(0)
                _write(master, data or b"\x04")  # the end of our stdin, as a terminal says it
            elif data:
                _write(1, data)
            else:
                screen = False
        if ended():
            break


def _write(fd: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        pass
