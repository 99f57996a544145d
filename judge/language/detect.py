"""Which language a program is in, by its file names, and by marks in the text where two share an extension.

Problem package format 2025-09, "Languages and compilation": by comparing the extensions with the table; "if a single
language can't be determined, building fails". Where C lies beside C++ the whole is C++, whose ``also`` has .c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..errors import LanguageError
from .model import Language

# Marks are looked for here: a shebang or the first statements.
_HEAD_BYTES = 1 << 16


def detect(languages: Iterable[Language], files: Mapping[str, bytes]) -> Language:
    """Raises LanguageError: no file is a source, or they are of several languages."""
    claims = {name: _claims(languages, name, content) for name, content in files.items()}
    sources = {name: found for name, found in claims.items() if found}
    if not sources:
        shown = ", ".join(sorted(files)[:5]) or "no file"
        raise LanguageError(shown, "no file has an extension of a known language", "name the language")
    # Those that at least one file speaks for and that take all of the others.
    able = {language for found in sources.values() for language in found}
    whole = [language for language in able if all(language in sources[n] or language.takes(n) for n in sources)]
    if not whole:
        raise LanguageError(", ".join(sorted(sources)[:5]), "files of several languages", "name the language")
    return max(whole, key=lambda one: (sum(one in found for found in sources.values()), one.priority, one.id))


def _claims(languages: Iterable[Language], name: str, content: bytes) -> frozenset[Language]:
    """The languages that this file speaks for; those whose marks it bears shut out the others."""
    base = name.rpartition("/")[2]
    text = content[:_HEAD_BYTES].decode("utf-8", "replace")
    marked, plain = set(), set()
    for language in languages:
        if not language.takes(base):
            continue
        if language.marks and re.search(language.marks, text):
            marked.add(language)
        elif base.endswith(language.extensions or ("\0",)):
            plain.add(language)
    return frozenset(marked or plain)
