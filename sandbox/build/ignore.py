""".dockerignore: what of a context does not exist for COPY (docs.docker.com/build/concepts/context)."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PATTERNS = 10_000


def pattern(text: str) -> re.Pattern[str]:
    """A pattern of Go's filepath.Match, with ``**`` for any number of directories, of a path and all below it."""
    out, at = "", 0
    while at < len(text):
        char = text[at]
        if text.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif text.startswith("**", at):
            out, at = out + ".*", at + 2
        elif char == "*":
            out, at = out + "[^/]*", at + 1
        elif char == "?":
            out, at = out + "[^/]", at + 1
        elif char == "[" and "]" in text[at + 2 :]:
            end = text.index("]", at + 2)
            inside = text[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, at = out + f"[{inside}]", end + 1
        elif char == "\\" and at + 1 < len(text):
            out, at = out + re.escape(text[at + 1]), at + 2
        else:
            out, at = out + re.escape(char), at + 1
    return re.compile(f"(?:{out})(?:/.*)?", re.DOTALL)


def reader(text: str) -> Callable[[str], bool]:
    """Is this path (relative, with "/") left out? The last line that fits decides; ``!`` takes back."""
    rules: list[tuple[bool, re.Pattern[str]]] = []
    for line in text.splitlines()[:MAX_PATTERNS]:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        keeps = line.startswith("!")
        line = line.lstrip("!").strip().strip("/")
        line = re.sub(r"/+", "/", line.removeprefix("./"))
        if line and line != ".":
            rules.append((not keeps, pattern(line)))

    def ignored(path: str) -> bool:
        out = False
        for leaves_out, rule in rules:
            if leaves_out != out and rule.fullmatch(path):
                out = leaves_out
        return out

    return ignored
