"""Where a job runs: its container, its services, the network between them. One for each attempt of a job."""

from __future__ import annotations

import contextlib
import os
import threading
import time

from ..errors import HostError, RequestError, SandboxError, SupervisorError
from ..units import format_duration
from . import entering
from .guard import LABEL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from ..containers import Container
    from ..result import Result
    from .model import Job, Service, Step

# What keeps a job's container open between its steps: any image with a shell has it, and TERM ends it.
SLEEP = ("sleep", "2147483647")
_SECOND = 1_000_000_000
_SETTLE_S = 0.5
_MAX_NAME = 64  # of containers and networks


class Machine:
    """``open``, then ``step`` after ``step``, then ``close``. ``kill`` may come from another thread at any time."""

    def __init__(self, job: Job, run: str, directory: str, attempt: int) -> None:
        self._job, self._run, self._directory = job, run, directory
        self.ids = job.ids
        self._base = f"ci-{run}-{_short(job.directory)}" + (f"-{attempt}" if attempt > 1 else "")
        self._network = ""
        self._containers: list[Container] = []
        self._main: Container | None = None
        self._killed = False
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Of the job's container."""
        return self._base

    def open(self) -> None:
        """Network, services, then the job's container. Raises what these raise; ``close`` is needed all the same."""
        job = self._job
        net = job.net or "none"
        if job.services:
            from . import network

            names = {self._container_of(service): (service.name,) for service in job.services}
            self._network = network.make(self._base, internal=net == "none", names=names)
            net = self._network
            for service in job.services:
                self._start_service(service)
        volumes = [self._volume(word) for word in job.volumes]
        self._main = self._start(
            self._base,
            job.image,
            SLEEP,
            net=net,
            env=dict(job.env),
            volumes=volumes,
            user=job.user or None,
            workdir=job.workdir,
            policy=job.policy,
            ids=job.ids,
            entrypoint="",
            wall=job.timeout_ns / _SECOND + 60,
            **job.limits,
        )

    def _container_of(self, service: Service) -> str:
        name = f"{self._base}-{service.name}"
        return name if len(name) <= _MAX_NAME else f"{self._base}-{self._job.services.index(service)}"

    def _volume(self, word: str) -> str:
        """A source that begins with a dot is relative to the job file."""
        source, colon, rest = word.partition(":")
        if colon and (source in (".", "..") or source.startswith(("./", "../"))):
            return f"{os.path.normpath(os.path.join(self._directory, source))}:{rest}"
        return word

    def _start(self, name: str, image: str, argv: tuple[str, ...], **fields: Any) -> Container:
        from ..containers.container import start
        from ..containers.options import configure

        config = configure(argv, image=image, name=name, labels={LABEL: self._run}, **fields)
        self._check()
        container = start(config)
        with self._lock:
            self._containers.append(container)
        self._check()  # ``kill`` may have come before it was in the list; ``close`` removes it
        return container

    def _check(self) -> None:
        if self._killed:
            raise RequestError("ci", self._job.title, "interrupted")

    def _start_service(self, service: Service) -> None:
        container = self._start(
            self._container_of(service),
            service.image,
            service.command,
            net=self._network,
            hostname=service.name,
            env=dict(service.env),
            **service.limits,
        )
        ready = service.ready
        if ready is None:
            return
        deadline = time.monotonic_ns() + ready.timeout_ns
        while True:
            left = deadline - time.monotonic_ns()
            if not container.running:
                raise HostError(
                    f"the service {service.name} has ended: {last_words(container)}", "see to its image and env"
                )
            if left <= 0:
                raise HostError(
                    f"the service {service.name} is not ready within {format_duration(ready.timeout_ns)}",
                    f"see to its ready check ({last_words(container)})",
                )
            try:
                result = entering.run(container, ("sh", "-c", ready.run), wall_ns=left)
            except (RequestError, SupervisorError):  # it may be just ending: the next look tells
                if self._killed:
                    raise
            else:
                if result.outcome == "ok":
                    return
            time.sleep(min(ready.interval_ns, max(0, deadline - time.monotonic_ns())) / _SECOND)

    @property
    def main(self) -> Container:
        """The job's container. Raises RequestError if there is none."""
        if self._main is None:
            raise RequestError("ci", self._job.title, "has no container yet")
        return self._main

    def step(self, step: Step, output_fd: int, left_ns: int) -> Result:
        """Run a step's script, for ``left_ns`` at most; both of its streams go to ``output_fd``."""
        wall_ns = min([left_ns, *([step.timeout_ns] if step.timeout_ns else []), *_durations(step.limits, "wall")])
        workdir = self.absolute(step.workdir)
        time_ns = min(_durations(step.limits, "time"), default=None)
        with self._limited({name: value for name, value in step.limits.items() if name in ("mem", "pids", "cpus")}):
            return entering.run(
                self.main,
                (*step.shell, step.run),
                env=step.env,
                workdir=workdir,
                output_fd=output_fd,
                wall_ns=wall_ns,
                time_ns=time_ns,
                output=step.limits.get("output"),
            )

    @contextlib.contextmanager
    def _limited(self, limits: Mapping[str, str]) -> Iterator[None]:
        """Other limits of the container for a while."""
        if not limits:
            yield
            return
        before = {name: self._job.limits.get(name, _unlimited(name)) for name in limits}
        self.main.call("update", limits=dict(limits))
        try:
            yield
        finally:
            with contextlib.suppress(RequestError):  # it has ended
                self.main.call("update", limits=before)

    def absolute(self, path: str) -> str:
        """A path of the job, which may be relative to its workdir."""
        return os.path.normpath(os.path.join(self._job.workdir, path)) if path else self._job.workdir

    def make_directory(self, path: str) -> None:
        """``mkdir -p`` inside. Raises HostError."""
        result = entering.run(self.main, ("mkdir", "-p", "--", path))
        if result.outcome != "ok":
            said = result.stderr.decode(errors="replace").strip()[-200:] or result.outcome
            raise HostError(
                f"{path} cannot be made in the container: {said}", "the image needs mkdir, and a place to write"
            )

    @contextlib.contextmanager
    def tree(self, path: str) -> Iterator[int]:
        """An fd of a detached mount of a directory inside. Raises SetupError if there is none."""
        _words, fds = self.main.call_with_fds("open_tree", path=path)
        try:
            yield fds[0]
        finally:
            for fd in fds:
                os.close(fd)

    def ended(self) -> str | None:
        """The outcome of the job's container, None while it runs. Word of an end comes a little later than the end."""
        deadline = time.monotonic() + _SETTLE_S
        while self.main.running:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)
        try:
            state = self.main.state
        except RequestError:
            return "it was removed"
        return state.outcome or state.state

    def kill(self) -> None:
        """End all that runs, at once; what runs then gets an error."""
        with self._lock:
            self._killed = True
            containers = list(self._containers)
        for container in containers:
            _kill(container)

    def close(self, *, keep: bool = False) -> None:
        """Remove the containers and the network, or leave them. Raises the first fault, after all was tried."""
        if keep:
            return
        faults: list[SandboxError] = []
        for container in reversed(self._containers):
            try:
                container.remove(force=True)
            except SandboxError as error:
                faults.append(error)
        if self._network:
            from . import network

            try:
                network.remove(self._network)
            except SandboxError as error:
                faults.append(error)
        if faults:
            raise faults[0]


def _short(name: str) -> str:
    """A job's name as part of others', told apart from those that begin alike."""
    if len(name) <= 36:
        return name
    import hashlib

    return f"{name[:27]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _kill(container: Container) -> None:
    with contextlib.suppress(SandboxError):
        container.kill()


def _durations(limits: Mapping[str, str], name: str) -> list[int]:
    from ..units import parse_duration

    return [parse_duration(name, limits[name])] if name in limits else []


def _unlimited(name: str) -> str | None:
    from ..spec import DEFAULT_PIDS

    return str(DEFAULT_PIDS) if name == "pids" else None


def last_words(container: Container) -> str:
    """The last line that a container has written, for a message."""
    line = ""
    with contextlib.suppress(SandboxError, OSError):
        for entry in container.logs(tail=1):
            line = entry.data.decode(errors="replace") if isinstance(entry.data, bytes) else str(entry.data)
    line = line.strip().splitlines()[-1] if line.strip() else ""
    return f"it said {line[:200]!r}" if line else "it said nothing"
