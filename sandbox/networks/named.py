"""A named network: a bridge, and its members with a network namespace each.

Theory of operation. There is no daemon. The first member starts a holder whose ``cat`` reads a FIFO in the network's
record; every member's monitor has it open for writing, so the last one that ends, by whatever, ends the holder. A
newcomer finds out whether it lives by an echo: what is written to the FIFO comes back by another. It takes the
holder's namespaces from /proc by the number in the record and checks what it opened against their inode numbers, which
are taken as long as the holder lives; so a number that was given to another process is noticed.

A member's namespace N belongs to the same P as the bridge's; a pair of veth(4) devices connects them. Its way to the
outside, if there is one, is its own pasta: nothing is forwarded, so what is published, allowed and shaped is a
container's own.

Names are in /etc/hosts. Each member has a file of its own, which its container sees read-only (a bind of it), and
which is written again, in place, when members come and go.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import shutil

from ..errors import HostError, RequestError
from ..subid import acts_as_root
from . import store
from .holder import START_S, Holder, echoes
from .network import hosts_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

BRIDGE = "bridge0"
DEVICE = "eth0"


class Bridge(Holder):
    """The holder of a network that lives, taken from its record; the fds are ours, it is everybody's."""

    def __init__(self, path: str, keep: int, echo: int) -> None:
        record = store.read_json(f"{path}/holder.json")
        self._shared, self._process, self._keep, self._echo = True, None, keep, echo
        self.pid, self.as_root = record["pid"], os.geteuid() == 0 and acts_as_root()
        self.user_fd = self.net_fd = self.pid_fd = -1
        try:
            for name, link in (("user_fd", "user"), ("net_fd", "net"), ("pid_fd", "pid_for_children")):
                fd = os.open(f"/proc/{record['outside']}/ns/{link}", os.O_RDONLY | os.O_CLOEXEC)
                setattr(self, name, fd)
                if os.fstat(fd).st_ino != record[link]:
                    raise FileNotFoundError
        except OSError as error:
            self.close()
            raise HostError("the holder of this network cannot be entered", "try again") from error


