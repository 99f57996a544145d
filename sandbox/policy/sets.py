"""Named sets of calls (policies/sets.toml): ``"@memory"`` in a group stands for all calls of that set."""

from __future__ import annotations

from ..errors import PolicyError
from .files import FOLDER, SETS, read

SIGN = "@"
_known: dict[str, tuple[str, ...]] = {}


def sets() -> dict[str, tuple[str, ...]]:
    """Name -> calls, in the order of the file; every call is in one set at most. Raises PolicyError."""
    if not _known:
        import tomllib

        path = f"{FOLDER}/{SETS}.toml"
        try:
            data = tomllib.loads(read(SETS, path)[0].decode("utf-8"))
            found = {name: tuple(table["calls"]) for name, table in data["sets"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PolicyError(path, 0, "", f"not a file of sets: {error}") from None
        _known.update(found)
    return _known


def set_of(call: str) -> str:
    """The set that a call is in, "" if none."""
    return next((name for name, calls in sets().items() if call in calls), "")
