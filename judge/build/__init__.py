"""From sources to a program that can be run: sources.read, compile.build, program.program, cache.Cache."""

from .cache import Cache
from .compile import Built, build
from .program import program
from .sources import Sources, read

__all__ = ["Built", "Cache", "Sources", "build", "program", "read"]
