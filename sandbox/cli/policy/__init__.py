"""``pysandbox policy list|show|check|diff|import|export|explain|schema``: policies without running anything."""

from __future__ import annotations

from ...errors import RequestError
from ..flags import POLICY_COMMANDS


def main(words: list[str]) -> int:
    """Run one subcommand; its exit status."""
    command, rest = (words[0], words[1:]) if words else ("", [])
    if command not in POLICY_COMMANDS:
        raise RequestError("policy", command[:80], f"name one of {', '.join(POLICY_COMMANDS)}; see pysandbox help policy")
    module = {"import": "convert", "export": "convert", "list": "show", "schema": "show"}.get(command, command)
    found = __import__(f"{__package__}.{module}", fromlist=["main"])
    return int(getattr(found, f"{command}_", None)(rest) if hasattr(found, f"{command}_") else found.main(rest))
