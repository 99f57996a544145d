"""Mistakes in a package, all of them, with file and line."""

from __future__ import annotations

from dataclasses import dataclass

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True, order=True)
class Fault:
    """One mistake. ``file`` is relative to the package, ``line`` from 1 (0: the file as a whole)."""

    file: str
    line: int
    message: str
    hint: str = ""
    severity: str = ERROR

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.severity}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class Faults:
    """Collects; a reader goes on after a mistake, so that one look shows them all."""

    def __init__(self) -> None:
        self._found: list[Fault] = []

    def error(self, file: str, line: int, message: str, hint: str = "") -> None:
        self._found.append(Fault(file, line, message, hint))

    def warning(self, file: str, line: int, message: str, hint: str = "") -> None:
        self._found.append(Fault(file, line, message, hint, WARNING))

    @property
    def all(self) -> tuple[Fault, ...]:
        return tuple(sorted(set(self._found)))

    @property
    def errors(self) -> tuple[Fault, ...]:
        return tuple(fault for fault in self.all if fault.severity == ERROR)
