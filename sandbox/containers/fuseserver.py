"""Pid 1 of a pid namespace beside a sandbox: mounts a root by fuse-overlayfs and hands it out (fuseroot.py).

Whoever keeps the other end of its socket keeps it: at the end of file, or when fuse-overlayfs ends, it ends, and the
kernel kills all that is left in its pid namespace.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time

from ..native._core import lib

START_S = 20
_POINT = "root"


def main(fd: int, directory: str, program: str, layers: list[str]) -> int:
    """``fd``: the socket; ``directory``: of the container, with upper, work, and the place to mount at. One message:
    "mounted" with the mount, or why there is none."""
    peer = socket.socket(fileno=fd)
    try:
        server = _serve(f"{directory}/fuse", directory, program, layers)
        deadline = time.monotonic() + START_S
        while not os.path.ismount(_POINT):
            if server.poll() is not None:
                raise OSError(0, f"it ended with {server.returncode}")
            if time.monotonic() > deadline:
                raise OSError(0, f"it has not mounted within {START_S} s")
            time.sleep(0.002)
        tree = lib.core_open_tree(_POINT.encode(), 0)
        if tree < 0:
            raise OSError(-tree, os.strerror(-tree))
    except OSError as error:
        peer.send(f"{error.strerror}".encode())
        return 1
    socket.send_fds(peer, [b"mounted"], [tree])
    os.close(tree)
    poll = select.poll()
    poll.register(peer, select.POLLIN)
    poll.register(os.pidfd_open(server.pid), select.POLLIN)
    poll.poll()
    return 0


def _serve(place: str, directory: str, program: str, layers: list[str]) -> subprocess.Popen[bytes]:
    """fuse-overlayfs in a tmpfs of its own, where all directories have names that its options need no escapes for."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700,size=1m", "tmpfs", place], check=True)
    os.chdir(place)
    os.mkdir(_POINT)
    names = [str(number) for number in range(len(layers))]
    for name, path in zip(names, layers, strict=True):
        os.symlink(path, name)
    for name in ("upper", "work"):
        os.symlink(f"{directory}/{name}", name)
    options = f"lowerdir={':'.join(names)},upperdir=upper,workdir=work"
    return subprocess.Popen([program, "-f", "-o", options, _POINT], stdin=subprocess.DEVNULL)


def start() -> None:
    """As ``python -c`` calls it: the words are main's."""
    fd, directory, program, *layers = sys.argv[1:]
    sys.exit(main(int(fd), directory, program, layers))
