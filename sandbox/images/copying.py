"""Files into a root and out of it, by tar, each side in a sandbox of its own: ``cp`` and COPY.

    source root ──> [sandbox: copy_out] ──> pipe ──> [sandbox: copy_in] ──> target root

Of ``cp`` one side is the host's, and does what the scripts do (containers/copy.py).

Nobody on the host opens a name in a root that a container writes to (DESIGN, rule 5). Paths are resolved by the kernel
with the root as their root.
"""

from __future__ import annotations

import os
import select

from ..errors import RequestError
from ..record import Record
from ..request import DEVNULL, Mount, Overlay
from ..scratch import empty
from .helper import give, last_id, number, report_of, start_inside, texts
from .unpack import LIMIT_BYTES, LIMIT_FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..request import NetworkPlace
    from ..running import Running

PLACE = "/root"
NAMES = ("auto", "into", "as", "file", "directory", "contents", "tar")
NO_LIMIT = 1 << 62


class Root(Record):
    """A root directory: ``directory``, a path of the host's or the fd of a detached mount (``Running.open_tree``); or
    an overlay of ``layers``, topmost first, and ``upper``, as a LayeredRoot has them. ``ids``: as its files have
    them. ``network``: where to look at it from, if it is a mount of FUSE."""

    directory: str | int | None = None
    layers: tuple[str, ...] = ()
    upper: str | None = None
    ids: str = "single"
    network: NetworkPlace | None = None

    def options(self, writable: bool) -> dict[str, Any]:
        """For ``start_inside``."""
        if self.directory is not None:
            mount = Mount(source=self.directory, target=PLACE, writable=writable)
            return {"mounts": (mount,), "ids": self.ids, "network": self.network}
        if self.upper is not None:
            fresh_work(self.upper, self.ids)
        return {"overlays": (Overlay(target=PLACE, layers=self.layers, upper=self.upper),), "ids": self.ids}


class Copied(Record):
    """``kinds``: of each path that was copied, "file", "directory" or "contents"; () if only the target is ours.
    ``skipped`` and ``unmatched``: of copy_below, what is neither file nor directory, and patterns without a match."""

    bytes: int
    files: int
    notes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


def fresh_work(upper: str, ids: str) -> None:
    """An empty ``work`` beside ``upper/upper``: overlayfs mounts no volatile one twice
    (Documentation/filesystems/overlayfs.rst). What an overlay was about to put in place, a symlink too, is left in it
    if it ends then, so no name in it is followed."""
    work = f"{upper}/work"
    try:
        fd = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    else:
        try:
            empty(fd)
            os.rmdir(work)
        finally:
            os.close(fd)
    os.mkdir(work, 0o700)
    give(work, ids)


def copy_in(
    tar_fd: int, target: Root, dest: str, *, names: str = "auto", owner: tuple[int, int] | None = None,
    mode: int | None = None, limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES,
) -> Copied:  # fmt: skip
    """Unpack the tar that comes out of ``tar_fd`` (a pipe is best: a file is copied through one) at ``dest``.

    ``names``: "into": below ``dest``, a directory, which is made with those above it; "as": the one thing at the top
    becomes ``dest``; "auto": "into" if ``dest`` is a directory or ends with ``/``. ``owner``, ``mode``: of all that is
    made. Devices are left out. What was unpacked before a refusal stays.

    Raises RequestError for what cannot be, HostError if the disk fails.
    """
    with reader(tar_fd, target, dest, names=names, owner=owner, mode=mode, limit_bytes=limit_bytes,
                limit_files=limit_files) as running:  # fmt: skip
        report = report_of(running.wait(), "destination", dest)
    return Copied(bytes=number(report, "bytes"), files=number(report, "files"), notes=texts(report, "notes"))


def copy_out(
    source: Root, paths: Sequence[str], tar_fd: int, *, contents: bool = False, follow: bool = False,
    limit_bytes: int = LIMIT_BYTES,
) -> Copied:  # fmt: skip
    """Write a tar of ``paths`` to ``tar_fd``; they may have ``*``, ``?`` and ``[…]`` in them.

    Names are relative to the directory that each is in. Of a directory, ``contents`` (or ``/.`` at its end) gives what
    is in it. ``follow``: a path that is a symlink stands for what it leads to in this root; those below stay links.

    Raises RequestError if there is no such file or it changes meanwhile, HostError.
    """
    running = writer(tar_fd, source, paths, contents=contents, follow=follow, limit_bytes=limit_bytes)
    with running:
        return _copied(report_of(running.wait(), "source", " ".join(paths)))


def copy_between(
    source: Root, paths: Sequence[str], target: Root, dest: str, *, names: str = "auto", contents: bool = False,
    follow: bool = False, owner: tuple[int, int] | None = None, mode: int | None = None,
    limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES,
) -> Copied:  # fmt: skip
    """``copy_out`` and ``copy_in`` at once, by a pipe between the two sandboxes."""
    out = {"contents": contents, "follow": follow, "limit_bytes": limit_bytes}
    into = {"names": names, "owner": owner, "mode": mode, "limit_bytes": limit_bytes, "limit_files": limit_files}
    return _between(source, paths, out, target, dest, into)


