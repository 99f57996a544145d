"""``pysandbox network``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def test_network(pysandbox: Callable[..., Any]) -> None:
    """From making to removing."""
    assert pysandbox("network", "create", "one", "--internal", "--subnet", "10.77.1.0/24").stdout == "one\n"
    assert pysandbox("network", "create", "two").returncode == 0
    again = pysandbox("network", "create", "one")
    assert again.returncode == 125 and "there is one of that name" in again.stderr
    lines = [line.split() for line in pysandbox("network", "ls").stdout.splitlines()]
    assert lines[0] == ["NAME", "SUBNET", "INTERNAL", "MEMBERS"] and ["one", "10.77.1.0/24", "yes", "-"] in lines
    found = json.loads(pysandbox("network", "inspect", "one").stdout)
    assert found == [{"name": "one", "subnet": "10.77.1.0/24", "internal": True, "members": []}]
    removed = pysandbox("network", "rm", "none-such", "one")
    assert removed.returncode == 125 and removed.stdout == "one\n" and "no network of that name" in removed.stderr
    assert pysandbox("network", "prune").stdout == "two\n"
    assert json.loads(pysandbox("network", "ls", "--json").stdout) == []
    assert pysandbox("network", "create", "host").returncode == 125
