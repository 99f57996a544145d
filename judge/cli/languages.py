"""``pysandbox judge languages``: what this host can compile and run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from sandbox import Sandbox

from ..build import Cache
from ..language import load, report
from ..report.table import console, emit
from ..report.text import clean
from . import EXIT_GOOD
from .files import Target


def main(values: dict[str, Any], words: list[str]) -> int:
    """Always 0: no language is a must."""
    target = Target("--json", values.get("json"))
    try:
        known = load(Path(values["languages"]) if values.get("languages") else None)
        with Sandbox() as box, Cache() as cache:
            rows = report(known.all, box, cache.versions)
        if target.wanted:
            target.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    finally:
        target.close()
    if target.is_stdout:
        return EXIT_GOOD
    out = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("id", "language", "here", "version, or what is missing"):
        table.add_column(heading, overflow="fold")
    for row in sorted(rows, key=lambda row: row.status != "ready"):
        ready = row.status == "ready"
        said = row.version if ready else f"{row.missing}: {row.fix}"
        here = Text("yes", style="green") if ready else Text("no", style="dim")
        table.add_row(Text(row.id), Text(clean(row.name)), here, Text(clean(said)))
    emit(out, table)
    return EXIT_GOOD
