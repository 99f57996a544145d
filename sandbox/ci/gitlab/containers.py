"""The containers of a GitLab job: made by prepare, entered by each run, removed by cleanup.

Nothing is kept between the stages but the containers themselves, found by the job's name. A job whose runner died
without a cleanup ends with its timeout; the next prepare of the same job removes what is left.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from fnmatch import fnmatchcase

from ...errors import RequestError, SandboxError, SupervisorError
from .. import entering
from ..machine import SLEEP
from . import config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ...containers import Container
    from .job import GitlabJob, GitlabService

LABEL = "pysandbox.gitlab"
# Longer than any stage that the runner would let go on.
_SPARE_S = 900
_SETTLE_S = 0.5
_LIMITS = ("mem", "swap", "pids", "cpus", "cpuset", "disk", "time")
# Limits that end a whole container, and not the program that is at fault alone.
_OWN_FAULT = ("memory", "cpu_time", "disk")
# Scripts come on stdin, as the runner's own executors give them; the shell may be either.
_SHELLS = {
    "bash": ("sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"),
    "sh": ("sh",),
}


def check_image(name: str, allowed: Sequence[str]) -> None:
    """Raise RequestError for an image that this runner's jobs may not have."""
    if allowed and not any(fnmatchcase(name, pattern) for pattern in allowed):
        raise RequestError("image", name, f"this runner allows {', '.join(allowed)}")


def prepare(job: GitlabJob, values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Network, services, and the job's container, asleep. Raises what these raise; then nothing is left."""
    cleanup(job)
    try:
        net = values.get("net", "user")
        if job.services:
            from .. import network

            names = {f"{job.name}-{number}": service.names for number, service in enumerate(job.services)}
            net = network.make(job.name, internal=net == "none", names=names)
            for number, service in enumerate(job.services):
                _start_service(job, number, service, net, values)
        image = _have(job.image, values)
        _say(f"container {job.name} of {job.image}")
        container = _start(
            job,
            job.name,
            image,
            SLEEP,
            net=net,
            entrypoint="",
            volumes=values.get("volumes", ()),
            policy=values.get("policy", "ci"),
            wall=job.timeout_s + _SPARE_S if job.timeout_s else None,
            **_limits(values),
        )
        for place in (
            environ.get("PYSANDBOX_CI_BUILDS_DIR", config.BUILDS),
            environ.get("PYSANDBOX_CI_CACHE_DIR", config.CACHE),
        ):
            result = entering.run(container, ("mkdir", "-p", "--", place))
            if result.outcome != "ok":
                said = result.stderr.decode(errors="replace").strip()[-200:] or result.outcome
                raise RequestError("image", job.image, f"{place} cannot be made in it: {said}")
    except BaseException:
        with contextlib.suppress(SandboxError):
            cleanup(job)
        raise


def _limits(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in (*_LIMITS, "ids") if name in values}


def _have(name: str, values: Mapping[str, Any]) -> str:
    """The image of this name in the store, fetched if that was asked for."""
    from ...images.store import Store

    pull = values.get("pull", "never")
    store = Store()
    if pull != "always":
        try:
            store.open(name)
            return name
        except RequestError:
            if pull == "never":
                raise
    from ...images.registry import pull as fetch

    _say(f"pulling {name}")
    fetch(store, name)
    return name


def _start(job: GitlabJob, name: str, image: str, argv: Sequence[str], **fields: Any) -> Container:
    from ...containers.container import start
    from ...containers.options import configure

    return start(configure(argv, image=image, name=name, labels={LABEL: job.name}, **fields))


def _start_service(job: GitlabJob, number: int, service: GitlabService, net: str, values: Mapping[str, Any]) -> None:
    image = _have(service.image, values)
    words = service.command or ()
    fields: dict[str, Any] = {}
    if service.entrypoint is not None:
        # configure() takes one word; the others are arguments before the command.
        fields["entrypoint"], words = service.entrypoint[0], (*service.entrypoint[1:], *words)
    _say(f"service {', '.join(service.names)} of {service.image}")
    _start(
        job,
        f"{job.name}-{number}",
        image,
        words,
        net=net,
        hostname=service.names[0],
        env=dict(service.env),
        **_limits(values),
        **fields,
    )


def run(job: GitlabJob, script: str, stage: str, environ: Mapping[str, str]) -> int:
    """A stage's script in the job's container; its exit status, as a shell would have it.

    Raises SandboxError where we, and not the script, have failed.
    """
    from ...containers.container import find

    container = find(job.name)
    try:
        script_fd = os.open(script, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError("run", script, f"the runner's script cannot be read: {error.strerror}") from None
    try:
        result = entering.run(
            container,
            _SHELLS[environ.get("PYSANDBOX_CI_SHELL", "bash")],
            input_fd=script_fd,
            output_fd=1,
            error_fd=2,
            forward_signals=True,
        )
    except RequestError:
        if container.running:
            raise
        return _ended(container, stage)
    finally:
        os.close(script_fd)
    if result.outcome == "exec_failed":
        raise RequestError("image", job.image, "has no sh that could be executed")
    if result.outcome not in ("ok", "exited"):
        if _is_ending(container):
            return _ended(container, stage)
        _say(f"{stage}: {result.outcome}")
    return result.exit_status


def _is_ending(container: Container) -> bool:
    """Did the program end because its container does? The word of that comes a little later than the program's end."""
    end = time.monotonic() + _SETTLE_S
    while container.running:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _ended(container: Container, stage: str) -> int:
    """The job's container is no more. By a limit: the job's fault, and its exit status. Else raises SupervisorError."""
    try:
        state = container.state
    except RequestError:
        raise SupervisorError(f"the job's container has been removed in {stage}") from None
    if state.outcome in _OWN_FAULT:
        _say(f"{stage}: the job's container has reached its limit ({state.outcome})")
        return state.exit_status or 1
    raise SupervisorError(f"the job's container has ended ({state.outcome or state.state}) in {stage}")


def cleanup(job: GitlabJob) -> None:
    """Remove all that belongs to the job. Raises the first fault, after all was tried."""
    from ...containers.container import list_containers
    from .. import network

    faults: list[SandboxError] = []
    for container in list_containers():
        try:
            if container.config.labels.get(LABEL) == job.name:
                container.remove(force=True)
        except SandboxError as error:
            if os.path.isdir(container.directory):
                faults.append(error)
    try:
        network.remove_all(job.name)
    except SandboxError as error:
        faults.append(error)
    if faults:
        raise faults[0]


def _say(text: str) -> None:
    from ..report import one_line

    sys.stdout.write(f"pysandbox: {one_line(text)}\n")
    sys.stdout.flush()
