"""``pysandbox plan [OPTIONS] [--] PROGRAM [ARGUMENTS]``: every step of a run, in order, without running."""

from __future__ import annotations

import sys

from ..errors import RequestError
from .options import flagged, parse


def main(words: list[str]) -> int:
    """Print the steps, numbered."""
    try:
        values, argv = parse(words)
        if not argv:
            raise RequestError("plan", "", "no program was named; see pysandbox help plan")
        from ..pipeline import Sandbox

        options = {k: v for k, v in values.items() if k not in ("json", "quiet")}
        plan = Sandbox().plan(argv, **options)
    except RequestError as error:
        raise flagged(error) from None
    for number, line in enumerate(plan.describe()):
        text = line.encode("utf-8", "backslashreplace").decode()
        sys.stdout.write(f"{number:3}  {text}\n")
    return 0
