"""``cp``: files into a container and out of it.

    out    container's root ─> [sandbox: copy_out] ─> pipe ─> here: strict reader, below one fd of the host
    in     host's tree, as the caller ─> tar ─> pipe ─> [sandbox: copy_in, below one fd of the container]

The host never opens by name what a container can write. The container's tree is seen in a helper sandbox only: of a
running
container a detached copy of its mounts, of one that has ended its layers under its changes. What comes out is a tar
that anybody may have written, read by code that allocates no more than a header may have, and unpacked with O_NOFOLLOW
step by step (CVE-2018-15664, CVE-2019-14271).
"""

from __future__ import annotations

import io
import os
import select
import stat
from contextlib import contextmanager, suppress

from ..errors import RequestError
from ..images.copying import NO_LIMIT, Root, reader, writer
from ..images.helper import report_of, texts
from ..images.inside.copying import Copy as Tree
from ..images.inside.live import Live
from ..images.inside.scan import scan_open
from ..images.inside.start import Refused, write_all
from ..images.inside.tarread import DIRECTORY, TarReader
from ..images.inside.tarwrite import TarWriter
from ..record import Record
from ..request import NetworkPlace
from .upper import used

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from ..images.inside.scan import Scan
    from ..images.inside.tarread import Member
    from ..running import Running
    from .container import Container

LIMIT_BYTES = 16 << 30
LIMIT_FILES = 1_000_000
CHUNK = 64 << 10


class Copy(Record):
    """What was done: ``bytes`` and ``files`` that were written, and a line for each that was left out."""

    bytes: int = 0
    files: int = 0
    notes: tuple[str, ...] = ()


# ---- out ----


def copy_out(container: Container, source: str, target: str, *, follow: bool = False,
             limit_bytes: int = LIMIT_BYTES, limit_files: int = LIMIT_FILES) -> Copy:  # fmt: skip
    """``source`` in the container to ``target`` here, as docker-cp(1) decides where. ``follow``: what a link leads to.

    Raises RequestError for what cannot be, HostError and SupervisorError. What was copied before stays.
    """
    with _stream_out(container, source, _called(source), follow) as (stream, running):
        try:
            tar = TarReader(stream)  # type: ignore[arg-type]  # all it needs is read()
            first = next(iter(tar), None)
            if first is None:  # the helper says why
                _report(running, "cp", source)
                raise RequestError("cp", source, "nothing came out")
            tree = _receive(tar, first, source, target, limit_bytes, limit_files)
        except Refused as error:
            _ended_well(running, source)
            raise RequestError("cp", source, str(error)) from None
        except OSError as error:
            raise RequestError("cp", target, f"cannot write: {(error.strerror or str(error)).lower()}") from error
        notes = texts(_report(running, "cp", source), "notes")
    return Copy(bytes=tree.bytes, files=tree.files, notes=(*notes, *_printable(tree.notes)))


def stream_out(container: Container, source: str, fd: int, *, follow: bool = False,
               limit_bytes: int = LIMIT_BYTES) -> Copy:  # fmt: skip
    """``source`` as a tar to ``fd``, as the container has it. Raises as ``copy_out``, and BrokenPipeError."""
    name = os.path.basename(source.rstrip("/")) if not source.endswith("/.") else "."
    total = 0
    with _stream_out(container, source, os.fsencode(name or "."), follow) as (stream, running):
        while chunk := stream.read(CHUNK):
            total += len(chunk)
            if total > limit_bytes:
                raise RequestError("cp", source, f"is more than {limit_bytes} bytes; --limit says how much may come")
            write_all(fd, chunk)
        notes = texts(_report(running, "cp", source), "notes")
    return Copy(bytes=total, notes=notes)


@contextmanager
def _stream_out(container: Container, source: str, top: bytes, follow: bool) -> Iterator[tuple[_Stream, Running]]:
    read, write = os.pipe2(os.O_CLOEXEC)
    try:
        with root_of(container, source, writable=False) as root:
            try:
                running = writer(write, root, [_absolute("cp", source)], follow=follow, top=top, limit_bytes=NO_LIMIT)
            finally:
                os.close(write)
            with running:
                yield _Stream(read, running), running
    finally:
        os.close(read)


def _receive(tar: TarReader, first: Member, source: str, target: str, limit_bytes: int, limit_files: int) -> Tree:
    """Decide where it goes, and put it there."""
    fd, where = _place_for(first, os.fsencode(source), os.fsencode(target))
    tree = None
    try:
        tree = Tree(fd, **where, plain=True, ids="single", last_id=0, limit_bytes=limit_bytes, limit_files=limit_files)
        member: Member | None = first
        while member is not None:
            tree.add(member, tree.place(member.name), tar.data(member))
            member = next(iter(tar), None)
        tree.finish()
        return tree
    finally:
        if tree is not None:
            tree.forget(())
        os.close(fd)


