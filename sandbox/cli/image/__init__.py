"""``pysandbox image import|ls|inspect|history|tag|rm|prune|export|pull|push``."""

from __future__ import annotations

from ...errors import RequestError
from ..tables.image import IMAGE_COMMANDS

# Subcommand -> the module and its function.
_WHERE = {
    "import": ("transfer", "import_"), "pull": ("transfer", "pull"), "push": ("transfer", "push"),
    "export": ("transfer", "export"), "ls": ("show", "ls"), "inspect": ("show", "inspect"),
    "history": ("show", "history"), "tag": ("change", "tag"), "rm": ("change", "rm"), "prune": ("change", "prune"),
}  # fmt: skip


def main(words: list[str]) -> int:
    """Run one subcommand; its exit status."""
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in IMAGE_COMMANDS:
        known = ", ".join(IMAGE_COMMANDS)
        raise RequestError("image", command[:80], f"name one of {known}; see pysandbox help image")
    module, function = _WHERE[command]
    found = __import__(f"{__package__}.{module}", fromlist=[function])
    return int(getattr(found, function)(rest))
