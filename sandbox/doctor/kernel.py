"""Versions, sysctls and security modules: what decides from outside whether a sandbox can be made."""

from __future__ import annotations

import os

from ..diagnose import no_new_privs, read, userns_obstacles
from ..record import Record
from .check import LIMITED, MISSING, OK, Check, as_root

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
        return Check(name=name, state=MISSING, detail=f"{detail} cannot make a recursive read-only mount", fix=fix)
    if numbers < _WANTED:
        return Check(name=name, state=LIMITED, detail=f"{detail} counts RLIMIT_NPROC for a user, not for a run", fix=fix)
    return Check(name=name, state=OK, detail=detail)


def namespace_limits(name: str) -> Check:
    """How many namespaces of each kind this user may have."""
    found = []
    for kind in _KINDS:
        text = read(f"/proc/sys/user/max_{kind}_namespaces")
        if text is None or not text.isdigit():
            return Check(name=name, state=MISSING, detail=f"the kernel has no {kind} namespaces",
                         fix="use a kernel with CONFIG_USER_NS=y and all other CONFIG_*_NS")  # fmt: skip
        found.append(Sysctl(kind=kind, value=int(text)))
    least = min(found, key=lambda item: item.value)
    if least.value >= _FEW:
        return Check(name=name, state=OK, detail=f"{least.value} of the scarcest kind ({least.kind})")
    state = LIMITED if least.value else MISSING
    return Check(name=name, state=state, detail=f"{least.key} is {least.value}", fix=as_root(f"sysctl -w {least.key}=15000"))


def security_modules(name: str) -> Check:
    """AppArmor's restriction (Ubuntu), Debian's old switch. That it is there is no fault; a trial tells what it does."""
    obstacles = [o for o in userns_obstacles() if "max_user_namespaces" not in o.missing]
    if obstacles:
        return Check(name=name, state=LIMITED, detail=obstacles[0].missing, fix=obstacles[0].fix)
    restricted = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted == "1":
        return Check(name=name, state=OK, detail="AppArmor restricts other users' namespaces, not root's")
    return Check(name=name, state=OK, detail="no switch is set against user namespaces")


def new_privileges(name: str) -> Check:
    """no_new_privs takes the rights away from setuid helpers."""
    if not no_new_privs():
        return Check(name=name, state=OK, detail="not set, newuidmap and sudo have their rights")
    return Check(name=name, state=LIMITED, detail="set for this process: newuidmap has no rights, so no --ids range",
                 fix="start it from a shell without it (Docker: drop --security-opt no-new-privileges)")  # fmt: skip


def landlock(name: str) -> Check:
    """The ABI, asked of the kernel."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    abi = libc.syscall(ctypes.c_long(_SYS_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(_LANDLOCK_VERSION))
    if abi > 0:
        return Check(name=name, state=OK, detail=f"ABI {abi}")
    reason = os.strerror(ctypes.get_errno()).lower()
    return Check(name=name, state=MISSING, detail=f"not usable ({reason}); nothing needs it yet",
                 fix="boot with landlock in lsm=, on a kernel with CONFIG_SECURITY_LANDLOCK=y")  # fmt: skip


QUESTIONS: tuple[tuple[str, Callable[[str], Check]], ...] = (
    ("kernel", version),
    ("namespace limits", namespace_limits),
    ("security modules", security_modules),
    ("no_new_privs", new_privileges),
    ("landlock", landlock),
)
