"""What the judge raises. Each is a SandboxError, so the command line says it in one line and exits with 125.

JudgeError
  PackageError      a problem package is broken: all of its faults, each with file and line
  LanguageError     no such language, or this host lacks its tools
  SubmissionError   a submission that cannot be read (an archive with a way out, no file at all)
  ArchiveError      an archive that is not unpacked

A submission that fails is a verdict, never one of these; a fault of the judge while it judges is the verdict JE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .problem.faults import Fault


class JudgeError(SandboxError):
    """Root of the judge's own exceptions."""


class PackageError(JudgeError):
    """``faults``: every mistake that was found in the package, as ``judge.problem.faults.Fault``."""

    def __init__(self, package: str, faults: Sequence[Fault]) -> None:
        self.package, self.faults = package, tuple(faults)
        first = f": {self.faults[0]}" if self.faults else ""
        more = f" (and {len(self.faults) - 1} more; see pysandbox judge check)" if len(self.faults) > 1 else ""
        super().__init__(f"problem package {package}{first}{more}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.package, self.faults)


class LanguageError(JudgeError):
    """``language``: its id or what was asked; ``fix``: what to do."""

    def __init__(self, language: str, why: str, fix: str = "") -> None:
        self.language, self.why, self.fix = language, why, fix
        super().__init__(f"language {language!r}: {why}" + (f"; {fix}" if fix else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.language, self.why, self.fix)


class SubmissionError(JudgeError):
    """``path``: the submission; ``why``: what is wrong with it."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"submission {path}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.why)


class ArchiveError(JudgeError):
    """``path``: the archive; ``why``: what is wrong with it, with the name of the member where there is one."""

    def __init__(self, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(f"archive {path}: {why}")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.why)
