"""What is kept of a container while it is there, and who may change it.

Theory of operation. A container is a directory. Whoever runs it (its monitor, or the ``run`` in the foreground) holds
``lock`` from the making on, and nobody else writes ``state.json`` meanwhile. The kernel lets go of the lock with the
holder, so a state that says "running" under a free lock is the state of a container whose monitor was killed: LOST.
The kernel has ended its processes by then (their init sees the end of its report socket). The next command that comes
by takes the lock, writes "lost", and removes what ``--rm`` asked to be removed. No number of a process is looked at.

Containers are made, named and removed under one lock of all of them, held for a moment, so a directory without a state
that is seen under it is one whose maker was killed.
"""

from __future__ import annotations

import os
import time

from .. import locks
from ..errors import HostError, RequestError, SandboxError, SupervisorError
from ..lightjson import dumps, loads
from . import names, paths
from .model import CREATED, EXITED, LOST, PAUSED, RUNNING, ContainerConfig, ContainerState, VolumeMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ALIVE = (CREATED, RUNNING, PAUSED)
MIN_PREFIX = 4
_MAX_BYTES = 16 << 20  # of a config: execve(2) takes 6 MiB of words


class Held:
    """A container that this process runs: it holds the lock and is the one to write its state."""

    def __init__(self, directory: str, config: ContainerConfig, state: ContainerState, lock: int) -> None:
        self.directory, self.config, self.state, self.lock = directory, config, state, lock

    @property
    def id(self) -> str:
        return self.state.id

    def update(self, **changes: Any) -> None:
        """Change the state and write it down."""
        self.state = self.state.replace(**changes)
        write_state(self.directory, self.state)

    def rename(self, name: str) -> None:
        """Give it another name. Raises RequestError if somebody has it."""
        base = paths.containers()
        with locks.Lock(f"{base}/.lock"):
            _claim(base, names.check("name", name), self.id)
            _disclaim(base, self.state.name, self.id)
            self.update(name=name)

    def discard(self) -> None:
        """Remove its files ahead of its record, which is to go with its end; what cannot be goes, or fails, then."""
        if self.config.options.get("ids") == "range":  # for the most part it would not be allowed to
            return
        from .tree import remove_tree

        for name in ("upper", "work"):
            going = f"{self.directory}/{name}.gone"
            try:
                os.rename(f"{self.directory}/{name}", going)  # nobody comes upon one that is half there
                remove_tree(going)
            except OSError:
                pass

    def end(self, *, remove: bool, **changes: Any) -> None:
        """It has ended: note it, or remove it all; then let go of the lock."""
        try:
            if remove:
                _remove_anonymous(self.config)
                remove_record(self.id, self.config.options.get("ids", "single") == "range", self.state.name)
            else:
                self.update(**{"state": EXITED, "ended_ns": time.time_ns(), **changes})
                _unlink(f"{paths.containers()}/.live/{self.id}")
        finally:
            os.close(self.lock)


def create(config: ContainerConfig) -> Held:
    """A new container under a name of its own, held by this process. Raises RequestError if the name is taken, and
    HostError where its record cannot be written."""
    try:
        return _create(config)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise HostError(f"the record of a container cannot be written: {error.filename or ''}: {why}",
                        "free some space, or set PYSANDBOX_DATA to another directory") from error  # fmt: skip


def _create(config: ContainerConfig) -> Held:
    base = paths.containers()
    if config.name:
        names.check("--name", config.name)
    identity = names.new_id()
    directory = f"{base}/{identity}"
    with locks.Lock(f"{base}/.lock"):
        lock, name = -1, ""
        try:
            _touch(f"{base}/.live/{identity}")  # before all else: what is left of a maker that is killed is found by it
            name = _name(base, config.name, identity)
            os.mkdir(directory, 0o700)
            lock = locks.hold(f"{directory}/lock")
            for inner in ("upper", "work") if config.image else ():
                os.mkdir(f"{directory}/{inner}", 0o755 if inner == "upper" else 0o700)
                if os.geteuid() == 0:  # the sandbox is somebody else then
                    _give(directory, inner, str(config.options.get("ids", "single")))
            asked = {**config.asdict(), "volumes": [v.asdict() for v in config.volumes]}
            _fill(f"{directory}/config.json", dumps(asked))  # seen by nobody before there is a state
            state = ContainerState(id=identity, name=name, created_ns=time.time_ns())
            write_state(directory, state)
        except BaseException:
            if lock >= 0:
                os.close(lock)
            _remove_under_lock(base, identity, name)
            raise
    return Held(directory, config, state, lock)


