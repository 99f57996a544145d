"""What the runner says of a job: its environment, and the file with the server's answer.

Variables named CUSTOM_ENV_* come from the project and its pipelines, so they may be anything. Which job this is is
therefore read from JOB_RESPONSE_FILE ("Job response" in the documentation of the custom executor): the name of a
job's containers is made of its id and its token, and no job can make the driver act on another's.
"""

from __future__ import annotations

import hashlib
import json
import os

from ...errors import HostError, RequestError
from ...record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PREFIX = "CUSTOM_ENV_"
_MAX_BYTES = 64 << 20
_FIX = 'it is meant to be started by GitLab Runner (14.0 or newer), with executor = "custom"'
MAX_SERVICES = 32


class GitlabService(Record):
    """One service of the job: the documentation's "Services". ``names``: what the job may call it."""

    image: str
    names: tuple[str, ...]
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = {}


class GitlabJob(Record):
    """A job as the driver needs it. ``name``: of its container and network; the same in every stage."""

    id: int
    name: str
    image: str
    services: tuple[GitlabService, ...] = ()
    timeout_s: int | None = None


class Codes(Record):
    """The exit codes that the runner wants, and the file for the script's own."""

    build_failure: int
    system_failure: int
    exit_code_file: str = ""


def codes(environ: Mapping[str, str]) -> Codes:
    """Raises HostError unless a runner has started us."""
    found = {}
    for name in ("BUILD_FAILURE_EXIT_CODE", "SYSTEM_FAILURE_EXIT_CODE"):
        text = environ.get(name, "")
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 256):
            raise HostError(f"{name} is {text[:20]!r} and not an exit code", _FIX)
        found[name] = int(text)
    return Codes(
        build_failure=found["BUILD_FAILURE_EXIT_CODE"],
        system_failure=found["SYSTEM_FAILURE_EXIT_CODE"],
        exit_code_file=environ.get("BUILD_EXIT_CODE_FILE", ""),
    )


def read(environ: Mapping[str, str], default_image: str = "") -> GitlabJob:
    """Raises HostError where the runner's side is not as documented, RequestError for what the job itself says."""
    response = _response(environ)
    identity, token = response.get("id"), response.get("token")
    if (
        not isinstance(identity, int)
        or isinstance(identity, bool)
        or identity < 0
        or not isinstance(token, str)
        or not token
    ):
        raise HostError("JOB_RESPONSE_FILE has no id and token of a job", _FIX)
    digest = hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()[:12]
    image = environ.get(f"{PREFIX}CI_JOB_IMAGE", "") or default_image
    if not image:
        raise RequestError(
            "image", "", "the job names no image, and the runner has no default (prepare_args: --image NAME)"
        )
    timeout = environ.get(f"{PREFIX}CI_JOB_TIMEOUT", "")
    return GitlabJob(
        id=identity,
        name=f"gitlab-{identity}-{digest}",
        image=image,
        services=_services(environ.get(f"{PREFIX}CI_JOB_SERVICES", "")),
        timeout_s=int(timeout)
        if timeout.isascii() and timeout.isdigit() and 0 < len(timeout) < 9 and int(timeout)
        else None,
    )


def _response(environ: Mapping[str, str]) -> dict[str, Any]:
    path = environ.get("JOB_RESPONSE_FILE", "")
    if not path:
        raise HostError("JOB_RESPONSE_FILE is not set", _FIX)
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
        found = json.loads(data) if len(data) <= _MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "no JSON"
        raise HostError(f"JOB_RESPONSE_FILE {path}: {why.lower()}", _FIX) from None
    if not isinstance(found, dict):
        raise HostError(f"JOB_RESPONSE_FILE {path}: no JSON object", _FIX)
    return found


def _services(text: str) -> tuple[GitlabService, ...]:
    if not text:
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if found is None and text.strip() == "null":
        return ()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise RequestError("CI_JOB_SERVICES", text[:100], "is not a JSON array of objects")
    if len(found) > MAX_SERVICES:
        raise RequestError("CI_JOB_SERVICES", len(found), f"more than {MAX_SERVICES} services")
    services = []
    for one in found:
        name, alias = one.get("name"), one.get("alias") or ""
        if not isinstance(name, str) or not name or not isinstance(alias, str):
            raise RequestError("services", str(one)[:100], "a service without the name of an image")
        variables = one.get("variables") or {}
        if not isinstance(variables, dict) or not all(isinstance(v, str) for v in variables.values()):
            raise RequestError("services", str(variables)[:100], "variables that are no texts")
        services.append(
            GitlabService(
                image=name,
                names=(*alias.replace(",", " ").split(), *aliases(name)),
                env=variables,
                entrypoint=_words(one, "entrypoint"),
                command=_words(one, "command"),
            )
        )
    return tuple(services)


def _words(one: dict[str, Any], key: str) -> tuple[str, ...] | None:
    value = one.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise RequestError("services", str(value)[:100], f"a service's {key} is no list of words")
    return tuple(value) or None


def aliases(image: str) -> tuple[str, ...]:
    """Host names of a service without an alias, as the runner's Docker executor makes them.

    ``tutum/wordpress:latest`` is ``tutum__wordpress`` and ``tutum-wordpress`` ("Accessing the services").
    """
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag:
        name = head
    return tuple(dict.fromkeys((name.replace("/", "__"), name.replace("/", "-"))))


def environ() -> Mapping[str, str]:
    """Of this process."""
    return os.environ
