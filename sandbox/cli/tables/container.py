"""Flags and help of one family of commands; see the package."""

from __future__ import annotations

from ..options import Option

FLAGS: dict[str, tuple[Option, ...]] = {}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {}
ABOUT: dict[str, str] = {}
EXAMPLES: dict[str, str] = {}