def _place_for(first: Member, source: bytes, target: bytes) -> tuple[int, dict[str, Any]]:
    """The directory that is written to, and what becomes of the name at the top: docker-cp(1)."""
    base = os.path.basename(source.rstrip(b"/")) or b"."
    contents = base in (b".", b"..")
    if os.path.isdir(target):
        # `strip` is for directories; a file would be refused
        return _open_directory(target), {"strip": True} if contents else {"rename": base}
    if first.kind != DIRECTORY and target.endswith(b"/"):
        raise RequestError("cp", os.fsdecode(target), "there is no such directory")
    if first.kind == DIRECTORY and os.path.lexists(target):
        raise RequestError("cp", os.fsdecode(target), "a directory cannot be copied over a file")
    above, name = os.path.split(target.rstrip(b"/"))
    if not name:
        raise RequestError("cp", os.fsdecode(target), "not the name of a file")
    return _open_directory(above or b"."), {"rename": name}


def _open_directory(path: bytes) -> int:
    """Of the caller's own words, which may lead through links."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        name = os.fsdecode(path)
        raise RequestError("cp", name, f"{name}: {(error.strerror or '').lower()}") from None


# ---- in ----


def copy_in(container: Container, source: str, target: str, *, follow: bool = False, owners: bool = False) -> Copy:
    """``source`` here, read as the caller, to ``target`` in the container.

    Files become those of the container's user 0; ``owners``: their numbers are kept, which needs ids="range".
    Raises as ``copy_out``.
    """
    path = os.fsencode(source)
    # a name with a slash behind it, or none at all, is what it leads to
    contents = os.path.basename(path.rstrip(b"/")) in (b"", b".", b"..")
    through = follow or contents or path.endswith(b"/")
    try:
        fd = os.open(path if through else os.path.dirname(path) or b".", os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError("cp", source, (error.strerror or "").lower()) from None
    try:
        name = b"" if through else os.path.basename(path)
        found = os.fstat(fd) if through else os.lstat(name, dir_fd=fd)
        kind = stat.S_IFMT(found.st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise RequestError("cp", source, "neither a file nor a directory")
        word = "contents" if contents else "directory" if kind == stat.S_IFDIR else "file"
        scans: list[Scan] = []
        done = _send(container, target, word, _packer(fd, name, _called(source), owners, scans), owners, source)
    except FileNotFoundError as error:
        raise RequestError("cp", source, (error.strerror or "").lower()) from None
    except Refused as error:
        raise RequestError("cp", source, str(error)) from None
    finally:
        os.close(fd)
    notes = _printable(note for scan in scans for note in scan.notes)
    if not any(scan.files for scan in scans):
        raise RequestError("cp", source, notes[0] if notes else "nothing went in")
    return done.replace(notes=(*notes, *done.notes))


def _packer(fd: int, name: bytes, top: bytes, owners: bool, scans: list[Scan]) -> Callable[[_Sink], None]:
    """What is open, or ``name`` in it, read as the caller."""

    def pack(sink: _Sink) -> None:
        tar = TarWriter(-1, fine=True, write=lambda _fd, data: sink.write(data))
        options: dict[str, Any] = {"ids": "range" if owners else "single", "limit_bytes": NO_LIMIT, "newest_ns": None}
        if name:
            above = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
            try:
                scans.append(Live(above, tar, **options))
                scans[0].walk((name,))
            finally:
                for scan in scans:
                    scan.forget(())
                os.close(above)
        else:
            scans.append(scan_open(Live, fd, top, tar, **options))
        tar.close()

    return pack


def stream_in(container: Container, fd: int, target: str, *, owners: bool = False) -> Copy:
    """The tar that comes from ``fd`` into the directory ``target``; ``..`` and absolute names in it lead nowhere else.

    Raises as ``copy_out``.
    """

    def pass_on(sink: _Sink) -> None:
        while chunk := os.read(fd, CHUNK):
            sink.write(chunk)

    return _send(container, target, "tar", pass_on, owners, "-")


def _send(container: Container, target: str, kind: str, write_to: Callable[[_Sink], None], owners: bool,
          said: str) -> Copy:  # fmt: skip
    with root_of(container, target, writable=True) as root:
        if owners and root.ids != "range":
            raise RequestError("--archive", said, "the container has one id only; run it with --ids range")
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                # without owners everything is the sandbox's user 0, who makes it
                running = reader(read, root, _absolute("cp", target), names=kind, plain=True, owners=owners,
                                 limit_bytes=NO_LIMIT, limit_files=NO_LIMIT)  # fmt: skip
            finally:
                os.close(read)
            with running:
                with suppress(_HelperEndedError):  # it says why
                    write_to(_Sink(write, running))
                os.close(write)
                write = -1
                report = _report(running, "cp", target)
        finally:
            if write >= 0:
                os.close(write)
    counts = {key: value for key in ("bytes", "files") if isinstance(value := report.get(key), int)}
    return Copy(**counts, notes=texts(report, "notes"))


class _HelperEndedError(Exception):
    """Nobody reads what was to be written."""


class _Sink:
    """The helper's stdin; while it does not read, its run goes on."""

    def __init__(self, fd: int, running: Running) -> None:
        self._fd, self._running = fd, running
        os.set_blocking(fd, False)

    def write(self, data: bytes | bytearray) -> None:
        """All of it."""
        view = memoryview(data)
        while view:
            if self._running.supervision.done:
                raise _HelperEndedError
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                _step(self._running, self._fd, select.POLLOUT)
            except BrokenPipeError:
                raise _HelperEndedError from None


