"""A real spawner and real plans, with a socket to send it whatever a test likes."""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from sandbox.native._core import lib

from sandbox import plan as planning
from sandbox.host import probe
from sandbox.listening import Listening
from sandbox.native.pack import pack_run, pack_setup
from sandbox.native.spawn import Spawner
from sandbox.request import Request
from sandbox.seccomp import filter_for
from sandbox.validate import validate

REQUEST = struct.Struct("=IIQIIIi")
EVENT = struct.Struct("=IIIiiIIiQQQQ")


class Packed:
    """One run in bytes: what Python would send, for a test to spoil."""

    def __init__(self, argv: list[str], gauges: dict[str, bool] | None = None,
                 listening: Listening | None = None, **options: object) -> None:  # fmt: skip
        spec = validate(Request(argv=argv, **options))
        compiled = filter_for(spec.policy)
        self.plan = planning.build(spec, probe(), seccomp=compiled.program or None, asking=compiled.asking,
                                   gauges=gauges, listening=listening)  # fmt: skip
        self.setup = pack_setup(self.plan.setup, {})
        self.roles = {"stdout": 0, **{f"gauge:{what}": 0 for what in gauges or ()}}
        self.run = pack_run(self.plan, self.roles)

    def request(self, **changed: int) -> bytes:
        fields = {
            "magic": lib.PYSB_MAGIC, "flags": lib.PYSB_REQ_FRESH_NET if self.plan.fresh_net else 0,
            "clone_flags": self.plan.clone_flags, "setup_bytes": len(self.setup), "run_bytes": len(self.run),
            "setup_fds": 0, "cgroup_fd": 0,
        }  # fmt: skip
        return REQUEST.pack(*{**fields, **changed}.values())


class Answer:
    """Everything that came back on a report socket until its end."""

    def __init__(
        self, kinds: list[int], errors: list[int], output: bytes, ended: bool, raw: list[bytes] | None = None
    ) -> None:
        self.kinds, self.errors, self.output, self.ended, self.raw = kinds, errors, output, ended, raw or []

    @property
    def failed(self) -> bool:
        return lib.PYSB_FAILED in self.kinds

    @property
    def began(self) -> bool:
        return lib.PYSB_BEGAN in self.kinds


class Wire:
    """The control socket of a spawner, without the manners of ``Spawner.launch``."""

    def __init__(self, **options: object) -> None:
        own = {"uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}
        self.spawner = Spawner(**{**own, **options})
        self.spawner.wait_ready()
        self.control = socket.socket(fileno=os.dup(self.spawner._control))

    def close(self) -> None:
        self.control.close()
        self.spawner.close()

    def alive(self) -> bool:
        return self.spawner.alive()

    def send(self, request: bytes, fds: list[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.control.sendmsg([request], rights)

    def ask(
        self, request: bytes, plans: bytes, *, extra_fds: int = 0, drop_fds: int = 0, seconds: float = 10
    ) -> Answer:
        """Send one request; ``extra_fds`` more fds than the plan names, or the last ``drop_fds`` not at all."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memfd = os.memfd_create("plan")
        output = os.memfd_create("output")
        with mine:
            try:
                os.write(memfd, plans)
                with theirs:
                    fds = [theirs.fileno(), memfd, output, *[memfd] * extra_fds]
                    self.send(request, fds[: len(fds) - drop_fds])
                kinds, errors, ended, raw = self._listen(mine, seconds)
                os.lseek(output, 0, os.SEEK_SET)
                return Answer(kinds, errors, os.read(output, 1 << 20), ended, raw)
            finally:
                os.close(memfd)
                os.close(output)

    def good(self, packed: Packed) -> Answer:
        return self.ask(packed.request(), packed.setup + packed.run)

    @staticmethod
    def _listen(mine: socket.socket, seconds: float) -> tuple[list[int], list[int], bool, list[bytes]]:
        kinds, errors, pidfd, raw = [], [], -1, []
        end = time.monotonic() + seconds
        poll = select.poll()
        poll.register(mine, select.POLLIN)
        try:
            while (left := end - time.monotonic()) > 0 and poll.poll(left * 1000):
                try:
                    data, rights, _flags, _ = mine.recvmsg(4096, socket.CMSG_SPACE(4))
                except ConnectionResetError:  # closed with the request unread
                    data, rights = b"", []
                if not data:
                    return kinds, errors, True, raw
                raw.append(data)
                event = EVENT.unpack(data[: EVENT.size])
                kinds.append(event[0])
                for _level, _kind, fd in rights:
                    number = array.array("i", fd)[0]
                    if event[0] == lib.PYSB_SPAWNED:
                        pidfd = number
                    else:
                        os.close(number)
                if event[0] == lib.PYSB_FAILED:
                    errors.append(event[3])
            return kinds, errors, False, raw
        finally:
            if pidfd >= 0:
                lib.core_signal(pidfd, 9)
                os.close(pidfd)


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """``wire()`` starts a spawner that ends with the test."""
    started: list[Wire] = []

    def start(**options: object) -> Wire:
        started.append(Wire(**options))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="session")
def pack() -> type[Packed]:
    return Packed


@pytest.fixture(scope="session")
def status_run() -> Packed:
    """A run that prints what locks it: its own /proc/self/status."""
    return Packed(["/usr/bin/cat", "/proc/self/status"])
