"""LaunchPlan -> the bytes of ``native/plan.h``. The only place that knows both."""

from __future__ import annotations

from struct import Struct

from .. import steps
from ..errors import RequestError
from ._core import lib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..plan import LaunchPlan

_PLAN = Struct("=8I")
_STEP = Struct("=4IiI3Q")
_UNLIMITED = (1 << 64) - 1


class _Blob:
    """The bytes that steps point into. Equal texts are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._known: dict[bytes, int] = {}

    def raw(self, content: bytes) -> int:
        offset = len(self.data)
        self.data += content
        return offset

    def text(self, content: str | bytes) -> int:
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        if b"\0" in raw:
            raise RequestError("plan", raw, "a NUL byte cannot be passed to the kernel")
        if (known := self._known.get(raw)) is None:
            known = self._known[raw] = self.raw(raw + b"\0")
        return known

    def texts(self, contents: tuple[bytes, ...]) -> int:
        if any(b"\0" in c for c in contents):
            raise RequestError("plan", contents, "a NUL byte cannot be passed to the kernel")
        return self.raw(b"\0".join(contents) + b"\0")

    def mount(self, fstype: str, options: tuple[tuple[str, str], ...]) -> int:
        parts = [fstype, *(part for pair in options for part in pair)]
        if any("\0" in p for p in parts):  # it would begin another option
            raise RequestError("plan", parts, "a NUL byte cannot be passed to the kernel")
        return self.raw(b"".join(p.encode("utf-8", "surrogateescape") + b"\0" for p in parts) + b"\0")

    def offsets(self, contents: tuple[bytes, ...]) -> int:
        """An array of the texts' offsets."""
        where = [self.text(c) for c in contents]
        return self.raw(Struct(f"={len(where)}I").pack(*where))


_BIND_ORIGIN = {"host": 0, "scratch": lib.PYSB_BIND_SCRATCH, "proc": lib.PYSB_BIND_PROC, "view": lib.PYSB_BIND_VIEW,
                "root": lib.PYSB_BIND_ROOT}  # fmt: skip
_BIND_MAKE = {"": 0, "dir": lib.PYSB_BIND_MAKE_DIR, "file": lib.PYSB_BIND_MAKE_FILE}
_GAUGES = {"memory": lib.PYSB_GAUGE_MEMORY, "swap": lib.PYSB_GAUGE_SWAP, "tasks": lib.PYSB_GAUGE_TASKS}
_LISTENERS = {"": 0, "init": lib.PYSB_LISTENER_INIT, "python": lib.PYSB_LISTENER_PYTHON}

# sched.h
_JOINS = {"user": 0x10000000, "mnt": 0x00020000, "net": 0x40000000, "ipc": 0x08000000, "uts": 0x04000000,
          "pid": 0x20000000, "cgroup": 0x02000000, "time": 0x00000080, "root": 0}  # fmt: skip
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWTIME = 0x00000080


def _row(op: int, *, flags: int = 0, text: int = 0, text2: int = 0, fd: int = -1, mode: int = 0,
         a: int = 0, b: int = 0, c: int = 0) -> bytes:  # fmt: skip
    return _STEP.pack(op, flags, text, text2, fd, mode, a, b, c)


def _bind(s: steps.Bind, blob: _Blob, fds: Mapping[str, int]) -> bytes:
    flags = _BIND_MAKE[s.make] | (lib.PYSB_BIND_RECURSIVE if s.recursive else 0)
    flags |= lib.PYSB_BIND_CHARDEV if s.chardev else 0
    flags |= lib.PYSB_BIND_OPTIONAL if s.optional else 0
    flags |= lib.PYSB_BIND_REPLACE if s.displace else 0
    flags |= lib.PYSB_BIND_IN_SCRATCH if s.in_scratch else 0
    fd = -1
    if s.origin.startswith("fd:"):
        flags |= lib.PYSB_BIND_FD
        fd = fds[s.origin.removeprefix("fd:")]
    else:
        flags |= _BIND_ORIGIN[s.origin]
    # The inode is for the spawner's comparison of setups, byte by byte; nothing reads it.
    return _row(lib.PYSB_BIND, flags=flags, text=blob.text(s.path), text2=blob.text(s.source), fd=fd, a=s.attributes,
                b=s.inode[0], c=s.inode[1])  # fmt: skip


