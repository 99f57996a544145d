"""Where images and snapshots are kept: under keys made of everything that they are made of.

An entry is a folder that is complete or does not exist: it is made aside, under the guest's lock, and renamed.
What is not in the key are the updates of the distribution: ``./dev lab clean`` gets them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lab.guests import Guest

RECIPE = Path(__file__).resolve().parent / "recipe"


def root(env: Mapping[str, str] = os.environ) -> Path:
    """The folder of all entries: $PYSANDBOX_LAB_CACHE, or pysandbox-lab in the user's cache."""
    if own := env.get("PYSANDBOX_LAB_CACHE"):
        return Path(own).absolute()
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pysandbox-lab"


def key(*parts: str) -> str:
    """A name for what is made of ``parts``; ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:16]


def image_key(guest: Guest, recipe: Path = RECIPE) -> str:
    files = sorted(path for path in recipe.iterdir() if path.is_file())
    texts = [text for path in files for text in (path.name, path.read_text(encoding="utf-8"))]
    return key(guest.suite, " ".join(guest.packages), " ".join(guest.delegate), *texts)


def image_dir(guest: Guest) -> Path:
    return root() / f"{guest.name}-image-{image_key(guest)}"


def snapshot_dir(guest: Guest, machine: tuple[str, ...]) -> Path:
    """``machine``: all that a saved state depends on beside its image, such as the version of qemu."""
    return root() / f"{guest.name}-state-{key(image_key(guest), *machine)}"


@contextmanager
def locked(guest: Guest, *, alone: bool) -> Iterator[None]:
    """Hold the guest's entries: ``alone`` to make or remove them, shared while one is being read."""
    folder = root()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(folder / f"{guest.name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield


def entries(guest: Guest) -> list[Path]:
    """All entries of a guest, also of other keys and half made ones."""
    folder = root()
    return sorted(path for path in folder.glob(f"{guest.name}-*") if path.is_dir()) if folder.is_dir() else []
