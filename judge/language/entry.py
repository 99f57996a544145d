"""Where a program begins: {main} and {main_class} of a language's run command.

Problem package format 2025-09, appendix Languages: the entry point that submissions.yaml names, else a default of the
language (main.py, Main, MainKt). Strangers do not keep to the default, so the text is asked as well: the class that
has a main method. A text that hides it (in a string, by unicode escapes) hurts itself alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..errors import SubmissionError
from .model import Language

_NOISE = re.compile(r'"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/', re.S)
_PUBLIC = re.compile(
    r"(?m)^\s*public\s+(?:(?:final|abstract|strictfp|sealed)\s+)*(?:class|interface|enum|record)\s+(\w+)"
)
_PACKAGE = re.compile(r"(?m)^\s*package\s+([\w.]+)")


def main_file(names: list[str], entrypoint: str | None, submission: str) -> str:
    """The named one, the only one, __main__.*, main.*, or the first by name. Raises SubmissionError."""
    if entrypoint:
        found = [name for name in names if entrypoint in (name, name.rpartition(".")[0])]
        if not found:
            raise SubmissionError(submission, f"has no file {entrypoint} to begin with")
        return found[0]
    for pattern in ("__main__.*", "main.*"):
        for name in sorted(names):
            if re.fullmatch(pattern.replace(".*", r"\.\w+"), name, re.I):
                return name
    return sorted(names)[0]


def main_class(language: Language, files: Mapping[str, bytes], entrypoint: str | None) -> str:
    """Full name of the class to start."""
    if entrypoint:
        return entrypoint
    find, default = _FINDERS[language.entry]
    found = [name for file, text in sorted(files.items()) if (name := find(file, _code(text)))]
    preferred = [name for name in found if name.rpartition(".")[2] == default]
    return (preferred or found or [default])[0]


def renamed(language: Language, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A single Java file by the name of its public class: javac takes no other, and people send ``solution.java``."""
    if language.entry != "java" or len(files) != 1:
        return dict(files)
    ((name, text),) = files.items()
    public = _PUBLIC.search(_code(text))
    return {f"{public[1]}.java": text} if public else {name: text}


def _code(text: bytes) -> str:
    """Without comments and texts."""
    return _NOISE.sub(lambda m: '""' if m[0][0] in "\"'" else " ", text.decode("utf-8", "replace"))


def _in_package(code: str, name: str) -> str:
    package = _PACKAGE.search(code)
    return f"{package[1]}.{name}" if package else name


def _java(file: str, code: str) -> str:
    main = re.search(r"\bstatic\s+(?:(?:public|final|synchronized|strictfp)\s+)*void\s+main\s*\(", code)
    if not main:
        return ""
    # The outermost class that is open where main stands.
    depth, name = 0, ""
    for token in re.finditer(r"[{}]|\b(?:class|interface|enum|record)\s+(\w+)", code[: main.start()]):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            depth -= 1
        elif depth == 0:
            name = token[1]
    return _in_package(code, name) if name else ""


def _kotlin(file: str, code: str) -> str:
    if not re.search(r"(?m)^\s*(?:suspend\s+)?fun\s+main\s*\(", code):
        return ""
    stem = file.rpartition("/")[2].rpartition(".")[0]
    stem = re.sub(r"\W", "_", stem)
    return _in_package(code, (stem[:1].upper() + stem[1:]) + "Kt")


def _scala(file: str, code: str) -> str:
    found = re.search(r"\bobject\s+(\w+)\s+extends\s+App\b", code)
    if not found and re.search(r"\bdef\s+main\s*\(", code):
        found = re.search(r"\bobject\s+(\w+)", code)
    return _in_package(code, found[1]) if found else ""


_FINDERS: dict[str, tuple[Callable[[str, str], str], str]] = {
    "java": (_java, "Main"), "kotlin": (_kotlin, "MainKt"), "scala": (_scala, "Main"),
}  # fmt: skip
