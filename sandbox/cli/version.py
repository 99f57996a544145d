"""``pysandbox version``"""

from __future__ import annotations

import sys

from .. import __version__


def main(words: list[str]) -> int:
    """Print name and version."""
    sys.stdout.write(f"pysandbox {__version__}\n")
    return 0
