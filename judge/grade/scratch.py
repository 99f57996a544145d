"""The temporary directory of a judging: removed at its end, or by the next judge if ours was killed.

Its name holds pid and start time of its owner, which together are unique until the next boot, and the inode of the pid
namespace, without which an owner in another container would look dead.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from ..safe import remove_tree

PREFIX = "pysandbox-judge-"
_NAME = re.compile(re.escape(PREFIX) + r"(\d+)-(\d+)-(\d+)-\w+")


class Scratch:
    """A directory of our own, mode 0700; a context manager. Raises OSError."""

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        sweep(parent)
        own = f"{PREFIX}{os.getpid()}-{_started(os.getpid())}-{_namespace()}-"
        self.path = Path(tempfile.mkdtemp(prefix=own, dir=parent))

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_exc: object) -> None:
        remove_tree(self.path)


def sweep(parent: Path) -> tuple[str, ...]:
    """Removes what dead judges of this user and pid namespace left; the names."""
    removed = []
    for entry in os.scandir(parent):
        name = _NAME.fullmatch(entry.name)
        if name is None or int(name[3]) != _namespace():
            continue
        try:
            if entry.stat(follow_symlinks=False).st_uid != os.geteuid() or not entry.is_dir(follow_symlinks=False):
                continue
            if _started(int(name[1])) != int(name[2]):
                remove_tree(Path(entry.path))
                removed.append(entry.name)
        except FileNotFoundError:  # another judge was faster
            continue
    return tuple(removed)


def _started(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat, None if there is no such process or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
