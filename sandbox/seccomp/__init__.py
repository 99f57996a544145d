"""The seccomp room: a policy -> the classic BPF program that the child loads last.

This half finds the compiled program in memory or in the user's cache and imports nothing for it, not
even ``policy`` (0.5 ms); ``compile`` parses, complains, and compiles with libseccomp and ``rules`` in
the parent, never after a fork. A cached program is made from the whole policy and all that it extends,
the architecture, the kernel release, and the stat of libseccomp, of the sets and of our own code.
"""

from __future__ import annotations

import os
from posixpath import abspath, dirname
from struct import Struct

from .. import cache
from ..errors import HostError
from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..policy import Policy

INSTRUCTION_BYTES = 8  # struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
MAX_INSTRUCTIONS = 4096 - 16  # BPF_MAXINSNS, above which seccomp(2) refuses; the rest is for a prologue
ARCHES = ("x86_64", "aarch64")
_SAME_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}

_MAX_LEVELS = 9  # policy.parser.MAX_PARENTS and the policy itself

NONE = "none"
_PACKAGE = dirname(dirname(abspath(__file__)))
_FOLDER = f"{dirname(_PACKAGE)}/policies"
_MAGIC = b"pysandbox seccomp cache 2\n"
LOAD_ARCH = b"\x20\0\0\0\x04\0\0\0"  # BPF_LD|BPF_W|BPF_ABS, offsetof(struct seccomp_data, arch)
# Every call of every ABI is asked about. It ends in the same way as all filters: see well_formed().
EVERY_CALL = LOAD_ARCH + b"\x06\0\0\0\0\0\xc0\x7f"  # BPF_RET|BPF_K, SECCOMP_RET_USER_NOTIF
# What of our own decides a program, beside the policy.
_CODE = ("seccomp/compile.py", "seccomp/rules.py", "capabilities.py", "syscalls/calls.txt", "policy/parser.py",
         "policy/model.py", "policy/constants.py", "policy/sets.py", "policy/answer.py")  # fmt: skip
_HEAD = Struct("<QII")  # capabilities, asks, bytes of the first program


class Filter(Record):
    """A compiled policy. ``program`` holds the true answers and is what a run without a listener loads; b"": none.

    asking: the same with USER_NOTIF in place of each refusal that is to be reported. capabilities: those that the
    policy lets the program keep, as bits. asks: it has notify rules, which only a listener can answer.
    """

    program: bytes = b""
    asking: bytes = b""
    capabilities: int = 0
    asks: bool = False


NOTHING = Filter()
# path and architecture -> the stat of every file that it was made from, and the filter
_memory: dict[tuple[str, str], tuple[list[tuple[str, object]], Filter]] = {}


def filter_for(policy: str, arch: str | None = None) -> Filter:
    """The compiled filter of a policy (name or path); ``program`` is empty if it is to have none.

    ``arch`` is that of the program, by default this machine's. Raises PolicyError for a policy
    that is wrong and HostError where it cannot be compiled.
    """
    if policy == NONE:
        return NOTHING
    arch = _arch(arch)
    path = _path(policy)
    known = _memory.get((path, arch))
    if known is not None and all(_stat(file) == stat for file, stat in known[0]):
        return known[1]
    made_from: bytes = b""
    stats: list[tuple[str, object]] = []
    try:
        made_from, stats = _made_from(arch, path)
    except (OSError, ValueError):
        pass  # missing, a directory, a NUL: policy.load() says it better
    directory = cache.open_directory("seccomp") if made_from else -1
    try:
        label = os.fsencode(f"{path}.{arch}").replace(b"%", b"%%").replace(b"/", b"%")[-180:]
        found = _unpack(cache.read(directory, label, made_from))
        if found is None:
            found, texts = _compile(policy, arch)
            # Only what has a filter is kept: a cache file cut short must never read as "no filter".
            if found.program and made_from.endswith(texts):  # not changed since it was read
                cache.store(directory, label, made_from, _pack(found))
    finally:
        cache.close_directory(directory)
    if stats:
        _memory[path, arch] = stats, found
    return found


def _pack(made: Filter) -> bytes:
    return _HEAD.pack(made.capabilities, made.asks, len(made.program)) + made.program + made.asking


