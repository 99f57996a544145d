"""From a record to a run: image, volumes, network and user to one Request; and the two ways to run it.

    start_detached    makes the record, starts the monitor's process, waits for its word
    run_detached      what that process does
    foreground        ``run`` itself is the monitor (cli/container/run.py)
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys

from ..errors import HostError, RequestError, SandboxError, SupervisorError
from ..request import DEVNULL, LayeredRoot, Mount, Request, Tap
from ..result import EXIT_FAULT
from ..spec import DEFAULT_HOSTNAME
from . import record
from .model import ContainerConfig
from .paths import SHORT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..result import Result
    from ..running import Running
    from .fuseroot import FuseRoot
    from .logs import Log
    from .monitor import Monitor
    from .record import Held
    from .users import User

# What ``options`` of a config may hold that is no field of Request.
_OURS = ("interactive",)
_STREAMS = ("stdin", "stdout", "stderr", "json", "quiet")


class Prepared:
    """What a run of a container is made of, and what an exec in it will want. ``close`` what goes with its end."""

    def __init__(self, config: ContainerConfig) -> None:
        self.config = config
        self.layers: tuple[str, ...] = ()
        self.user: User | None = None
        self.env: dict[str, str] = dict(config.env)
        self.stop_signal = 15
        if config.stop_signal != "TERM":
            from .signals import signal_number

            self.stop_signal = signal_number("--stop-signal", config.stop_signal)
        self.network: Any = None
        self.fuse: FuseRoot | None = None
        self.request: Request | None = None
        self.disk_cap = (0, 0)  # bytes, files; 0: none

    def began(self, monitor: Monitor) -> None:
        """The program has begun."""
        for name, fd in self.network.fds().items() if self.network is not None else ():
            monitor.watch(fd, self._lost(monitor, name, fd, "the network's way out"))
        if self.fuse is not None:
            monitor.watch(self.fuse.fileno(), self._lost(monitor, "fuse-overlayfs", self.fuse.fileno(), "its root"))
        if any(self.disk_cap):
            from .limits import DiskCap

            DiskCap(monitor, f"{monitor.held.directory}/upper", *self.disk_cap)

    def _lost(self, monitor: Monitor, name: str, fd: int, what: str) -> Callable[[], None]:
        """The container goes on: it is told by errors of its system calls, and whoever looks by the state."""

        def lost() -> None:
            monitor.unwatch(fd)
            monitor.held.update(error=f"{name} has ended, and {what} with it")

        return lost

    def close(self) -> None:
        """The network, if it has one of its own; the server of its root."""
        if self.fuse is not None:
            self.fuse.close()
            self.fuse = None
        if self.network is not None:
            self.network.close()
            self.network = None


def prepare(held: Held, **streams: Any) -> Prepared:
    """Everything that the run needs; unpacks layers, fills volumes, makes the network. Raises what these raise."""
    config = held.config
    prepared = Prepared(config)
    options = {k: v for k, v in config.options.items() if k not in _OURS}
    ids = str(options.get("ids", "single"))
    fields: dict[str, Any] = {}
    try:
        if config.image:
            fields |= _root(prepared, held, ids)
        else:
            fields |= {"hostname": config.hostname or None, "workdir": config.workdir or None}
            if config.user:
                fields["user"] = config.user
        joinable = not options.get("without") and options.get("isolation", "namespaces") == "namespaces"
        fields |= {
            "argv": config.argv, "env": prepared.env, "net": config.net, "tty": config.tty,
            "volumes": [_mount(mount, prepared.layers, ids) for mount in config.volumes],
            # a cgroup costs 3 ms: a foreground run that nobody has named is not going to be paused
            "leaf": joinable and (config.detached or bool(config.name)), "joinable": joinable,
        }  # fmt: skip
        if config.net not in ("none", "host"):
            _network(prepared, held, ids, fields)
        if config.image and config.upper != "tmpfs":
            _fuse(prepared, held, ids, fields)
            disk, inodes = options.pop("disk", None), options.pop("inodes", None)  # scratch keeps its own defaults
            if disk is not None or inodes is not None:
                from .limits import check

                prepared.disk_cap = check(disk, inodes, ids)
        prepared.request = Request(**{**options, **fields, **streams})
    except BaseException:
        prepared.close()
        raise
    return prepared


def _root(prepared: Prepared, held: Held, ids: str) -> dict[str, Any]:
    """The fields of a Request that come of the image."""
    from ..images.store import Store
    from .users import files_for, resolve

    config = prepared.config
    store = Store()
    prepared.layers = store.lowers(store.open(config.image), ids, fuse=config.upper != "tmpfs")
    user = prepared.user = resolve(prepared.layers, config.user)
    hostname = config.hostname or held.id[:SHORT]
    prepared.env = {"HOME": user.home, "HOSTNAME": hostname, **prepared.env}
    files = {
        **files_for(user, prepared.layers),
        "/etc/hostname": f"{hostname}\n".encode(),
        "/etc/hosts": f"127.0.0.1 localhost {hostname}\n::1 localhost\n".encode(),
        "/etc/resolv.conf": b"",
    }
    if config.net == "host":
        files |= _of_host()
    covered = _covered(config)
    files = {path: content for path, content in files.items() if not f"{path}/".startswith(covered)}
    upper = held.directory if config.upper != "tmpfs" else None
    root = LayeredRoot(layers=prepared.layers, upper=upper, read_only=config.read_only, files=files)
    return {"rootfs": root, "user": f"{user.uid}:{user.gid}", "hostname": hostname, "workdir": config.workdir or "/"}


def _fuse(prepared: Prepared, held: Held, ids: str, fields: dict[str, Any]) -> None:
    """Where the kernel's overlayfs takes no changes: the root by fuse-overlayfs."""
    from .upper import NAME, needed

    config, root = held.config, fields["rootfs"]
    why = needed(held.directory, config.upper, root.layers)
    if not why:
        return
    from . import fuseroot

    fuseroot.refuse(config.net, any(config.options.get(name) for name in ("io_read", "io_write")), why)
    fuse = prepared.fuse = fuseroot.FuseRoot(held.directory, root.layers, ids, fields.get("network"), why)
    place = f"{held.directory}/{NAME}"
    fields["rootfs"] = root.replace(layers=(place,), upper=None, direct=True, tree=fuse.tree)
    fields |= {"net": "join", "network": fuse.place}


