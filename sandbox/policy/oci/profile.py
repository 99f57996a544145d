"""The JSON of a profile -> the entries that hold here: what Docker decides before a runtime sees the profile.

Three shapes: a Docker profile (archMap, includes, excludes), the ``linux.seccomp`` of the OCI runtime specification,
and a whole config.json. An unknown key is refused, because a misspelt ``args`` would make an entry unconditional.
"""

from __future__ import annotations

import errno

from ...errors import PolicyError
from ...record import Record
from ..constants import ALL_BITS
from ..files import near
from ..model import ALLOW, ERRNO
from .words import ACTIONS, ARCHES, KILL_THREAD, MASKED, NATIVE, OPS, TRACE, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_MAX_ERRNO = 4095
_TOP = ("defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "syscalls", "flags",
        "listenerPath", "listenerMetadata")  # fmt: skip
_SYSCALL = ("names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes")
_ARG = ("index", "value", "valueTwo", "op")
_FILTER = ("caps", "arches", "minKernel")


class Condition(Record):
    """``(arguments[index] & mask) op value``, 64 bits, as the runtime hands it to libseccomp."""

    index: int
    op: str
    value: int
    mask: int = ALL_BITS


class Entry(Record):
    """One element of ``syscalls``; ``place`` is its JSON path."""

    place: str
    names: tuple[str, ...]
    action: str
    conditions: tuple[Condition, ...] = ()
    comment: str = ""


class Profile(Record):
    """What is left of a profile for one machine; ``notes`` are sentences on what was not taken as it stands."""

    place: str
    default: str
    entries: tuple[Entry, ...]
    architectures: tuple[str, ...]
    notes: tuple[str, ...]


def load(text: bytes, path: str, *, arch: str, kernel: tuple[int, int], caps: frozenset[str]) -> Profile:
    """Raises PolicyError with the JSON path as its key."""
    import json

    try:
        data = json.loads(text.decode("utf-8"), object_pairs_hook=lambda pairs: _object(path, pairs))
    except UnicodeDecodeError as error:
        raise PolicyError(path, text.count(b"\n", 0, error.start) + 1, "", "not UTF-8") from None
    except json.JSONDecodeError as error:
        raise PolicyError(path, error.lineno, "", f"not JSON: {error.msg.lower()}") from None
    except RecursionError:
        raise PolicyError(path, 0, "", "not JSON: nested too deeply") from None
    return _Loader(path, arch, kernel, frozenset(cap.upper().removeprefix("CAP_") for cap in caps)).profile(data)


