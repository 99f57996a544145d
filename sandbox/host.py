"""probe() -> HostFacts: the only place that looks at what this host has.

A probe costs some 60 system calls (0.1 ms) and is made once a process; ``diagnose`` holds the
slower questions that are asked only after a failure or by ``pysandbox doctor``.
"""

from __future__ import annotations

import os

from .record import Record
from .subid import acts_as_root

# Top-level directories of the system; links (merged /usr) are made again as links.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")

# What programs need of /etc and what holds neither secrets nor users of the host. Each name costs every
# launch 15 us, so what few programs miss is left to ``-v``.
ETC = (
    "alternatives", "fonts", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "java-25-openjdk", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "localtime", "os-release", "pki", "protocols", "services", "ssl",
)  # fmt: skip

# World-readable files of /proc that tell of the host (``locks``: of open file descriptions belong to no process, so
# every pid namespace shows all of them, with inode numbers). What other engines mask beside these (kcore, kmsg,
# timer_list, sysrq-trigger, ...) is for host uid 0 alone, which no sandbox ever has.
PROC_MASKED = ("acpi", "asound", "key-users", "keys", "latency_stats", "locks", "sched_debug", "scsi", "timer_stats")
# The files below it of which some belong to the root of a user namespace.
PROC_READONLY = ("sys",)


class Entry(Record):
    """One name in the host's tree: kind is "dir", "file" or "link" (then ``target`` is its text)."""

    path: str
    kind: str
    target: str = ""


class HostFacts(Record):
    """What the plan needs to know. Plain values, so that tests write their own hosts."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    system: tuple[Entry, ...]
    etc: tuple[Entry, ...]
    proc_masked: tuple[Entry, ...]
    proc_readonly: tuple[str, ...]
    cpus: int
    machine: str

    is_root: bool = False
    # may root clone mounts and hand them to a sandbox? In most containers it may not
    opens_trees: bool = False
    listener_errno: int = 0  # why a seccomp listener that survives signals cannot be had; 0: it can
    ptrace_scope: int = 0  # kernel.yama.ptrace_scope, 0 without Yama
    nofile: int = 1 << 20  # the hard limit of open files


_CAP_SYS_ADMIN = 21


def _may_mount() -> bool:
    """Have we CAP_SYS_ADMIN? A seccomp filter may still forbid the calls that need it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        held = next((line.split()[1] for line in status if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> _CAP_SYS_ADMIN & 1)


def _entry(path: str) -> Entry | None:
    """The entry at ``path``, or None. A link counts as what it is, a link."""
    try:
        mode = os.lstat(path).st_mode & 0o170000
        if mode == 0o120000:
            return Entry(path=path, kind="link", target=os.readlink(path))
    except OSError:
        return None
    return Entry(path=path, kind="dir" if mode == 0o040000 else "file")


def _entries(paths: tuple[str, ...], prefix: str = "") -> tuple[Entry, ...]:
    return tuple(e for e in (_entry(prefix + p) for p in paths) if e is not None)


def _ptrace_scope() -> int:
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope", "rb") as file:
            return int(file.read(16))
    except FileNotFoundError:
        return 0


def probe() -> HostFacts:
    """Look at the host. Raises nothing: what is missing is missing from the facts."""
    from .native._core import lib

    return HostFacts(
        uid=os.geteuid(),
        gid=os.getegid(),
        is_root=acts_as_root(),
        opens_trees=acts_as_root() and _may_mount(),
        groups=tuple(g for g in os.getgroups() if g != os.getegid()),
        system=_entries(SYSTEM),
        etc=_entries(ETC, "/etc/"),
        proc_masked=_entries(PROC_MASKED, "/proc/"),
        proc_readonly=tuple(e.path for e in _entries(PROC_READONLY, "/proc/")),
        cpus=os.cpu_count() or 1,
        machine=os.uname().machine,
        listener_errno=-lib.core_listener(),
        ptrace_scope=_ptrace_scope(),
        nofile=lib.core_nofile(),
    )
