"""``--allow``: N lets nothing out but what is named, by nft(8) in its output hook.

Fail closed: the rules are loaded before there is a way out. Names are asked for on the host at the start and their
addresses written to the sandbox's /etc/hosts: it need not ask anybody, and asking is itself a way out, so port 53 is
closed as well unless ``--allow dns`` opens it.
"""

from __future__ import annotations

import ipaddress
import socket

from ..errors import HostError, RequestError
from . import tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .holder import Holder
    from .spec import Allow


def resolve(allowed: Sequence[Allow]) -> dict[str, tuple[str, ...]]:
    """Name -> its addresses, for those that are names. Raises RequestError for one that has none."""
    found: dict[str, tuple[str, ...]] = {}
    for item in allowed:
        if item.named and item.host not in found:
            try:
                answers = socket.getaddrinfo(item.host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                why = f"this host does not know an address of {item.host}: {error}"
                raise RequestError("--allow", f"{item.host}:{item.port or '*'}", why) from None
            found[item.host] = tuple(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))
    return found


def ruleset(
    allowed: Sequence[Allow],
    addresses: Mapping[str, tuple[str, ...]],
    *,
    dns: Sequence[str] = (),
    inner: Sequence[str] = (),
) -> str:
    """The text for nft. ``dns``: servers that may be asked; ``inner``: interfaces that lead to no outside."""
    rules = [f'oifname {{ {", ".join(chr(34) + name + chr(34) for name in ("lo", *inner))} }} accept',
             "ct state established,related accept",
             "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept"]  # fmt: skip
    for item in allowed:
        for address in addresses[item.host] if item.named else (item.host,):
            family = "ip6" if ipaddress.ip_network(address).version == 6 else "ip"
            port = f"{item.protocol} dport {item.port}" if item.port else f"meta l4proto {item.protocol}"
            rules.append(f"{family} daddr {address} {port} accept")
    for server in dns:
        family = "ip6" if ":" in server else "ip"
        rules += [f"{family} daddr {server} {protocol} dport 53 accept" for protocol in ("udp", "tcp")]
    rules.append("reject with icmpx admin-prohibited")  # an error at once, not a timeout
    lines = "\n".join(f"    {rule}" for rule in rules)
    chain = f"  chain output {{\n    type filter hook output priority 0; policy drop;\n{lines}\n  }}"
    return f"table inet pysandbox {{\n{chain}\n}}\n"


def load(holder: Holder, text: str) -> None:
    """Into N. Raises HostError."""
    program = tools.find("nft", "--allow")
    try:
        tools.call(
            holder.inside(program, "-f", "-"), text=text, fds=holder.fds, what="the allow list's rules in nftables"
        )
    except HostError as error:
        raise HostError(error.missing, "a kernel with nf_tables (inet, ct, reject), or no --allow") from None
