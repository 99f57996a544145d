"""validate(Request) -> Spec: the request made exact, or a RequestError that names the field.

A Spec is frozen and holds bytes, nanoseconds and absolute paths only: whatever comes after this
does not parse, does not guess and does not look at the caller's words again.
"""

from __future__ import annotations

import os
from posixpath import isabs, join, normpath

from .errors import RequestError
from .record import Record
from .request import LayeredRoot, Mount, NetworkPlace, Overlay, Request
from .units import UNLIMITED, parse_count, parse_cpus, parse_cpuset, parse_duration, parse_rate, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .units import Rate

# Where the figures in /proc come from (docs/proc.md).
PROC_VIEWS = ("auto", "lxcfs", "static", "plain", "private")

NAMESPACES = ("user", "pid", "mount", "net", "ipc", "uts", "cgroup", "time")

# What confines the program: namespaces (with Landlock beside them), or Landlock alone (isolation.py).
ISOLATIONS = ("namespaces", "landlock")

# A tree of 2,000 dying processes took 94 s to go, one of 128 takes 34 ms.
DEFAULT_PIDS = 128
DEFAULT_DISK_BYTES = 256 << 20
DEFAULT_INODES = 16384
DEFAULT_NOFILE = 1024
DEFAULT_GRACE_NS = 2_000_000_000

DEFAULT_POLICY = "default"
DEFAULT_WORKDIR = "/work"
DEFAULT_HOSTNAME = "sandbox"
DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
               "HOME": DEFAULT_WORKDIR, "USER": "sandbox", "LOGNAME": "sandbox", "LANG": "C.UTF-8"}  # fmt: skip

# execve(2): MAX_ARG_STRLEN is 32 pages; the sum is bounded by a quarter of the stack limit, 6 MiB at most.
MAX_ARG_BYTES = 131_072
MAX_ARGS_BYTES = 6 << 20
MAX_PATH_BYTES = 4095
# Of a file of ours over an image's: hosts, passwd.
MAX_FILE_BYTES = 1 << 20
# native/plan.h, PYSB_MAX_LAYERS
MAX_LAYERS = 100

# What may be asked for beside the few that are always there.
DEVICES = ("/dev/fuse", "/dev/net/tun", "/dev/kvm")


class Limits(Record):
    """Bytes, nanoseconds, counts; None = not limited. ``asked`` are those the caller named."""

    mem_bytes: int | None = None
    swap_bytes: int = 0
    time_ns: int | None = None
    wall_ns: int | None = None
    idle_ns: int | None = None
    pids: int = DEFAULT_PIDS
    cpu_milli: int | None = None
    cpuset: str | None = None
    output_bytes: int | None = None
    disk_bytes: int = DEFAULT_DISK_BYTES
    inodes: int = DEFAULT_INODES
    fsize_bytes: int | None = None
    stack_bytes: int | None = None
    nofile: int = DEFAULT_NOFILE
    core_bytes: int = 0
    io_read: Rate | None = None
    io_write: Rate | None = None
    asked: frozenset[str] = frozenset()


class Volume(Record):
    """A host path shared into the sandbox; ``source`` is absolute and exists, ``target`` absolute and normal.

    ``inode``: device and number of what is there now. A sandbox that was made ahead shows what was there then.
    ``fd``: a detached mount instead of a path.
    """

    source: str
    target: str
    writable: bool = False
    is_dir: bool = True
    inode: tuple[int, int] = (0, 0)
    fd: int | None = None
    noexec: bool = False


class Tmpfs(Record):
    """A fresh tmpfs of its own at ``target``."""

    target: str
    size_bytes: int
    mode: int = 0o755
    noexec: bool = False


class Stack(Record):
    """Directories of the host, topmost first, with the ``inode`` of each as a Volume's, and where changes to an
    overlay of them go: a directory with ``upper`` and ``work`` in it, or None."""

    layers: tuple[str, ...]
    inodes: tuple[tuple[int, int], ...]
    upper: str | None = None
    upper_inode: tuple[int, int] = (0, 0)


