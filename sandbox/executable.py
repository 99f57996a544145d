"""Where the native executable is: the spawner, and with other words the keeper."""

from __future__ import annotations

import os

from .errors import HostError

# One that is built with sanitizers, for tests; it does not run from a sealed copy of itself.
OVERRIDE = "PYSANDBOX_SPAWNER"
_HERE = os.path.dirname(os.path.abspath(__file__))


def executable() -> str:
    """Path of the executable. Raises HostError if the native core was not built."""
    path = os.environ.get(OVERRIDE) or os.path.join(_HERE, "native", "spawner")
    if not os.access(path, os.X_OK):
        raise HostError(f"the native spawner is missing at {path}", "build it: ./dev setup, or pip install pysandbox")
    return path


def environment() -> dict[str, str]:
    """All of the environment that it needs: what sanitizers read, and which executable is meant."""
    return {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS") or k == OVERRIDE}
