"""A program that is ready to run: what compiling a submission, a checker or an interactor gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Where a program's files are shown, read-only, in every sandbox that runs it.
PLACE = "/submission"


@dataclass(frozen=True)
class MemoryModel:
    """What of a memory limit the language itself needs to know.

    extra_bytes: added to the limit for what the runtime needs besides the program's own (a JVM's code cache, say).
    ``argv`` of the program may hold {memory_mib}, {memory_kib}, {memory_bytes}: the limit without the extra.
    """

    extra_bytes: int = 0


@dataclass(frozen=True)
class Program:
    """argv: absolute paths inside; {memory_mib} and its kin are filled in at each run. directory: on the host, shown at
    PLACE (None: nothing to show). digest: of sources, commands and compiler version: what "the same program" means.
    time_factor: multiplies time limits (1.0 unless the operator's languages file says otherwise). pids: how many
    processes and threads its runtime needs.
    """

    name: str
    language: str
    argv: tuple[str, ...]
    directory: str | None
    digest: str
    env: Mapping[str, str] = field(default_factory=dict)
    policy: str = "judge"
    memory: MemoryModel = MemoryModel()
    pids: int = 64
    time_factor: float = 1.0
    stack: str = "unlimited"

    def command(self, memory_bytes: int) -> list[str]:
        """argv for a run under this memory limit."""
        values = {
            "{memory_mib}": str(max(1, memory_bytes >> 20)), "{memory_kib}": str(max(1, memory_bytes >> 10)),
            "{memory_bytes}": str(memory_bytes),
        }  # fmt: skip
        words = []
        for word in self.argv:
            for name, value in values.items():
                word = word.replace(name, value)
            words.append(word)
        return words