def copy_below(
    source: Root, patterns: Sequence[str], target: Root, *, links: bool = True, private: bool = False,
    limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES,
) -> Copied:  # fmt: skip
    """All that ``patterns`` match below ``source``, everything without one, to the same names below ``target``.

    ``**`` is any number of directories, and no symlink is followed. What changes meanwhile is left out
    (inside/live.py). ``files`` of the answer are those that are no directories. ``links``: symlinks are made anew.
    ``private``: for a directory of the host's, whatever the modes are inside: no setuid, setgid and sticky bits,
    nothing that others may write to. Raises as ``copy_between``.
    """
    out = {"below": True, "links": links, "limit_bytes": limit_bytes}
    into = {"names": "into", "owners": False, "private": private, "limit_bytes": limit_bytes,
            "limit_files": limit_files}  # fmt: skip
    return _between(source, patterns, out, target, "/", into)


def _between(source: Root, paths: Sequence[str], out: dict[str, Any], target: Root, dest: str,
             into: dict[str, Any]) -> Copied:  # fmt: skip
    read, write = os.pipe2(os.O_CLOEXEC)
    runs: list[Running] = []
    try:
        try:
            runs.append(writer(write, source, paths, **out))
            runs.append(reader(read, target, dest, **into))
        finally:
            os.close(read)
            os.close(write)
        _wait(runs)
        written, read_ = (running.result() for running in runs)
        # Of what the reader refuses the writer sees a broken pipe, of what the writer refuses the reader a cut-off tar.
        if not written.ok and b"broken pipe" in written.stderr:
            report_of(read_, "destination", dest)
        copied = _copied(report_of(written, "source", " ".join(paths)))
        report = report_of(read_, "destination", dest)
        files = copied.files if "below" in out else number(report, "files")
        return copied.replace(files=files, notes=(*copied.notes, *texts(report, "notes")))
    finally:
        for running in runs:
            running.close()


def reader(
    tar_fd: int, target: Root, dest: str, *, names: str = "auto", owner: tuple[int, int] | None = None,
    mode: int | None = None, plain: bool = False, private: bool = False, owners: bool = True,
    limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES,
) -> Running:  # fmt: skip
    """Start the sandbox of ``copy_in``. ``names`` has docker-cp(1)'s rules too, for the ``file`` or ``directory`` at
    the top, the ``contents`` of the directory at the top, or a ``tar`` of somebody's: what it goes to has to be there.
    ``plain``, ``private``: as inside/copying.py has them. ``owners``: those of the tar, where there is a range of
    ids."""
    if names not in NAMES:
        raise RequestError("names", names, f"expected {', '.join(NAMES)}")
    if "\0" in dest:
        raise RequestError("destination", dest, "a NUL byte in a path")
    words = [
        os.fsencode(dest).hex(), names, "-" if owner is None else f"{owner[0]}:{owner[1]}",
        "-" if mode is None else f"{mode:o}", "private" if private else "plain" if plain else "full",
        target.ids if owners else "single", str(last_id(target.ids)), str(limit_bytes), str(limit_files),
    ]  # fmt: skip
    return start_inside("copy_in", words, stdin=tar_fd, **target.options(True))


def writer(
    tar_fd: int, source: Root, paths: Sequence[str], *, contents: bool = False, follow: bool = False,
    top: bytes | None = None, below: bool = False, links: bool = True, limit_bytes: int = LIMIT_BYTES,
) -> Running:  # fmt: skip
    """Start the sandbox of ``copy_out``. With ``top`` there is one path, which is no pattern; it is called so in the
    tar, and what changes meanwhile is left out (inside/live.py). ``below`` and
    ``links``: as copy_below has it."""
    for path in paths:
        if not path or "\0" in path:
            raise RequestError("source", path, "expected a path")
    words = [source.ids, str(limit_bytes), "contents" if contents else "whole",
             "follow" if follow else "keep" if links else "drop",
             "below" if below else "-" if top is None else top.hex()]  # fmt: skip
    words += [os.fsencode(path).hex() for path in paths]
    return start_inside("copy_out", words, stdin=DEVNULL, stdout=tar_fd, **source.options(False))


def _copied(report: dict[str, Any]) -> Copied:
    return Copied(bytes=number(report, "bytes"), files=number(report, "files"), notes=texts(report, "notes"),
                  kinds=texts(report, "kinds"), skipped=texts(report, "skipped") if "skipped" in report else (),
                  unmatched=texts(report, "unmatched") if "unmatched" in report else ())  # fmt: skip


def _wait(runs: Sequence[Running]) -> None:
    """Until both have ended: when one has, the other one sees the end of the pipe."""
    while live := [run for run in runs if not run.supervision.done]:
        poll = select.poll()
        for run in live:
            poll.register(run.supervision.fileno(), select.POLLIN)
        timeouts = [t for run in live if (t := run.supervision.timeout()) is not None]
        poll.poll(1000 * min(timeouts) if timeouts else None)
        for run in live:
            run.supervision.step(0)
