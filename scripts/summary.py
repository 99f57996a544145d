#!/usr/bin/env python3
"""Add up junit reports and close with one line as pytest writes it; fails where no test ran.

    summary.py REPORT.xml...
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

KINDS = ("failed", "passed", "skipped", "error")


def counts(path: str) -> tuple[dict[str, int], float]:
    """Tests by outcome in one report, and its seconds."""
    total, seconds = dict.fromkeys(KINDS, 0), 0.0
    for suite in ElementTree.parse(path).iter("testsuite"):
        number = {k: int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped")}
        total["failed"] += number["failures"]
        total["error"] += number["errors"]
        total["skipped"] += number["skipped"]
        total["passed"] += number["tests"] - number["failures"] - number["errors"] - number["skipped"]
        seconds += float(suite.get("time", "0"))
    return total, seconds


def main(paths: list[str]) -> int:
    total, seconds = dict.fromkeys(KINDS, 0), 0.0
    for path in paths:
        try:
            more, took = counts(path)
        except (OSError, ElementTree.ParseError) as error:
            print(f"summary: {path}: {error}", file=sys.stderr)
            return 1
        total = {k: total[k] + more[k] for k in KINDS}
        seconds += took
    # pytest's own words: 1 error, 2 errors.
    words = ", ".join(f"{n} {k}{'s' * (k == 'error' and n > 1)}" for k, n in total.items() if n) or "no tests ran"
    print(f"{f' {words} in {seconds:.2f}s ':=^100}")
    return 0 if total["passed"] and not total["failed"] and not total["error"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
