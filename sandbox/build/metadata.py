"""Instructions that change the config of an image and no file."""

from __future__ import annotations

from posixpath import join, normpath

from .dockerfile import Instruction, fault
from .variables import expand, pairs, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .stage import Building

# ARGs that need no declaration ("Predefined ARGs")
PREDEFINED = tuple(n for name in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
                   for n in (name, name.lower()))  # fmt: skip


def _env(state: Building, text: str, escape: str) -> None:
    for name, value in pairs(text, state.variables, escape):
        state.set_env(name, value)


def _label(state: Building, text: str, escape: str) -> None:
    state.config["Labels"] = {**(state.config.get("Labels") or {}), **dict(pairs(text, state.variables, escape))}


def declare(text: str, values: dict[str, str], given: dict[str, str], escape: str) -> dict[str, str]:
    """ARG: ``NAME`` or ``NAME=DEFAULT``, several: the values that it gives."""
    found = {}
    for word in words(expand(text, values, escape), escape):
        name, equals, value = word.partition("=")
        if name in given:
            found[name] = given[name]
        elif equals:
            found[name] = value
    return found


def _arg(state: Building, text: str, escape: str) -> None:
    state.args.update(declare(text, state.variables, dict(state.given), escape))


def _workdir(state: Building, text: str, escape: str) -> None:
    path = " ".join(words(expand(text, state.variables, escape), escape))
    state.config["WorkingDir"] = "/" + normpath(join(state.workdir, path)).lstrip("/")


def _user(state: Building, text: str, escape: str) -> None:
    state.config["User"] = expand(text, state.variables, escape).strip()


def _signal(state: Building, text: str, escape: str) -> None:
    state.config["StopSignal"] = expand(text, state.variables, escape).strip()


def _expose(state: Building, text: str, escape: str) -> None:
    ports = dict(state.config.get("ExposedPorts") or {})
    for word in words(expand(text, state.variables, escape), escape):
        number, _, protocol = word.partition("/")
        first, _, last = number.partition("-")
        last = last or first
        if not all(n.isdecimal() and 0 < int(n) < 65536 for n in (first, last)) or int(last) < int(first):
            raise ValueError(f"no port: {word}")
        if (protocol or "tcp") not in ("tcp", "udp", "sctp"):
            raise ValueError(f"no protocol: {protocol}")
        for port in range(int(first), int(last) + 1):
            ports[f"{port}/{protocol or 'tcp'}"] = {}
    state.config["ExposedPorts"] = ports


_OF_A_TEXT: dict[str, Callable[[Building, str, str], None]] = {
    "ENV": _env, "LABEL": _label, "ARG": _arg, "WORKDIR": _workdir, "USER": _user, "STOPSIGNAL": _signal,
    "EXPOSE": _expose,
}  # fmt: skip


def apply(state: Building, instruction: Instruction, path: str, escape: str) -> bool:
    """Do one; False if it is none of these. Raises RequestError with its place."""
    word, text = instruction.word, instruction.text
    try:
        if word in _OF_A_TEXT:
            _OF_A_TEXT[word](state, text, escape)
        elif word in ("CMD", "ENTRYPOINT"):
            argv = list(instruction.items if instruction.items is not None else (*state.shell, text))
            state.config["Cmd" if word == "CMD" else "Entrypoint"] = argv
            if word == "CMD":
                state.cmd_is_ours = True
            elif not state.cmd_is_ours:
                state.config.pop("Cmd", None)
        elif word == "VOLUME":
            places = instruction.items
            if places is None:
                places = words(expand(text, state.variables, escape))
            state.config["Volumes"] = {**(state.config.get("Volumes") or {}), **{place: {} for place in places}}
        elif word == "SHELL":
            state.config["Shell"] = list(instruction.items or ())
        else:
            return False
    except ValueError as error:  # a RequestError is one
        raise fault(path, instruction.line, f"{word} {text}"[:200], getattr(error, "why", str(error))) from None
    state.note(instruction.written, empty=True)
    return True
