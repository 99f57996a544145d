"""What is on its way into the store: a directory of its own, nothing of which is seen before all of it is there.

An import writes its blobs here, each under the digest that was computed while writing, and checks them; blobs that the
store has already are linked in, so that no removal meanwhile takes them away. Layers are unpacked into the store before
the image is named; a file ``uses-HEX`` keeps a prune from taking them. Then one rename a blob and a new index.

Whoever stages holds an flock(2) on the directory. A lock goes with its holder, so what nobody holds was left by a death
(kill -9), and the next change of the store removes it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os

from ..errors import HostError, RequestError, SupervisorError
from ..scratch import empty
from .layout import blob_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

_CHUNK = 1 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Staging:
    """A context manager; ``path`` is the directory, ``blobs`` the digests in it with their sizes."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.blobs: dict[str, int] = {}
        self.path, self._fd = locked_directory(f"{root}/tmp")

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is left of it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                empty(fd)
                os.rmdir(self.path)
            finally:
                os.close(fd)

    def anonymous(self) -> int:
        """The fd of a new file without a name, in the store's file system; the caller closes it."""
        return nameless(self.path)

    def add_bytes(self, data: bytes) -> tuple[str, int]:
        """(digest, size) of a small blob."""
        return self.add((data,))

    def add(
        self, chunks: Iterable[bytes], *, digest: str = "", size: int | None = None, subject: str = ""
    ) -> tuple[str, int]:
        """Write a blob; (digest, size). Raises RequestError about ``subject`` if it is not the one expected."""
        fd = self.anonymous()
        try:
            found, length = hashlib.sha256(), 0
            for chunk in chunks:
                length += len(chunk)
                if size is not None and length > size:
                    raise RequestError(
                        "image", subject, f"the blob {digest} is larger than the {size} bytes it should have"
                    )
                found.update(chunk)
                write_all(fd, chunk)
            if size is not None and length != size:
                raise RequestError("image", subject, f"the blob {digest} has {length} bytes, not {size}")
            got = f"sha256:{found.hexdigest()}"
            if digest and got != digest:
                raise RequestError("image", subject, f"the blob {digest} has the content of {got}")
            self._link(fd, got, length)
        except OSError as error:
            raise HostError(f"no blob can be written to {self.root}: {(error.strerror or str(error)).lower()}",
                            "free some space, or set PYSANDBOX_DATA to another file system") from error  # fmt: skip
        finally:
            os.close(fd)
        return got, length

    def adopt(self, fd: int, digest: str = "", subject: str = "") -> tuple[str, int]:
        """A blob from an open file: a file without a name (``anonymous``) becomes it, anything else is copied."""
        import stat

        found = os.fstat(fd)
        ours = stat.S_ISREG(found.st_mode) and not found.st_nlink and found.st_dev == os.fstat(self._fd).st_dev
        if not ours:
            return self.add(read_chunks(fd), digest=digest, subject=subject)
        hashed, length = hashlib.sha256(), 0
        for chunk in read_chunks(fd, 0, found.st_size):
            hashed.update(chunk)
            length += len(chunk)
        got = f"sha256:{hashed.hexdigest()}"
        if digest and got != digest:
            raise RequestError("image", subject, f"the blob {digest} has the content of {got}")
        self._link(fd, got, length)
        return got, length

    def _link(self, fd: int, digest: str, size: int) -> None:
        os.fsync(fd)
        try:
            # open(2), O_TMPFILE: the way to give it a name without CAP_DAC_READ_SEARCH. Only with a dir_fd does Python
            # call linkat(2), which can follow the link.
            os.link(f"/proc/self/fd/{fd}", digest[7:], dst_dir_fd=self._fd, follow_symlinks=True)
        except FileExistsError:
            pass  # the same blob twice
        except FileNotFoundError:  # a file that had a name once: it gets none again
            self._copy(fd, digest[7:], size)
        self.blobs[digest] = size

    def _copy(self, fd: int, name: str, size: int) -> None:
        part = f"{name}.part"
        out = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        try:
            at = 0
            while at < size:
                sent = os.sendfile(out, fd, at, size - at)
                if not sent:
                    raise SupervisorError(f"the blob {name} has {at} bytes, and had {size}")
                at += sent
            os.fsync(out)
        finally:
            os.close(out)
        os.rename(part, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def keep(self, digest: str) -> bool:
        """Take a blob that the store has; False if it has not."""
        try:
            os.link(blob_path(self.root, digest), f"{self.path}/{digest[7:]}")
        except FileNotFoundError:
            return False
        except FileExistsError:
            pass
        self.blobs[digest] = os.stat(f"{self.path}/{digest[7:]}").st_size
        return True

    def blob(self, digest: str) -> str:
        """The path of one of its blobs."""
        return f"{self.path}/{digest[7:]}"

    def use_layer(self, diff_id: str) -> None:
        """No prune takes the unpacked layer while this lives."""
        os.close(os.open(f"{self.path}/uses-{diff_id[7:]}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def publish(self) -> None:
        """Move the blobs into the store; the caller holds its lock, and writes the index next."""
        for digest in self.blobs:
            os.rename(self.blob(digest), blob_path(self.root, digest))


def nameless(directory: str) -> int:
    """The fd of a new file without a name there, to read and to write; the caller closes it."""
    try:
        return os.open(directory, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError as error:
        # open(2): some file systems know no O_TMPFILE: NFS, FUSE, an overlay before Linux 6.2
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
    path = f"{directory}/{os.urandom(8).hex()}.new"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    return fd


def locked_directory(where: str) -> tuple[str, int]:
    """A new directory in ``where`` that nobody sweeps as long as the fd is open: (path, fd)."""
    while True:
        path = f"{where}/{os.urandom(8).hex()}"
        try:
            os.mkdir(path, 0o700)
        except OSError as error:
            raise HostError(f"nothing can be written to {where}: {(error.strerror or '').lower()}",
                            "free some space, or set PYSANDBOX_DATA to another directory") from error  # fmt: skip
        try:
            fd = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            continue  # swept between the lines above and below
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)


def in_use(root: str) -> set[str]:
    """Diff ids (HEX) of the layers that living imports need."""
    found: set[str] = set()
    for name in os.listdir(f"{root}/tmp"):
        try:
            found |= {n[5:] for n in os.listdir(f"{root}/tmp/{name}") if n.startswith("uses-")}
        except OSError:
            pass  # ended meanwhile, or a file
    return found


def dead(where: str) -> Iterator[tuple[str, int]]:
    """(path, fd) of directories in ``where`` that their makers left by dying; locked while the caller looks at it."""
    try:
        names = os.listdir(where)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{where}/{name}"
        try:
            fd = os.open(path, _DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue  # somebody lives
        try:
            yield path, fd
        finally:
            os.close(fd)


def read_chunks(fd: int, offset: int = 0, size: int | None = None) -> Iterator[bytes]:
    """The content of an open file from ``offset``, at most ``size`` bytes; of a pipe what comes."""
    try:
        os.pread(fd, 0, 0)
    except OSError:
        while part := os.read(fd, _CHUNK):
            yield part
        return
    while size is None or size > 0:
        part = os.pread(fd, _CHUNK if size is None else min(size, _CHUNK), offset)
        if not part:
            return
        offset += len(part)
        if size is not None:
            size -= len(part)
        yield part


def write_all(fd: int, data: bytes) -> None:
    """All of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
