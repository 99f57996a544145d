"""A user namespace P and a network namespace N that it owns, kept as long as their keeper lives, and not longer.

Theory of operation. ``unshare`` (util-linux) makes P, N and a pid namespace and stays outside of the latter; its child
there, pid 1, is ``cat``, which reads a pipe whose other end its keeper holds. When the keeper dies, by whatever,
``cat`` reads the end of it and exits, and the kernel kills the whole pid namespace: that is where pasta runs. ``cat``
has no capabilities, so that pasta, which has few, may open ``/proc/PID/ns/net``.

P is mapped as a spawner's user namespace is, since spawners enter it (userns.py).
"""

from __future__ import annotations

import os
import select
import subprocess

from ..errors import HostError, SupervisorError
from ..request import NetworkPlace
from ..userns import map_writer, outer_ids
from . import tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Making a network namespace waits for the kernel to take others down: seconds on a busy host.
START_S = 60
_NO_NAMESPACE = "pysandbox doctor says what keeps this user from namespaces"


class Holder:
    """``place``: P and N as fds; ``pid``: of pid 1 in there, ``outside``: of its parent, which is in P and N too."""

    def __init__(
        self, ids: str = "single", *, inside: int | None = None, pipes: tuple[int, int, int, int] | None = None
    ) -> None:
        """Make both, or with ``inside`` only an N in that P. Raises HostError.

        ``pipes``: for one that several processes keep, read and write end of what ``cat`` reads and of what it writes.
        """
        self._shared = pipes is not None
        self._keep = self._echo = -1
        self.user_fd = self.net_fd = self.pid_fd = -1
        self.pid = self.outside = 0
        self._process: subprocess.Popen[bytes] | None = None
        root = outer_ids()
        self.as_root = root is not None
        command = [tools.find("unshare", "a network"), "--net", "--pid", "--fork", "--kill-child", "--"]
        options: dict[str, Any] = {}
        write_maps = None
        if inside is None:
            command.insert(1, "--user")
            write_maps = map_writer(ids)
            if root is not None:  # the owner of P must not be the host's root either
                options = {"user": root[0], "group": root[1], "extra_groups": []}
        else:
            command = [*tools.entering(user=inside, as_root=self.as_root), *command,
                       tools.find("setpriv", "a network"), "--bounding-set=-all", "--inh-caps=-all"]  # fmt: skip
        command.append(tools.find("cat", "a network"))
        try:
            outside = self.outside = self._start(command, inside, pipes, options)
            if write_maps is not None:
                write_maps(outside)
            self.pid = only_child(outside)
            flags = os.O_RDONLY | os.O_CLOEXEC
            self.user_fd = os.open(f"/proc/{outside}/ns/user", flags) if inside is None else os.dup(inside)
            self.net_fd = os.open(f"/proc/{outside}/ns/net", flags)
            self.pid_fd = os.open(f"/proc/{outside}/ns/pid_for_children", flags)
        except OSError as error:
            self._fail()
            raise HostError(f"a network namespace cannot be made: {(error.strerror or '').lower()}",
                            _NO_NAMESPACE) from error  # fmt: skip
        except BaseException:
            self._fail()
            raise

    def _fail(self) -> None:
        """Nobody else keeps it yet; a ``cat`` that lived on would answer in place of the next one."""
        if self._process is not None:
            self._process.kill()  # --kill-child: its child goes with it
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
        self.close()

    def _start(
        self, command: list[str], inside: int | None, pipes: tuple[int, int, int, int] | None, options: dict[str, Any]
    ) -> int:
        stdin, self._keep, self._echo, stdout = pipes or (*os.pipe2(os.O_CLOEXEC), *os.pipe2(os.O_CLOEXEC))
        try:
            self._process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd="/", start_new_session=True,
                pass_fds=() if inside is None else (inside,), env=tools.environment(), **options,
            )  # fmt: skip
        finally:
            os.close(stdin)
            os.close(stdout)
        assert self._process.stderr is not None
        if not echoes(self._keep, self._echo, START_S):  # cat runs when all namespaces are there
            late = self._process.poll() is None
            self._process.kill()
            text = self._process.stderr.read().decode(errors="replace")
            reason = f"unshare has not done it within {START_S} s" if late and not text else tools.said(text)
            raise HostError(f"a network namespace cannot be made: {reason}", _NO_NAMESPACE)
        self._process.stderr.close()
        return self._process.pid

    @property
    def place(self) -> NetworkPlace:
        """For a Request; the fds stay ours."""
        return NetworkPlace(user_fd=self.user_fd, net_fd=self.net_fd)

    def inside(self, *words: str) -> list[str]:
        """The command line that acts in P and N; its ``fds`` must be passed on."""
        return [*tools.entering(user=self.user_fd, net=self.net_fd, as_root=self.as_root), *words]

    @property
    def fds(self) -> tuple[int, ...]:
        """What a command of ``inside`` needs."""
        return (self.user_fd, self.net_fd, self.pid_fd)

    def ip(self, *lines: str, what: str) -> None:
        """Lines for ``ip -batch`` in N. Raises HostError."""
        program = tools.find("ip", "a network")
        tools.call(self.inside(program, "-batch", "-"), what=what, text="\n".join(lines) + "\n", fds=self.fds)

    def set(self, **values: str) -> None:
        """sysctl(8) net.ipv4.NAME of N. Raises HostError."""
        for name, value in values.items():
            tools.call(self.inside(tools.find("tee", "a network"), f"/proc/sys/net/ipv4/{name}"), text=value,
                       what=f"net.ipv4.{name} = {value}", fds=self.fds)  # fmt: skip

    def close(self) -> None:
        """End it and everything in its pid namespace. Raises SupervisorError if it does not end."""
        for name in ("_keep", "_echo", "user_fd", "net_fd", "pid_fd"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)
        process, self._process = self._process, None
        if process is None:
            return
        if self._shared:  # the last of its keepers ends it
            process.poll()
            process.returncode = process.returncode or 0  # nor does Popen warn of it
            return
        if process.stderr is not None:
            process.stderr.close()
        try:
            process.wait(timeout=START_S)
        except subprocess.TimeoutExpired:
            process.kill()  # --kill-child: its child goes with it
            process.wait()
            raise SupervisorError(f"the holder of a network did not end within {START_S} s and was killed") from None


def echoes(keep: int, echo: int, seconds: float) -> bool:
    """Does ``cat`` send back what it gets? It goes on to live as long as ``keep`` is open."""
    try:
        os.write(keep, b"\n")
    except BrokenPipeError:
        return False
    return bool(select.select([echo], [], [], seconds)[0]) and os.read(echo, 1) == b"\n"


def only_child(pid: int) -> int:
    """The child of a process of ours that has one (unshare, nsenter) and reaps it. Raises HostError if it is gone."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])
    except (FileNotFoundError, IndexError):  # a kernel without CONFIG_PROC_CHILDREN
        pass
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    if file.read().rpartition(")")[2].split()[1] == str(pid):
                        return int(entry)
            except OSError:
                continue
    raise HostError("a program that a network needs has ended", "try again")
