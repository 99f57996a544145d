"""Records of named networks, below the data directory.

    networks/NAME/network.json     what was asked: subnet, internal
    networks/NAME/lock             taken for a moment by who joins, leaves or removes
    networks/NAME/keep, echo       FIFOs of its holder (named.py)
    networks/NAME/last.json        the address that was given last
    networks/NAME/holder.json      which process that is, and the numbers of its namespaces
    networks/NAME/members/ID/      lock (held as long as the member lives), member.json, hosts

A member whose lock nobody holds is gone, whatever its record says.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import shutil

from ..errors import HostError, RequestError
from ..images.data import data_directory
from ..locks import Lock, held
from ..record import Record
from . import addresses
from .spec import check_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

# /24s of a range that neither Docker, podman nor libvirt takes from.
POOL = ipaddress.ip_network("10.213.0.0/16")
_MIN_PREFIX, _MAX_PREFIX = 8, 29


class NamedNetwork(Record):
    """A network as it was made. ``subnet``: IPv4 CIDR; ``internal``: without a way to the outside. ``aliases``: further
    names by which members of these names are found."""

    name: str
    subnet: str
    internal: bool = False
    aliases: Mapping[str, Sequence[str]] = {}


class MemberRecord(Record):
    """A member: its address, and the names by which others find it."""

    id: str
    address: str
    name: str = ""


def directory() -> str:
    """Of all networks, made if it was not there. Raises HostError."""
    path = f"{data_directory()}/networks"
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    return path


def path_of(name: str) -> str:
    """Of one; it may not be there. Raises RequestError."""
    return f"{directory()}/{check_name('network', name)}"


@contextlib.contextmanager
def locked(name: str) -> Iterator[str]:
    """Its directory, with the lock taken. Raises RequestError if there is none of that name."""
    path = path_of(name)
    try:
        fd = os.open(f"{path}/lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _none(name) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        if not os.path.exists(f"{path}/network.json"):  # removed while we waited
            raise _none(name)
        yield path
    finally:
        os.close(fd)


def _none(name: str) -> RequestError:
    return RequestError("network", name, f"there is no network of that name; pysandbox network create {name}")


def create(
    name: str, *, subnet: str = "", internal: bool = False, aliases: Mapping[str, Sequence[str]] | None = None
) -> NamedNetwork:  # fmt: skip
    """Make one. Raises RequestError for a name that is taken or a subnet that cannot be, HostError."""
    path = path_of(name)
    with _all_locked():
        if os.path.exists(f"{path}/network.json"):
            raise RequestError("network", name, "there is one of that name")
        taken = [ipaddress.ip_network(found.subnet) for found in networks()]
        found = NamedNetwork(name=name, subnet=_subnet(subnet, taken), internal=internal, aliases=aliases or {})
        shutil.rmtree(path, ignore_errors=True)  # of a making that was ended
        os.mkdir(path, 0o700)
        os.mkdir(f"{path}/members", 0o700)
        os.close(os.open(f"{path}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for fifo in ("keep", "echo"):
            os.mkfifo(f"{path}/{fifo}", 0o600)
        write_json(f"{path}/network.json", found.asdict())
    return found


def _subnet(asked: str, taken: list[Any]) -> str:
    of_host = addresses.networks_of_host()
    if asked:
        try:
            network = ipaddress.ip_network(asked)
        except ValueError as error:
            raise RequestError("--subnet", asked, str(error)) from None
        if network.version != 4 or not _MIN_PREFIX <= network.prefixlen <= _MAX_PREFIX:
            raise RequestError("--subnet", asked, f"expected an IPv4 network of /{_MIN_PREFIX} to /{_MAX_PREFIX}")
        for other in (*taken, *of_host):
            if network.overlaps(other):
                raise RequestError("--subnet", asked, f"overlaps {other}, which another network or this host has")
        return str(network)
    for network in POOL.subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in (*taken, *of_host)):
            return str(network)
    raise HostError(f"all of {POOL} is in use", "name one with --subnet, or pysandbox network prune")


def _all_locked() -> Lock:
    return Lock(f"{directory()}/.lock")


def networks() -> list[NamedNetwork]:
    """All of them, by name."""
    found = []
    for name in sorted(os.listdir(directory())):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found.append(NamedNetwork(**read_json(f"{directory()}/{name}/network.json")))
    return found


def find(name: str) -> NamedNetwork:
    """One by name. Raises RequestError."""
    try:
        return NamedNetwork(**read_json(f"{path_of(name)}/network.json"))
    except FileNotFoundError:
        raise _none(name) from None


def members(path: str) -> list[MemberRecord]:
    """Those that live; with the lock taken, what is left of others is removed by the way."""
    found = []
    for name in sorted(os.listdir(f"{path}/members")):
        one = f"{path}/members/{name}"
        try:
            if held(f"{one}/lock"):
                found.append(MemberRecord(**read_json(f"{one}/member.json")))
            else:
                shutil.rmtree(one, ignore_errors=True)
        except FileNotFoundError:
            shutil.rmtree(one, ignore_errors=True)
    return found


def next_address(path: str, network: NamedNetwork, taken: set[str]) -> str:
    """A free one. With the lock taken. Raises HostError.

    The one after that of the last newcomer: of an address that was free a moment ago, others still know the old owner.
    """
    subnet = ipaddress.ip_network(network.subnet)
    first, count = int(subnet.network_address) + 2, subnet.num_addresses - 3  # without .0, .1 and broadcast
    last = first - 1
    with contextlib.suppress(FileNotFoundError):
        last = int(read_json(f"{path}/last.json")["last"])
    for step in range(count):
        number = first + (last - first + 1 + step) % count
        address = str(ipaddress.ip_address(number))
        if address not in taken:
            write_json(f"{path}/last.json", {"last": number})
            return address
    raise HostError(f"no address is left in {network.subnet} of network {network.name}",
                    "make one with a larger --subnet")  # fmt: skip


def remove(name: str) -> None:
    """Forget one. Raises RequestError while it has members."""
    with _all_locked(), locked(name) as path:
        if alive := members(path):
            names = ", ".join(member.name or member.id for member in alive)
            raise RequestError("network", name, f"is in use by {names}; stop them first")
        os.unlink(f"{path}/network.json")
        shutil.rmtree(path)


def prune() -> list[str]:
    """Remove all that nobody uses; their names."""
    gone = []
    for network in networks():
        try:
            remove(network.name)
        except RequestError:
            continue
        gone.append(network.name)
    return gone


def read_json(path: str) -> dict[str, Any]:
    """A record of ours. Raises FileNotFoundError, HostError for one that is none."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise HostError(f"{path} is no record of ours: {error}", "remove that network: rm -r its directory") from None
    return dict(found)


def write_json(path: str, values: dict[str, Any]) -> None:
    """Whole or not at all."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(values, file)
    os.rename(f"{path}.new", path)