def _unpack(content: bytes | None) -> Filter | None:
    if content is None or len(content) < _HEAD.size:
        return None
    capabilities, asks, length = _HEAD.unpack_from(content)
    program, asking = content[_HEAD.size:_HEAD.size + length], content[_HEAD.size + length:]
    if not (well_formed(program) and well_formed(asking)):
        return None
    return Filter(program=program, asking=asking, capabilities=capabilities, asks=bool(asks))


def describe(policy: str | Policy) -> str:
    """One line for ``pysandbox plan``: name, length of the program, what becomes of other calls."""
    if isinstance(policy, str):
        from ..policy import load

        policy = load(policy)
    program = filter_for(policy.path).program
    if not program:
        return f"seccomp policy {policy.name}: no filter"
    return (f"seccomp policy {policy.name}: {len(program) // INSTRUCTION_BYTES} instructions, "
            f"other calls {policy.default}, foreign abis {policy.foreign_abi}")  # fmt: skip


def _arch(arch: str | None) -> str:
    machine = arch or os.uname().machine
    machine = _SAME_ARCH.get(machine, machine)
    if machine not in ARCHES:
        raise HostError(f"no seccomp policies for the architecture {machine}",
                        f"run on {' or '.join(ARCHES)}, or without a filter by --policy none")  # fmt: skip
    return machine


def _path(policy: str) -> str:
    # policy.locate() without its checks and its import; a test holds the two together.
    return abspath(policy) if "/" in policy or policy.endswith(".toml") else f"{_FOLDER}/{policy}.toml"


def _compile(policy: str, arch: str) -> tuple[Filter, bytes]:
    """The filter, and the texts of the policy and of what it extends as ``_made_from`` ends in them."""
    from ..policy import load
    from .compile import compile_policy

    loaded = load(policy)
    return compile_policy(loaded, arch), b"".join(_framed(level.text) for level in loaded.levels())


def _framed(text: bytes) -> bytes:
    return b"%d\n" % len(text) + text


def _extended(path: str, text: bytes) -> str:
    # policy.parser.extended() and policy.locate() in one, without their import; a test holds them together.
    for line in text.split(b"\n"):
        if line.startswith(b"["):
            break
        if line.startswith(b"extends"):
            parts = line.split(b'"')
            word = parts[1].decode("utf-8", "replace") if len(parts) > 2 else ""
            if "/" in word or word.endswith(".toml"):
                return abspath(f"{dirname(path)}/{word}" if word[:1] != "/" else word)
            return f"{_FOLDER}/{word}.toml" if word else ""
    return ""


def _stat(path: str) -> object:
    try:
        stat = os.stat(path)
    except (OSError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev


def _read(path: str) -> bytes:
    """A small regular file; OSError or fewer bytes are for policy.load() to explain."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(fd, cache.MAX_BYTES)
    finally:
        os.close(fd)


def _made_from(arch: str, path: str) -> tuple[bytes, list[tuple[str, object]]]:
    """The head of a cache file: all that decides the program, empty if that cannot be told; and the stat of each policy
    file, which is taken before it is read."""
    texts = b""
    stats: list[tuple[str, object]] = []
    while path and len(stats) <= _MAX_LEVELS:
        stats.append((path, _stat(path)))
        text = _read(path)
        texts += _framed(text)
        path = _extended(path, text)
    uname = os.uname()
    try:
        code = [os.stat(f"{_PACKAGE}/{name}") for name in _CODE] + [os.stat(f"{_FOLDER}/sets.toml")]
    except OSError:  # imported from an archive
        return b"", stats
    triplet = f"{uname.machine}-linux-gnu"
    for folder in (f"/usr/lib/{triplet}", "/usr/lib64", "/usr/lib", "/usr/local/lib", f"/lib/{triplet}", "/lib64"):
        try:
            library = os.stat(f"{folder}/libseccomp.so.2")
        except OSError:
            continue
        marks = " ".join(f"{s.st_size}:{s.st_mtime_ns}" for s in (library, *code))
        return _MAGIC + f"{arch} {uname.release} {marks}\n".encode() + texts, stats
    return b"", stats


def well_formed(program: bytes) -> bool:
    """Could this be a filter of ours? It loads the architecture first and ends in a return."""
    return (len(program) % INSTRUCTION_BYTES == 0 and len(program) <= MAX_INSTRUCTIONS * INSTRUCTION_BYTES
            and program.startswith(LOAD_ARCH) and program[-INSTRUCTION_BYTES:-6] == b"\x06\0")  # fmt: skip
