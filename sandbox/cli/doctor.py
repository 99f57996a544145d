"""``pysandbox doctor [--json FILE|-]``: what this host can do for this user, and one fix for what is missing."""

from __future__ import annotations

from . import jsonfile
from .flags import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..doctor import Report

EXIT_WORKS, EXIT_WORKS_NOT = 0, 1


def main(words: list[str]) -> int:
    """Examine and print; 0 if ``pysandbox run --mem`` works for this user, else 1."""
    values = parse("doctor", words)
    json_to = values.get("json")
    json_fd = jsonfile.open_for(json_to)
    _end_by_exception()
    from ..doctor import examine

    report = examine()
    if json_to is not None:
        import json

        jsonfile.write(json_fd, json.dumps(report.to_json(), indent=2) + "\n", json_to)
    if json_to != "-":
        jsonfile.write(1, "".join(line + "\n" for line in lines(report)), "stdout", "stdout")
    return EXIT_WORKS if report.works else EXIT_WORKS_NOT


def lines(report: Report) -> list[str]:
    """The table, and the verdict below it."""
    width = max(len(check.name) for check in report.checks)
    out = []
    for check in report.checks:
        out.append(f"{check.state:<7}  {check.name:<{width}}  {check.detail}")
        if check.fix:
            out.append(f"{'':<7}  {'':<{width}}  fix: {check.fix}")
    who = f"for {report.user} (uid {report.uid})" if report.user != str(report.uid) else f"for uid {report.uid}"
    reason = report.reason()
    if reason is None:
        out += ["", f"`pysandbox run --mem` works {who}"]
    else:
        out += ["", f"`pysandbox run --mem` does not work {who}: {reason.detail}", f"fix: {reason.fix}"]
    return [line.replace("\n", "\\n") for line in out]


def _end_by_exception() -> None:
    """A signal that ends us unwinds, so that what a trial made is removed."""
    import signal

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup(1)
            signal.signal(number, end)
