"""What a build was asked to do."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..result import Result


class BuildOptions(Record):
    """``context``: a directory; ``file``: the Dockerfile's path, "" for the context's own.

    ``arguments``: build arguments by name; ``target``: the stage to end with, "" for the last; ``options``: fields of
    Request for every RUN (limits, policy), unchecked; ``output``: an fd that gets what RUN writes, None to drop
    it; ``tell``: called with a line for each step.
    """

    context: str
    file: str = ""
    names: tuple[str, ...] = ()
    arguments: Mapping[str, str] = {}
    target: str = ""
    cache: bool = True
    ids: str = "single"
    net: str = "none"
    labels: Mapping[str, str] = {}
    options: Mapping[str, Any] = {}
    output: int | None = None
    tell: Callable[[str], None] | None = None


class BuildFailed(Exception):
    """A RUN ended with something else than 0: its fault, none of ours. ``where``: PATH:LINE."""

    def __init__(self, where: str, command: str, result: Result) -> None:
        super().__init__(where, command, result)
        self.where, self.command, self.result = where, command, result

    def __str__(self) -> str:
        found = self.result
        how = f"exit code {found.exit_code}" if found.outcome == "exited" else found.outcome.replace("_", " ")
        return f"{self.where}: {self.command}: {how}"
