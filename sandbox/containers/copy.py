"""``cp``: files into a container and out of it.

    out    container's tree ─> [helper sandbox: inside/cp.py, tar] ─> pipe ─> here: strict reader, below one fd of the
    host in     host's tree, as the caller ─> tar ─> pipe ─> [helper sandbox: unpacks below one fd of the container]

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
from contextlib import contextmanager

from ..errors import RequestError
from ..images.helper import last_id, report_of, start_inside, texts
from ..images.inside.copying import END, Copied, Packer
from ..images.inside.start import Refused
from ..images.inside.tarread import DIRECTORY, TarReader
from ..record import Record
from ..request import Mount, NetworkPlace, Overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ..images.inside.tarread import Member
    from ..running import Running
    from .container import Container

TARGET = "/target"
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
            _write(fd, chunk)
        notes = texts(_report(running, "cp", source), "notes")
    return Copy(bytes=total, notes=notes)


@contextmanager
def _stream_out(container: Container, source: str, top: bytes, follow: bool) -> Iterator[tuple[_Stream, Running]]:
    read, write = os.pipe2(os.O_CLOEXEC)
    words = ["out", os.fsencode(_absolute("cp", source)).hex(), top.hex(), "1" if follow else "0"]
    try:
        with tree_of(container, source, writable=False) as (options, ids):
            try:
                running = start_inside("cp", words, stdout=write, ids=ids, **options)
            finally:
                os.close(write)
            with running:
                yield _Stream(read, running), running
    finally:
        os.close(read)


def _receive(tar: TarReader, first: Member, source: str, target: str, limit_bytes: int, limit_files: int) -> Copied:
    """Decide where it goes, and put it there."""
    options: dict[str, Any] = {"ids": "single", "last_id": 0, "limit_bytes": limit_bytes, "limit_files": limit_files}
    base = os.fsencode(os.path.basename(source.rstrip("/"))) or b"."
    contents = source.endswith("/.") or base in (b".", b"..")
    is_directory = os.path.isdir(target)
    if first.kind == DIRECTORY:
        fd, old = _directory_for(os.fsencode(target), base, contents, is_directory)
        name = b""
    else:
        if not is_directory and target.endswith("/"):
            raise RequestError("cp", target, "there is no such directory")
        above, last = os.path.split(os.fsencode(target))
        fd = _open_directory(os.fsencode(target) if is_directory else above or b".", target)
        name, old = base if is_directory else last, True
    try:
        tree = Copied(fd, **options)
        tree.keep_root = old
        member: Member | None = first
        while member is not None:
            place = tree.place(member.name)
            if place[:1] != (_called(source),) or (name and len(place) > 1):
                raise Refused("the archive holds what was not asked for")
            tree.add(member, (name,) if name else place[1:], tar.data(member))
            member = next(iter(tar), None)
        tree.finish()
        return tree
    finally:
        os.close(fd)


def _directory_for(target: bytes, base: bytes, contents: bool, is_directory: bool) -> tuple[int, bool]:
    """The directory that a directory becomes, and whether it was there."""
    if is_directory and contents:
        return _open_directory(target, os.fsdecode(target)), True
    if not is_directory and os.path.lexists(target):
        raise RequestError("cp", os.fsdecode(target), "a directory cannot be copied over a file")
    outer = target if is_directory else os.path.dirname(target.rstrip(b"/")) or b"."
    above = _open_directory(outer, os.fsdecode(target))
    name = base if is_directory else os.path.basename(target.rstrip(b"/"))
    try:
        old = False
        try:
            os.mkdir(name, 0o700, dir_fd=above)
        except FileExistsError:
            old = True
        try:
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above), old
        except OSError:
            raise RequestError("cp", os.fsdecode(name), "a directory cannot be copied over a file or a link") from None
    finally:
        os.close(above)


def _open_directory(path: bytes, said: str) -> int:
    """Of the caller's own words, which may lead through links."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RequestError("cp", said, f"{os.fsdecode(path)}: {(error.strerror or '').lower()}") from None


# ---- in ----