def _of_host() -> dict[str, bytes]:
    """With the host's network its names are the host's too."""
    found = {}
    for path in ("/etc/hosts", "/etc/resolv.conf"):
        try:
            with open(path, "rb") as file:
                found[path] = file.read(1 << 20)
        except OSError:
            pass
    return found


def _network(prepared: Prepared, held: Held, ids: str, fields: dict[str, Any]) -> None:
    """Make the network, and give the fields of a Request what comes of it: names, resolvers, the place itself."""
    from ..networks import open_network
    from ..networks.spec import NetworkSpec

    config = prepared.config
    spec = NetworkSpec.parse(config.net, publish=config.publish, allow=config.allow, bandwidth=config.bandwidth)
    network = prepared.network = open_network(spec, ids, name=held.state.name, join=_join)
    fields |= {"net": "join", "network": network.place}
    files = {"/etc/resolv.conf": network.resolv}
    if network.hosts_file is None:
        files["/etc/hosts"] = network.hosts_text(fields.get("hostname") or DEFAULT_HOSTNAME)
    else:
        fields["volumes"].append(Mount(source=network.hosts_file, target="/etc/hosts"))
    root = fields.get("rootfs")
    if isinstance(root, LayeredRoot):
        kept = {path: content for path, content in root.files.items() if path != "/etc/hosts"}
        covered = _covered(config)
        own = {path: content for path, content in files.items() if not f"{path}/".startswith(covered)}
        fields["rootfs"] = root.replace(files={**kept, **own})
        return
    for path, content in files.items():
        name = f"{held.directory}/{os.path.basename(path)}"
        with open(name, "wb") as file:
            file.write(content)
        fields["volumes"].append(Mount(source=name, target=path))


