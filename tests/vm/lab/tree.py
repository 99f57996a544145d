"""Which files go into a guest: the project's, and the native part that was built for this machine."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from lab import LabError

BUILT = ("sandbox/native/spawner", "sandbox/native/_core*.so", "judge/native/_compare*.so")
SKIPPED = {".git", ".dev", ".tox", ".venv", "build", "dist", "__pycache__", ".pytest_cache", ".mypy_cache",
           ".ruff_cache", ".hypothesis"}  # fmt: skip


def built(tree: Path) -> list[str]:
    """The native part; an error if it was not built."""
    found: list[str] = []
    for pattern in BUILT:
        matches = [str(path.relative_to(tree)) for path in tree.glob(pattern)]
        if not matches:
            raise LabError(f"{tree / pattern} is not there; run: ./dev build")
        found += matches
    return found


def files(tree: Path) -> list[str]:
    """Names below ``tree`` of what git knows or would add; without git, of all but what is built."""
    listing = ["git", "-c", "safe.directory=*", "-C", str(tree), "ls-files", "-zco", "--exclude-standard"]
    names: list[str] = []
    if (tree / ".git").exists():
        listed = subprocess.run(listing, capture_output=True, check=True).stdout
        names = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    else:
        for folder, folders, here in os.walk(tree):
            folders[:] = [name for name in folders if name not in SKIPPED]
            names += [os.path.relpath(os.path.join(folder, name), tree) for name in here]
    # git also lists what was deleted and is still in the index.
    return sorted({name for name in names if os.path.lexists(tree / name)} | set(built(tree)))


def archive(tree: Path) -> subprocess.Popen[bytes]:
    """A tar that writes the files of ``tree`` to its standard output."""
    with tempfile.TemporaryFile() as listing:
        listing.write(b"\0".join(os.fsencode(name) for name in files(tree)))
        listing.seek(0)
        command = ["tar", "-C", str(tree), "--null", "--no-recursion", "-T", "-", "-cf", "-"]
        return subprocess.Popen(command, stdin=listing, stdout=subprocess.PIPE)
