"""How much slower this machine may be than a real one: a guest of the lab is emulated (docs/development.md).

Waits and upper limits of time are multiplied by it; lower limits hold everywhere.
"""

from __future__ import annotations

import os

IN_LAB = os.environ.get("PYSANDBOX_LAB") == "1"
SLOW = 20 if IN_LAB else 1