# ---- the container's tree ----


@contextmanager
def root_of(container: Container, path: str, *, writable: bool) -> Iterator[Root]:
    """Its root, for a helper sandbox: of a running container a detached copy of its mounts, of one that has ended its
    layers under its changes, locked meanwhile. ``path``: for messages. Raises RequestError."""
    ids = str(container.config.options.get("ids", "single"))
    fuse = used(container.directory)
    if container.running:
        _answer, fds = container.call_with_fds("open_tree", path="/")
        try:
            network = None
            if fuse:
                fds += container.call_with_fds("network")[1]
                network = NetworkPlace(user_fd=fds[1], net_fd=fds[2])
            yield Root(directory=fds[0], ids=ids, network=network)
        finally:
            for fd in fds:
                os.close(fd)
        return
    from . import record

    lock = record.take_ended(container.id)
    if lock < 0:
        raise RequestError("container", container.name, "has just been started or is being removed; try again")
    try:
        root = _ended(container, path, ids, writable)
        if not fuse:
            yield root
            return
        from .fuseroot import FuseRoot

        served = FuseRoot(container.directory, root.layers, ids, None, f"so ran {container.name}")
        try:
            yield Root(directory=served.tree, ids=ids, network=served.place)
        finally:
            served.close()
    finally:
        os.close(lock)


def _ended(container: Container, path: str, ids: str, writable: bool) -> Root:
    config = container.config
    if writable and config.read_only:
        raise RequestError("cp", path, "the container's root is read-only (--read-only)")
    if not config.image:
        raise RequestError("container", container.name, "has ended, and had no files of its own: it has no image")
    if config.upper == "tmpfs":
        raise RequestError("container", container.name, "has ended, and its changes were in memory (--upper tmpfs)")
    for mount in config.volumes:
        if f"{os.path.normpath(path)}/".startswith(f"{mount.target.rstrip('/')}/"):
            why = f"is in a volume ({mount.source}), which is shown while the container runs; use the volume itself"
            raise RequestError("cp", path, why)
    from ..images.store import Store

    store = Store()
    layers = store.lowers(store.open(config.image), ids, fuse=used(container.directory))
    return Root(layers=layers, upper=container.directory, ids=ids)


def _called(path: str) -> bytes:
    """The first component of all names while a tree is on its way; the receiver takes it off."""
    name = os.path.basename(os.path.normpath(path))
    return os.fsencode(name) if name not in ("", ".", "..", "/") else b"root"


def _absolute(field: str, path: str) -> str:
    if "\0" in path:
        raise RequestError(field, path, "a path has no NUL byte in it")
    return path if path.startswith("/") else f"/{path}"


# ---- the helper ----


class _Stream(io.RawIOBase):
    """The helper's stdout; while there is nothing to read, the helper's run goes on."""

    def __init__(self, fd: int, running: Running) -> None:
        super().__init__()
        self._fd, self._running = fd, running
        os.set_blocking(fd, False)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer at the end only."""
        parts, left = [], size
        while left:
            try:
                data = os.read(self._fd, min(left, 1 << 20))
            except BlockingIOError:
                _step(self._running, self._fd, select.POLLIN)
                continue
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)


def _step(running: Running, fd: int, mask: int) -> None:
    """Wait for ``fd``, and let the run go on meanwhile."""
    poll = select.poll()
    poll.register(fd, mask)
    watch = running.supervision
    if not watch.done:
        poll.register(watch.fileno(), select.POLLIN)
    timeout = None if watch.done else watch.timeout()
    poll.poll(None if timeout is None else max(0, int(timeout * 1000)) + 1)
    if not watch.done:
        watch.step(0)


def _report(running: Running, field: str, value: str) -> dict[str, Any]:
    return report_of(running.wait(), field, value)


def _ended_well(running: Running, source: str) -> None:
    """An archive that is cut off: if the helper has ended for a reason of its own, that is the one to tell."""
    if running.supervision.done:
        report_of(running.result(), "cp", source)


def _printable(notes: Iterable[str]) -> tuple[str, ...]:
    return tuple("".join(c if c.isprintable() else repr(c)[1:-1] for c in note[:1000]) for note in notes)
