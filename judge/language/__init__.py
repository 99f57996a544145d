"""Languages as data: which one a submission is in, how it is compiled and run, and whether this host has it."""

from .model import Language
from .probe import Found, Missing, Row, probe, report
from .table import Languages, load

__all__ = ["Found", "Language", "Languages", "Missing", "Row", "load", "probe", "report"]
