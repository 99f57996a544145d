"""The operations of runtime.md: create, start, state, kill, delete; and run and list, which engines know from runc."""

from __future__ import annotations

import os
import signal

from ..errors import HostError, RequestError, SandboxError, SupervisorError
from . import control, hooks, state
from .container import Hook
from .log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_CONFIG = 16 << 20
_GONE_S = 70.0  # a supervision gives up after 60


class Options:
    """What a command line says beside the id."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.bundle = os.path.abspath(values.get("bundle", "."))
        self.pid_file: str | None = values.get("pid_file")
        self.console: str | None = values.get("console_socket")
        self.preserve = int(values.get("preserve_fds", 0))


def create(base: str, identity: str, options: Options, log: Log, *, console_fd: int = -1) -> int:
    """Make a container; the number of its monitor, a child of ours. Raises if it cannot be; nothing is left then."""
    from . import console, monitor, seccomp
    from .caller import caller
    from .translate import translate

    entry = state.Entry(base, identity)
    if os.path.exists(entry.path):
        raise RequestError("container id", identity, "is taken; delete that container first, or use another")
    who = caller()
    container = translate(_config(options.bundle), options.bundle, who)
    if container.request["tty"]:
        if options.console is not None:
            console_fd = console.connect(options.console).detach()
        elif console_fd < 0:
            raise RequestError("--console-socket", "", "process.terminal is true: the terminal has to go to somebody")
    elif options.console is not None:
        raise RequestError("--console-socket", options.console, "process.terminal is false: there is no terminal")
    elif console_fd >= 0:
        os.close(console_fd)
        console_fd = -1
    if container.profile is not None:
        keeps = tuple(container.request.get("cap_add", ()))
        path, notes = seccomp.policy(container.profile, state.policies(base), keeps)
        container = container.replace(request={**container.request, "policy": path}, notes=(*container.notes, *notes))
    for note in container.notes:
        log.warning(note)
    lock = entry.create()
    answer, told = os.pipe()
    task = monitor.Task(container=container, caller=who, entry=entry, log=log, lock=lock, answer=told,
                        console=console_fd, pass_fds=tuple(range(3, 3 + options.preserve)))  # fmt: skip
    pid = os.fork()
    if pid == 0:
        status = 125
        try:
            os.close(answer)
            status = monitor.main(task)
        finally:
            os._exit(status)
    for fd in (told, lock, console_fd):
        if fd >= 0:
            os.close(fd)
    try:
        _heard(answer)
        if options.pid_file is not None:
            write_number(options.pid_file, pid)
    except BaseException:
        os.kill(pid, signal.SIGKILL)  # ours, and not waited for yet
        os.waitpid(pid, 0)
        entry.remove()
        raise
    finally:
        os.close(answer)
    return pid


def start(base: str, identity: str) -> None:
    """Let the program begin. Raises RequestError unless the container is ``created``."""
    entry = state.Entry(base, identity)
    record = entry.read()
    if record["status"] != state.CREATED:
        raise RequestError("container id", identity, f"is {record['status']}, and only a created container starts")
    control.ask(entry, "start")


def show(base: str, identity: str) -> dict[str, Any]:
    """The State."""
    return state.shown(state.Entry(base, identity).read())


def kill(base: str, identity: str, number: int, everybody: bool = False) -> None:
    """Signal the program, or with SIGKILL and ``everybody`` all of it. Raises RequestError if it has stopped."""
    entry = state.Entry(base, identity)
    record = entry.read()
    if record["status"] == state.STOPPED:
        raise RequestError("container id", identity, "has stopped: container not running")
    if everybody and number != signal.SIGKILL:
        raise RequestError("--all", signal.Signals(number).name, "with --all only SIGKILL reaches every process")
    control.ask(entry, "kill", signal=number, all=everybody)


def pause(base: str, identity: str) -> None:
    """Freeze all of its processes. Raises HostError where it has no cgroup that can."""
    control.ask(state.Entry(base, identity), "pause")


def resume(base: str, identity: str) -> None:
    """Let them go on."""
    control.ask(state.Entry(base, identity), "resume")


def delete(base: str, identity: str, log: Log, force: bool = False) -> None:
    """Remove what ``create`` made. Raises RequestError if it has not stopped, unless ``force`` ends it first."""
    entry = state.Entry(base, identity)
    record = entry.read()
    if record["status"] != state.STOPPED:
        if not force:
            raise RequestError("container id", identity, f"is {record['status']}; stop it first, or use --force")
        try:
            control.ask(entry, "kill", signal=int(signal.SIGKILL), all=True)
        except RequestError:  # it has ended meanwhile, or was never made
            pass
        if not entry.wait_stopped(_GONE_S):
            raise SupervisorError(f"container {identity} has not ended {_GONE_S:.0f} s after SIGKILL")
        record = entry.read()
    elif not entry.wait_stopped(_GONE_S):  # its monitor writes that it has stopped, and then goes
        raise SupervisorError(f"the monitor of container {identity} is still there")
    entry.remove()
    after = [Hook(**{**h, "args": tuple(h["args"]), "env": tuple(h["env"])})
             for h in record.get("hooks", {}).get("poststop", ())]  # fmt: skip
    try:
        hooks.run("poststop", after, {**state.shown(record), "status": state.STOPPED}, log.fileno())
    except HostError as error:  # runtime.md, "Lifecycle": a warning, and on it goes
        log.warning(str(error))


def listed(base: str) -> list[dict[str, Any]]:
    """The State of every container."""
    found = []
    for entry in state.entries(base):
        try:
            found.append(state.shown(entry.read()))
        except RequestError:  # removed meanwhile
            pass
    return found


def run(base: str, identity: str, options: Options, log: Log, *, detach: bool = False) -> int:
    """create, start, and unless ``detach`` wait and delete; the exit status of the program."""
    import socket

    from . import console

    ours = theirs = None
    if options.console is None and not detach:
        ours, theirs = socket.socketpair()
    try:
        pid = create(base, identity, options, log, console_fd=theirs.detach() if theirs is not None else -1)
    except BaseException:
        if ours is not None:
            ours.close()
        raise
    forwarded = [signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
    if not detach:
        for number in forwarded:
            signal.signal(number, lambda n, _frame: os.kill(pid, n))  # the monitor passes it on
    try:
        start(base, identity)
    except SandboxError:
        delete(base, identity, log, force=True)
        raise
    if detach:
        return 0
    master = console.take(ours) if ours is not None else -1
    status: list[int] = []

    def ended() -> bool:
        found, how = os.waitpid(pid, os.WNOHANG) if not status else (0, 0)
        if found:
            status.append(how)
        return bool(status)

    try:
        if master >= 0:
            console.attach(master, ended)
        if not status:
            status.append(os.waitpid(pid, 0)[1])
    finally:
        if master >= 0:
            os.close(master)
    delete(base, identity, log, force=True)
    return os.waitstatus_to_exitcode(status[0]) if not os.WIFSIGNALED(status[0]) else 128 + os.WTERMSIG(status[0])


def _config(bundle: str) -> bytes:
    try:
        with open(f"{bundle}/config.json", "rb") as file:
            text = file.read(_MAX_CONFIG + 1)
    except OSError as error:
        why = f"has no config.json that can be read: {(error.strerror or '').lower()}"
        raise RequestError("--bundle", bundle, why) from None
    if len(text) > _MAX_CONFIG:
        raise RequestError("--bundle", bundle, f"its config.json has more than {_MAX_CONFIG} bytes")
    return text


def _heard(answer: int) -> None:
    """What the monitor says of the creation. Raises what it raised."""
    import json

    said = b""
    while part := os.read(answer, 65536):
        said += part
    if not said:
        raise SupervisorError("the container's monitor died while it made the container")
    control.opened(json.loads(said))


def write_number(path: str, number: int) -> None:
    """A new file, whole: who waits for it reads it at once."""
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "x", encoding="ascii") as file:
            file.write(str(number))
        os.rename(fresh, path)
    except OSError as error:
        raise RequestError("--pid-file", path, f"cannot write: {(error.strerror or '').lower()}") from None