class Member:
    """One container in a named network; ``holder`` has its namespaces."""

    def __init__(self, network: store.NamedNetwork, path: str, bridge: Holder, name: str) -> None:
        """Called with the network's lock taken. Raises HostError, RequestError."""
        self.internal, self.bridge, self.device = network.internal, bridge, DEVICE
        self._network = network.name
        self._lock = -1
        self._directory = ""
        self._holder: Holder | None = None
        others = store.members(path)
        if name and any(other.name == name for other in others):
            raise RequestError("--net", network.name, f"has a member {name} already; give the container another --name")
        subnet = ipaddress.ip_network(network.subnet)
        address = store.next_address(path, network, {other.address for other in others})
        identity = os.urandom(8).hex()
        # Not by the address: the device of a former member goes some time after it.
        self.outer_device = f"m-{identity[:12]}"  # at most 15 characters
        try:
            self._directory = f"{path}/members/{identity}"
            os.mkdir(self._directory, 0o700)
            self._lock = os.open(f"{self._directory}/lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._holder = Holder(inside=bridge.user_fd)
            self._connect(subnet, address)
            record = store.MemberRecord(id=identity, address=address, name=name)
            store.write_json(f"{self._directory}/member.json", record.asdict())
            _write_hosts(path)
        except BaseException:
            self._end()
            raise

    @property
    def holder(self) -> Holder:
        """Of its namespaces."""
        assert self._holder is not None
        return self._holder

    @property
    def hosts_file(self) -> str:
        """To be seen at /etc/hosts."""
        return f"{self._directory}/hosts"

    def _connect(self, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network, address: str) -> None:
        self.bridge.ip(
            f"link add {self.outer_device} type veth peer name {DEVICE} netns {self.holder.pid}",
            f"link set {self.outer_device} master {BRIDGE}", f"link set {self.outer_device} up",
            what=f"a connection to network {self._network}",
        )  # fmt: skip
        self.holder.ip(f"addr add {address}/{subnet.prefixlen} dev {DEVICE}", f"link set {DEVICE} up",
                       what=f"the address {address}")  # fmt: skip

    def add_hosts(self, hosts: Mapping[str, tuple[str, ...]]) -> None:
        """Names that only this member has (those of its allow list)."""
        if hosts:
            store.write_json(f"{self._directory}/extra.json", dict(hosts))
            with store.locked(self._network) as path:
                _write_hosts(path)

    def close(self) -> None:
        """Leave. Raises SupervisorError if the namespace does not end."""
        try:
            with store.locked(self._network) as path:
                self._end()
                store.members(path)
                _write_hosts(path)
        finally:
            self._end()

    def _end(self) -> None:
        holder, self._holder = self._holder, None
        try:
            if holder is not None:
                holder.close()
        finally:
            if self._directory:
                shutil.rmtree(self._directory, ignore_errors=True)
            if self._lock >= 0:
                os.close(self._lock)
                self._lock = -1
            self.bridge.close()


def _write_hosts(path: str) -> None:
    """The file of each member. In place: it is what is mounted; a reader may see half of it for an instant."""
    members = store.members(path)
    names = {member.name: (member.address,) for member in members if member.name}
    aliases = store.read_json(f"{path}/network.json").get("aliases", {})
    names |= {other: names[name] for name, others in aliases.items() if name in names for other in others}
    for member in members:
        extra: dict[str, tuple[str, ...]] = {}
        with contextlib.suppress(FileNotFoundError):
            values = store.read_json(f"{path}/members/{member.id}/extra.json")
            extra = {name: tuple(found) for name, found in values.items()}
        text = hosts_text({**extra, **names})
        fd = os.open(
            f"{path}/members/{member.id}/hosts", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644
        )
        try:
            os.write(fd, text)
            os.ftruncate(fd, len(text))
        finally:
            os.close(fd)


def enter(name: str, ids: str, *, name_of_member: str = "") -> Member:
    """Become a member of a named network. Raises RequestError if there is none, HostError for what the host lacks."""
    with store.locked(name) as path:
        network = store.find(name)
        bridge = _bridge(path, ids)
        try:
            return Member(network, path, bridge, name_of_member)
        except BaseException:
            bridge.close()
            raise


def _bridge(path: str, ids: str) -> Holder:
    """The network's holder: the one that lives, else a new one. With the lock taken."""
    echo = os.open(f"{path}/echo", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        keep = os.open(f"{path}/keep", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # ENXIO: nobody reads it
        keep = -1
    if keep >= 0:
        with contextlib.suppress(BlockingIOError):
            os.read(echo, 4096)  # of a newcomer that was killed while it asked
        if echoes(keep, echo, START_S):
            found = Bridge(path, keep, echo)
            if ids == "range" and store.read_json(f"{path}/holder.json")["ids"] != "range":
                found.close()
                raise HostError("this network has a single id, and --ids range needs more",
                                "give this user subordinate ids, and start the network's containers again")  # fmt: skip
            return found
        os.close(keep)
    return _new_bridge(path, echo, ids)


def _new_bridge(path: str, echo: int, ids: str) -> Holder:
    # Members may have a range or not: the network has one where this user can have it.
    kind = "range"
    try:
        try:
            holder = Holder("range", pipes=_pipes(path, echo))
        except HostError:
            if ids == "range":
                raise
            kind = "single"
            holder = Holder("single", pipes=_pipes(path, echo))
    finally:
        os.close(echo)
    try:
        holder.ip(f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up", "link set lo up", what="a bridge")
        numbers = {"user": holder.user_fd, "net": holder.net_fd, "pid_for_children": holder.pid_fd}
        store.write_json(f"{path}/holder.json", {
            "pid": holder.pid, "outside": holder.outside, "ids": kind,
            **{name: os.fstat(fd).st_ino for name, fd in numbers.items()},
        })  # fmt: skip
    except BaseException:
        holder.close()
        raise
    return holder


def _pipes(path: str, echo: int) -> tuple[int, int, int, int]:
    """For one Holder, which closes the ends of ``cat``: nobody else has them, so its death is heard."""
    stdin = os.open(f"{path}/keep", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    keep = os.open(f"{path}/keep", os.O_WRONLY | os.O_CLOEXEC)
    os.set_blocking(stdin, True)
    # Open for both, so that it has a reader while nobody asks: cat must not get SIGPIPE.
    stdout = os.open(f"{path}/echo", os.O_RDWR | os.O_CLOEXEC)
    return stdin, keep, os.dup(echo), stdout
