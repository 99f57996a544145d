"""Lines of a Dockerfile that change how an image is run, applied to its config: ``commit --change``, builds.

Docker's reference, "docker container commit": CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.
What is made of them is image-spec, config.md.
"""

from __future__ import annotations

import json
import posixpath
import shlex

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

SHELL = ("/bin/sh", "-c")


def apply(config: Mapping[str, Any], line: str) -> dict[str, Any]:
    """The ``config`` object of an image as it is after ``line``, "CMD …" for one. Raises RequestError."""
    word, _, rest = line.strip().partition(" ")
    change = _CHANGES.get(word.upper())
    if change is None:
        raise RequestError("change", line, f"begins with none of {', '.join(_CHANGES)}")
    rest = rest.strip()
    if not rest or "\0" in rest:
        raise RequestError("change", line, f"{word.upper()} of nothing" if not rest else "holds a NUL byte")
    changed = dict(config)
    change(changed, rest, line)
    return changed


def _words(rest: str, line: str) -> list[str] | None:
    """The exec form, a JSON array of texts; None for the shell form."""
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest)
    except ValueError:
        return None  # Docker takes it for a shell's [
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise RequestError("change", line, "the list may hold texts only")
    return found


def _pairs(rest: str, line: str) -> list[tuple[str, str]]:
    """``KEY=VALUE …`` with a shell's quotes, or ``KEY VALUE``."""
    first = rest.split(None, 1)[0]
    if "=" not in first:
        key, _, value = rest.partition(" ")
        if not value.strip():
            raise RequestError("change", line, "expected KEY=VALUE")
        return [(key, value.strip())]
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise RequestError("change", line, str(error).lower()) from None
    if wrong := [word for word in words if not word.partition("=")[0] or "=" not in word]:
        raise RequestError("change", line, f"{wrong[0]!r} is not KEY=VALUE")
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _command(key: str) -> Callable[[dict[str, Any], str, str], None]:
    def change(config: dict[str, Any], rest: str, line: str) -> None:
        words = _words(rest, line)
        shell = config.get("Shell")
        config[key] = words if words is not None else [*(shell if isinstance(shell, list) else SHELL), rest]
        if key == "Entrypoint":
            config.pop("Cmd", None)  # it was words for the other one (Docker's reference, ENTRYPOINT)

    return change


def _env(config: dict[str, Any], rest: str, line: str) -> None:
    given = config.get("Env")
    env = [item for item in given if isinstance(item, str)] if isinstance(given, list) else []
    for key, value in _pairs(rest, line):
        # in its place, where there is one: PATH stays the first
        at = next((n for n, item in enumerate(env) if item.partition("=")[0] == key), len(env))
        env[at : at + 1] = [f"{key}={value}"]
    config["Env"] = env


def _labels(config: dict[str, Any], rest: str, line: str) -> None:
    given = config.get("Labels")
    config["Labels"] = {**(given if isinstance(given, dict) else {}), **dict(_pairs(rest, line))}


def _ports(config: dict[str, Any], rest: str, line: str) -> None:
    given = config.get("ExposedPorts")
    ports = dict(given) if isinstance(given, dict) else {}
    for word in rest.split():
        number, slash, protocol = word.partition("/")
        protocol = protocol.lower() if slash else "tcp"
        first, dash, last = number.partition("-")
        ends = [first, last] if dash else [first, first]
        if not all(end.isdecimal() and 0 < int(end) < 65536 for end in ends) or protocol not in ("tcp", "udp", "sctp"):
            raise RequestError("change", line, f"{word!r} is no port, such as 80 or 53/udp")
        ports |= {f"{port}/{protocol}": {} for port in range(int(ends[0]), int(ends[1]) + 1)}
    config["ExposedPorts"] = ports


def _volumes(config: dict[str, Any], rest: str, line: str) -> None:
    given = config.get("Volumes")
    paths = _words(rest, line)
    paths = rest.split() if paths is None else paths
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise RequestError("change", line, f"{wrong[0]!r} is no absolute path")
    config["Volumes"] = {**(given if isinstance(given, dict) else {}), **{path: {} for path in paths}}


def _workdir(config: dict[str, Any], rest: str, _line: str) -> None:
    given = config.get("WorkingDir")
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", given if isinstance(given, str) else "", rest))


def _plain(key: str) -> Callable[[dict[str, Any], str, str], None]:
    def change(config: dict[str, Any], rest: str, line: str) -> None:
        if len(rest.split()) != 1:
            raise RequestError("change", line, "expected one word")
        config[key] = rest

    return change


_CHANGES: dict[str, Callable[[dict[str, Any], str, str], None]] = {
    "CMD": _command("Cmd"), "ENTRYPOINT": _command("Entrypoint"), "ENV": _env, "EXPOSE": _ports, "LABEL": _labels,
    "STOPSIGNAL": _plain("StopSignal"), "USER": _plain("User"), "VOLUME": _volumes, "WORKDIR": _workdir,
}  # fmt: skip