def copy_in(container: Container, source: str, target: str, *, follow: bool = False, owners: bool = False) -> Copy:
    """``source`` here, read as the caller, to ``target`` in the container.

    Files become those of the container's user 0; ``owners``: their numbers are kept, which needs ids="range".
    Raises as ``copy_out``.
    """
    packer = Packer(owners)
    path = os.fsencode(source)
    # a name with a slash behind it, or none at all, is what it leads to
    contents = path.endswith(b"/.") or os.path.basename(path.rstrip(b"/")) in (b"", b".", b"..")
    try:
        if follow or contents or path.endswith(b"/"):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            found = os.fstat(fd)
            chunks = packer.pack_open(fd, _called(source))
        else:
            above, name = os.path.split(path)
            fd = os.open(above or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            found = os.lstat(name, dir_fd=fd)
            chunks = packer.pack(fd, name, _called(source))
    except OSError as error:
        raise RequestError("cp", source, (error.strerror or "").lower()) from None
    try:
        kind = stat.S_IFMT(found.st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise RequestError("cp", source, "neither a file nor a directory")
        word = "contents" if contents else "directory" if kind == stat.S_IFDIR else "file"
        base = os.path.basename(path.rstrip(b"/"))
        done = _send(container, target, word, base, _whole(chunks), owners, f"{source}")
    except Refused as error:
        raise RequestError("cp", source, str(error)) from None
    finally:
        os.close(fd)
    return done.replace(notes=(*_printable(packer.notes), *done.notes))


def stream_in(container: Container, fd: int, target: str, *, owners: bool = False) -> Copy:
    """The tar that comes from ``fd`` into the directory ``target``; ``..`` and absolute names in it lead nowhere else.

    Raises as ``copy_out``.
    """
    return _send(container, target, "tar", b"", iter(lambda: os.read(fd, CHUNK), b""), owners, "-")


def _whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield END


def _send(container: Container, target: str, kind: str, name: bytes, chunks: Iterable[bytes], owners: bool,
          said: str) -> Copy:  # fmt: skip
    with tree_of(container, target, writable=True) as (options, ids):
        if owners and ids != "range":
            raise RequestError("--archive", said, "the container has one id only; run it with --ids range")
        # without owners everything is the sandbox's user 0, who makes it
        words = ["in", os.fsencode(_absolute("cp", target)).hex(), kind, name.hex(), "range" if owners else "single",
                 str(last_id(ids)), str(1 << 62), str(1 << 40)]  # fmt: skip
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                running = start_inside("cp", words, stdin=read, ids=ids, **options)
            finally:
                os.close(read)
            with running:
                _feed(write, chunks, running)
                os.close(write)
                write = -1
                report = _report(running, "cp", target)
        finally:
            if write >= 0:
                os.close(write)
    counts = {key: value for key in ("bytes", "files") if isinstance(value := report.get(key), int)}
    return Copy(**counts, notes=texts(report, "notes"))


def _feed(fd: int, chunks: Iterable[bytes], running: Running) -> None:
    """All of it, unless the helper has ended meanwhile: then it says why."""
    os.set_blocking(fd, False)
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            if running.supervision.done:
                return
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                _step(running, fd, select.POLLOUT)
            except BrokenPipeError:
                return


# ---- the container's tree ----


@contextmanager
def tree_of(container: Container, path: str, *, writable: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """(options of a helper sandbox that has it at TARGET, the kind of ids). Raises RequestError."""
    config = container.config
    ids = str(config.options.get("ids", "single"))
    from .upper import used

    fuse = used(container.directory)
    if container.running:
        _answer, fds = container.call_with_fds("open_tree", path="/")
        try:
            options: dict[str, Any] = {"mounts": (Mount(source=fds[0], target=TARGET, writable=writable),)}
            if fuse:
                fds += container.call_with_fds("network")[1]
                options["network"] = NetworkPlace(user_fd=fds[1], net_fd=fds[2])
            yield options, ids
        finally:
            for fd in fds:
                os.close(fd)
        return
    from . import record

    lock = record.take_ended(container.id)
    if lock < 0:
        raise RequestError("container", container.name, "has just been started or is being removed; try again")
    try:
        overlay = _ended(container, path, ids, writable)
        if not fuse:
            yield {"overlays": (overlay,)}, ids
            return
        from .fuseroot import FuseRoot

        served = FuseRoot(container.directory, overlay.layers, ids, None, f"so ran {container.name}")
        try:
            shown = Mount(source=served.tree, target=TARGET, writable=writable)
            yield {"mounts": (shown,), "network": served.place}, ids
        finally:
            served.close()
    finally:
        os.close(lock)


def _ended(container: Container, path: str, ids: str, writable: bool) -> Overlay:
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
    from ..images.copying import fresh_work
    from ..images.store import Store

    fresh_work(container.directory)
    store = Store()
    layers = store.lowers(store.open(config.image), ids, fuse=True)
    return Overlay(target=TARGET, layers=layers, upper=container.directory)


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


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
