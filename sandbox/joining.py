"""A further program in a sandbox that runs, and what else can be had of one: its files, its network.

The plan of such a program enters the namespaces that the sandbox's init has handed out, instead of making some
(native/join.c). What confines it is what confines the sandbox's own program: the same policy, capabilities, limits of
resources and rules of Landlock, made again; and the sandbox's own cgroup.
"""

from __future__ import annotations

import os

from . import identity, landlock, sysinfo
from . import plan as planning
from .errors import HostError, PolicyError, RequestError, SetupError, SupervisorError
from .listening import decide as listening_for
from .native._core import ffi, lib
from .native.run import launch
from .net import NETWORK
from .request import NetworkPlace, Request
from .seccomp import filter_for
from .steps import Attach, Join, LandlockPath, Listen, OpenPty, Step, UnshareTime
from .streams import open_streams
from .supervise import Supervision
from .validate import parse_env, parse_grace, parse_limits, parse_user
from .words import MAX_PATH_BYTES, parse_argv, parse_flag, parse_gate, parse_pass_fds, parse_policy, path_inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cgroup.protocol import Leaf
    from .decide import Decision
    from .native.spawn import Spawner
    from .spec import Spec
    from .streams import Streams

# By PYSB_NS_*: their names in /proc/PID/ns, and the root directory.
KINDS = ("user", "mnt", "net", "ipc", "uts", "pid", "cgroup", "time", "root")
_OURS = {"mnt": "mount"}  # where spec.NAMESPACES has another word

# Fields of a Request that are about one program; all others are the sandbox's.
FIELDS = ("argv", "env", "stdin", "stdout", "stderr", "pass_fds", "tty", "wall", "output", "workdir", "policy", "user",
          "grace", "gate", "exact_env")  # fmt: skip
_COUNTED = ("time", "idle")

# As the constant of ioctl_ns(2).
_NS_GET_USERNS = 0xB701

# Going in and looking for a path takes 0.2 ms; the process that does ends itself after 10 s.
_PATIENCE_MS = 12_000


def exec_in(
    decision: Decision, sandbox: Supervision, leaf: Leaf | None, spawner: Spawner, request: Request,
    terminal: int = 0,
) -> tuple[Decision, None, Streams, Supervision]:  # fmt: skip
    """Start the program of ``request`` in the sandbox; see ``Running.exec``."""
    decided = _decide(decision, request)
    spec = decided.spec
    streams = open_streams(request, spec.limits.output_bytes)
    opened: list[int] = []
    try:
        fds = {**streams.fds, **{f"ns:{KINDS[number]}": fd for number, fd in sandbox.namespaces.items()}}
        attach: list[str] = []
        gauges: dict[str, bool] | None = {} if decided.answers else None
        if request.gate is not None:
            fds["gate"] = request.gate
        if leaf is not None:
            for number, fd in enumerate(leaf.attach_fds()):
                attach.append(f"cgroup:{number}")
                fds[attach[-1]] = fd
            if gauges is not None:
                for what, (fd, with_memory) in leaf.open_gauges(spec.limits.swap_bytes > 0).items():
                    opened.append(fd)
                    fds[f"gauge:{what}"], gauges[what] = fd, with_memory
        plan = _plan(decided, sandbox.run.plan, tuple(attach), gauges, terminal)
        run = launch(spawner, plan, {role: fd for role, fd in fds.items() if role in _roles(plan)},
                     leaf.clone_fd() if leaf is not None else None)  # fmt: skip
        try:
            streams.given()
            filtered = bool(decided.filter.program)
            return decided, None, streams, Supervision(run, spec, None, streams, 1, filtered, shared=leaf)
        except BaseException:
            run.close()
            raise
    except BaseException:
        streams.close()
        raise
    finally:
        for fd in opened:
            os.close(fd)


