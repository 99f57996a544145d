"""Verdicts: words, the order of precedence of each profile, and the decision from stored facts."""

from .words import Finding, Verdict

__all__ = ["Finding", "Verdict"]