def _overlay(s: steps.MountOverlay, blob: _Blob) -> bytes:
    # userxattr: a user namespace may not write trusted.* ones; the rest: nothing that another mount could not read
    options = [("lowerdir", ":".join(s.layers)), ("userxattr", "")]
    if s.upper:
        options += [("upperdir", f"/proc/self/fd/{lib.PYSB_UPPER_NUMBER}"),
                    ("workdir", f"/proc/self/fd/{lib.PYSB_WORK_NUMBER}"), ("index", "off")]  # fmt: skip
    if s.upper == "disk":
        options.append(("volatile", ""))  # the end of a container is no reason to sync the disk; Linux 5.10
    flags = (0 if s.path else 1) | (2 if s.upper else 0)
    return _row(lib.PYSB_OVERLAY, flags=flags, text=blob.mount("overlay", tuple(options)),
                text2=blob.text(s.path) if s.path else 0, a=s.attributes)  # fmt: skip


def _upper(s: steps.Upper, blob: _Blob) -> bytes:
    if not s.path:
        return _row(lib.PYSB_UPPER, flags=1)
    return _row(lib.PYSB_UPPER, flags=2 if s.in_scratch else 0, text=blob.text(s.path), b=s.inode[0], c=s.inode[1])


def _root_bind(s: steps.RootBind, blob: _Blob, fds: Mapping[str, int]) -> bytes:
    if s.fd:
        return _row(lib.PYSB_ROOT_BIND, flags=1, fd=fds[s.fd], a=s.attributes)
    return _row(lib.PYSB_ROOT_BIND, text=blob.text(s.path), a=s.attributes, b=s.inode[0], c=s.inode[1])


def _tmpfs(op: int, blob: _Blob, size: str, inodes: int, flags: int = 0) -> bytes:
    options = (("size", size), ("nr_inodes", str(inodes)), ("mode", "0755"))
    return _row(op, flags=flags, text=blob.mount("tmpfs", options), a=steps.NOSUID | steps.NODEV)


def _file(s: steps.WriteFile | steps.ViewFile, blob: _Blob, flags: int) -> bytes:
    return _row(lib.PYSB_FILE, flags=flags, text=blob.text(s.path), text2=blob.raw(s.content), a=len(s.content),
                mode=s.mode)  # fmt: skip


def _stream(s: steps.Stream, fds: Mapping[str, int]) -> bytes:
    # without an fd: the terminal if there is one, else /dev/null; but a passed fd is passed
    fd = fds[s.role] if s.role.startswith("pass:") else fds.get(s.role, -1)
    return _row(lib.PYSB_STREAM, fd=fd, a=s.number)


def _seccomp(s: steps.Seccomp, blob: _Blob) -> bytes:
    flags = _LISTENERS[s.listener]
    if flags and not s.required:
        flags |= lib.PYSB_LISTENER_OR_NOT
    return _row(lib.PYSB_SECCOMP, flags=flags, text=blob.raw(s.program), a=len(s.program), text2=blob.raw(s.asking),
                b=len(s.asking))  # fmt: skip


def _affinity(s: steps.Affinity, blob: _Blob) -> bytes:
    length = max(s.cpus) // 64 * 8 + 8
    mask = sum(1 << cpu for cpu in s.cpus).to_bytes(length, "little")
    return _row(lib.PYSB_AFFINITY, text=blob.raw(mask), a=length)


def _offsets(s: steps.UnshareTime, blob: _Blob) -> bytes:
    clocks = (("monotonic", s.monotonic_ns), ("boottime", s.boottime_ns))
    lines = [f"{name} {-now // 1_000_000_000} {-now % 1_000_000_000}\n" for name, now in clocks]
    text = blob.text("".join(lines))
    return _row(lib.PYSB_UNSHARE, a=CLONE_NEWTIME) + _row(lib.PYSB_TIME_OFFSETS, text=text)


def _landlock_path(s: steps.LandlockPath, blob: _Blob, fds: Mapping[str, int]) -> bytes:
    if s.fd:
        return _row(lib.PYSB_LANDLOCK_PATH, flags=lib.PYSB_LANDLOCK_FD, fd=fds[s.fd], a=s.rights)
    flags = lib.PYSB_LANDLOCK_OPTIONAL if s.optional else 0
    return _row(lib.PYSB_LANDLOCK_PATH, flags=flags, text=blob.text(s.path), a=s.rights)


def _landlock_queues(s: steps.LandlockQueues, blob: _Blob, fds: Mapping[str, int]) -> bytes:
    flags = lib.PYSB_LANDLOCK_QUEUES | lib.PYSB_LANDLOCK_OPTIONAL
    return _row(lib.PYSB_LANDLOCK_PATH, flags=flags, text=blob.mount("mqueue", ()), a=s.rights)


def _limit(value: int) -> int:
    return _UNLIMITED if value < 0 else value


def _or_all(value: int | None) -> int:
    return _UNLIMITED if value is None else value


