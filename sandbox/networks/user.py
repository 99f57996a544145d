"""N to the outside: pasta(1), or slirp4netns(1) where that is missing.

Both take packets from a tap device in N and make ordinary connections of them on the host, as this user. They run in
the holder's user and pid namespace, so the kernel ends them with it, and they have no rights outside. ``--no-map-gw``,
``-T none`` and ``-U none`` of pasta and ``--disable-host-loopback`` of slirp4netns keep the host's loopback away from
the sandbox; its other addresses are made unreachable in N (addresses.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time

from ..errors import HostError, RequestError, SupervisorError
from ..scratch import Scratch
from . import publish, tools
from .holder import only_child
from .resolver import FORWARD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .holder import Holder
    from .resolver import Resolver
    from .spec import Publish

TAP = "net0"
TUN = "/dev/net/tun"
START_S = 30
SLIRP_DNS = "10.0.2.3"
SLIRP_MTU = 65520


# AppArmor's profile of passt (Debian 12) lets it open no namespace of another process, but one bound at such a place.
_REFUSED = "open network namespace"
_PLACE = "/run/user/0/netns/n"
_BOUND = (
    f"mount -t tmpfs tmpfs /run/user && mkdir -p {os.path.dirname(_PLACE)} && : > {_PLACE} && "
    f'mount --bind "$1" {_PLACE} && shift && exec "$@"'
)


def check() -> str:
    """Which of the two; "pasta" or "slirp4netns". Raises HostError."""
    program = next((name for name in ("pasta", "slirp4netns") if tools.look_for(name)), "")
    if not program:
        raise HostError("neither pasta nor slirp4netns is installed, and a network to the outside needs one",
                        "apt install passt")  # fmt: skip
    try:
        os.close(os.open(TUN, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        raise HostError(f"{TUN} is not there, and {program} needs it", "an administrator: modprobe tun") from None
    except OSError as error:
        raise HostError(f"{TUN} cannot be opened ({(error.strerror or '').lower()}), and {program} needs it",
                        f"an administrator: chmod 0666 {TUN}, as udev does") from None  # fmt: skip
    return program


class Outside:
    """The program that does it. ``pidfd``: of it; ``servers``: of names, as they are in N."""

    def __init__(
        self, holder: Holder, ports: tuple[Publish, ...], resolver: Resolver, *, program: str, mtu: int = 0
    ) -> None:
        """Start it and wait until N is configured. Raises HostError, or RequestError for a port that is taken."""
        scratch = Scratch()  # what a start that was killed has left goes with the next
        self._directory = scratch.path
        os.chmod(self._directory, 0o711)  # the program may be another id than we; names in it are of no use to others
        self._messages = self._ready = -1
        self._process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.servers = resolver.servers
        try:
            if program == "pasta":
                self._pasta(holder, ports, resolver, mtu)
            else:
                self._slirp(holder, ports, resolver, mtu)
        except BaseException:
            self.close()
            raise
        finally:
            with contextlib.suppress(SupervisorError):
                scratch.close()  # what is in it is for the start

    def _pasta(self, holder: Holder, ports: tuple[Publish, ...], resolver: Resolver, mtu: int) -> None:
        ready = f"{self._directory}/ready"
        os.mkfifo(ready)
        os.chmod(ready, 0o622)
        self._ready = os.open(ready, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        words = [
            tools.find("pasta", "a network"), "--foreground", "--quiet", "--pid", ready, "--config-net", "--no-map-gw",
            "--ns-ifname", TAP, "--tcp-ns", "none", "--udp-ns", "none", *publish.pasta_words(ports),
        ]  # fmt: skip
        if mtu:
            words += ["--mtu", str(mtu)]
        if resolver.forward_to:
            words += ["--dns-forward", FORWARD]  # with --dns beside it version 2023-03 forwards nothing
        netns = f"/proc/{holder.pid}/ns/net"
        try:
            self._start("pasta", holder, [*words, "--netns-only", "--netns", netns], ports, ())
        except HostError as error:
            if _REFUSED not in error.missing:
                raise
            self._stop()
            there = tools.find("unshare", "a network"), "--mount", "--propagation", "private", "sh", "-c", _BOUND, "sh"
            self._start("pasta", holder, [*there, netns, *words, "--netns-only", "--netns", _PLACE], ports, ())

    def _slirp(self, holder: Holder, ports: tuple[Publish, ...], resolver: Resolver, mtu: int) -> None:
        self._ready, ready = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._ready, False)  # one that ends before it is ready: the other end is still ours too
        api = f"{self._directory}/api"
        words = [
            tools.find("slirp4netns", "a network"), "--configure", f"--ready-fd={ready}", "--disable-host-loopback",
            f"--mtu={mtu or SLIRP_MTU}", "--netns-type=path",
        ]  # fmt: skip
        if ports:
            words.append(f"--api-socket={api}")
        words += [f"/proc/{holder.pid}/ns/net", TAP]
        try:
            self._start("slirp4netns", holder, words, ports, (ready,))
        finally:
            os.close(ready)
        publish.slirp_add(api, ports)
        if resolver.forward_to:
            self.servers = (SLIRP_DNS,)

    def _start(
        self, program: str, holder: Holder, words: list[str], ports: tuple[Publish, ...], fds: tuple[int, ...]
    ) -> None:
        self._messages, stderr = os.pipe2(os.O_CLOEXEC)
        # Nobody reads it later: what does not fit must not make the program wait.
        os.set_blocking(stderr, False)
        os.set_blocking(self._messages, False)
        command = [*tools.entering(user=holder.user_fd, pid=holder.pid_fd, as_root=holder.as_root), *words]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd="/", env=tools.environment(),
                pass_fds=(*holder.fds, *fds), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(stderr)
        deadline = time.monotonic() + START_S
        ended = os.pidfd_open(self._process.pid)
        try:
            while not self._is_ready():
                left = deadline - time.monotonic()
                # a FIFO that nobody has opened yet is not readable, nor at its end: poll does not return for it
                if left <= 0 or ended in select.select([self._ready, ended], [], [], left)[0]:
                    if not self._is_ready():
                        self._failed(program, ports, left <= 0)
                    break
            self.pidfd = os.pidfd_open(only_child(self._process.pid))
        finally:
            os.close(ended)

    def _is_ready(self) -> bool:
        try:
            return bool(os.read(self._ready, 1))
        except BlockingIOError:
            return False

    def _failed(self, program: str, ports: tuple[Publish, ...], late: bool) -> None:
        try:
            text = os.read(self._messages, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            text = ""
        reason = f"it was not ready within {START_S} s" if late else tools.said(text)
        for port in ports:
            publish.check_free(port)
        if "port" in reason.lower() and ports and "bind" in reason.lower():
            raise RequestError("--publish", ", ".join(map(str, ports)), f"{program}: {reason}")
        fix = "see its message"
        if "nterface" in reason:
            fix = "give this host a default route, or use --net none"
        elif "tun" in reason:  # root may open it, but not the id that is root's in P
            fix = f"an administrator: chmod 0666 {TUN}, as udev does"
        raise HostError(f"{program} cannot connect the network to the outside: {reason}", fix)

    def close(self) -> None:
        """End it."""
        self._stop()
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            # Not nsenter: its child would become one of the host's init, which may take seconds to reap it.
            if self.pidfd >= 0:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            else:
                process.terminate()
        for name in ("_messages", "pidfd"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)
        if process is not None:
            try:
                process.wait(timeout=START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
