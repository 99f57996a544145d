"""What DOMjudge adds to a package: domjudge-problem.ini and .timelimit (DOMjudge manual, Problem format; the reading is
that of its ImportProblemService)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..fields import near, number
from ..model import SECOND
from ..yamlfile import decode, read_bytes

if TYPE_CHECKING:
    from ..faults import Faults
    from ..tree import Tree

INI, TIMELIMIT = "domjudge-problem.ini", ".timelimit"
_KEYS = (
    "name", "timelimit", "special_run", "special_compare", "externalid", "allow_submit", "allow_judge", "points",
    "color", "short-name", "probid",
)  # fmt: skip
_LIMIT_BYTES = 64 << 10
_LONGEST_S = 86_400.0


def properties(tree: Tree, faults: Faults) -> dict[str, tuple[int, str]]:
    """The keys of the ini file, each with its line. Lines that are no setting are warnings: DOMjudge passes over an ini
    file that it cannot read."""
    entry = tree.file(INI)
    data = read_bytes(entry.path, INI, faults, _LIMIT_BYTES) if entry else None
    text = decode(data, INI, faults) if data is not None else None
    found: dict[str, tuple[int, str]] = {}
    for line, row in enumerate((text or "").split("\n"), 1):
        row = row.strip()
        if not row or row[0] in ";#[":
            continue
        key, equals, value = (part.strip() for part in row.partition("="))
        if not equals:
            faults.warning(INI, line, "neither a comment nor key = value; passed over")
            continue
        if key not in _KEYS:
            faults.warning(INI, line, f"unknown key {key[:60]!r}", near(key, _KEYS))
        elif key in found:
            faults.error(INI, line, f"the key {key!r} is there twice", f"first in line {found[key][0]}")
        found[key] = (line, _unquoted(value))
    return found


def time_limit(tree: Tree, properties: dict[str, tuple[int, str]], from_yaml: int | None, faults: Faults) -> int | None:
    """In ns: problem.yaml's, else that of the ini file, else .timelimit's, which must not contradict the others."""
    ini = None
    if "timelimit" in properties:
        line, text = properties["timelimit"]
        ini = _seconds(text, INI, line, faults)
    entry = tree.file(TIMELIMIT)
    data = read_bytes(entry.path, TIMELIMIT, faults, _LIMIT_BYTES) if entry else None
    content = decode(data, TIMELIMIT, faults) if data is not None else None
    own = _seconds(content.strip(), TIMELIMIT, 1, faults) if content is not None else None
    limit = next((value for value in (from_yaml, ini, own) if value is not None), None)
    if own is not None and limit is not None and own != limit:
        other = "problem.yaml" if from_yaml is not None else INI
        faults.error(TIMELIMIT, 1, f"says {own / SECOND:g} s, but {other} says {limit / SECOND:g} s")
    return limit


def executables(properties: dict[str, tuple[int, str]], custom: bool, faults: Faults) -> None:
    """special_run and special_compare name programs that only that DOMjudge has."""
    for key in ("special_run", "special_compare"):
        if properties.get(key, (0, ""))[1]:
            line, value = properties[key]
            if custom:
                faults.warning(INI, line, f"{key} is passed over: the package has its own output validator")
            else:
                faults.error(
                    INI, line, f"{key}: {value[:60]!r} is a program of a DOMjudge and not in the package",
                    "put it into output_validators/ and set validation: custom",
                )  # fmt: skip


def _seconds(text: str, file: str, line: int, faults: Faults) -> int | None:
    value = number(text)
    if value is None or not 0 < value <= _LONGEST_S:
        faults.error(file, line, f"the time limit must be seconds above 0, not {text[:40]!r}")
        return None
    return max(1, round(value * SECOND))


def _unquoted(value: str) -> str:
    """As PHP's parse_ini_string: in quotes, or up to a comment."""
    if value[:1] in ("'", '"'):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 else value[1:]
    return value.partition(";")[0].strip()