_WRITERS: dict[type, Callable[[Any, _Blob, Mapping[str, int]], bytes]] = {
    steps.IdMap: lambda s, b, f: _row(
        lib.PYSB_ID_MAP, flags=int(s.by_spawner), text=b.text(s.uid_map), text2=b.text(s.gid_map)
    ),
    steps.DropGroups: lambda s, b, f: _row(lib.PYSB_DROP_GROUPS),
    steps.SetHostname: lambda s, b, f: _row(lib.PYSB_HOSTNAME, flags=int(s.or_keep), text=b.text(s.name)),
    steps.Loopback: lambda s, b, f: _row(lib.PYSB_LOOPBACK),
    steps.PrivateMounts: lambda s, b, f: _row(lib.PYSB_PRIVATE),
    steps.Scratch: lambda s, b, f: _tmpfs(lib.PYSB_SCRATCH, b, str(s.size_bytes), s.inodes),
    # 1000 CPUs, the most that can be asked for, are 2 MiB of cpuinfo and 3000 files and directories
    steps.ViewTmpfs: lambda s, b, f: _tmpfs(lib.PYSB_SCRATCH, b, "16m", 4096, flags=1),
    steps.ViewFile: lambda s, b, f: _file(s, b, 1),
    steps.RootTmpfs: lambda s, b, f: _tmpfs(lib.PYSB_ROOT_TMPFS, b, "16m", 4096),
    steps.RootBind: _root_bind,
    steps.Upper: lambda s, b, f: _upper(s, b),
    steps.MountOverlay: lambda s, b, f: _overlay(s, b),
    steps.Mkdir: lambda s, b, f: _row(
        lib.PYSB_MKDIR, flags=int(s.in_scratch), text=b.text(s.path), mode=s.mode, a=s.uid, b=s.gid
    ),
    steps.Symlink: lambda s, b, f: _row(
        lib.PYSB_SYMLINK, flags=int(s.in_scratch), text=b.text(s.target), text2=b.text(s.path), b=s.inode[0],
        c=s.inode[1],
    ),
    steps.WriteFile: lambda s, b, f: _file(s, b, 2 if s.in_scratch else 0),
    steps.MountFs: lambda s, b, f: _row(
        lib.PYSB_MOUNT, text=b.text(s.path), text2=b.mount(s.fstype, s.options), a=s.attributes
    ),
    steps.Bind: _bind,
    steps.SetAttributes: lambda s, b, f: _row(lib.PYSB_SETATTR, text=b.text(s.path), a=s.attributes),
    steps.SwitchRoot: lambda s, b, f: _row(lib.PYSB_SWITCH_ROOT, flags=int(s.or_chroot)),
    steps.ProcWrite: lambda s, b, f: _row(lib.PYSB_PROC_WRITE, text=b.text(s.path), text2=b.text(s.text)),
    steps.Attach: lambda s, b, f: _row(lib.PYSB_ATTACH, fd=f[s.fd]),
    steps.UnshareCgroup: lambda s, b, f: _row(lib.PYSB_UNSHARE, a=CLONE_NEWCGROUP),
    steps.UnshareTime: lambda s, b, f: _offsets(s, b),
    steps.OpenPty: lambda s, b, f: _row(lib.PYSB_PTY),
    steps.OpenNamespaces: lambda s, b, f: _row(lib.PYSB_NAMESPACES),
    steps.HandOut: lambda s, b, f: _row(lib.PYSB_HAND_OUT),
    steps.Join: lambda s, b, f: _row(lib.PYSB_JOIN, fd=f[s.fd], a=_JOINS[s.kind]),
    steps.Wait: lambda s, b, f: _row(lib.PYSB_WAIT, fd=f[s.fd]),
    steps.Export: lambda s, b, f: _row(lib.PYSB_EXPORT, text=b.text(s.path)),
    steps.Listen: lambda s, b, f: _row(lib.PYSB_LISTEN),
    steps.AnswerSysinfo: lambda s, b, f: _row(
        lib.PYSB_SYSINFO, flags=int(s.ptrace), a=_or_all(s.mem_bytes), b=_or_all(s.swap_bytes), c=s.boottime_ns
    ),
    steps.Gauge: lambda s, b, f: _row(lib.PYSB_GAUGE, flags=int(s.with_memory), fd=f[s.fd], a=_GAUGES[s.what]),
    steps.LandlockRuleset: lambda s, b, f: _row(lib.PYSB_LANDLOCK, a=s.filesystem, b=s.network, c=s.scoped),
    steps.LandlockPath: _landlock_path,
    steps.LandlockQueues: _landlock_queues,
    steps.Session: lambda s, b, f: _row(lib.PYSB_SESSION, flags=int(s.tty), a=s.rows, b=s.columns),
    steps.Stream: lambda s, b, f: _stream(s, f),
    steps.Chdir: lambda s, b, f: _row(lib.PYSB_CHDIR, text=b.text(s.path)),
    steps.Keyring: lambda s, b, f: _row(lib.PYSB_KEYRING),
    steps.Rlimit: lambda s, b, f: _row(
        lib.PYSB_RLIMIT, flags=int(s.or_less), a=s.resource, b=_limit(s.soft), c=_limit(s.hard)
    ),
    steps.Channel: lambda s, b, f: _row(lib.PYSB_CHANNEL, flags=int(s.to_python), a=s.number),
    steps.Affinity: lambda s, b, f: _affinity(s, b),
    steps.SetIds: lambda s, b, f: _row(lib.PYSB_IDS, flags=int(s.keep_capabilities), a=s.uid, b=s.gid),
    steps.DropBounding: lambda s, b, f: _row(lib.PYSB_DROP_BOUNDING, a=s.kept),
    steps.DropCaps: lambda s, b, f: _row(lib.PYSB_DROP_CAPS, flags=int(s.bounding_checked), a=s.kept),
    steps.NoNewPrivs: lambda s, b, f: _row(lib.PYSB_NO_NEW_PRIVS),
    steps.Restrict: lambda s, b, f: _row(lib.PYSB_RESTRICT),
    steps.Confine: lambda s, b, f: _row(lib.PYSB_CONFINE, flags=int(s.net)),
    steps.Started: lambda s, b, f: _row(lib.PYSB_STARTED, fd=f["baseline"] if s.baseline else -1),
    steps.Seccomp: lambda s, b, f: _seccomp(s, b),
    steps.Exec: lambda s, b, f: _row(lib.PYSB_EXEC, text=b.texts(s.candidates), a=len(s.candidates)),
}


