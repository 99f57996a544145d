"""The asker's side of ``exec``: send the words and the streams, wait for the end."""

from __future__ import annotations

import os

from ..errors import RequestError
from . import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..result import Result
    from .control import Connection


def execute(identity: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None,
            workdir: str | None = None, stdin: bytes = b"", stdout: int | None = None, stderr: int | None = None,
            limits: Mapping[str, Any] | None = None) -> Result:  # fmt: skip
    """Run a program in a container and wait. Output is captured, or with ``stdout`` (and ``stderr``) written to fds.

    Raises RequestError if the container does not run, and what a run raises.
    """
    words = question(argv, env=env, user=user, workdir=workdir, limits=limits)
    fds: list[int] = []
    keep = -1
    if stdin:
        keep = os.memfd_create("pysandbox-stdin", os.MFD_CLOEXEC)
        with open(keep, "wb", closefd=False) as file:
            file.write(stdin)
        os.lseek(keep, 0, os.SEEK_SET)
        fds.append(keep)
        words["streams"].append("stdin")
    if stdout is not None:
        fds += [stdout, stderr if stderr is not None else stdout]
        words["streams"] += ["stdout", "stderr"]
    connection = control.connect(identity)
    try:
        connection.send(words, fds)
        answer, captured = control.answer(connection, identity)
    except OSError:
        raise RequestError("container", identity[:12], "ended while it was asked") from None
    finally:
        connection.close()
        if keep >= 0:
            os.close(keep)
    return result_of(answer, captured)


def question(argv: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None,
             workdir: str | None = None, tty: bool = False, detach: bool = False,
             limits: Mapping[str, Any] | None = None) -> dict[str, Any]:  # fmt: skip
    """The words of an exec; ``streams`` is for the sender to fill."""
    return {"verb": "exec", "argv": list(argv), "env": dict(env or {}), "user": user, "workdir": workdir, "tty": tty,
            "detach": detach, "limits": dict(limits or {}), "streams": []}  # fmt: skip


def result_of(answer: dict[str, Any], captured: Sequence[int] = ()) -> Result:
    """The Result that the monitor told of; the fds of what was captured are closed."""
    from ..result import Cause, Result, Usage

    found = dict(answer["result"])
    found["causes"] = tuple(Cause(**cause) for cause in found["causes"])
    found["usage"] = Usage(**found["usage"])
    for name in ("notes", "hints"):
        found[name] = tuple(found[name])
    for name, fd in zip(("stdout", "stderr"), captured, strict=False):
        with open(fd, "rb") as file:
            file.seek(0)
            found[name] = file.read()
    return Result(**found)


class Session:
    """An exec whose streams are a command's own: signals and sizes of the terminal go the same way as the words."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._connection: Connection = control.connect(identity)

    def begin(self, words: dict[str, Any], fds: Sequence[int]) -> None:
        """Ask for it."""
        self._connection.send(words, fds)

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        self._tell({"verb": "exec_signal", "signal": number})

    def resize(self, *_signal: object) -> None:
        """The terminal has another size."""
        self._tell({"verb": "resize"})

    def wait(self) -> dict[str, Any]:
        """The answer at its end. Raises what it raised over there."""
        while True:
            words, fds = control.answer(self._connection, self._identity)
            control.close_all(fds)
            if words:  # an empty one is for a signal, or a size
                return words

    def answered(self) -> None:
        """Wait for one answer. Raises what it raised over there."""
        control.close_all(control.answer(self._connection, self._identity)[1])

    def close(self) -> None:
        """Without an answer yet the program is killed."""
        self._connection.close()

    def _tell(self, words: dict[str, Any]) -> None:
        try:
            self._connection.send(words)
        except OSError:  # it has ended: the answer is on its way
            pass
