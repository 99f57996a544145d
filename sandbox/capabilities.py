"""Capabilities by name and number, and which of them a run keeps; capabilities(7), linux/capability.h.

What is kept is kept inside the run's own user namespace: rights over what belongs to that namespace, and over
nothing of the host's. Three are never kept, whoever asks (``NEVER``); the native core refuses them once more.
"""

from __future__ import annotations

from .errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}
EVERY = (1 << len(NAMES)) - 1

# Why these would be a way out, or round a limit.
NEVER = {
    # Mounts that the sandbox's own mount namespace made are not locked in it (mount_namespaces(7)): a read-only
    # volume could be made writable again and what covers /proc be taken off. And cgroup v1 lets who may mount it
    # lift the limits of its own cgroup.
    "SYS_ADMIN": "it could make read-only volumes writable and lift the limits of the own cgroup",
    # reboot(2) in a pid namespace kills the namespace's pid 1, which is our supervisor inside.
    "SYS_BOOT": "reboot(2) would kill the sandbox's own init",
    # prlimit(2) takes a limit on CPU time for the init, at which the kernel kills it. All else that it is for, raising
    # limits, the kernel asks for in the host's user namespace.
    "SYS_RESOURCE": "prlimit(2) would kill the sandbox's own init, and limits could not be raised by it anyway",
}
NEVER_MASK = sum(1 << NUMBERS[name] for name in NEVER)

# Those that the kernel asks for in the user namespace that owns a thing (ns_capable() and its like), the program's own
# here. The others it asks for in the host's alone (capable()): kept, they change nothing.
EFFECTIVE = frozenset((
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_CHROOT", "SYS_PTRACE",
    "SYS_NICE", "SETFCAP", "CHECKPOINT_RESTORE",
))  # fmt: skip
# Rights over the network namespace, which is the run's own to configure only if its user namespace owns it.
NET_MASK = sum(1 << NUMBERS[name] for name in ("NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"))


def number(name: str) -> int | None:
    """Of ``CAP_CHOWN``, ``chown``, …; None if there is no such capability."""
    return NUMBERS.get(name.strip().upper().removeprefix("CAP_"))


def names(mask: int) -> tuple[str, ...]:
    """The names in a mask, without ``CAP_``, by number."""
    return tuple(name for number, name in enumerate(NAMES) if mask >> number & 1)


def mask_of(field: str, words: Iterable[str]) -> int:
    """The mask of a list of names, each of which may hold several with commas; ``ALL`` is ``EVERY``.

    Raises RequestError with ``field`` for a name that is none.
    """
    mask = 0
    for word in words:
        if not isinstance(word, str):
            raise RequestError(field, word, "expected names of capabilities")
        for name in word.split(","):
            if name.strip().upper() == "ALL":
                mask = EVERY
                continue
            found = number(name)
            if found is None:
                raise RequestError(field, name, f"no such capability{_near(name)}")
            mask |= 1 << found
    return mask


def add_mask(field: str, words: Iterable[str]) -> int:
    """As ``mask_of``; ``ALL`` is every one of ``EFFECTIVE`` that this kernel has. Raises for one of ``NEVER``."""
    given = [name for word in words for name in (word.split(",") if isinstance(word, str) else (word,))]
    named = [name for name in given if not (isinstance(name, str) and name.strip().upper() == "ALL")]
    mask = mask_of(field, named)
    if len(named) < len(given):
        mask |= sum(1 << NUMBERS[name] for name in EFFECTIVE) & ((1 << _last() + 1) - 1)
    refuse_never(field, mask)
    return mask


def refuse_never(field: str, mask: int) -> None:
    """Raises RequestError if the mask holds one that no run keeps."""
    for name in names(mask & NEVER_MASK):
        raise RequestError(field, name, f"never kept: {NEVER[name]}")


def kept(policy: int, add: int, drop: int) -> int:
    """What a run keeps: the policy's and the added ones without the dropped; dropping all spares the added."""
    return add if drop == EVERY else (policy | add) & ~drop


def _last() -> int:
    """CAP_LAST_CAP of this kernel (Linux 5.9 has all of ours)."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return NUMBERS["AUDIT_READ"]  # Linux 3.16: older ones have no user namespaces that we could use


def _near(name: str) -> str:
    import difflib

    found = difflib.get_close_matches(name.strip().upper().removeprefix("CAP_"), NAMES, 1)
    return f", did you mean {found[0]}?" if found else ""