def _plan(init: tuple[steps.Step, ...], program: tuple[steps.Step, ...], fds: Mapping[str, int],
          argv: tuple[bytes, ...] = (), env: tuple[bytes, ...] = ()) -> bytes:  # fmt: skip
    blob = _Blob()
    phases = [b"".join([_WRITERS[type(step)](step, blob, fds) for step in phase]) for phase in (init, program)]
    # Offsets are u32 and need alignment for nobody: the spawner copies them out.
    arguments, environment = blob.offsets(argv), blob.offsets(env)
    blob.data += b"\0"
    size = _PLAN.size + len(phases[0]) + len(phases[1]) + len(blob.data)
    if size > lib.PYSB_MAX_PLAN_BYTES:
        raise RequestError("argv", f"{size} bytes", "arguments and environment are too large")
    counts = [len(p) // _STEP.size for p in phases]
    head = _PLAN.pack(lib.PYSB_MAGIC, size, *counts, arguments, len(argv), environment, len(env))
    return b"".join((head, *phases, blob.data))


def pack_setup(setup: tuple[steps.Step, ...], fds: Mapping[str, int]) -> bytes:
    """The setup plan's bytes; ``fds`` maps the roles that its steps name to indexes among its fds.

    Raises RequestError where a text holds a NUL byte or the plan is larger than 16 MiB.
    """
    return _plan(setup, (), fds)


def pack_run(plan: LaunchPlan, fds: Mapping[str, int]) -> bytes:
    """The run plan's bytes; as ``pack_setup``."""
    return _plan(plan.enter, plan.program, fds, plan.argv, plan.env)


def pack_lxcfs(
    root: tuple[steps.Step, ...], exports: tuple[steps.Step, ...], fds: Mapping[str, int],
    argv: tuple[bytes, ...], env: tuple[bytes, ...],
) -> bytes:  # fmt: skip
    """The plan of a private lxcfs (lxcfs.c): its root, what is given out of it, its command; as ``pack_setup``."""
    return _plan(root, exports, fds, argv, env)


def setup_roles(setup: tuple[steps.Step, ...]) -> list[str]:
    """The fds that a setup names, in order."""
    roles = []
    for step in setup:
        if isinstance(step, steps.Bind) and step.origin.startswith("fd:"):
            roles.append(step.origin.removeprefix("fd:"))
        elif isinstance(step, (steps.RootBind, steps.Join)) and step.fd:
            roles.append(step.fd)
    return roles


def step_at(plan: LaunchPlan, phase: int, index: int) -> steps.Step | None:
    """The step that the child's ``index`` means (one Python step may be two rows)."""
    at = 0
    of = {lib.PYSB_PHASE_SETUP: plan.setup, lib.PYSB_PHASE_ENTER: plan.enter}
    for step in of.get(phase, plan.program):
        at += 2 if isinstance(step, steps.UnshareTime) else 1
        if index < at:
            return step
    return None