def _decide(decision: Decision, request: Request) -> Decision:
    """What holds for the program: the sandbox's decision with the request's words in it."""
    spec = spec_in(decision.spec, request)
    compiled = decision.filter if request.policy is None else filter_for(spec.policy)
    if compiled.asks:
        raise PolicyError(spec.policy, 0, "", "has notify rules, and nobody listens to a program that joins a sandbox")
    if request.policy is not None:
        spec = spec.with_capabilities(compiled.capabilities & decision.spec.kept)
    enforced = {name: by for name, by in decision.enforced.items() if name not in (*_COUNTED, "wall", "output")}
    enforced |= {name: "supervisor" for name in ("wall", "output") if name in spec.limits.asked}
    listening, notes = listening_for(spec, decision.host, limited="mem" in enforced,
                                     reports=compiled.asking != compiled.program)  # fmt: skip
    return decision.replace(spec=spec, filter=compiled, enforced=enforced, listening=listening, listening_notes=notes)


def spec_in(base: Spec, request: Request) -> Spec:
    """The program's spec. Raises RequestError for a field that is the sandbox's."""
    usual = Request(argv=("true",))
    for field in Request.__annotations__:
        value = getattr(request, field)
        if field in FIELDS or value == getattr(usual, field):
            continue
        why = "belongs to the sandbox, which runs already"
        if field in _COUNTED:
            why = "CPU time is counted for a sandbox, not for one more program in it; limit it there, or use wall"
        raise RequestError(field, value, why)
    own = parse_limits(request)
    limits = base.limits.replace(
        wall_ns=own.wall_ns, output_bytes=own.output_bytes, time_ns=None, idle_ns=None,
        asked=base.limits.asked - {"wall", "output", *_COUNTED} | own.asked,
    )  # fmt: skip
    uid, gid = (base.uid, base.gid) if request.user is None else parse_user(request.replace(ids=base.ids))
    if base.ids == "single" and (uid, gid) != (base.uid, base.gid):
        why = f"the sandbox has one id, {base.uid}:{base.gid}; start it with ids=range"
        raise RequestError("user", request.user, why)
    workdir = base.workdir if request.workdir is None else path_inside("workdir", request.workdir)
    tty = parse_flag("tty", request.tty)
    env = dict(parse_env(request.replace(exact_env=True), workdir, tty))
    if not request.exact_env:
        env = {**({b"TERM": b"xterm"} if tty else {}), **dict(base.env), **env}
    return base.replace(
        argv=parse_argv(request.argv), env=tuple(env.items()), program=None, program_inode=(0, 0), limits=limits,
        uid=uid, gid=gid, workdir=workdir, tty=tty, pass_fds=parse_pass_fds(request.pass_fds),
        policy=base.policy if request.policy is None else parse_policy(request.policy), notify=False,
        notify_all=False, cap_add=0 if request.policy is not None else base.cap_add,
        kept=base.kept if request.policy is None else 0, grace_ns=parse_grace(request), leaf=False, joinable=False,
        gated=parse_gate(request.gate), joins=True,
    )  # fmt: skip


def _plan(
    decided: Decision, first: planning.LaunchPlan, attach: tuple[str, ...], gauges: Mapping[str, bool] | None,
    terminal: int = 0,
) -> planning.LaunchPlan:  # fmt: skip
    """The steps, ``first`` being the plan of the sandbox's own program."""
    spec, host = decided.spec, decided.host
    born = next((s.boottime_ns for s in first.enter if isinstance(s, UnshareTime)), 0)
    enter = sysinfo.enter(spec, host, gauges, born) if gauges is not None else ()
    program: list[Step] = [Attach(fd=role) for role in attach]
    program += [_join(kind) for kind in ("cgroup", "time") if spec.has(kind)]
    program += planning.program_steps(
        spec, host, decided.filter.program or None, decided.filter.asking, False, decided.cpus,
        "pids" not in decided.backend.enforces(), planning_window(spec, terminal), decided.listening,
    )  # fmt: skip
    return planning.LaunchPlan(
        clone_flags=0, fresh_net=False, user_namespace=False, ids=spec.ids, setup=_setup(decided), enter=enter,
        program=tuple(program), argv=spec.argv, env=tuple(n + b"=" + v for n, v in spec.env),
        time_offset_ns=first.time_offset_ns, joins=True,
    )  # fmt: skip


