"""Containers of one test, under a data directory of its own; whatever runs at the end is killed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.slowness import SLOW


class Containers:
    """``words`` runs a command; ``start`` a detached container, whose id it returns."""

    def __init__(self, pysandbox: Callable[..., Any], tmp_path: Path) -> None:
        self._pysandbox = pysandbox
        self.env = {"PYSANDBOX_DATA": str(tmp_path / "data")}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        ids = self.words("ps", "-q", "--no-trunc").stdout.split()
        if ids:
            self.words("kill", *ids)
            self.words("wait", *ids)

    def words(self, *words: str | os.PathLike[str], **options: Any) -> Any:
        """The CompletedProcess of ``pysandbox WORDS``."""
        return self._pysandbox(*words, env=self.env, **options)

    def ok(self, *words: str | os.PathLike[str], **options: Any) -> str:
        """Its stdout; it must have worked."""
        done = self.words(*words, **options)
        assert done.returncode == 0, (words, done.stderr)
        return str(done.stdout)

    def start(self, name: str, *words: str, options: tuple[str, ...] = ()) -> str:
        """The id of a new container."""
        return self.ok("run", "-d", "--name", name, *options, "--", *words).strip()

    def state(self, name: str) -> dict[str, Any]:
        """Its ``state`` in inspect."""
        found: dict[str, Any] = json.loads(self.ok("inspect", name))[0]["state"]
        return found


def soon(what: Callable[[], object]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + 10 * SLOW
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)