def _join(target: str) -> Any:
    """Ask another container for its network."""
    from ..networks.network import Joined
    from ..request import NetworkPlace
    from . import control

    identity = record.find_id(target)
    words, fds = control.call(identity, "network")
    if len(fds) != 2:
        control.close_all(fds)
        raise SupervisorError(f"container {target} did not hand out its network")
    hosts = {name: tuple(addresses) for name, addresses in words["hosts"].items()}
    place = NetworkPlace(user_fd=fds[0], net_fd=fds[1])
    return Joined(place=place, hosts=hosts, resolv=words["resolv"].encode("utf-8", "surrogateescape"))


def _covered(config: ContainerConfig) -> tuple[str, ...]:
    """Places whose files come of volumes: ours would lie under them."""
    return tuple(f"{mount.target.rstrip('/')}/" for mount in config.volumes) or ("-",)


def _mount(mount: Any, layers: tuple[str, ...], ids: str) -> Mount:
    from . import volumes

    source = mount.source if mount.kind == volumes.BIND else volumes.use(mount, layers, ids)
    return Mount(source=source, target=mount.target, writable=mount.writable)


# ---- detached ----


def start_detached(config: ContainerConfig) -> str:
    """Make the container, run it under a monitor's process, and return its id when its program has begun."""
    if wrong := [name for name in _STREAMS if config.options.get(name) is not None]:
        raise RequestError(f"--{wrong[0]}", config.options[wrong[0]], "a detached container writes to its log")
    record.sweep()
    held = record.create(config.replace(detached=True))
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        try:
            pid = _spawn_monitor(held, write)
        except BaseException:
            held.end(remove=True)
            raise
        os.close(held.lock)  # the monitor has it
        os.close(write)
        write = -1
        word = b""
        while chunk := os.read(read, 65536):
            word += chunk
        if word != b"began":
            _reap(pid)
    finally:
        os.close(read)
        if write >= 0:
            os.close(write)
    if word == b"began":
        return held.id
    if not word:
        said = _said(held.directory)
        raise SupervisorError(f"the monitor of {held.state.name} died before its program began; {said}")
    from ..lightjson import loads
    from .control import raise_failure

    raise_failure(loads(word.decode()))
    raise AssertionError("not reached")


def _spawn_monitor(held: Held, write: int) -> int:
    if not sys.executable:
        raise HostError("this Python does not know its own executable", "start containers from another one")
    tree = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    code = (f"import sys; sys.path.insert(0, {tree!r}); from sandbox.containers.monitor import main; "
            f"sys.exit(main({held.id!r}))")  # fmt: skip
    from .monitor import LOCK_FD, REPORT_FD

    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    said = os.open(f"{held.directory}/monitor.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    high: list[int] = []
    try:
        import fcntl

        # above what they become: a dup2 must not hit one that is still to be copied
        for fd in (null, said, write, held.lock):
            high.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10))
        targets = ((high[0], 0), (high[0], 1), (high[1], 2), (high[2], REPORT_FD), (high[3], LOCK_FD))
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in targets]
        return os.posix_spawn(sys.executable, [sys.executable, "-P", "-c", code], os.environ, file_actions=actions,
                              setsid=True, setsigmask=(), setsigdef=(1, 2, 3, 13, 15))  # fmt: skip
    finally:
        for fd in (null, said, *high):
            os.close(fd)