class Rootfs(Record):
    """A foreign root: an overlay, whose changes go with the run unless the stack says where they are kept, or with
    ``direct`` the one directory itself, or the detached mount ``tree``. ``whole``: its /tmp is its own, and it needs no
    /work. ``files`` are shown over it."""

    stack: Stack
    writable: bool = False
    direct: bool = False
    whole: bool = False
    files: tuple[tuple[str, bytes], ...] = ()
    tree: int | None = None


class Shown(Record):
    """An overlay at a place below the root."""

    target: str
    stack: Stack


class Spec(Record):
    """One run, exactly. ``program`` is set if the program is a file of the caller's to share in; ``scratch`` is the
    run's own directory of the host, with isolation landlock only.

    ``cap_add``, ``cap_drop`` and ``kept`` are masks of capabilities; ``with_capabilities`` makes the last one.
    """

    argv: tuple[bytes, ...]
    env: tuple[tuple[bytes, bytes], ...]
    program: str | None
    limits: Limits
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    rootfs: Rootfs | None = None
    overlays: tuple[Shown, ...] = ()
    devices: tuple[str, ...] = ()
    workdir: str = DEFAULT_WORKDIR
    hostname: str = DEFAULT_HOSTNAME
    hostname_asked: bool = False
    policy: str = "default"
    ids: str = "single"
    uid: int = 1000
    gid: int = 1000
    net: str = "none"
    proc: str = "auto"
    absent: frozenset[str] = frozenset()
    cap_add: int = 0
    cap_drop: int = 0
    kept: int = 0
    pass_fds: tuple[int, ...] = ()
    tty: bool = False
    sysinfo: str = "auto"
    denials: str = "auto"
    program_inode: tuple[int, int] = (0, 0)  # as of a Volume
    notify: bool = False
    notify_all: bool = False
    cgroup: str = "auto"
    best_effort: bool = False
    grace_ns: int = DEFAULT_GRACE_NS
    landlock: str = "auto"
    isolation: str = "namespaces"
    scratch: str | None = None
    leaf: bool = False
    joinable: bool = False
    gated: bool = False
    network: NetworkPlace | None = None
    joins: bool = False  # a sandbox that another run has made (joining.py)

    @property
    def init_uid(self) -> int:
        """The uid of the init inside: what it makes belongs to this id without a chown."""
        return 0 if self.ids == "range" else self.uid

    @property
    def init_gid(self) -> int:
        """As ``init_uid``."""
        return 0 if self.ids == "range" else self.gid

    def has(self, namespace: str) -> bool:
        """Is this namespace made anew for the run?"""
        return namespace not in self.absent

    def keeps(self, capability: int) -> bool:
        """Does the program keep it in its user namespace?"""
        return bool(self.kept >> capability & 1)

    @property
    def changes_uid(self) -> bool:
        """May the program become another uid, and so leave what the kernel counts for each uid (RLIMIT_NPROC)?"""
        return self.ids == "range" and self.keeps(7)  # CAP_SETUID

    def with_capabilities(self, policy_mask: int) -> Spec:
        """The Spec with what is kept of the policy's and of its own. Raises RequestError for what cannot be kept."""
        if not (policy_mask or self.cap_add or self.cap_drop):
            return self
        from .capabilities import kept, names, refuse_never

        mask = kept(policy_mask, self.cap_add, self.cap_drop)
        refuse_never("capabilities", mask)
        if mask and not self.has("user"):
            why = "needs a user namespace of the run's own: without it they would be the host's"
            raise RequestError("cap_add" if self.cap_add & mask else "capabilities", ",".join(names(mask)), why)
        return self.replace(kept=mask)


