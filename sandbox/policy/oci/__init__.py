"""Policies from and to the seccomp profiles of OCI runtimes and Docker.

    words.py     names of actions, comparisons and architectures, both ways
    profile.py   JSON -> the entries that hold for an architecture, a kernel and capabilities
    reading.py   entries -> Policy, as libseccomp and runc understand them
    writing.py   Policy -> JSON

docs/policies.md, "From and to OCI", says what is kept and what is not.
"""

from __future__ import annotations

from .reading import read
from .writing import write

__all__ = ["read", "write"]
