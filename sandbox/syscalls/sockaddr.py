"""Socket addresses in words: ``{AF_INET 10.0.0.1:80}``."""

from __future__ import annotations

from .text import hexadecimal, quoted
from .vocabulary import constants

_SUN_PATH = 2


def text(memory: bytes, length: int) -> str:
    """A struct sockaddr of ``length`` bytes, of which ``memory`` was captured; "" if its family was not."""
    if len(memory) < 2:
        return ""
    families = constants("", "AF")
    family = families.words(int.from_bytes(memory[:2], "little")) if families else ""
    rest = _FAMILIES[family](memory, length) if family in _FAMILIES else ""
    return f"{{{family}{' ' if rest else ''}{rest}}}"


def _unix(memory: bytes, length: int) -> str:
    path = memory[_SUN_PATH:]
    if path[:1] == b"\0":  # abstract: every byte up to the length counts
        return "@" + quoted(path[1:], cut=length > len(memory))
    name, end, _ = path.partition(b"\0")
    return quoted(name, cut=not end and length > len(memory)) if path else ""


def _inet(memory: bytes, _length: int) -> str:
    if len(memory) < 8:
        return ""
    return f"{'.'.join(map(str, memory[4:8]))}:{int.from_bytes(memory[2:4], 'big')}"


def _inet6(memory: bytes, _length: int) -> str:
    if len(memory) < 24:
        return ""
    from socket import AF_INET6, inet_ntop

    scope = int.from_bytes(memory[24:28], "little")
    zone = f"%{scope}" if scope else ""
    return f"[{inet_ntop(AF_INET6, memory[8:24])}{zone}]:{int.from_bytes(memory[2:4], 'big')}"


def _netlink(memory: bytes, _length: int) -> str:
    if len(memory) < 12:
        return ""
    groups = hexadecimal(int.from_bytes(memory[8:12], "little"))
    return f"pid={int.from_bytes(memory[4:8], 'little')} groups={groups}"


def _vsock(memory: bytes, _length: int) -> str:
    if len(memory) < 12:
        return ""
    cid = int.from_bytes(memory[8:12], "little")
    names = {0: "hypervisor", 1: "local", 2: "host", 0xFFFFFFFF: "any"}  # VMADDR_CID_*
    return f"{names.get(cid, cid)}:{int.from_bytes(memory[4:8], 'little')}"


def _alg(memory: bytes, _length: int) -> str:
    if len(memory) < 88:
        return ""
    return f"{quoted(memory[2:16].partition(bytes(1))[0])} {quoted(memory[24:88].partition(bytes(1))[0])}"


def _packet(memory: bytes, _length: int) -> str:
    if len(memory) < 8:
        return ""
    protocol, index = int.from_bytes(memory[2:4], "big"), int.from_bytes(memory[4:8], "little")
    return f"protocol={protocol:#06x} ifindex={index}"


_FAMILIES = {
    "AF_UNIX": _unix, "AF_INET": _inet, "AF_INET6": _inet6, "AF_NETLINK": _netlink, "AF_VSOCK": _vsock,
    "AF_ALG": _alg, "AF_PACKET": _packet,
}  # fmt: skip