def validate(request: Request) -> Spec:
    """The exact Spec of a request. Raises RequestError naming the field; touches nothing but stat(2)."""
    _isolation(request)
    if request.isolation == "landlock":
        from . import isolation

        return isolation.validate(request)
    absent = _absent(request)
    rootfs = _rootfs(request.rootfs)
    volumes = tuple(_volume(v) for v in _listed("volumes", request.volumes))
    tmpfs = tuple(_tmpfs(t) for t in _listed("tmpfs", request.tmpfs))
    overlays, devices = _overlays(request, rootfs), _devices(request)
    usual = "/" if rootfs is not None and rootfs.whole else DEFAULT_WORKDIR
    workdir = _inside("workdir", request.workdir if request.workdir is not None else usual)
    argv = _argv(request.argv)
    if "mount" in absent and (volumes or tmpfs or rootfs or overlays or devices or request.tty or request.workdir):
        raise RequestError("without", "mount", "volumes, tmpfs, rootfs, workdir and tty need the mount namespace")
    program, argv = _program(argv, volumes) if rootfs is None and "mount" not in absent else (None, argv)
    uid, gid = _user(request)
    tty = _flag("tty", request.tty)
    cap_add, cap_drop = _capabilities(request)
    return Spec(
        argv=argv, env=_env(request, workdir, tty, rootfs is not None and rootfs.whole), program=program,
        limits=_limits(request), volumes=volumes,
        program_inode=_inode(program) if program else (0, 0),
        tmpfs=tmpfs, rootfs=rootfs, overlays=overlays, devices=devices, workdir=workdir,
        hostname=_hostname(request.hostname),
        hostname_asked=request.hostname is not None,
        policy=_policy(request.policy), ids=_ids(request.ids), uid=uid, gid=gid, net=request.net,
        proc=_proc(request.proc, absent), sysinfo=_sysinfo(request.sysinfo, absent), denials=_denials(request, absent),
        notify=_notify(request), notify_all=_notify_all(request), absent=absent, cap_add=cap_add, cap_drop=cap_drop,
        pass_fds=_pass_fds(request.pass_fds), tty=tty, cgroup=_text("cgroup", request.cgroup),
        best_effort=_flag("best_effort", request.best_effort),
        grace_ns=_grace(request), landlock=request.landlock,
        network=_network(request), leaf=_flag("leaf", request.leaf), joinable=_joinable(request, absent),
        gated=_gated(request.gate),
    ).with_capabilities(0)  # fmt: skip


# ---- words ----