def _join(kind: str) -> Join:
    return Join(kind=kind, fd=f"ns:{kind}")


def _setup(decided: Decision) -> tuple[Step, ...]:
    """The network first: its owner may be the spawner's namespace P, in which we have no rights once we are in the
    sandbox's. The pid namespace is for our children."""
    spec = decided.spec
    kinds = ["net", "user", "mnt", "ipc", "uts", "pid"]
    steps: list[Step] = [_join(kind) for kind in kinds if spec.has(_OURS.get(kind, kind))]
    steps.append(_join("root"))
    steps += identity.setup(spec)[1:]
    if spec.tty:
        steps.append(OpenPty())
    for step in landlock.setup(spec, decided.host):
        # the sandbox's programs may have removed a directory since
        steps.append(step.replace(optional=True) if isinstance(step, LandlockPath) else step)
    if decided.listens:
        steps.append(Listen())
    return tuple(steps)


def _roles(plan: planning.LaunchPlan) -> set[str]:
    """The fds that the steps name."""
    named: set[str] = set()
    for step in (*plan.setup, *plan.enter, *plan.program):
        named |= {value for value in (getattr(step, "fd", ""), getattr(step, "role", "")) if value}
    return named


def planning_window(spec: Spec, terminal: int) -> tuple[int, int]:
    """Rows and columns of the terminal that the program's own stands for."""
    from .decide import window

    return window(terminal) if spec.tty else (0, 0)


# ---- what else can be had of a sandbox ----


def open_tree(sandbox: Supervision, spawner: Spawner, path: str, recursive: bool) -> int:
    """See ``Running.open_tree``."""
    raw = os.fsencode(path_inside("path", path))
    if len(raw) > MAX_PATH_BYTES:
        raise RequestError("path", path, f"longer than {MAX_PATH_BYTES} bytes")
    request = ffi.new("struct pysb_request *", {
        "magic": lib.PYSB_MAGIC, "setup_bytes": len(raw) + 1,
        "flags": lib.PYSB_REQ_TREE | (0 if recursive else lib.PYSB_REQ_ALONE),
    })  # fmt: skip
    inside = tuple(sandbox.namespaces[number] for number in (lib.PYSB_NS_USER, lib.PYSB_NS_MOUNT, lib.PYSB_NS_ROOT))
    answers = spawner.ask(request, raw + b"\0", inside)
    try:
        return _tree_from(answers, path)
    finally:
        os.close(answers)


def _tree_from(answers: int, path: str) -> int:
    from select import POLLIN, poll

    waiting = poll()
    waiting.register(answers, POLLIN)
    event, fds, count = ffi.new("struct pysb_event *"), ffi.new("int[1]", [-1]), ffi.new("int *", 1)
    if not waiting.poll(_PATIENCE_MS):
        raise SupervisorError(f"looking for {path} in the sandbox takes more than {_PATIENCE_MS // 1000} s")
    length = lib.core_receive_fds(answers, event, ffi.sizeof("struct pysb_event"), fds, count)
    if length <= 0:
        raise SupervisorError(f"looking for {path} in the sandbox was ended")
    if event.kind == lib.PYSB_CLONED and count[0] == 1:
        return int(fds[0])
    raise SetupError("OpenTree", 0, f"open {path} in the sandbox", event.error)


def place_of(spec: Spec, sandbox: Supervision) -> NetworkPlace:
    """See ``Running.place``."""
    if spec.net == "host":
        raise RequestError("net", spec.net, "the sandbox has the host's network; use net=host for the other too")
    if spec.has("net") and spec.kept & NETWORK:
        raise HostError("the sandbox keeps capabilities over its network, which only it may use then",
                        "let both share a network of their own, or drop these capabilities")  # fmt: skip
    from fcntl import ioctl

    network = os.dup(sandbox.namespaces[lib.PYSB_NS_NET])
    try:
        return NetworkPlace(user_fd=ioctl(network, _NS_GET_USERNS), net_fd=network)
    except OSError as error:
        os.close(network)
        raise SupervisorError(f"the owner of the sandbox's network: {(error.strerror or '').lower()}") from error
