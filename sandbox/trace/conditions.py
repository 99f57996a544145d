"""Which arguments decide what a call is: a socket of which family, a thread or a process, a file read or written.

A learned policy allows these calls with the values that were seen and no others. Only what is in registers can be
tested; the mask is what is compared of an argument.
"""

from __future__ import annotations

from ..policy import CONSTANTS, INT_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Values = tuple[int, ...]

_ALL = (1 << 64) - 1
NAMESPACES = 0
for _name, _bits in CONSTANTS.items():
    # CLONE_NEWTIME is a part of the exit signal in clone(2)
    NAMESPACES |= _bits if _name.startswith("CLONE_NEW") and _name != "CLONE_NEWTIME" else 0
_TMPFILE = 0o20000000  # __O_TMPFILE: makes a file too
# Read, write or both; make or empty one. The other flags change how, not what.
_OPEN = CONSTANTS["O_ACCMODE"] | CONSTANTS["O_CREAT"] | CONSTANTS["O_TRUNC"] | _TMPFILE
_PROT = CONSTANTS["PROT_WRITE"] | CONSTANTS["PROT_EXEC"]

CONDITIONS: dict[str, tuple[tuple[int, int], ...]] = {
    "socket": ((0, INT_BITS), (1, CONSTANTS["SOCK_TYPE_MASK"]), (2, INT_BITS)),
    "socketpair": ((0, INT_BITS), (1, CONSTANTS["SOCK_TYPE_MASK"]), (2, INT_BITS)),
    "clone": ((0, NAMESPACES | CONSTANTS["CLONE_THREAD"]),),
    "unshare": ((0, INT_BITS),),
    "setns": ((1, INT_BITS),),
    "ioctl": ((1, INT_BITS),),
    "fcntl": ((1, INT_BITS),),
    "prctl": ((0, INT_BITS),),
    "arch_prctl": ((0, INT_BITS),),
    "personality": ((0, INT_BITS),),
    "seccomp": ((0, INT_BITS),),
    "ptrace": ((0, _ALL),),
    "keyctl": ((0, INT_BITS),),
    "bpf": ((0, INT_BITS),),
    "open": ((1, _OPEN),),
    "openat": ((2, _OPEN),),
    "mmap": ((2, _PROT),),
    "mprotect": ((2, _PROT),),
    "pkey_mprotect": ((2, _PROT),),
}


def values_of(call: str, args: Sequence[int]) -> Values:
    """What a condition would compare, () for a call whose arguments do not matter."""
    return tuple(args[index] & mask for index, mask in CONDITIONS.get(call, ()))


def sample(call: str, values: Values) -> tuple[int, ...]:
    """Six arguments with these values."""
    args = [0] * 6
    for (index, _mask), value in zip(CONDITIONS.get(call, ()), values, strict=True):
        args[index] = value
    return tuple(args)


def words(abi: str, number: int, call: str, values: Values) -> str:
    """The values in names, for the description of a rule: ``AF_INET SOCK_STREAM 0``."""
    from ..syscalls.decode import decode

    if call == "clone":
        thread, spaces = values[0] & CONSTANTS["CLONE_THREAD"], values[0] & NAMESPACES
        return ("threads" if thread else "processes") + (f" in namespaces {spaces:#x}" if spaces else "")
    if call in ("mmap", "mprotect", "pkey_mprotect"):
        kinds = {0: "neither writable nor executable", 2: "writable", 4: "executable", 6: "writable and executable"}
        return kinds[values[0]]
    shown = decode(abi, number, sample(call, values)).arguments
    return " ".join(shown[index][1] for index, _mask in CONDITIONS[call] if index < len(shown))
