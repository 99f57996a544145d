"""The table of languages: ours, and the operator's blocks on top of it.

    languages = load(Path("languages.toml") or None)
    languages.get("c++").id == "cpp";  languages.detect({"main.py": b"print(1)"}).id == "python3"

A block of the operator's file replaces ours as a whole. An unknown key, a wrong type or a regular expression that is
none is a LanguageError with file and line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import LanguageError
from .detect import detect
from .model import ENTRIES, Language, Prepare

OURS = Path(__file__).with_name("languages.toml")

_ID = re.compile(r"[a-z][a-z0-9]*")
_TEXT, _WORDS, _FLAG, _NUMBER, _FACTOR, _TEXTS, _TOOLS, _PREPARE = (
    "a text", "a list of texts", "true or false", "a whole number, 0 or more", "a number above 0",
    "a table of texts", "a table of lists of texts", "a table with command, files and env",
)  # fmt: skip
_KEYS = {
    "name": _TEXT, "run": _WORDS, "version": _WORDS, "tools": _TOOLS, "extensions": _WORDS, "aliases": _WORDS,
    "also": _WORDS, "marks": _TEXT, "priority": _NUMBER, "packages": _WORDS, "files": _TEXTS, "hello": _TEXTS,
    "see": _WORDS, "prepare": _PREPARE, "compile": _WORDS, "in_place": _FLAG, "each": _FLAG, "env": _TEXTS,
    "run_env": _TEXTS, "entry": _TEXT, "policy": _TEXT, "compile_policy": _TEXT, "pids": _NUMBER, "extra_mib": _NUMBER,
    "stack": _TEXT, "time_factor": _FACTOR,
}  # fmt: skip
_REQUIRED = ("name", "run", "version", "tools")


class Languages:
    """All languages that are known, whether this host has them or not."""

    def __init__(self, languages: Iterable[Language]) -> None:
        self._all = {language.id: language for language in languages}
        self._aliases = {alias: language for language in self._all.values() for alias in language.aliases}

    @property
    def all(self) -> tuple[Language, ...]:
        """Sorted by id."""
        return tuple(sorted(self._all.values(), key=lambda language: language.id))

    def get(self, name: str) -> Language:
        """By id or alias. Raises LanguageError."""
        key = name.lower()
        found = self._all.get(key) or self._aliases.get(key)
        if found is None:
            near = get_close_matches(key, [*self._all, *self._aliases], 1)
            hint = f"did you mean {near[0]}?" if near else "see: pysandbox judge languages"
            raise LanguageError(name, "there is no such language", hint)
        return found

    def detect(self, files: Mapping[str, bytes] | Iterable[str | Path]) -> Language:
        """Of these files (name -> content, or names alone). Raises LanguageError if none or no single one fits."""
        contents = files if isinstance(files, Mapping) else {str(name): b"" for name in files}
        return detect(self.all, contents)


def load(extra: Path | None = None) -> Languages:
    """Our table with the blocks of ``extra`` on top. Raises LanguageError."""
    table = dict(_ours())
    if extra is not None:
        table.update(_read(extra))
    return Languages(table.values())


@lru_cache(maxsize=1)
def _ours() -> Mapping[str, Language]:
    return _read(OURS)


def _read(path: Path) -> dict[str, Language]:
    try:
        text = path.read_text(encoding="utf-8")
        blocks = tomllib.loads(text)
    except OSError as error:
        raise LanguageError(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LanguageError(str(path), "is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise LanguageError(str(path), f"is not TOML: {error}") from error
    file = _File(path, text)
    return {id: file.language(id, block) for id, block in blocks.items()}


class _File:
    """One file, to say where in it a mistake is."""

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()

    def language(self, id: str, block: object) -> Language:
        if not isinstance(block, dict):
            raise self._wrong(id, "", "a key outside of a block", f"write it below [LANGUAGE]: {id} = …")
        if not _ID.fullmatch(id):
            raise self._wrong(id, "", f"{id!r} is no id", "lower-case letters and digits")
        self._known(id, "", block, _KEYS)
        for key in _REQUIRED:
            if key not in block:
                raise self._wrong(id, "", f"{key} is missing", "a block replaces ours as a whole")
        values = {key: self._value(id, key, value, _KEYS[key]) for key, value in block.items()}
        language = Language(id=id, **values)
        self._check(language)
        return language

    def _known(self, id: str, where: str, block: Mapping[str, object], keys: Iterable[str]) -> None:
        for key in block:
            if key not in keys:
                near = get_close_matches(key, list(keys), 1)
                raise self._wrong(id, key, f"unknown key {where}{key}", f"did you mean {near[0]}?" if near else "")

    def _value(self, id: str, key: str, value: Any, kind: str) -> Any:
        if kind == _PREPARE and isinstance(value, dict):
            self._known(id, "prepare.", value, ("command", "files", "env"))
            return Prepare(
                self._value(id, "command", value.get("command"), _WORDS),
                self._value(id, "files", value.get("files", {}), _TEXTS),
                self._value(id, "env", value.get("env", {}), _TEXTS),
            )
        if kind == _TEXT and isinstance(value, str):
            return value
        if kind == _WORDS and _are_texts(value):
            return tuple(value)
        if kind == _FLAG and isinstance(value, bool):
            return value
        if kind == _NUMBER and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if kind == _FACTOR and isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            return float(value)
        if kind == _TEXTS and isinstance(value, dict) and _are_texts(list(value.values())):
            return value
        if kind == _TOOLS and isinstance(value, dict) and all(_are_texts(words) for words in value.values()):
            return {name: tuple(words) for name, words in value.items()}
        raise self._wrong(id, key, f"{key} must be {kind}", "")

    def _check(self, language: Language) -> None:
        if not language.run or not language.version:
            raise self._wrong(language.id, "run", "run and version must name a command", "")
        if language.entry not in ENTRIES:
            raise self._wrong(language.id, "entry", f"no entry {language.entry!r}", f"one of {', '.join(ENTRIES[1:])}")
        if language.time_factor == float("inf"):
            raise self._wrong(language.id, "time_factor", "time_factor must be finite", "")
        try:
            re.compile(language.marks)
        except re.error as error:
            raise self._wrong(language.id, "marks", f"marks is no regular expression: {error}", "") from error
        for key, names in (("files", language.files), ("hello", language.hello)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*(/[A-Za-z0-9_][\w.-]*)*", name):
                    raise self._wrong(language.id, name, f"{key}: {name!r} is no relative path", "")
        known = {*language.tools, "sources", "source", "main", "main_class", "main_stem", "output", "build", "kit",
                 "prepared", "compile_mib", "heap_mib", "memory_mib", "memory_kib", "memory_bytes"}  # fmt: skip
        for key in ("run", "compile", "version"):
            for name in re.findall(r"\{([a-z0-9_]+)\}", " ".join(getattr(language, key))):
                if name not in known:
                    near = get_close_matches(name, list(known), 1)
                    raise self._wrong(language.id, key, f"{key}: nothing is called {{{name}}}",
                                      f"did you mean {{{near[0]}}}?" if near else "name it in tools")  # fmt: skip

    def _wrong(self, id: str, key: str, why: str, hint: str) -> LanguageError:
        return LanguageError(id, f"{self._path}:{self._line(id, key)}: {why}", hint)

    def _line(self, id: str, key: str) -> int:
        """Where the key stands; tomllib does not say."""
        at = 0
        for number, line in enumerate(self._lines, 1):
            if re.match(rf"(\s*\[\s*{re.escape(id)}\s*[\].]|{re.escape(id)}\s*=)", line):
                at = at or number
            elif re.match(r"\s*\[", line) and at and not re.match(rf"\s*\[\s*{re.escape(id)}\b", line):
                break
            if at and key and re.search(rf"(^|[\s{{,.])[\"']?{re.escape(key)}[\"']?\s*[=\].]", line):
                return number
        return at or 1


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
