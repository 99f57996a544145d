"""The policy language: TOML files that a person can review, and what they mean.

    files.py      names and paths; the only reader of a policy file
    sets.py       named sets of calls, policies/sets.toml
    constants.py  names for numbers (AF_UNIX), and which arguments are 32-bit
    model.py      Policy, Group, Rule, Arg, actions
    parser.py     bytes -> Policy; every mistake refused by file, line and a hint
    answer.py     what a policy says to a call, and why
    permit.py     what to write for a refused call to pass
    naming.py     numbers of conditions in names
    write.py      Policy -> TOML

Numbers of calls, libseccomp and the kernel are not known here (but to ``answer_number``).
"""

from __future__ import annotations

from .constants import ALL_BITS, CONSTANTS, INT_BITS
from .files import FOLDER, MAX_TEXT_BYTES, locate, names, near, read
from .model import ALLOW, KILL, LOG, NONE, NOTIFY, TRAP, Arg, Group, Policy, Rule, parse_action
from .parser import load, parse

__all__ = ["ALLOW", "ALL_BITS", "CONSTANTS", "FOLDER", "INT_BITS", "KILL", "LOG", "MAX_TEXT_BYTES", "NONE", "NOTIFY",
           "TRAP", "Arg", "Group", "Policy", "Rule", "load", "locate", "names", "near", "parse", "parse_action",
           "read"]  # fmt: skip
