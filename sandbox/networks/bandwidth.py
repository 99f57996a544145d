"""``--bandwidth`` by tc(8): a token bucket for what leaves N, and one at the other side of it for what comes in.

Of a veth the other end is ours too. A tap has none, so what it receives goes through an ifb(4) device in N; it is
shaped, not dropped, which TCP takes better. MTU of that tap is 1500: a bucket must hold a whole packet.
"""

from __future__ import annotations

from ..errors import HostError
from . import tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .holder import Holder

MTU = 1500
_BURST_S = 0.01
_MIN_BURST = 16 << 10
# What waits, at most. The sender is a window behind a tap, and pasta takes seconds to send again what was dropped.
_QUEUE = 4 << 20
_IFB = "ifb-in"


def bucket(device: str, rate: int) -> str:
    """The line for ``tc -batch``: tbf(8) with ``rate`` bytes a second, and a burst of 10 ms or ten packets."""
    burst = max(int(rate * _BURST_S), _MIN_BURST)
    return f"qdisc replace dev {device} root tbf rate {rate}bps burst {burst} limit {_QUEUE}"


def shape(holder: Holder, device: str, rate: int) -> None:
    """What leaves ``holder``'s N by this device, in bytes a second; 0 = as it is. Raises HostError."""
    if rate:
        _tc(holder, [bucket(device, rate)])


def shape_received(holder: Holder, device: str, rate: int) -> None:
    """What N receives from a tap. Raises HostError."""
    if not rate:
        return
    try:
        holder.ip(f"link add {_IFB} type ifb", f"link set {_IFB} up", what="an ifb device")
    except HostError as error:
        raise HostError(
            error.missing, "an administrator: modprobe ifb; or limit what leaves only: --bandwidth UP/0"
        ) from None
    _tc(holder, [
        bucket(_IFB, rate),
        f"qdisc replace dev {device} ingress",
        f"filter add dev {device} parent ffff: protocol all u32 match u32 0 0 action mirred egress redirect dev {_IFB}",
    ])  # fmt: skip


def _tc(holder: Holder, lines: list[str]) -> None:
    program = tools.find("tc", "--bandwidth")
    try:
        tools.call(
            holder.inside(program, "-batch", "-"),
            text="\n".join(lines) + "\n",
            fds=holder.fds,
            what="--bandwidth by tc",
        )
    except HostError as error:
        raise HostError(error.missing, "a kernel with sch_tbf (and sch_ingress, cls_u32, act_mirred), or no "
                        "--bandwidth") from None  # fmt: skip
