"""``pysandbox trace [OPTIONS OF run] [--write FILE | --merge FILE] [--] PROGRAM [ARGUMENTS]``"""

from __future__ import annotations

from ..errors import RequestError
from .flags import FLAGS
from .options import flagged, parse
from .signals import Signals, under_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..policy import Policy
    from ..result import Result
    from ..trace.facts import Facts

DEFAULT = "errno:ENOSYS"
_OWN = ("write", "merge", "default")


def main(words: list[str]) -> int:
    """Parse, run, report, write; the exit status is that of ``run``."""
    return under_signals(_main, words)


def _main(words: list[str], signals: Signals) -> int:
    from ..policy import load
    from ..trace.tracer import Tracer
    from .run import start, wait

    try:
        values, argv = parse(words, FLAGS["trace"], "trace")
        if not argv:
            raise RequestError("trace", "", "no program was named; see pysandbox help trace")
        own = {name: values.pop(name) for name in _OWN if name in values}
        base = load(values.get("policy", "default"))
        path, before = _target(own)
        after = _after(own, path, before, base, argv)
        json_to = values.get("json")
        if json_to is not None:
            from . import jsonfile

            json_fd = jsonfile.open_for(json_to)
        tracer = Tracer(base)
        running = start({**values, "notify": tracer, "notify_all": True}, argv, signals)
    except RequestError as error:
        raise flagged(error) from None
    try:
        with running:
            result = wait(running, signals)
    finally:
        from ..pipeline import default

        default().close()
    began = tracer.began and result.outcome != "exec_failed"  # else what was seen is our own way to say so
    told = [] if values.get("quiet") else _report(tracer.facts, result, began)
    if after is not None and began:
        told += _write(tracer.facts, after, path, base, new=before is None)
    from .main import tell

    for line in told:
        tell(line)
    if json_to is not None:
        import json

        from ..trace.report import to_json

        data = {"schema": 1, "trace": to_json(tracer.facts), "result": result.to_json()}
        jsonfile.write(json_fd, json.dumps(data, indent=2) + "\n", json_to)
    return result.exit_status


def _target(own: dict[str, Any]) -> tuple[str, Policy | None]:
    """The file to write, "" for none, and the policy that is in it. What cannot be written should cost no run."""
    import os

    from ..trace import write

    if "write" in own and "merge" in own:
        raise RequestError("--merge", own["merge"], "cannot be had together with --write: it makes a new file as well")
    if "write" not in own and "merge" not in own:
        if "default" in own:
            raise RequestError("--default", own["default"], "goes with --write or --merge")
        return "", None
    flag = "--write" if "write" in own else "--merge"
    path = write.target(own[flag[2:]], flag)
    before = write.load_for_merge(path) if flag == "--merge" else None
    if flag == "--write" and os.path.lexists(path):
        raise RequestError(flag, own["write"], "is there already; --merge adds to it")
    if before is not None and "default" in own:
        raise RequestError("--default", own["default"], f"{own['merge']} has one already: {before.default}")
    if not os.access(os.path.dirname(path), os.W_OK | os.X_OK):
        raise RequestError(flag, own[flag[2:]], "cannot write: no such directory, or it is closed to you")
    return path, before


def _after(own: dict[str, Any], path: str, before: Policy | None, base: Policy, argv: list[str]) -> Policy | None:
    """The policy to add to: that of the file, or an empty one."""
    if not path or before is not None:
        return before
    from ..policy import parse_action
    from ..trace.learn import empty

    action = own.get("default", DEFAULT)
    try:
        if parse_action(action)[0] not in ("errno:", "kill"):
            raise ValueError("a policy that is learned refuses what it has not seen")
    except ValueError as error:
        raise RequestError("--default", action, str(error)) from None
    shown = " ".join(argv).encode("utf-8", "replace").decode()
    return empty(path, base=base, default=action, description=f"learned from {shown[:100]}")


def _report(facts: Facts, result: Result, began: bool) -> list[str]:
    from ..trace.report import lines
    from .report import lines as of_result

    return [*of_result(result), *(lines(facts) if began else ())]


def _write(facts: Facts, policy: Policy, path: str, base: Policy, *, new: bool) -> list[str]:
    from ..trace import learn, write

    more = learn.additions(facts, policy, base)
    told = [f"not added, {conflict}" for conflict in more.conflicts]
    told += [f"{call} is allowed with all arguments: it had more than {learn.MAX_RULES} different ones"
             for call in more.wide]  # fmt: skip
    if not new and more.nothing:
        return [*told, f"{path} allows all of it as it is"]
    write.store(path, write.new(policy, more) if new else write.added(policy, more))
    if new:
        return [*told, f"wrote {path}"]
    return [*told, f"added to {path}:", *(f"  {line}" for line in learn.summary(more))]
