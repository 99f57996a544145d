"""All of it put together: from a NetworkSpec to a Network that is ready."""

from __future__ import annotations

import contextlib

from ..errors import RequestError
from . import addresses, allow, bandwidth, publish, resolver, user
from .holder import Holder
from .network import Network
from .spec import CONTAINER, HOST, NAMED, NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .named import Member
    from .network import Joined
    from .spec import NetworkSpec

# Nobody in N has a right to a port below 1024, nor to raw sockets for ping; there nobody else is to be protected.
_PING = {"single": "0 0", "range": "0 65535"}


def open_one(spec: NetworkSpec, ids: str, *, name: str, join: Callable[[str], Joined] | None) -> Network:
    """See ``open_network``."""
    if spec.kind == NONE:
        return Network()
    if spec.kind == HOST:
        return Network(resolv=resolver.read(()).text())
    if spec.kind == CONTAINER:
        from .join import network_of

        if join is None:
            raise RequestError("--net", f"container:{spec.target}", "there is nobody to ask for it here")
        return network_of(join(spec.target), ids)
    with contextlib.ExitStack() as made:
        if spec.kind == NAMED:
            from .named import enter

            member = enter(spec.target, ids, name_of_member=name)
            made.callback(member.close)
            if spec.bandwidth is not None:
                bandwidth.shape(member.holder, member.device, spec.bandwidth.up)
                bandwidth.shape(member.bridge, member.outer_device, spec.bandwidth.down)
            network = _named(spec, member, made, ids)
        else:
            holder = Holder(ids)
            made.callback(holder.close)
            network = _to_outside(spec, holder, made, ids, inner=())
        network._closing = (_closer(made.pop_all()),)
        return network


def _closer(made: contextlib.ExitStack) -> Callable[[], None]:
    return made.close


def _named(spec: NetworkSpec, member: Member, made: contextlib.ExitStack, ids: str) -> Network:
    if member.internal:
        for option, given in (("--publish", spec.publish), ("--allow", spec.allow)):
            if given is not None and given != ():
                raise RequestError(option, spec.target, "is an internal network, which has no outside")
        _prepare(member.holder, ids)
        return Network(member.holder.place, hosts_file=member.hosts_file)
    network = _to_outside(spec, member.holder, made, ids, inner=(member.device,))
    member.add_hosts(network.hosts)
    network.hosts_file = member.hosts_file
    return network


def _prepare(holder: Holder, ids: str) -> None:
    holder.ip("link set lo up", what="loopback")
    holder.set(ip_unprivileged_port_start="0", ping_group_range=_PING[ids])


def _to_outside(
    spec: NetworkSpec, holder: Holder, made: contextlib.ExitStack, ids: str, *, inner: tuple[str, ...]
) -> Network:
    program = user.check()
    own = addresses.of_host()
    found = resolver.read(own)
    names = allow.resolve(spec.allow or ())
    _prepare(holder, ids)
    servers = (user.SLIRP_DNS,) if program == "slirp4netns" and found.forward_to else found.servers
    if spec.allow is not None:  # before there is a way out
        allow.load(holder, allow.ruleset(spec.allow, names, dns=servers if spec.dns else (), inner=inner))
    ports = publish.chosen(spec.publish)
    mtu = bandwidth.MTU if spec.bandwidth is not None else 0
    outside = user.Outside(holder, ports, found, program=program, mtu=mtu)
    made.callback(outside.close)
    holder.ip(*addresses.unreachable(own), what="routes that keep the host's addresses away")
    if spec.bandwidth is not None:
        holder.ip(f"link set {user.TAP} mtu {mtu}", what="the mtu")
        bandwidth.shape(holder, user.TAP, spec.bandwidth.up)
        bandwidth.shape_received(holder, user.TAP, spec.bandwidth.down)
    return Network(
        holder.place, hosts=names, resolv=found.text(outside.servers if spec.allow is None or spec.dns else ()),
        ports=ports, watched={program: outside.pidfd},
    )  # fmt: skip
