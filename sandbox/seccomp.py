"""The seccomp room: a policy -> the classic BPF program that the child loads last.

This half finds the compiled program in memory or in the user's cache and imports nothing for it, not
even ``policy`` (0.5 ms); ``seccomp_compile`` parses, complains, and compiles with libseccomp, in the
parent, never after a fork. A cached program is made from the whole policy, the architecture, the
kernel release, and the stat of libseccomp and of our own code.
"""

from __future__ import annotations

import os
from posixpath import abspath, dirname

from . import cache
from .errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .policy import Policy

INSTRUCTION_BYTES = 8  # struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS; seccomp(2) refuses longer programs
ARCHES = ("x86_64", "aarch64")
_SAME_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}

NONE = "none"
_FOLDER = f"{dirname(dirname(abspath(__file__)))}/policies"
_MAGIC = b"pysandbox seccomp cache 1\n"
LOAD_ARCH = b"\x20\0\0\0\x04\0\0\0"  # BPF_LD|BPF_W|BPF_ABS, offsetof(struct seccomp_data, arch)
_memory: dict[tuple[object, ...], bytes | None] = {}


def filter_for(policy: str, arch: str | None = None) -> bytes | None:
    """The compiled filter of a policy (name or path), None if the policy is to have no filter.

    ``arch`` is that of the program, by default this machine's. Raises PolicyError for a policy
    that is wrong and HostError where it cannot be compiled.
    """
    if policy == NONE:
        return None
    arch = _arch(arch)
    path = _path(policy)
    made_from, key = b"", None
    try:
        stat = os.stat(path)
        key = path, arch, stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_dev
        if key in _memory:
            return _memory[key]
        made_from = _made_from(arch, _read(path))
    except (OSError, ValueError):
        pass  # missing, a directory, a NUL: policy.load() says it better
    directory = cache.open_directory("seccomp") if made_from else -1
    try:
        label = os.fsencode(f"{path}.{arch}").replace(b"%", b"%%").replace(b"/", b"%")[-180:]
        program = cache.read(directory, label, made_from)
        if program is None or not well_formed(program):
            program, text = _compile(policy, arch)
            # Only what has a filter is kept: a cache file cut short must never read as "no filter".
            if program and made_from.endswith(text):  # not changed since it was read
                cache.store(directory, label, made_from, program)
    finally:
        cache.close_directory(directory)
    if key:
        _memory[key] = program or None
    return program or None


def describe(policy: str | Policy) -> str:
    """One line for ``pysandbox plan``: name, length of the program, what becomes of other calls."""
    if isinstance(policy, str):
        from .policy import load

        policy = load(policy)
    program = filter_for(policy.path)
    if program is None:
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


def _compile(policy: str, arch: str) -> tuple[bytes, bytes]:
    from .policy import load
    from .seccomp_compile import compile_policy

    loaded = load(policy)
    return compile_policy(loaded, arch), loaded.text


def _read(path: str) -> bytes:
    """A small regular file; OSError or fewer bytes are for policy.load() to explain."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(fd, cache.MAX_BYTES)
    finally:
        os.close(fd)


def _made_from(arch: str, text: bytes) -> bytes:
    """The head of a cache file: all that decides the program. Empty if that cannot be told."""
    uname = os.uname()
    try:
        code = [os.stat(f"{dirname(__file__)}/{name}.py") for name in ("seccomp_compile", "policy")]
    except OSError:  # imported from an archive
        return b""
    triplet = f"{uname.machine}-linux-gnu"
    for folder in (f"/usr/lib/{triplet}", "/usr/lib64", "/usr/lib", "/usr/local/lib", f"/lib/{triplet}", "/lib64"):
        try:
            library = os.stat(f"{folder}/libseccomp.so.2")
        except OSError:
            continue
        marks = " ".join(f"{s.st_size}:{s.st_mtime_ns}" for s in (library, *code))
        return _MAGIC + f"{arch} {uname.release} {marks} {len(text)}\n".encode() + text
    return b""


def well_formed(program: bytes) -> bool:
    """Could this be a filter of ours? It loads the architecture first and ends in a return."""
    return (len(program) % INSTRUCTION_BYTES == 0 and len(program) <= MAX_INSTRUCTIONS * INSTRUCTION_BYTES
            and program.startswith(LOAD_ARCH) and program[-INSTRUCTION_BYTES:-6] == b"\x06\0")  # fmt: skip