def _said(directory: str) -> str:
    try:
        with open(f"{directory}/monitor.err", "rb") as file:
            lines = file.read(65536).decode("utf-8", "replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "it said nothing"


def _reap(pid: int) -> None:
    """It is about to end, and is our child."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def run_detached(held: Held, report: int) -> int:
    """The whole life of a monitor: prepare, start, say so, watch, clean up."""
    from ..pipeline import Sandbox

    status, error = EXIT_FAULT, ""
    with Sandbox() as box:

        def began() -> None:
            nonlocal report
            try:
                os.write(report, b"began")
            except BrokenPipeError:  # killed after it had started us: nobody knows the id, but the name is known
                pass
            os.close(report)
            report = -1

        try:
            monitor, result = run_to_end(held, box.start_request, began)
        except Exception as fault:  # also a fault of ours is written down, and told to who waits
            monitor, error = None, str(fault) if isinstance(fault, SandboxError) else repr(fault)
            from .control import failure

            told = failure(fault)
        else:
            status = result.exit_status
    if monitor is None:
        held.end(remove=held.config.remove or report >= 0, exit_status=status, outcome="fault", error=error)
        if report >= 0:
            from ..lightjson import dumps

            os.write(report, dumps(told).encode())
        return 1
    finish(monitor, status, result.outcome)
    return 0


def run_to_end(held: Held, launch: Callable[[Request], Running], began: Callable[[], None] | None = None,
               face: Face | None = None) -> tuple[Monitor, Result]:  # fmt: skip
    """Run a held container until it has ended and all but its record is gone. ``face``: where its streams go."""
    face = face or Detached()
    prepared = prepare(held)
    assert prepared.request is not None
    try:
        taps = Taps()
        try:
            running = launch(prepared.request.replace(**face.streams(held.config, taps)))
        finally:
            face.given()
        from .monitor import Monitor  # while the sandbox is made, as what removes it

        if held.config.remove:
            from . import tree  # noqa: F401
        monitor = taps.monitor = Monitor(held, running, face.log(held.directory), prepared)
        try:
            face.watch(monitor, taps)
            result = monitor.run(began)
            caps = dict(zip(("disk", "inodes"), prepared.disk_cap, strict=True))
            if looked := {name: "the monitor, by looking" for name, cap in caps.items() if cap}:
                result = result.replace(enforced={**result.enforced, **looked})
            if prepared.fuse is not None:
                from .upper import NOTE

                result = result.replace(notes=(*result.notes, NOTE))
        except BaseException:
            monitor.hang_up()
            raise
        finally:
            monitor.close()
        return monitor, result
    finally:
        face.restore()
        prepared.close()


class Face:
    """Where the streams of a container go; what has to be done for that around its run."""

    def streams(self, config: ContainerConfig, taps: Taps) -> dict[str, Any]:
        """Fields of its Request."""
        return {}

    def given(self) -> None:
        """The run has what ``streams`` opened for it, or will never have."""

    def log(self, directory: str) -> Log | None:
        """Who writes it down."""
        from .logs import Log

        return Log(directory)

    def watch(self, monitor: Monitor, taps: Taps) -> None:
        """The run is under way."""

    def restore(self) -> None:
        """It is over."""


class Detached(Face):
    """To the log, and to who attaches. With -i the program's stdin is a pipe that stays open until the end."""

    def __init__(self) -> None:
        self._stdin = self._keys = -1

    def streams(self, config: ContainerConfig, taps: Taps) -> dict[str, Any]:
        if config.options.get("interactive"):
            self._stdin, self._keys = os.pipe2(os.O_CLOEXEC)
        stdin: Any = self._stdin if self._stdin >= 0 and not config.tty else DEVNULL
        return {"stdin": stdin, "stdout": Tap(taps.take("stdout")), "stderr": Tap(taps.take("stderr"))}

    def watch(self, monitor: Monitor, taps: Taps) -> None:
        monitor.stdin, self._keys = self._keys, -1
        for number in (2, 15):  # of a shutdown, say: an orderly end
            _signal.signal(number, lambda *_args: monitor.running.supervision.interrupt(monitor.prepared.stop_signal))
        if monitor.held.config.tty:
            monitor.running.supervision.terminal_ends = (self._stdin, -1, taps.take("stdout"))
        else:
            self.restore()

    def restore(self) -> None:
        for fd in (self._stdin, self._keys):
            if fd >= 0:
                os.close(fd)
        self._stdin = self._keys = -1


class Taps:
    """What the run writes, to a monitor that is made after the run."""

    def __init__(self) -> None:
        self.monitor: Monitor | None = None

    def take(self, stream: str) -> Callable[[bytes], None]:
        word = stream.encode()

        def take(data: bytes) -> None:
            monitor = self.monitor
            if monitor is not None:
                if monitor.log is not None:
                    monitor.log.write(word, data)
                for listener in tuple(monitor.listeners):
                    listener(stream, data)

        return take


def finish(monitor: Monitor, status: int, outcome: str) -> None:
    """Write down how it ended, or remove it; let go of the lock; tell who waits."""
    held = monitor.held
    if held.config.remove:
        held.end(remove=True)
    else:
        held.end(remove=False, exit_status=status, outcome=outcome)
    monitor.tell(status, outcome)
