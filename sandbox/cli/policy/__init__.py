"""``pysandbox policy list|show|check|diff|import|export|explain|schema``: policies without running anything."""

from __future__ import annotations

from ...errors import RequestError
from ..flags import POLICY_COMMANDS

# Subcommands that share a module.
_ELSEWHERE = {
    "list": ("show", "list_"), "schema": ("show", "schema_"), "import": ("convert", "import_"),
    "export": ("convert", "export_"),
}  # fmt: skip


def main(words: list[str]) -> int:
    """Run one subcommand; its exit status."""
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in POLICY_COMMANDS:
        known = ", ".join(POLICY_COMMANDS)
        raise RequestError("policy", command[:80], f"name one of {known}; see pysandbox help policy")
    module, function = _ELSEWHERE.get(command, (command, "main"))
    found = __import__(f"{__package__}.{module}", fromlist=[function])
    return int(getattr(found, function)(rest))