def _text(field: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise RequestError(field, value, "expected a text without NUL bytes")
    if len(_encoded(field, value)) > MAX_PATH_BYTES:
        raise RequestError(field, value, f"longer than {MAX_PATH_BYTES} bytes")
    return value


def _encoded(field: str, value: str) -> bytes:
    """The bytes of a text. Bytes that are no UTF-8 travel as the surrogates U+DC80 to U+DCFF (PEP 383)."""
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise RequestError(field, value, "holds a surrogate that stands for no byte") from error


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RequestError(field, value, "expected True or False")
    return value


def _listed(field: str, value: Sequence[Any]) -> Sequence[Any]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise RequestError(field, value, "expected a list")
    items = tuple(value)
    if len(items) > 200:
        raise RequestError(field, f"{len(items)} items", "more than 200")
    return items


def _raw(field: str, value: object) -> bytes:
    if isinstance(value, str):
        value = _encoded(field, value)
    elif hasattr(value, "__fspath__"):
        value = os.fsencode(value)
    if not isinstance(value, bytes):
        raise RequestError(field, value, "expected text or bytes")
    if b"\0" in value:
        raise RequestError(field, value, "a NUL byte cannot be passed to a program")
    if len(value) >= MAX_ARG_BYTES:
        raise RequestError(field, value, f"longer than {MAX_ARG_BYTES - 1} bytes (execve(2) takes no more)")
    return value


def _argv(argv: object) -> tuple[bytes, ...]:
    if isinstance(argv, (str, bytes)) or not hasattr(argv, "__iter__"):
        raise RequestError("argv", argv, "expected a list: the program and its arguments")
    words = tuple(_raw("argv", a) for a in argv)
    if not words or not words[0]:
        raise RequestError("argv", list(words), "no program was named")
    total = sum(len(w) + 9 for w in words)
    if total > MAX_ARGS_BYTES:
        raise RequestError("argv", f"{total} bytes", f"more than {MAX_ARGS_BYTES} bytes of arguments")
    return words


def _env(request: Request, workdir: str, tty: bool, whole: bool = False) -> tuple[tuple[bytes, bytes], ...]:
    """``whole``: a root that is a system of its own has its own users and languages; only PATH is given."""
    env = request.env
    if not hasattr(env, "items"):
        raise RequestError("env", env, "expected a mapping of names to values")
    merged: dict[str, object] = {}
    if not _flag("exact_env", request.exact_env):
        usual = {"PATH": DEFAULT_ENV["PATH"]} if whole else {**DEFAULT_ENV, "HOME": workdir}
        merged = {**usual, **({"TERM": "xterm"} if tty else {})}
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name:
            raise RequestError("env", name, "a name must be a text without '='")
        merged[name] = value
    return tuple((_raw("env", n), _raw("env", v)) for n, v in merged.items())


def _grace(request: Request) -> int:
    return DEFAULT_GRACE_NS if request.grace is None else parse_duration("grace", request.grace)


def _isolation(request: Request) -> None:
    if request.isolation not in ISOLATIONS:
        raise RequestError("isolation", request.isolation, "expected namespaces or landlock")
    if request.landlock not in ("auto", "on", "off"):
        raise RequestError("landlock", request.landlock, "expected auto, on or off")
    if request.landlock == "on" and "mount" in request.without:
        why = "without the mount namespace the files are the host's, and there is nothing to lock"
        raise RequestError("landlock", "on", why)


def _absent(request: Request) -> frozenset[str]:
    names = _listed("without", request.without)
    if unknown := [n for n in names if n not in NAMESPACES]:
        raise RequestError("without", unknown[0], f"no such namespace; there are {', '.join(NAMESPACES)}")
    left_out = set(names)
    if request.net not in ("none", "host", "join"):
        raise RequestError("net", request.net, "expected none, host or join")
    if (request.net == "join") != (request.network is not None):
        raise RequestError("net", request.net, "net=join and network go together: one says so, the other where")
    if request.net == "join" and {"user", "net"} & left_out:
        raise RequestError("net", request.net, "needs a user and a network namespace")
    if request.net != "none":
        left_out.add("net")
    # time_namespaces(7): Linux 5.6 with CONFIG_TIME_NS; it hides the host's uptime, which confines nobody
    if "user" in left_out or not os.path.exists("/proc/self/ns/time"):
        left_out.add("time")
    others = set(NAMESPACES) - {"user", "time"}
    if "user" in left_out and others - left_out:
        rest = ", ".join(n for n in NAMESPACES if n in others - left_out)
        why = f"without root every other namespace is made inside the user namespace; leave out {rest} as well"
        raise RequestError("without", "user", why)
    return frozenset(left_out)


def _network(request: Request) -> NetworkPlace | None:
    place = request.network
    if place is None:
        return None
    for fd, kind in ((place.user_fd, "user"), (place.net_fd, "net")):
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            found = "no open file"
        if not found.startswith(f"{kind}:["):
            raise RequestError("network", fd, f"expected the fd of a {kind} namespace, it is {found}")
    return place


def _joinable(request: Request, absent: frozenset[str]) -> bool:
    asked = _flag("joinable", request.joinable)
    if asked and (missing := [n for n in ("user", "pid", "mount") if n in absent]):
        raise RequestError("joinable", asked, f"only a sandbox with a {missing[0]} namespace of its own can be joined")
    return asked


def _gated(gate: object) -> bool:
    if gate is not None and (isinstance(gate, bool) or not isinstance(gate, int) or gate < 0):
        raise RequestError("gate", gate, "expected the fd of a pipe")
    return gate is not None


def _capabilities(request: Request) -> tuple[int, int]:
    """(added, dropped) as masks."""
    if not request.cap_add and not request.cap_drop:
        return 0, 0
    from .capabilities import EVERY, add_mask, mask_of, names

    drop = mask_of("cap_drop", _listed("cap_drop", request.cap_drop))
    words = _listed("cap_add", request.cap_add)
    add = add_mask("cap_add", words)
    everything = any(word.strip().upper() == "ALL" for listed in words for word in listed.split(","))
    both = add & drop
    if (everything and drop == EVERY) or (both and not everything and drop != EVERY):
        raise RequestError("cap_drop", "ALL" if drop == EVERY else names(both)[0], "added by cap_add as well")
    return add, drop


def _user(request: Request) -> tuple[int, int]:
    if request.user is None:
        return 1000, 1000
    uid, colon, gid = str(request.user).partition(":")
    if colon and not gid:
        raise RequestError("user", request.user, "expected UID or UID:GID")
    high = 65534 if request.ids == "range" else (1 << 32) - 2
    number = parse_count("user", uid, 0, high)
    return number, parse_count("user", gid, 0, high) if gid else number


def _ids(ids: str) -> str:
    if ids not in ("single", "range"):
        raise RequestError("ids", ids, "expected single or range")
    return ids


def _sysinfo(sysinfo: str, absent: frozenset[str]) -> str:
    if sysinfo not in ("auto", "on", "off"):
        raise RequestError("sysinfo", sysinfo, "expected auto, on or off")
    if sysinfo == "on" and "mount" in absent and "pid" not in absent:
        raise RequestError("sysinfo", sysinfo, "needs a /proc of the pid namespace: leave out pid too, or not mount")
    return sysinfo


def _denials(request: Request, absent: frozenset[str]) -> str:
    if request.denials not in ("auto", "on", "off"):
        raise RequestError("denials", request.denials, "expected auto, on or off")
    if request.denials == "on" and "mount" in absent and "pid" not in absent:
        raise RequestError("denials", request.denials,
                           "needs a /proc of the pid namespace: leave out pid too, or not mount")  # fmt: skip
    return request.denials


def _notify(request: Request) -> bool:
    """The kernel gives a process one listener, so a handler excludes what else needs it."""
    if request.notify is None:
        return False
    if not callable(request.notify):
        raise RequestError("notify", request.notify, "expected a callable")
    for field in ("sysinfo", "denials"):
        if getattr(request, field) == "on":
            raise RequestError("notify", request.notify, f"cannot be had together with {field}=on")
    return True


def _notify_all(request: Request) -> bool:
    asked = _flag("notify_all", request.notify_all)
    if asked and request.notify is None:
        raise RequestError("notify_all", asked, "needs notify, a callable that answers")
    return asked


def _proc(proc: object, absent: frozenset[str]) -> str:
    if proc not in PROC_VIEWS:
        raise RequestError("proc", proc, f"expected {', '.join(PROC_VIEWS[:-1])} or {PROC_VIEWS[-1]}")
    if "mount" in absent and proc not in ("auto", "plain"):
        raise RequestError("proc", proc, "other figures than the kernel's need the mount namespace")
    return str(proc)


def _policy(policy: object) -> str:
    if policy is None:
        return DEFAULT_POLICY
    text = _text("policy", policy)
    return _absolute("policy", text) if "/" in text or text.endswith(".toml") else text


def _hostname(name: str | None) -> str:
    if name is None:
        return DEFAULT_HOSTNAME
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
    # sethostname(2): 64 bytes
    if not isinstance(name, str) or not 0 < len(name) <= 64 or not set(name) <= allowed or name[0] in ".-":
        raise RequestError("hostname", name, "expected 1 to 64 letters, digits, dots and dashes")
    return name


def _pass_fds(fds: Sequence[int]) -> tuple[int, ...]:
    return tuple(parse_count("pass_fds", fd, 3, 999) for fd in _listed("pass_fds", fds))


# ---- limits ----


def _limits(request: Request) -> Limits:
    values: dict[str, object] = {}
    asked = set()

    def take(field: str, target: str, value: object) -> None:
        if value is not None:
            asked.add(field)
            values[target] = value

    def size(field: str, target: str, value: int | str | None, low: int = 0, unlimited: bool = False) -> None:
        if value is None:
            return
        if unlimited and value in ("unlimited", UNLIMITED):
            take(field, target, UNLIMITED)
            return
        number = parse_size(field, value)
        if number < low:
            raise RequestError(field, value, f"too small: at least {low} bytes")
        take(field, target, number)

    # the kernel charges in pages, and less than this does not hold an init and a shell
    size("mem", "mem_bytes", request.mem, 1 << 20)
    size("swap", "swap_bytes", request.swap)
    size("output", "output_bytes", request.output)
    size("disk", "disk_bytes", request.disk, 64 << 10)
    size("fsize", "fsize_bytes", request.fsize, unlimited=True)
    size("stack", "stack_bytes", request.stack, 64 << 10, unlimited=True)
    size("core", "core_bytes", request.core, unlimited=True)
    for field in ("time", "wall", "idle"):
        value = getattr(request, field)
        take(field, f"{field}_ns", None if value is None else parse_duration(field, value))
    if request.pids is not None:
        take("pids", "pids", parse_count("pids", request.pids, 1, 1 << 22))
    if request.inodes is not None:
        take("inodes", "inodes", parse_count("inodes", request.inodes, 16, 1 << 30))
    if request.nofile is not None:
        take("nofile", "nofile", parse_count("nofile", request.nofile, 3, 1 << 20))
    if request.cpus is not None:
        take("cpus", "cpu_milli", parse_cpus("cpus", request.cpus))
    if request.cpuset is not None:
        take("cpuset", "cpuset", parse_cpuset("cpuset", request.cpuset))
    for field in ("io_read", "io_write"):
        value = getattr(request, field)
        take(field, field, None if value is None else parse_rate(field, value))
    if request.swap is not None and request.mem is None:
        raise RequestError("swap", request.swap, "means nothing without mem")
    return Limits(**values, asked=frozenset(asked))  # type: ignore[arg-type]


# ---- paths ----


def _inside(field: str, path: object) -> str:
    """A path in the sandbox: absolute, without ``..`` (which links of a foreign root could bend)."""
    text = _text(field, path)
    if not isabs(text):
        raise RequestError(field, text, "expected an absolute path in the sandbox")
    if ".." in text.split("/"):
        raise RequestError(field, text, "'..' is not allowed")
    return "/" + normpath(text).lstrip("/")


_RESERVED = ("/proc", "/dev")


def _target(field: str, path: str) -> str:
    target = _inside(field, path)
    if target == "/" or any(target == r or target.startswith(r + "/") for r in _RESERVED):
        raise RequestError(field, path, f"{target} belongs to the sandbox and cannot be mounted over")
    return target


def _real(field: str, path: str) -> str:
    """The path without links. A link that may not be read (/proc/1/exe) makes realpath(3) fail."""
    try:
        return os.path.realpath(path)
    except OSError as error:
        raise RequestError(field, path, f"cannot be looked up: {(error.strerror or 'unusable').lower()}") from error


def _absolute(field: str, path: str) -> str:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise RequestError(field, path, "a relative path, and the current directory does not exist any more") from None


def _existing(field: str, path: str) -> tuple[str, bool]:
    """The real path of something on the host, and whether it is a directory."""
    real = _real(field, _text(field, path))
    try:
        mode = os.stat(real).st_mode & 0o170000
    except OSError as error:
        raise RequestError(field, path, f"cannot be shared: {(error.strerror or 'unusable').lower()}") from error
    if mode not in (0o040000, 0o100000, 0o140000):
        raise RequestError(field, path, "only directories, regular files and sockets can be shared")
    return real, mode == 0o040000


def _volume(volume: object) -> Volume:
    if isinstance(volume, Mount):
        return _mount(volume)
    text = _text("volume", volume)
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[0] or (len(parts) == 3 and parts[2] not in ("ro", "rw")):
        raise RequestError("volume", text, "expected SRC:DST, SRC:DST:ro or SRC:DST:rw")
    source, is_dir = _existing("volume", parts[0])
    return Volume(source=source, target=_target("volume", parts[1]), writable=parts[2:] == ["rw"], is_dir=is_dir,
                  inode=_inode(source))  # fmt: skip


def _mount(mount: Mount) -> Volume:
    target, writable = _target("volume", mount.target), _flag("volume", mount.writable)
    noexec = _flag("volume", mount.noexec)
    if isinstance(mount.source, int):
        try:
            is_dir = os.fstat(mount.source).st_mode & 0o170000 == 0o040000
        except PermissionError:  # FUSE of another user namespace: we may only pass it on, and its root is a directory
            is_dir = True
        except OSError as error:
            raise RequestError("volume", mount.source, "not an open file") from error
        return Volume(source=f"fd {mount.source}", target=target, writable=writable, is_dir=is_dir, fd=mount.source,
                      noexec=noexec)  # fmt: skip
    source, is_dir = _existing("volume", mount.source)
    return Volume(source=source, target=target, writable=writable, is_dir=is_dir, inode=_inode(source), noexec=noexec)


def _inode(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0  # gone meanwhile: the step that shares it says so
    return found.st_dev, found.st_ino


def _tmpfs(tmpfs: object) -> Tmpfs:
    target, _, rest = _text("tmpfs", tmpfs).partition(":")
    size, _, options = rest.partition(":")
    mode, noexec = 0o755, False
    for word in options.split(",") if options else ():
        name, _, octal = word.partition("=")
        if name == "mode" and octal and set(octal) <= set("01234567") and int(octal, 8) <= 0o7777:
            mode = int(octal, 8)
        elif word == "noexec":
            noexec = True
        else:
            raise RequestError("tmpfs", tmpfs, f"unknown option {word!r}; there are mode=OCTAL and noexec")
    return Tmpfs(target=_target("tmpfs", target), size_bytes=parse_size("tmpfs", size) if size else 64 << 20, mode=mode,
                 noexec=noexec)  # fmt: skip


def _rootfs(rootfs: str | LayeredRoot | None) -> Rootfs | None:
    if rootfs is None:
        return None
    if isinstance(rootfs, LayeredRoot):
        return _layered(rootfs)
    path, colon, mode = _text("rootfs", rootfs).partition(":")
    if mode not in ("", "ro", "scratch") or (colon and not mode):
        raise RequestError("rootfs", rootfs, "expected DIR, DIR:ro or DIR:scratch")
    real, is_dir = _existing("rootfs", path)
    if not is_dir:
        raise RequestError("rootfs", path, "not a directory")
    return Rootfs(stack=Stack(layers=(real,), inodes=(_inode(real),)), writable=mode == "scratch")


def _layered(root: LayeredRoot) -> Rootfs:
    direct = _flag("rootfs", root.direct)
    if direct and (len(root.layers) != 1 or root.upper is not None):
        raise RequestError("rootfs", list(root.layers), "a root that is used as it is has one layer and no upper")
    if root.tree is not None and (not direct or isinstance(root.tree, bool) or not isinstance(root.tree, int)):
        raise RequestError("rootfs", root.tree, "expected the fd of a mount, with direct=True")
    files = []
    if not hasattr(root.files, "items"):
        raise RequestError("rootfs", root.files, "expected a mapping of paths to contents")
    for path, content in root.files.items():
        if not isinstance(content, bytes) or len(content) > MAX_FILE_BYTES:
            raise RequestError("rootfs", path, f"expected its content, at most {MAX_FILE_BYTES} bytes")
        files.append((_target("rootfs", path), content))
    return Rootfs(stack=_stack("rootfs", root.layers, root.upper), writable=not _flag("rootfs", root.read_only),
                  direct=direct, whole=True, files=tuple(files), tree=root.tree)  # fmt: skip


def _stack(field: str, layers: Sequence[str], upper: str | None) -> Stack:
    if not layers or isinstance(layers, (str, bytes)) or not hasattr(layers, "__iter__"):
        raise RequestError(field, layers, "expected a list of at least one directory")
    if len(layers) > MAX_LAYERS:
        raise RequestError(field, f"{len(layers)} layers", f"more than {MAX_LAYERS}; commit and flatten the image")
    inodes = []
    for path in (*layers, *(() if upper is None else (upper, f"{upper}/upper", f"{upper}/work"))):
        if not isabs(_text(field, path)) or not os.path.isdir(path):
            raise RequestError(field, path, "expected the absolute path of a directory")
        inodes.append(_inode(path))
    return Stack(layers=tuple(layers), inodes=tuple(inodes[: len(layers)]), upper=upper,
                 upper_inode=(0, 0) if upper is None else inodes[len(layers)])  # fmt: skip


def _overlays(request: Request, rootfs: Rootfs | None) -> tuple[Shown, ...]:
    asked = _listed("overlays", request.overlays)
    if wrong := [o for o in asked if not isinstance(o, Overlay)]:
        raise RequestError("overlays", wrong[0], "expected an Overlay")
    shown = tuple(Shown(target=_target("overlay", o.target), stack=_stack("overlay", o.layers, o.upper)) for o in asked)
    total = sum(len(o.stack.layers) for o in shown) + (len(rootfs.stack.layers) if rootfs is not None else 0)
    if total > MAX_LAYERS:
        raise RequestError("overlays", f"{total} layers", f"more than {MAX_LAYERS} together")
    return shown


def _devices(request: Request) -> tuple[str, ...]:
    """Only those that hold nothing of the host's and that distributions give to everybody."""
    for path in (devices := _listed("devices", request.devices)):
        if path not in DEVICES:
            raise RequestError("device", path, f"cannot be had in a sandbox; there are {', '.join(DEVICES)}")
        if not os.path.exists(path):
            raise RequestError("device", path, "this host has no such device")
    return tuple(dict.fromkeys(devices))


# What the default view shows of the host; a program in there needs no sharing.
_VISIBLE = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/nix/store/", "/gnu/store/")


def is_visible(path: str) -> bool:
    """Is this host path, and what it links to, part of the default view?"""
    return path.startswith(_VISIBLE) and os.path.realpath(path).startswith(_VISIBLE)


def _program(argv: tuple[bytes, ...], volumes: tuple[Volume, ...]) -> tuple[str | None, tuple[bytes, ...]]:
    """The caller's file to share as the program, if argv[0] means one, and argv as it is then.

    A bare name means the system's program of that name; only if there is none, one on the caller's own
    PATH. A path means the host's file, unless a volume shows something at that very path.
    """
    name = os.fsdecode(argv[0])
    if "/" not in name:
        directories = DEFAULT_ENV["PATH"].split(":")
        if any(os.access(join(d, name), os.X_OK) and is_visible(join(d, name)) for d in directories):
            return None, argv
        candidates = [join(d, name) for d in os.environ.get("PATH", "").split(":") if isabs(d)]
        found = next((p for p in candidates if os.path.isfile(p) and os.access(p, os.X_OK)), None)
        return (_real("argv", found), argv) if found else (None, argv)
    absolute = _absolute("argv", name)
    if any(name == v.target or name.startswith(v.target + "/") for v in volumes):
        return None, argv
    real = _real("argv", absolute)
    for volume in volumes:  # the file is inside something shared: show it there, not twice
        if real.startswith(volume.source + "/"):
            return None, (os.fsencode(volume.target + real[len(volume.source) :]), *argv[1:])
    if is_visible(absolute):
        return None, (os.fsencode(absolute), *argv[1:])
    if not os.path.isfile(real):
        return None, argv
    return real, (os.fsencode("/app/" + os.path.basename(real)), *argv[1:])
