"""``pysandbox exec [OPTIONS] CONTAINER [--] PROGRAM [ARGUMENTS]``"""

from __future__ import annotations

import os

from ...containers import record
from ...containers.execute import Session, question
from ...errors import RequestError
from ..options import parse
from ..signals import Signals, under_signals
from ..tables.run import FLAGS

_LIMITS = ("wall", "output")


def main(words: list[str]) -> int:
    """Run it in the container; its exit status, as ``run`` has it."""
    return under_signals(_main, words)


def _main(words: list[str], signals: Signals) -> int:
    values, rest = parse(words, FLAGS["exec"], "exec")
    if len(rest) > 1 and rest[1] == "--":
        del rest[1]
    if len(rest) < 2:
        raise RequestError("exec", " ".join(rest), "expected a container and a program; see pysandbox help exec")
    tty, detach = bool(values.get("tty")), bool(values.get("detach"))
    if detach and (tty or values.get("interactive")):
        raise RequestError("--detach", "", "cannot be had together with -i or -t")
    ask = question(rest[1:], env=values.get("env"), user=values.get("user"), workdir=values.get("workdir"), tty=tty,
                   detach=detach, limits={n: values[n] for n in _LIMITS if n in values})  # fmt: skip
    streams = {"stdin": 0, "stdout": 1, "stderr": 2}
    if detach:
        streams = {}
    elif not (tty or values.get("interactive")):
        del streams["stdin"]
    ask["streams"] = list(streams)
    session = Session(record.find_id(rest[0]))
    terminal = None
    try:
        signals.check()
        session.begin(ask, list(streams.values()))
        if detach:
            session.answered()
            return 0
        signals.pass_on(session.signal)
        if tty:
            terminal = _raw(session, signals)
        answer = session.wait()
    finally:
        if terminal is not None:
            terminal.restore()
        session.close()
    if answer["result"]["outcome"] not in ("ok", "exited") or answer["result"]["notes"]:
        from ...containers.execute import result_of
        from ..run import report

        report(result_of(answer), quiet=False)
    return int(answer["exit_status"])


def _raw(session: Session, signals: Signals):  # type: ignore[no-untyped-def]
    """Our terminal lets every key pass; its size follows."""
    from ..terminal import Terminal

    terminal = Terminal()
    if os.isatty(0):
        terminal.attach(-1)
    signals.on_resize(session.resize)
    return terminal
