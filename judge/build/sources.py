"""The files of a submission: one file, a directory or an archive, with the package's include files on top.

Names come from strangers and end up in commands, so they are of the set that the problem package format allows
(2025-09, "General requirements"), and "+". Hidden files are left out, as it wants. A single file may be called
anything: it is given a name.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArchiveError, SubmissionError
from ..language import Language, Languages
from ..problem.archive import is_archive, unpack

MAX_FILES = 500
MAX_DEPTH = 8
# Of include files, and of a package's own programs: nobody's submission.
PACKAGE_BYTES = 64 << 20

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")


@dataclass(frozen=True)
class Sources:
    """files: relative path -> content, include files among them; name: of the submission, for people; entrypoint: what
    the caller said. included: the paths that came from the package."""

    files: Mapping[str, bytes]
    language: Language
    name: str
    entrypoint: str | None = None
    included: frozenset[str] = frozenset()


def read(
    path: Path,
    languages: Languages,
    *,
    limit_bytes: int,
    language: str | None = None,
    entrypoint: str | None = None,
    include: Mapping[str, Mapping[str, Path]] | None = None,
    root: Path | None = None,
) -> Sources:
    """Read a submission. ``include`` is a problem's: language id ("default" for all others) -> path -> file.

    ``root``: links may lead to files below it; none at all otherwise. ``limit_bytes`` counts what was submitted.
    Raises SubmissionError (not readable, too long, a name or link that may not be) and LanguageError (none fits).
    """
    files = read_files(path, limit_bytes=limit_bytes, root=root)
    if not files:
        raise SubmissionError(path.name, "no file in it")
    found = languages.get(language) if language else languages.detect(files)
    added: dict[str, bytes] = {}
    if include:
        for name, source in include.get(found.id, include.get("default", {})).items():
            _safe(name, path.name)
            added[name] = _contents(source, path.name, PACKAGE_BYTES, follow=True)
    if len(files) == 1:
        files = {_given(next(iter(files)), found): next(iter(files.values()))}
    else:
        for name in files:
            _safe(name, path.name)
    # The package's win: a grader is not to be replaced by a submission.
    return Sources({**files, **added}, found, path.name, entrypoint, frozenset(added))


def read_files(path: Path, *, limit_bytes: int, root: Path | None = None) -> dict[str, bytes]:
    """The files of a submission or of a package's program, as they are called there."""
    try:
        if path.is_dir():
            return _directory(path, limit_bytes, root)
        if path.suffix.lower() == ".zip" or is_archive(path):
            return _archive(path, limit_bytes)
        follow = root is not None and _beneath(path, root)
        return {path.name: _contents(path, path.name, limit_bytes, follow=follow)}
    except OSError as error:
        raise SubmissionError(path.name, f"cannot be read: {error.strerror}") from error


def _directory(path: Path, limit_bytes: int, root: Path | None) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    left = limit_bytes
    for name, entry in _walk(path, path.name):
        if len(files) >= MAX_FILES:
            raise SubmissionError(path.name, f"more than {MAX_FILES} files")
        follow = root is not None and entry.is_symlink() and _beneath(Path(entry.path), root)
        try:
            files[name] = _contents(Path(entry.path), path.name, left, follow=follow, shown=name)
        except _TooLong:
            raise _TooLong(path.name, f"more than {limit_bytes} bytes of code") from None
        left -= len(files[name])
    return files


def _walk(path: Path, submission: str, prefix: str = "", depth: int = 1) -> Iterator[tuple[str, os.DirEntry[str]]]:
    if depth > MAX_DEPTH:
        raise SubmissionError(submission, f"directories in each other, more than {MAX_DEPTH}")
    with os.scandir(path) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name in ("__MACOSX", "__pycache__"):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), submission, f"{prefix}{entry.name}/", depth + 1)
        else:
            yield prefix + entry.name, entry


def _archive(path: Path, limit_bytes: int) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="pysandbox-sources-") as into:
        try:
            # Twice: what is left out of it (hidden files) does not count.
            root = unpack(path, Path(into), limit_bytes=2 * limit_bytes + (1 << 20), limit_files=2 * MAX_FILES)
        except ArchiveError as error:
            raise SubmissionError(path.name, error.why) from error
        try:
            return _directory(root, limit_bytes, None)
        except SubmissionError as error:
            raise SubmissionError(path.name, error.why) from error


class _TooLong(SubmissionError):
    pass


def _contents(path: Path, submission: str, limit: int, *, follow: bool = False, shown: str = "") -> bytes:
    """Of a regular file; O_NONBLOCK: a FIFO is not waited for."""
    label = shown or path.name
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        why = "is a link" if path.is_symlink() else f"cannot be read: {error.strerror}"
        raise SubmissionError(submission, f"{label} {why}") from error
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SubmissionError(submission, f"{label} is no regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise _TooLong(submission, f"more than {limit} bytes of code")
    return content


def _beneath(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _safe(name: str, submission: str) -> None:
    if not all(_NAME.fullmatch(part) for part in name.split("/")):
        raise SubmissionError(submission, f"the file name {name!r} may not be: letters, digits and _.+- only")


def _given(name: str, language: Language) -> str:
    """The name of a single file, or one for it."""
    base = name.rpartition("/")[2]
    if _NAME.fullmatch(base) and language.takes(base):
        return base
    suffix = next((end for end in (*language.extensions, *language.also) if base.endswith(end)), "")
    return "main" + (suffix or (*language.extensions, *language.also)[0])
