"""Which limit is enforced by what: the answer of the backend, of rlimits and of the supervisor, put together.

Fail closed: a limit that was asked for by name and that nothing here enforces is an error.
"""

from __future__ import annotations

from .errors import HostError
from .request import BY_CGROUP, INHERIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cgroup.protocol import Backend
    from .disks import Disks
    from .host import HostFacts
    from .request import Request
    from .spec import Spec

_OTHERS = {
    "wall": "supervisor", "output": "supervisor", "disk": "tmpfs size", "inodes": "tmpfs nr_inodes",
    "fsize": "RLIMIT_FSIZE", "stack": "RLIMIT_STACK", "nofile": "RLIMIT_NOFILE", "core": "RLIMIT_CORE",
}  # fmt: skip
_NPROC = "RLIMIT_NPROC in the run's own user namespace"


def enforcement(
    spec: Spec, backend: Backend, disks: Disks | None = None
) -> tuple[dict[str, str], dict[str, str]]:  # fmt: skip
    """What enforces each limit, and (best effort only) which ones nothing does. ``disks``: where I/O is limited.

    Raises HostError, naming what is missing and the fix, for a limit that was asked for and that
    nothing here can enforce.
    """
    limits, offered = spec.limits, backend.enforces()
    always = ("disk", "inodes", "nofile", "core")
    enforced = {name: by for name, by in _OTHERS.items() if name in limits.asked or name in always}
    missing: dict[str, str] = {}
    for name in ("pids", *BY_CGROUP):
        provider = "time" if name == "idle" else name
        if disks is not None and name in limits.asked and disks.nothing(name):
            enforced[name] = disks.nothing(name)
        elif disks is not None and name in limits.asked and disks.fault(name):
            missing[name] = f"{name} cannot be enforced: {disks.fault(name)}"
        elif provider in offered and (name in limits.asked or name == "pids"):
            enforced[name] = offered[provider]
            if disks is not None and name in ("io_read", "io_write"):
                enforced[name] += f" on {disks.on()}"
        elif name == "pids" and spec.changes_uid:
            missing[name] = ("with CAP_SETUID a program has 65535 uids, and RLIMIT_NPROC counts each by itself: "
                             + backend.missing(provider))  # fmt: skip
        elif name == "pids" and spec.has("user"):
            enforced[name] = _NPROC
        elif name in limits.asked:
            missing[name] = backend.missing(provider)
    if "mem" in enforced and "swap" in offered:
        enforced.setdefault("swap", offered["swap"])
    if missing and not spec.best_effort:
        name, why = next(iter(missing.items()))
        raise HostError(f"--{name.replace('_', '-')}: {why}", "or add --best-effort to run without it")
    return enforced, missing


def capability_notes(spec: Spec) -> tuple[str, ...]:
    """Capabilities that were asked for by name and that the kernel never looks at in a user namespace."""
    if not spec.cap_add:
        return ()
    from .capabilities import EFFECTIVE, NET_MASK, names

    added = spec.cap_add & spec.kept
    idle = [name for name in names(added) if name not in EFFECTIVE]
    notes = [f"without effect in a user namespace: {', '.join(f'CAP_{name}' for name in idle)}"] if idle else []
    if added & NET_MASK and not spec.has("net"):
        notes.append(f"without effect on the host's network: {', '.join(f'CAP_{n}' for n in names(added & NET_MASK))}")
    return tuple(notes)


def _inherited(request: Request) -> tuple[int, ...]:
    """The open files that the program is handed itself; all else passes through pipes."""
    standard = enumerate((request.stdin, request.stdout, request.stderr))
    return (*(number for number, stream in standard if isinstance(stream, str) and stream == INHERIT),
            *request.pass_fds)  # fmt: skip


def disks_of(spec: Spec, host: HostFacts, request: Request) -> Disks | None:
    """The disks that this run can reach, None unless a limit is for them."""
    if not {"io_read", "io_write"} & spec.limits.asked:
        return None
    from .disks import find

    return find(spec, host, _inherited(request))


def disk_notes(backend: Backend, disks: Disks | None, enforced: dict[str, str]) -> tuple[str, ...]:
    """What a limit on writing does not catch here."""
    if disks is None or not disks.written or "io_write" not in enforced:
        return ()
    from .disks import CGROUP_WRITEBACK

    uncharged = sorted(disks.written - CGROUP_WRITEBACK)
    if backend.charges_writeback and not uncharged:
        return ()
    if backend.charges_writeback:
        why = f"on {', '.join(uncharged)}"
    else:
        why = "in cgroup v1" if backend.name == "v1" else "in a cgroup without the memory controller"
    return (f"io_write limits direct and synchronous writes only: {why} what the kernel writes back later is not "
            "charged to the program",)  # fmt: skip
