"""Networks that sandboxes join: one of its own behind pasta, another container's, or a named private one.

    spec        words to a NetworkSpec, nothing asked of the host
    tools       the programs that do the work: unshare, nsenter, ip, nft, tc, pasta, slirp4netns
    holder      a user namespace P and a network namespace N that it owns, kept by processes that die with their keeper
    user        N to the outside by pasta or slirp4netns; resolver the servers of names; publish the ports
    allow       nft: what may be reached
    bandwidth   tc: how fast
    store       records of named networks; named their bridge and their members
    join        another container's network
    opening     all of it put together

Nothing in a sandbox can configure N: its own user namespace is a child of P, where it has no rights.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .network import Joined, Network
    from .spec import NetworkSpec


def open_network(
    spec: NetworkSpec, ids: str = "single", *, name: str = "", join: Callable[[str], Joined] | None = None
) -> Network:
    """Make the network of one container, ready for a program; close it when the container has ended.

    ``ids`` as in a Request. ``name``: the container's, by which members of a named network find it. ``join`` asks the
    container that ``container:NAME`` names for its network. Raises HostError for what the host lacks and RequestError
    for what cannot be; then nothing of it is left.
    """
    from .opening import open_one

    return open_one(spec, ids, name=name, join=join)