def _give(directory: str, inner: str, ids: str) -> None:
    """Root's containers are another id's, which has to come through the record's directory, and no further."""
    from ..images.helper import give

    os.chmod(directory, 0o711)
    give(f"{directory}/{inner}", ids)


def adopt(identity: str, lock: int) -> Held:
    """The monitor's side of ``create``: it got the lock from who made the container."""
    directory = f"{paths.containers()}/{identity}"
    return Held(directory, read_config(directory), read_state(directory), lock)


# ---- reading ----


def read_config(directory: str) -> ContainerConfig:
    """What was asked. Raises FileNotFoundError, and HostError for a file that is none of ours."""
    data = _read(f"{directory}/config.json")
    data["volumes"] = tuple(VolumeMount(**v) for v in data.get("volumes", ()))
    for field in ("argv", "publish", "allow"):
        data[field] = tuple(data.get(field, ()))
    return ContainerConfig(**{name: value for name, value in data.items() if name in ContainerConfig._fields})


def read_state(directory: str) -> ContainerState:
    """How it is doing, as its holder has written it last. Raises FileNotFoundError."""
    data = _read(f"{directory}/state.json")
    return ContainerState(**{name: value for name, value in data.items() if name in ContainerState._fields})


def current(identity: str) -> ContainerState:
    """As ``read_state``, after a container whose monitor was killed has been noted as lost."""
    directory = f"{paths.containers()}/{identity}"
    state = read_state(directory)
    return _reconcile(directory, state) if state.state in ALIVE and not locks.held(f"{directory}/lock") else state


def everyone() -> Iterator[ContainerState]:
    """The state of each container, in no order; what was lost with --rm is gone."""
    for identity in os.listdir(paths.containers()):
        if not identity.startswith("."):
            try:
                yield current(identity)
            except FileNotFoundError:
                pass  # being made, or removed meanwhile


def find_id(word: str) -> str:
    """The id of a container by its name, its id, or the beginning of that. Raises RequestError."""
    base = paths.containers()
    if word and "/" not in word and not word.startswith("."):
        identity = _holder(base, word)
        if identity and os.path.exists(f"{base}/{identity}/state.json"):
            return identity
        if len(word) >= MIN_PREFIX and set(word) <= set("0123456789abcdef"):
            found = [name for name in os.listdir(base) if name.startswith(word)]
            if len(found) > 1:
                raise RequestError("container", word, f"is the beginning of {len(found)} ids; use more of it")
            if found and os.path.exists(f"{base}/{found[0]}/state.json"):
                return found[0]
    raise RequestError("container", word, "there is no such container; `pysandbox ps -a` lists all")


# ---- cleaning ----


def sweep() -> None:
    """Clean up after holders that were killed: state, name, and with --rm everything. Costs what they left."""
    base = paths.containers()
    for identity in os.listdir(f"{base}/.live"):
        directory = f"{base}/{identity}"
        try:
            if locks.held(f"{directory}/lock"):
                continue
            _reconcile(directory, read_state(directory))
        except FileNotFoundError:
            _sweep_half_made(base, identity)
        except (SandboxError, OSError):  # what cannot be cleaned is no reason not to run; who names it is told
            continue
    for identity in os.listdir(f"{base}/.gone"):
        try:
            _delete(f"{base}/.gone/{identity}", ranged=True)
        except (SandboxError, OSError):
            continue


def remove_record(identity: str, ranged: bool = False, name: str | None = None) -> None:
    """Remove a container that has ended: its name, its record, its files. The caller holds its lock.

    ``ranged``: some of its files may belong to subordinate ids."""
    base = paths.containers()
    with locks.Lock(f"{base}/.lock"):
        try:
            name = read_state(f"{base}/{identity}").name if name is None else name
        except FileNotFoundError:
            name = ""
        _remove_under_lock(base, identity, name, ranged, delete=False)
    _delete(f"{base}/.gone/{identity}", ranged)


def take_ended(identity: str) -> int:
    """The lock of a container that has ended, for its removal; -1 if it runs."""
    path = f"{paths.containers()}/{identity}/lock"
    for _attempt in range(20):
        lock = locks.take(path)
        if lock >= 0 or _runs(identity):
            return lock
        time.sleep(0.005)  # somebody looked whether it is held
    return -1


def _runs(identity: str) -> bool:
    return read_state(f"{paths.containers()}/{identity}").state in ALIVE


