"""Versions, sysctls and security modules: what decides from outside whether a sandbox can be made."""

from __future__ import annotations

import os

from ..diagnose import no_new_privs, read, userns_obstacles
from ..landlock import ABI_NEEDED, lacking
from ..record import Record
from .check import Check, as_root, limited, missing, ok

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# mount_setattr(2) is 5.12: without it a recursive read-only cannot be made.
_NEEDED = (5, 12)
# RLIMIT_NPROC is counted for each user namespace since 5.14; before, for all processes of the user.
_WANTED = (5, 14)
_KINDS = ("user", "pid", "mnt", "net", "ipc", "uts", "cgroup")
# A run takes one of each, a spawner some ahead.
_FEW = 32
# Same number on every architecture; with flag 1 it tells its version and does nothing else.
_SYS_LANDLOCK_CREATE_RULESET, _LANDLOCK_VERSION = 444, 1


class Sysctl(Record):
    """A limit of user.max_*_namespaces."""

    kind: str
    value: int

    @property
    def key(self) -> str:
        """Its name for sysctl(8)."""
        return f"user.max_{self.kind}_namespaces"


def version(name: str) -> Check:
    """The kernel's release."""
    uname = os.uname()
    detail = f"Linux {uname.release} {uname.machine}"
    numbers = tuple(int(part) for part in uname.release.replace("-", ".").split(".")[:2] if part.isdigit())
    fix = "use Linux 5.14 or newer (Debian 12 has 6.1, Ubuntu 22.04 5.15)"
    if numbers < _NEEDED:
        return missing(name, f"{detail} cannot make a recursive read-only mount", fix)
    if numbers < _WANTED:
        return limited(name, f"{detail} counts RLIMIT_NPROC for a user, not for a run", fix)
    return ok(name, detail)


def namespace_limits(name: str) -> Check:
    """How many namespaces of each kind this user may have."""
    found = []
    for kind in _KINDS:
        text = read(f"/proc/sys/user/max_{kind}_namespaces")
        if text is None or not text.isdigit():
            return missing(name, f"the kernel has no {kind} namespaces",
                         "use a kernel with CONFIG_USER_NS=y and all other CONFIG_*_NS")  # fmt: skip
        found.append(Sysctl(kind=kind, value=int(text)))
    least = min(found, key=lambda item: item.value)
    if least.value >= _FEW:
        return ok(name, f"{least.value} of the scarcest kind ({least.kind})")
    few = limited if least.value else missing
    return few(name, f"{least.key} is {least.value}", as_root(f"sysctl -w {least.key}=15000"))


def security_modules(name: str) -> Check:
    """AppArmor's restriction (Ubuntu), Debian's old switch: whether they hold us up, a trial tells."""
    obstacles = [o for o in userns_obstacles() if "max_user_namespaces" not in o.missing]
    if obstacles:
        return limited(name, obstacles[0].missing, obstacles[0].fix)
    restricted = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted == "1":
        return ok(name, "AppArmor restricts other users' namespaces, not root's")
    return ok(name, "no switch is set against user namespaces")


def new_privileges(name: str) -> Check:
    """no_new_privs takes the rights away from setuid helpers."""
    if not no_new_privs():
        return ok(name, "not set, newuidmap and sudo have their rights")
    return limited(name, "set for this process: newuidmap has no rights, so no --ids range",
                 "start it from a shell without it (Docker: drop --security-opt no-new-privileges)")  # fmt: skip


def landlock(name: str) -> Check:
    """The ABI, asked of the kernel, and what it lacks."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    number, size, flags = _SYS_LANDLOCK_CREATE_RULESET, 0, _LANDLOCK_VERSION
    abi = libc.syscall(ctypes.c_long(number), None, ctypes.c_size_t(size), ctypes.c_uint(flags))
    if abi > 0:
        lacks = ", ".join(lacking(abi))
        if abi < ABI_NEEDED:
            return limited(name, f"ABI {abi} is not used: it forbids every move between directories",
                         f"use Linux 6.12 or newer; ABI {ABI_NEEDED} is Linux 5.19")  # fmt: skip
        if lacks:
            return limited(name, f"ABI {abi} without {lacks}", "use Linux 6.12 or newer (ABI 6)")
        return ok(name, f"ABI {abi}: files, TCP ports, signals and abstract sockets")
    reason = os.strerror(ctypes.get_errno()).lower()
    return missing(name, f"not usable ({reason}): no second lock beside the namespaces, no --isolation landlock",
                 "boot with landlock in lsm=, on a kernel with CONFIG_SECURITY_LANDLOCK=y")  # fmt: skip


QUESTIONS: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("kernel", version),
    ("namespace limits", namespace_limits),
    ("security modules", security_modules),
    ("no_new_privs", new_privileges),
    ("landlock", landlock),
)
