"""Which figures a program finds in /proc and /sys: the kernel's, files of ours, or lxcfs' on top of ours.

    View         what is shown by which means; ``procfs`` turns it into steps
    matters()    is there anything to choose? Only then is the rest imported: most runs pay 0.2 ms and not 1

    choose.py    the choice, and what the host has to make it from, looked at once and then kept
    figures.py   our own files, made from the limits
    cpus.py      how many CPUs are shown, and which ones the program runs on
    lxcfs.py     the system's lxcfs: where it is, whether it answers, what it can show
    process.py   the process behind it, whose end is to be noticed

Our own files are bound over the fresh /proc first, those of lxcfs on top: if lxcfs dies under a running
sandbox, taking its layer off again leaves the truth of the start in place.
"""

from __future__ import annotations

from .view import PLAIN, View, matters

__all__ = ["PLAIN", "View", "matters"]
