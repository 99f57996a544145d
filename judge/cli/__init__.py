"""``pysandbox judge``: what a person starts. The words have become values in ``sandbox.cli.judge``.

Faults are exceptions below SandboxError; the command line says them in one line and ends with 125.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

EXIT_GOOD, EXIT_BAD = 0, 1

_MODULES = {"": "submit", "check": "check", "languages": "languages", "calibrate": "calibrate", "verdict": "verdict"}


def main(command: str, values: dict[str, Any], words: Sequence[str]) -> int:
    """Run one subcommand; "" judges. Imports only what that one needs."""
    # What was cleaned for a terminal may still be more than its encoding has.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    module = __import__(f"{__package__}.{_MODULES[command]}", fromlist=["main"])
    return int(module.main(values, list(words)))