def _reconcile(directory: str, state: ContainerState) -> ContainerState:
    """The lock of a container that says it runs is free."""
    lock = locks.take(f"{directory}/lock")
    if lock < 0:  # somebody else is at it, or looks
        return state
    try:
        state = read_state(directory)
        if state.state in ALIVE:
            state = state.replace(state=LOST, ended_ns=time.time_ns(), exit_status=125, outcome="lost",
                                  error="its monitor was killed, and it with its monitor")  # fmt: skip
            write_state(directory, state)
        config = read_config(directory)
        if config.remove:
            _remove_anonymous(config)
            remove_record(state.id, config.options.get("ids", "single") == "range")
            raise FileNotFoundError(directory)
        _unlink(f"{paths.containers()}/.live/{state.id}")
        _unlink(f"{directory}/control")
    finally:
        os.close(lock)
    return state


def _remove_anonymous(config: ContainerConfig) -> None:
    if config.volumes:
        from .remove import remove_anonymous

        remove_anonymous(config)


def _sweep_half_made(base: str, identity: str) -> None:
    with locks.Lock(f"{base}/.lock"):
        if not os.path.exists(f"{base}/{identity}/state.json"):
            for name in os.listdir(f"{base}/.names"):
                _disclaim(base, name, identity)
            _remove_under_lock(base, identity, "")


def _remove_under_lock(base: str, identity: str, name: str, ranged: bool = False, delete: bool = True) -> None:
    _disclaim(base, name, identity)
    try:
        os.rename(f"{base}/{identity}", f"{base}/.gone/{identity}")
    except FileNotFoundError:
        pass
    _unlink(f"{base}/.live/{identity}")
    if delete:
        _delete(f"{base}/.gone/{identity}", ranged)


def _delete(path: str, ranged: bool) -> None:
    from .tree import remove_tree

    try:
        remove_tree(path)
    except PermissionError:
        if not ranged:
            raise
        from .tree import remove_by_range

        remove_by_range(path, "upper", "work")


# ---- names ----


def _name(base: str, asked: str, identity: str) -> str:
    if asked:
        _claim(base, asked, identity)
        return asked
    for attempt in range(100):
        name = names.made_up(attempt)
        try:
            _claim(base, name, identity)
        except RequestError:
            continue
        return name
    raise SupervisorError("no free name was found in 100 attempts; use --name")


def _claim(base: str, name: str, identity: str) -> None:
    path = f"{base}/.names/{name}"
    for _attempt in range(2):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            holder = _holder(base, name)
            state = None
            try:
                state = current_under_lock(holder) if holder else None
            except FileNotFoundError:
                pass
            if state is not None:
                whose = f"{holder[: paths.SHORT]} ({state.state})"
                why = f"is the name of container {whose}; remove that first, or use another"
                raise RequestError("--name", name, why) from None
            _unlink(path)
            continue
        try:
            os.write(fd, identity.encode())
        finally:
            os.close(fd)
        return
    raise SupervisorError(f"the name {name} was taken while it was given")


def current_under_lock(identity: str) -> ContainerState | None:
    """The state of a container, None if it was lost and is one that goes with its end; the lock of all is held."""
    base = paths.containers()
    directory = f"{base}/{identity}"
    state = read_state(directory)
    if state.state in ALIVE and not locks.held(f"{directory}/lock"):
        config = read_config(directory)
        if config.remove:
            _remove_anonymous(config)
            _remove_under_lock(base, identity, state.name, ranged=True)
            return None
        return state.replace(state=LOST)
    return state


def _holder(base: str, name: str) -> str:
    try:
        fd = os.open(f"{base}/.names/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return ""
    try:
        return os.read(fd, 100).decode("ascii", "replace")
    finally:
        os.close(fd)


def _disclaim(base: str, name: str, identity: str) -> None:
    if name and _holder(base, name) == identity:
        _unlink(f"{base}/.names/{name}")


# ---- files ----


def write_state(directory: str, state: ContainerState) -> None:
    """Whole or not at all: by a rename. Only for who holds the lock."""
    _write(f"{directory}/state.json", dumps(state.asdict()))


def _write(path: str, text: str) -> None:
    _fill(f"{path}.new", text)
    os.rename(f"{path}.new", path)


def _fill(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def _read(path: str) -> dict[str, Any]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        text = os.read(fd, min(os.fstat(fd).st_size, _MAX_BYTES))
    finally:
        os.close(fd)
    try:
        data = loads(text.decode())
        if not isinstance(data, dict):
            raise ValueError("no record of ours")
    except ValueError as error:
        raise HostError(f"{path} cannot be read: {error}", "remove its directory") from error
    return data


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
