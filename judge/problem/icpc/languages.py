"""The format's language codes (2025-09, appendix Languages)."""

from __future__ import annotations

CODES = frozenset(
    """ada algol68 apl bash c cgmp cobol cpp cppgmp crystal csharp d dart elixir erlang forth fortran fsharp gerbil go
    haskell java javaalgs4 javascript julia kotlin lisp lua modula2 nim objectivec ocaml octave odin pascal perl php
    prolog python2 python3 python3numpy racket ruby rust scala simula smalltalk snobol swift typescript visualbasic
    zig""".split()
)
