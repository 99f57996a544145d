"""The problem package format of the ICPC and Kattis: legacy, the draft as problemtools reads it, and 2025-09."""

from .package import matches, read

__all__ = ["matches", "read"]
