"""isolation="landlock": a Request for a host without user namespaces -> Spec, or why it cannot be.

No namespace, so no view of its own: every path is the host's. The program gets a private directory of the host as its
work directory, HOME and TMPDIR; its path is known only at the launch, and ``<scratch>`` until then.
"""

from __future__ import annotations

import os

from .errors import RequestError
from .spec import NAMESPACES, Spec
from .validate import (
    parse_capabilities,
    parse_denials,
    parse_env,
    parse_grace,
    parse_limits,
    parse_notify,
    parse_notify_all,
    parse_sysinfo,
)
from .words import (
    absolute_path,
    is_visible,
    parse_argv,
    parse_flag,
    parse_gate,
    parse_list,
    parse_pass_fds,
    parse_policy,
    parse_text,
    parse_volume,
    path_inside,
    program_by_name,
    real_path,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request
    from .spec import Volume

SCRATCH = "<scratch>"

# Options that mean something only with the namespace that is named.
_NEEDS = {
    "rootfs": "a mount namespace; run it with --isolation namespaces",
    "tmpfs": "a mount namespace; write to the work directory, which is private",
    "overlays": "a mount namespace",
    "devices": "a mount namespace with a /dev of its own",
    "tty": "a mount namespace with a devpts of its own",
    "hostname": "a uts namespace",
    "user": "a user namespace",
    "joinable": "namespaces to enter",
    "network": "a network namespace",
    "disk": "a tmpfs of its own, so a mount namespace; --fsize limits each file",
    "inodes": "a tmpfs of its own, so a mount namespace",
}


def validate(request: Request) -> Spec:
    """As ``validate.validate``, which calls this."""
    for field, need in _NEEDS.items():
        value = getattr(request, field)
        if not (value is None or value is False or value in ((), [])):
            raise RequestError(field, value, f"isolation landlock cannot do this: it takes {need}")
    _words(request)
    volumes = tuple(_volume(v) for v in parse_list("volumes", request.volumes))
    argv = parse_argv(request.argv)
    program, argv = _program(argv, volumes)
    cap_add, cap_drop = parse_capabilities(request)
    uid, absent = os.geteuid(), frozenset(NAMESPACES)
    return Spec(
        argv=argv, env=_env(request), program=program, limits=parse_limits(request), volumes=volumes,
        workdir=_workdir(request, volumes), policy=parse_policy(request.policy), uid=uid, gid=os.getegid(),
        net=request.net, proc="plain", sysinfo=parse_sysinfo(request.sysinfo, absent),
        denials=parse_denials(request, absent), notify=parse_notify(request),
        notify_all=parse_notify_all(request), absent=absent,
        pass_fds=parse_pass_fds(request.pass_fds), cgroup=parse_text("cgroup", request.cgroup),
        best_effort=parse_flag("best_effort", request.best_effort),
        grace_ns=parse_grace(request), landlock=request.landlock, isolation="landlock", scratch=SCRATCH,
        leaf=parse_flag("leaf", request.leaf), gated=parse_gate(request.gate),
        cap_add=cap_add, cap_drop=cap_drop,
    ).with_capabilities(0)  # fmt: skip


def placed(spec: Spec, path: str) -> Spec:
    """The spec with the run's own directory in it."""
    raw, here = SCRATCH.encode(), os.fsencode(path)
    env = tuple((name, here if value == raw else value) for name, value in spec.env)
    return spec.replace(env=env, workdir=path if spec.workdir == SCRATCH else spec.workdir, scratch=path)


def _words(request: Request) -> None:
    if request.net not in ("none", "host"):
        raise RequestError("net", request.net, "expected none or host")
    if request.ids != "single":
        raise RequestError("ids", request.ids, "isolation landlock has the caller's id alone")
    if request.proc not in ("auto", "plain"):
        raise RequestError("proc", request.proc, "isolation landlock shows the host's /proc: it has no mount namespace")
    if list(request.without):
        raise RequestError("without", request.without[0], "isolation landlock makes no namespace to begin with")
    if request.landlock == "off":
        raise RequestError("landlock", "off", "isolation landlock is made of it")


def _env(request: Request) -> tuple[tuple[bytes, bytes], ...]:
    named = dict(parse_env(request, SCRATCH, False))
    if not request.exact_env:
        named.setdefault(b"TMPDIR", SCRATCH.encode())
    return tuple(named.items())


def _volume(text: str) -> Volume:
    volume = parse_volume(text)
    source = text.split(":")[0]
    if volume.target not in (volume.source, os.path.abspath(source)):
        why = f"isolation landlock cannot show it at another place; share it as {volume.source}:{volume.source}"
        raise RequestError("volume", text, why)
    return volume


def _below(path: str, volumes: tuple[Volume, ...]) -> bool:
    return any(path == v.source or path.startswith(v.source + "/") for v in volumes)


def _workdir(request: Request, volumes: tuple[Volume, ...]) -> str:
    if request.workdir is None:
        return SCRATCH
    path = path_inside("workdir", request.workdir)
    real = real_path("workdir", path)
    if not (_below(real, volumes) or is_visible(path)):
        why = f"isolation landlock shows no such directory; share it with -v {path}:{path}"
        raise RequestError("workdir", request.workdir, why)
    return path


def _program(argv: tuple[bytes, ...], volumes: tuple[Volume, ...]) -> tuple[str | None, tuple[bytes, ...]]:
    """The file that needs a rule of its own, if argv[0] means one, and argv with a path that holds in any directory."""
    name = os.fsdecode(argv[0])
    if "/" not in name:
        return program_by_name(name), argv
    absolute = absolute_path("argv", name)
    real = real_path("argv", absolute)
    if is_visible(absolute) or _below(real, volumes) or not os.path.isfile(real):
        return None, (os.fsencode(absolute), *argv[1:])
    return real, (os.fsencode(absolute), *argv[1:])
