"""What is wrong with a job file: every mistake, with its line."""

from __future__ import annotations

from ..errors import SandboxError
from ..record import Record


class Fault(Record):
    """One mistake; ``line`` from 1, 0 where the file as a whole is meant."""

    line: int
    message: str
    hint: str = ""

    def text(self, file: str) -> str:
        """``ci.yml:3: message; hint``."""
        where = f"{file}:{self.line}" if self.line else file
        return f"{where}: {self.message}" + (f"; {self.hint}" if self.hint else "")


class JobFileError(SandboxError):
    """A job file cannot be used; ``faults`` has every mistake in the order of the lines, ``str()`` the first."""

    def __init__(self, file: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(file, faults)
        self.file, self.faults = file, tuple(sorted(faults, key=lambda fault: fault.line))

    def __str__(self) -> str:
        first = self.faults[0].text(self.file)
        more = len(self.faults) - 1
        return first + (f" (and {more} more: pysandbox ci check {self.file})" if more else "")


class Faults:
    """Collects mistakes while a file is read, so that one run shows them all."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[Fault] = []

    def add(self, line: int, message: str, hint: str = "") -> None:
        """One more."""
        fault = Fault(line=line, message=message, hint=hint)
        if fault not in self.found:
            self.found.append(fault)

    def check(self) -> None:
        """Raise JobFileError if there is one."""
        if self.found:
            raise JobFileError(self.file, tuple(self.found))
