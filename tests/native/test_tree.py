"""Requests for a directory of a sandbox (tree.c, helpers.c); what they are for is tested in tests/runs/test_exec.py."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Callable
from typing import Any

import pytest
from sandbox.native._core import ffi, lib

from tests.native.conftest import EVENT, REQUEST


def request(length: int) -> bytes:
    return REQUEST.pack(lib.PYSB_MAGIC, lib.PYSB_REQ_TREE, 0, length, 0, 0, 0)


@pytest.mark.parametrize(
    ("path", "said", "fds"),
    [(b"", 0, 3), (b"/etc", 4, 3), (b"/etc\0", 5, 2), (b"/etc\0", 5, 4), (b"/etc\0", 9, 3), (b"/x\0" * 2000, 6000, 3)],
    ids=["nothing", "no-end", "no-root", "four", "less-than-it-says", "too-long"],
)
def test_bad_requests_are_refused(path: bytes, said: int, fds: int, wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    answer = one.ask(request(said), path, extra_fds=fds - 1)
    assert answer.ended and answer.kinds == [lib.PYSB_FAILED] and answer.errors == [errno.EBADMSG]
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds


def test_files_that_are_no_namespaces(wire: Callable[..., Any], status_run: Any) -> None:
    one = wire()
    answer = one.ask(request(5), b"/etc\0", extra_fds=2)
    assert answer.ended and answer.kinds == [lib.PYSB_FAILED] and answer.errors == [errno.EINVAL]
    assert one.alive() and lib.PYSB_ENDED in one.good(status_run).kinds


def test_the_hosts_own_namespaces_cannot_be_entered(wire: Callable[..., Any]) -> None:
    """What it is given decides where it goes; with the caller's rights alone it goes nowhere above them."""
    wanted = ffi.new("struct pysb_request *", {
        "magic": lib.PYSB_MAGIC, "flags": lib.PYSB_REQ_TREE, "setup_bytes": 5,
    })  # fmt: skip
    places = [os.open(path, os.O_RDONLY) for path in ("/proc/self/ns/user", "/proc/self/ns/mnt", "/")]
    try:
        with socket.socket(fileno=wire().spawner.ask(wanted, b"/etc\0", places)) as answers:
            assert select.select([answers], [], [], 10)[0]
            data, rights, _flags, _ = answers.recvmsg(4096, socket.CMSG_SPACE(4))
    finally:
        for fd in places:
            os.close(fd)
    event = EVENT.unpack(data)
    assert (event[0], event[3], rights) == (lib.PYSB_FAILED, errno.EPERM, [])
