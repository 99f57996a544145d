"""Races without luck: who else writes to a tree is given the very moment between two calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def swap_after_a_look(monkeypatch: pytest.MonkeyPatch, place: Path, to: Path) -> Path:
    """Once fstatat(2) has seen ``place`` it becomes a link to ``to``; where it is then."""
    moved, look = place.parent.parent / f"moved-{place.name}", os.stat

    def looked(name: Any, *words: Any, **options: Any) -> os.stat_result:
        found = look(name, *words, **options)
        if options.get("dir_fd") is not None and name == place.name and not moved.exists():
            place.rename(moved)
            place.symlink_to(to)
        return found

    monkeypatch.setattr(os, "stat", looked)
    return moved
