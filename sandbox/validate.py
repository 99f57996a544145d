"""validate(Request) -> Spec: the request made exact, or a RequestError that names the field.

Here is what depends on more than one field, and the limits. words.py has what one word says, roots.py what only
containers ask for.
"""

from __future__ import annotations

import os

from .errors import RequestError
from .request import LayeredRoot, Mount
from .spec import DEFAULT_ENV, DEFAULT_GRACE_NS, DEFAULT_WORKDIR, NAMESPACES, Limits, Spec
from .units import UNLIMITED, parse_count, parse_cpus, parse_cpuset, parse_duration, parse_rate, parse_size
from .words import (
    absolute_path,
    inode_of,
    is_visible,
    parse_argument,
    parse_argv,
    parse_flag,
    parse_gate,
    parse_hostname,
    parse_ids,
    parse_list,
    parse_pass_fds,
    parse_policy,
    parse_rootfs,
    parse_text,
    parse_tmpfs,
    parse_volume,
    path_inside,
    program_by_name,
    real_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import NetworkPlace, Request
    from .spec import Rootfs, Shown, Volume

# Where the figures in /proc come from (docs/proc.md).
PROC_VIEWS = ("auto", "lxcfs", "static", "plain", "private")

# What confines the program: namespaces (with Landlock beside them), or Landlock alone (isolation.py).
ISOLATIONS = ("namespaces", "landlock")


def validate(request: Request) -> Spec:
    """The exact Spec of a request. Raises RequestError naming the field; touches nothing but stat(2)."""
    _isolation(request)
    if request.isolation == "landlock":
        from . import isolation

        return isolation.validate(request)
    absent = _absent(request)
    rootfs = _rootfs(request.rootfs)
    volumes = tuple(_volume(v) for v in parse_list("volumes", request.volumes))
    tmpfs = tuple(parse_tmpfs(t) for t in parse_list("tmpfs", request.tmpfs))
    overlays, devices = _overlays(request, rootfs), _devices(request)
    usual = "/" if rootfs is not None and rootfs.whole else DEFAULT_WORKDIR
    workdir = path_inside("workdir", request.workdir if request.workdir is not None else usual)
    argv = parse_argv(request.argv)
    if "mount" in absent and (volumes or tmpfs or rootfs or overlays or devices or request.tty or request.workdir):
        raise RequestError("without", "mount", "volumes, tmpfs, rootfs, workdir and tty need the mount namespace")
    program, argv = _program(argv, volumes) if rootfs is None and "mount" not in absent else (None, argv)
    uid, gid = parse_user(request)
    tty = parse_flag("tty", request.tty)
    cap_add, cap_drop = parse_capabilities(request)
    return Spec(
        argv=argv, env=parse_env(request, workdir, tty, rootfs is not None and rootfs.whole), program=program,
        limits=parse_limits(request), volumes=volumes,
        program_inode=inode_of(program) if program else (0, 0),
        tmpfs=tmpfs, rootfs=rootfs, overlays=overlays, devices=devices, workdir=workdir,
        hostname=parse_hostname(request.hostname),
        hostname_asked=request.hostname is not None,
        policy=parse_policy(request.policy), ids=parse_ids(request.ids), uid=uid, gid=gid, net=request.net,
        proc=_proc(request.proc, absent), sysinfo=parse_sysinfo(request.sysinfo, absent),
        denials=parse_denials(request, absent), notify=parse_notify(request), notify_all=parse_notify_all(request),
        absent=absent, cap_add=cap_add, cap_drop=cap_drop, pass_fds=parse_pass_fds(request.pass_fds), tty=tty,
        cgroup=parse_text("cgroup", request.cgroup),
        best_effort=parse_flag("best_effort", request.best_effort),
        grace_ns=parse_grace(request), landlock=request.landlock,
        network=_network(request), leaf=parse_flag("leaf", request.leaf), joinable=_joinable(request, absent),
        gated=parse_gate(request.gate),
    ).with_capabilities(0)  # fmt: skip


# ---- what is shown ----


def _volume(volume: object) -> Volume:
    if isinstance(volume, Mount):
        from .roots import parse_mount

        return parse_mount(volume)
    return parse_volume(volume)


def _rootfs(rootfs: str | LayeredRoot | None) -> Rootfs | None:
    if isinstance(rootfs, LayeredRoot):
        from .roots import parse_layered

        return parse_layered(rootfs)
    return None if rootfs is None else parse_rootfs(rootfs)


def _overlays(request: Request, rootfs: Rootfs | None) -> tuple[Shown, ...]:
    if not (asked := parse_list("overlays", request.overlays)):
        return ()
    from .roots import parse_overlays

    return parse_overlays(asked, rootfs)


def _devices(request: Request) -> tuple[str, ...]:
    if not (asked := parse_list("devices", request.devices)):
        return ()
    from .roots import parse_devices

    return parse_devices(asked)


def _program(argv: tuple[bytes, ...], volumes: tuple[Volume, ...]) -> tuple[str | None, tuple[bytes, ...]]:
    """The caller's file to share as the program, if argv[0] means one, and argv as it is then.

    A bare name means the system's program of that name; only if there is none, one on the caller's own
    PATH. A path means the host's file, unless a volume shows something at that very path.
    """
    name = os.fsdecode(argv[0])
    if "/" not in name:
        return program_by_name(name), argv
    absolute = absolute_path("argv", name)
    if any(name == v.target or name.startswith(v.target + "/") for v in volumes):
        return None, argv
    real = real_path("argv", absolute)
    for volume in volumes:  # the file is inside something shared: show it there, not twice
        if real.startswith(volume.source + "/"):
            return None, (os.fsencode(volume.target + real[len(volume.source) :]), *argv[1:])
    if is_visible(absolute):
        return None, (os.fsencode(absolute), *argv[1:])
    if not os.path.isfile(real):
        return None, argv
    return real, (os.fsencode("/app/" + os.path.basename(real)), *argv[1:])


# ---- the program ----


def parse_env(request: Request, workdir: str, tty: bool, whole: bool = False) -> tuple[tuple[bytes, bytes], ...]:
    """``whole``: a root that is a system of its own has its own users and languages; only PATH is given."""
    env = request.env
    if not hasattr(env, "items"):
        raise RequestError("env", env, "expected a mapping of names to values")
    merged: dict[str, object] = {}
    if not parse_flag("exact_env", request.exact_env):
        usual = {"PATH": DEFAULT_ENV["PATH"]} if whole else {**DEFAULT_ENV, "HOME": workdir}
        merged = {**usual, **({"TERM": "xterm"} if tty else {})}
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name:
            raise RequestError("env", name, "a name must be a text without '='")
        merged[name] = value
    return tuple((parse_argument("env", n), parse_argument("env", v)) for n, v in merged.items())


def parse_capabilities(request: Request) -> tuple[int, int]:
    """(added, dropped) as masks."""
    if not request.cap_add and not request.cap_drop:
        return 0, 0
    from .capabilities import EVERY, add_mask, mask_of, names

    drop = mask_of("cap_drop", parse_list("cap_drop", request.cap_drop))
    words = parse_list("cap_add", request.cap_add)
    add = add_mask("cap_add", words)
    everything = any(word.strip().upper() == "ALL" for listed in words for word in listed.split(","))
    both = add & drop
    if (everything and drop == EVERY) or (both and not everything and drop != EVERY):
        raise RequestError("cap_drop", "ALL" if drop == EVERY else names(both)[0], "added by cap_add as well")
    return add, drop


def parse_user(request: Request) -> tuple[int, int]:
    """(uid, gid) inside."""
    if request.user is None:
        return 1000, 1000
    uid, colon, gid = str(request.user).partition(":")
    if colon and not gid:
        raise RequestError("user", request.user, "expected UID or UID:GID")
    high = 65534 if request.ids == "range" else (1 << 32) - 2
    number = parse_count("user", uid, 0, high)
    return number, parse_count("user", gid, 0, high) if gid else number


def parse_grace(request: Request) -> int:
    """Nanoseconds."""
    return DEFAULT_GRACE_NS if request.grace is None else parse_duration("grace", request.grace)


# ---- namespaces ----


def _isolation(request: Request) -> None:
    if request.isolation not in ISOLATIONS:
        raise RequestError("isolation", request.isolation, "expected namespaces or landlock")
    if request.landlock not in ("auto", "on", "off"):
        raise RequestError("landlock", request.landlock, "expected auto, on or off")
    if request.landlock == "on" and "mount" in request.without:
        why = "without the mount namespace the files are the host's, and there is nothing to lock"
        raise RequestError("landlock", "on", why)


def _absent(request: Request) -> frozenset[str]:
    names = parse_list("without", request.without)
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
    asked = parse_flag("joinable", request.joinable)
    if asked and (missing := [n for n in ("user", "pid", "mount") if n in absent]):
        raise RequestError("joinable", asked, f"only a sandbox with a {missing[0]} namespace of its own can be joined")
    return asked


# ---- /proc and the listener ----


def _proc(proc: object, absent: frozenset[str]) -> str:
    if proc not in PROC_VIEWS:
        raise RequestError("proc", proc, f"expected {', '.join(PROC_VIEWS[:-1])} or {PROC_VIEWS[-1]}")
    if "mount" in absent and proc not in ("auto", "plain"):
        raise RequestError("proc", proc, "other figures than the kernel's need the mount namespace")
    return str(proc)


def parse_sysinfo(sysinfo: str, absent: frozenset[str]) -> str:
    """Is sysinfo(2) to be answered: auto, on or off."""
    if sysinfo not in ("auto", "on", "off"):
        raise RequestError("sysinfo", sysinfo, "expected auto, on or off")
    if sysinfo == "on" and "mount" in absent and "pid" not in absent:
        raise RequestError("sysinfo", sysinfo, "needs a /proc of the pid namespace: leave out pid too, or not mount")
    return sysinfo


def parse_denials(request: Request, absent: frozenset[str]) -> str:
    """Are refused calls to be told of: auto, on or off."""
    if request.denials not in ("auto", "on", "off"):
        raise RequestError("denials", request.denials, "expected auto, on or off")
    if request.denials == "on" and "mount" in absent and "pid" not in absent:
        raise RequestError("denials", request.denials,
                           "needs a /proc of the pid namespace: leave out pid too, or not mount")  # fmt: skip
    return request.denials


def parse_notify(request: Request) -> bool:
    """The kernel gives a process one listener, so a handler excludes what else needs it."""
    if request.notify is None:
        return False
    if not callable(request.notify):
        raise RequestError("notify", request.notify, "expected a callable")
    for field in ("sysinfo", "denials"):
        if getattr(request, field) == "on":
            raise RequestError("notify", request.notify, f"cannot be had together with {field}=on")
    return True


def parse_notify_all(request: Request) -> bool:
    """Is the handler asked about every call?"""
    asked = parse_flag("notify_all", request.notify_all)
    if asked and request.notify is None:
        raise RequestError("notify_all", asked, "needs notify, a callable that answers")
    return asked


# ---- limits ----


def parse_limits(request: Request) -> Limits:
    """The limits of a request, with which of them it named."""
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