def _object(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Go takes the last one, others the first.
        twice = next(key for key, _value in pairs if [k for k, _v in pairs].count(key) > 1)
        raise PolicyError(path, 0, twice, "this key is twice in one object")
    return found


class _Loader:
    def __init__(self, path: str, arch: str, kernel: tuple[int, int], caps: frozenset[str]) -> None:
        self.path, self.arch, self.kernel, self.caps = path, arch, kernel, caps
        self.notes: list[str] = []

    def profile(self, data: object) -> Profile:
        top, place = self.typed(data, dict, ""), ""
        if "linux" in top or "ociVersion" in top:
            place = "linux.seccomp"
            inner = self.typed(top.get("linux"), dict, "linux").get("seccomp")
            if inner is None:
                self.fail(place, "this config.json has no seccomp profile")
            top = self.typed(inner, dict, place)
        dot = f"{place}." if place else ""
        self.keys(top, _TOP, place)
        for key in ("flags", "listenerPath", "listenerMetadata"):
            if top.get(key):
                self.notes.append(f"{dot}{key}: not taken over, a policy has no such thing")
        default = self.action(top, "defaultAction", "defaultErrnoRet", "defaultErrno", dot)
        entries = []
        for i, each in enumerate(self.items(top, "syscalls", dot)):
            entry = self.entry(each, f"{dot}syscalls[{i}]")
            if entry is not None:
                entries.append(entry)
        return Profile(place=place, default=default, entries=tuple(entries), architectures=self.architectures(top, dot),
                       notes=tuple(dict.fromkeys(self.notes)))  # fmt: skip

    def entry(self, data: object, place: str) -> Entry | None:
        table = self.typed(data, dict, place)
        self.keys(table, _SYSCALL, place)
        names = [self.typed(n, str, f"{place}.names") for n in self.items(table, "names", f"{place}.")]
        if table.get("name"):
            if names:
                self.fail(f"{place}.name", "both name and names")
            names = [self.typed(table["name"], str, f"{place}.name")]
        if not all(names):
            self.fail(f"{place}.names", "a call without a name")
        args = self.items(table, "args", f"{place}.")
        conditions = tuple(self.condition(each, f"{place}.args[{i}]") for i, each in enumerate(args))
        if not self.holds(table, place):
            return None
        action = self.action(table, "action", "errnoRet", "errno", f"{place}.")
        return Entry(place=place, names=tuple(names), action=action, conditions=conditions,
                     comment=self.typed(table.get("comment") or "", str, f"{place}.comment"))  # fmt: skip

    def holds(self, table: dict[str, Any], place: str) -> bool:
        """includes: all of it must be so; excludes: none of it may be. As setupSeccomp of moby."""
        wanted = self.filter(table, "includes", place)
        refused = self.filter(table, "excludes", place)
        if self.native in refused["arches"] or self.caps & refused["caps"]:
            return False
        if refused["kernel"] is not None and self.kernel >= refused["kernel"]:
            return False
        if wanted["arches"] and self.native not in wanted["arches"]:
            return False
        if wanted["kernel"] is not None and self.kernel < wanted["kernel"]:
            return False
        return bool(wanted["caps"] <= self.caps)

    @property
    def native(self) -> str:
        return NATIVE[self.arch][1]

    def filter(self, table: dict[str, Any], key: str, place: str) -> dict[str, Any]:
        here = f"{place}.{key}"
        data = self.typed(table.get(key) or {}, dict, here)
        self.keys(data, _FILTER, here)
        caps = [self.typed(c, str, f"{here}.caps") for c in self.items(data, "caps", f"{here}.")]
        arches = [self.typed(a, str, f"{here}.arches") for a in self.items(data, "arches", f"{here}.")]
        return {"caps": {cap.removeprefix("CAP_") for cap in caps}, "arches": set(arches),
                "kernel": self.version(data.get("minKernel"), f"{here}.minKernel")}  # fmt: skip

    def version(self, word: object, place: str) -> tuple[int, int] | None:
        if word in (None, ""):
            return None
        parts = self.typed(word, str, place).split(".")
        if len(parts) != 2 or not all(part.isdecimal() and part.isascii() for part in parts):
            self.fail(place, f"expected a version such as 4.8 (got {word!r})")
        return int(parts[0]), int(parts[1])

    def condition(self, data: object, place: str) -> Condition:
        table = self.typed(data, dict, place)
        self.keys(table, _ARG, place)
        index = self.number(table, "index", place, 5)
        value = self.number(table, "value", place, ALL_BITS)
        two = self.number(table, "valueTwo", place, ALL_BITS)
        op = self.typed(table.get("op"), str, f"{place}.op")
        if op not in OPS:
            self.fail(f"{place}.op", f"unknown comparison {op!r}; {near(op, OPS) or 'use ' + ', '.join(OPS)}")
        if op == MASKED:
            # libseccomp cuts the datum by the mask
            return Condition(index=index, op="==", value=two & value, mask=value)
        return Condition(index=index, op=OPS[op], value=value)

    def action(self, table: dict[str, Any], key: str, number_key: str, name_key: str, dot: str) -> str:
        word = self.typed(table.get(key), str, f"{dot}{key}")
        if word == TRACE:
            self.fail(f"{dot}{key}", f"{TRACE} asks a tracer, of which a sandbox has none; use SCMP_ACT_NOTIFY or "
                      "SCMP_ACT_ERRNO")  # fmt: skip
        if word not in ACTIONS:
            self.fail(f"{dot}{key}", f"unknown action {word!r}; {near(word, ACTIONS) or 'use ' + ', '.join(ACTIONS)}")
        number = table.get(number_key)
        name = self.typed(table.get(name_key) or "", str, f"{dot}{name_key}")
        if number is not None:
            number = self.number(table, number_key, dot.removesuffix("."), _MAX_ERRNO)
        if name:
            named = getattr(errno, name, None) if name.startswith("E") else None
            if not isinstance(named, int):
                hint = near(name, errno.errorcode.values())
                self.fail(f"{dot}{name_key}", f"unknown errno {name!r}; {hint or 'give a name such as EPERM'}")
            if number is not None and number != named:
                self.fail(f"{dot}{name_key}", f"{name} is {named}, {number_key} says {number}")
            number = named
        if word in KILL_THREAD:
            self.notes.append(f"{word} ends one thread; here it is kill, which ends the process")
        if ACTIONS[word] == ERRNO:
            return refusal(errno.EPERM if number is None else number)
        if number is not None and not (ACTIONS[word] == ALLOW and number == 0):
            self.notes.append(f"{dot}{number_key}: of no meaning with {word}")
        return ACTIONS[word]

    def architectures(self, top: dict[str, Any], dot: str) -> tuple[str, ...]:
        listed = [self.arch_name(a, f"{dot}architectures[{i}]")
                  for i, a in enumerate(self.items(top, "architectures", dot))]  # fmt: skip
        mapped: list[str] = []
        for i, each in enumerate(self.items(top, "archMap", dot)):
            place = f"{dot}archMap[{i}]"
            table = self.typed(each, dict, place)
            self.keys(table, ("architecture", "subArchitectures"), place)
            main = self.arch_name(table.get("architecture"), f"{place}.architecture")
            subs = [self.arch_name(a, f"{place}.subArchitectures") for a in
                    self.items(table, "subArchitectures", f"{place}.")]  # fmt: skip
            if main == NATIVE[self.arch][0]:
                mapped += [main, *subs]
        if listed and self.items(top, "archMap", dot):
            self.fail(f"{dot}archMap", "both architectures and archMap")
        return tuple(listed or mapped)

    # --- the ground ------------------------------------------------------------------------------------

    def arch_name(self, word: object, place: str) -> str:
        name = str(self.typed(word, str, place))
        if name not in ARCHES:
            self.fail(place, f"unknown architecture {name!r}; {near(name, ARCHES) or 'such as SCMP_ARCH_X86_64'}")
        return name

    def number(self, table: dict[str, Any], key: str, place: str, largest: int) -> int:
        value = table.get(key, 0)
        value = 0 if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
            self.fail(f"{place}.{key}" if place else key, f"expected 0 to {largest} (got {value!r})")
        return value

    def items(self, table: dict[str, Any], key: str, dot: str) -> list[Any]:
        found = table.get(key)
        return [] if found is None else list(self.typed(found, list, f"{dot}{key}"))

    def typed(self, value: object, kind: type, place: str) -> Any:
        if not isinstance(value, kind):
            wanted = "an object" if kind is dict else "a list" if kind is list else "a text"
            self.fail(place, "missing" if value is None else f"expected {wanted} (got {value!r:.60})")
        return value

    def keys(self, table: dict[str, Any], known: tuple[str, ...], place: str) -> None:
        for key in table:
            if key not in known:
                self.fail(f"{place}.{key}" if place else key,
                          f"unknown key; {near(key, known) or 'known are ' + ', '.join(known)}")  # fmt: skip

    def fail(self, place: str, hint: str) -> NoReturn:
        raise PolicyError(self.path, 0, place, hint)
