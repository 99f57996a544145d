"""The seccomp room: a policy -> the classic BPF program that the child loads last.

Two halves. The warm half finds the compiled program in memory or in the user's cache and imports
nothing for it, not even ``policy.py`` (0.5 ms). The cold half parses, complains, and compiles with
libseccomp, in the parent, never after a fork.

A cached program is trusted as far as its file is: it lies in a directory of ours that nobody else
can enter, it is ours and nobody else can write it, and it holds *all* that it was made from (the
whole policy, the architecture, the kernel release, the stat of libseccomp and of this code), which
must be equal byte for byte. So there is no hash to collide or to import. The cache is never an
error: what does not fit is compiled again.

How a program is built. libseccomp keeps no order between rules of one call: an unconditional
allow swallows a conditional deny, and no comparison "masked, not equal" exists. So a policy
becomes up to four programs in a row, each of which ends in an answer or jumps to the next one:

    1. conditional rules that refuse       (ioctl TIOCSTI, clone with CLONE_NEWUSER)
    2. conditional rules that allow        (personality 0, socket AF_INET)
    3. groups                              (the long list, as a binary tree)
    4. calls by number                     (newer than this libseccomp, see NEWER_CALLS), then the default

The return instructions that mean "undecided" become jumps; classic BPF jumps only forward, so the
verifier of the kernel sees an ordinary program. A call allowed by its number alone stays such, so
that the kernel's bitmap of constant answers (Linux 5.11) still skips the filter for it.
"""

from __future__ import annotations

import os
from posixpath import abspath, dirname

from .errors import HostError, PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .policy import Arg, Policy, Rule

INSTRUCTION_BYTES = 8  # struct sock_filter: u16 code, u8 jt, u8 jf, u32 k
MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS; seccomp(2) refuses longer programs
ARCHES = ("x86_64", "aarch64")
_SAME_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}

# Since Linux 5.1 a new call gets one number on every architecture, so that a call which this
# libseccomp is too old to know can still be filtered (Debian 12 has 2.5.4, which ends at 450).
NEWER_CALLS = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_open": 434, "clone3": 435, "close_range": 436, "openat2": 437, "pidfd_getfd": 438, "faccessat2": 439,
    "process_madvise": 440, "epoll_pwait2": 441, "mount_setattr": 442, "quotactl_fd": 443,
    "landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446, "memfd_secret": 447,
    "process_mrelease": 448, "futex_waitv": 449, "set_mempolicy_home_node": 450, "cachestat": 451,
    "fchmodat2": 452, "map_shadow_stack": 453, "futex_wake": 454, "futex_wait": 455, "futex_requeue": 456,
    "statmount": 457, "listmount": 458, "lsm_get_self_attr": 459, "lsm_set_self_attr": 460,
    "lsm_list_modules": 461, "mseal": 462, "setxattrat": 463, "getxattrat": 464, "listxattrat": 465,
    "removexattrat": 466, "open_tree_attr": 467, "file_getattr": 468, "file_setattr": 469, "listns": 470,
}  # fmt: skip

NONE = "none"
_FOLDER = f"{dirname(dirname(abspath(__file__)))}/policies"
_MAGIC = b"pysandbox seccomp cache 1\n"
_MAX_CACHE_BYTES = 1 << 20
_STALE_S = 60
_FLIP = bytes(range(255, -1, -1))
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
    directory = _open_cache() if made_from else -1
    try:
        label = os.fsencode(f"{path}.{arch}").replace(b"%", b"%%").replace(b"/", b"%")[-180:]
        program = _cached(directory, label, made_from)
        if program is None:
            program, text = _compile(policy, arch)
            # Only what has a filter is kept: a cache file cut short must never read as "no filter".
            if program and made_from.endswith(text):  # not changed since it was read
                _store(directory, label, made_from, program)
    finally:
        if directory >= 0:
            os.close(directory)
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

    loaded = load(policy)
    return compile_policy(loaded, arch), loaded.text


# --- the cache ------------------------------------------------------------------------------------


def _read(path: str) -> bytes:
    """A small regular file; OSError or fewer bytes are for policy.load() to explain."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(fd, _MAX_CACHE_BYTES)
    finally:
        os.close(fd)


def _made_from(arch: str, text: bytes) -> bytes:
    """The head of a cache file: all that decides the program. Empty if that cannot be told."""
    uname = os.uname()
    try:
        code = [os.stat(file) for file in (__file__, f"{dirname(__file__)}/policy.py")]
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


def _open_cache() -> int:
    """A descriptor of our cache directory, -1 if there is none that only we can enter."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    under: tuple[str, ...] = ("pysandbox", "seccomp")
    if not base.startswith("/"):
        base, under = _home(), (".cache", *under)
        if not base:
            return -1
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    uid = os.geteuid()
    fd = -1
    try:
        # The base may be a symlink; what it leads to must be ours. That keeps root, started with
        # the HOME of somebody else, from making or trusting anything there.
        fd = os.open(base, flags)
        for name in under:
            if os.fstat(fd).st_uid != uid:
                raise PermissionError
            # ~/.cache alone is commonly moved elsewhere by a symlink of the user's own.
            follow = 0 if name == ".cache" else os.O_NOFOLLOW
            try:
                inner = os.open(name, flags | follow, dir_fd=fd)
            except FileNotFoundError:
                os.mkdir(name, 0o700, dir_fd=fd)
                inner = os.open(name, flags | os.O_NOFOLLOW, dir_fd=fd)
            os.close(fd)
            fd = inner
        stat = os.fstat(fd)
        if stat.st_uid != uid or stat.st_mode & 0o077:
            raise PermissionError
    except (OSError, ValueError):
        if fd >= 0:
            os.close(fd)
        return -1
    return fd


def _home() -> str:
    home = os.environ.get("HOME", "")
    if home.startswith("/"):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""


def _cached(directory: int, label: bytes, made_from: bytes) -> bytes | None:
    """The program of a cache file that is safe, whole and made from the same; never an empty one."""
    if directory < 0:
        return None
    try:
        fd = os.open(label, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return None
    try:
        stat = os.fstat(fd)
        if (stat.st_mode & 0o170000 != 0o100000 or stat.st_mode & 0o022 or stat.st_uid != os.geteuid()
                or not len(made_from) <= stat.st_size <= _MAX_CACHE_BYTES):  # fmt: skip
            return None
        data = os.read(fd, stat.st_size)
    except OSError:
        return None
    finally:
        os.close(fd)
    if len(data) != stat.st_size or not data.startswith(made_from):
        return None
    # The program twice, the second time with every bit flipped: a file torn by a power cut (zeros
    # at its end, for one) cannot agree. Cheaper than importing zlib for a checksum, and stronger.
    body = data[len(made_from):]
    half = len(body) // 2
    program, mirror = body[:half], body[half:]
    return program if mirror.translate(_FLIP) == program and _well_formed(program) else None


def _store(directory: int, label: bytes, made_from: bytes, program: bytes) -> None:
    if directory < 0:
        return
    temporary = label + b".tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        except FileExistsError:
            # Another writer, or one that was killed: the name is fixed so that at most one stays.
            import time

            if time.time() - os.stat(temporary, dir_fd=directory, follow_symlinks=False).st_mtime < _STALE_S:
                return
            os.unlink(temporary, dir_fd=directory)
            fd = os.open(temporary, flags, 0o600, dir_fd=directory)
        data = made_from + program + program.translate(_FLIP)
        try:
            written = os.write(fd, data)
        finally:
            os.close(fd)
        if written == len(data):
            os.rename(temporary, label, src_dir_fd=directory, dst_dir_fd=directory)
        else:
            os.unlink(temporary, dir_fd=directory)
    except OSError:
        pass  # a full or read-only disk costs time, not the run


def _well_formed(program: bytes) -> bool:
    """Could this be a filter of ours? It loads the architecture first and ends in a return."""
    return (len(program) % INSTRUCTION_BYTES == 0 and len(program) <= MAX_INSTRUCTIONS * INSTRUCTION_BYTES
            and program.startswith(_LOAD_ARCH) and program[-INSTRUCTION_BYTES:-6] == b"\x06\0")  # fmt: skip


# --- the compiler ---------------------------------------------------------------------------------

_LOAD_ARCH = b"\x20\0\0\0\x04\0\0\0"  # BPF_LD|BPF_W|BPF_ABS, offsetof(struct seccomp_data, arch)
_LOAD_NR = b"\x20\0\0\0\0\0\0\0"
_RET, _JA, _JEQ = 0x06, 0x05, 0x15
_UNDECIDED = 0x7FF07FFF  # SECCOMP_RET_TRACE with a datum of ours; no policy can ask for it
_RET_VALUES = {"allow": 0x7FFF0000, "log": 0x7FFC0000, "trap": 0x00030000, "kill": 0x80000000, "errno:": 0x00050000}
_OPTIMIZE_BINARY_TREE = 2  # SCMP_FLTATR_CTL_OPTIMIZE, libseccomp 2.5
_CTL_OPTIMIZE = 8
_MAX_EXPANSION = 256
_ALLOW = "allow"
_ALL_BITS, _INT_BITS = (1 << 64) - 1, (1 << 32) - 1


def compile_policy(policy: Policy, arch: str) -> bytes:
    """The program of a policy by libseccomp; empty if it needs none. Raises PolicyError, HostError."""
    if not policy.filters:
        return b""
    return _Compiler(policy, arch).program()


def _binding() -> Any:
    from importlib import import_module

    for name in ("seccomp", "pyseccomp"):
        try:
            module = import_module(name)
        except (ImportError, RuntimeError, OSError):  # pyseccomp: RuntimeError without the library
            continue
        if hasattr(module, "SyscallFilter"):
            return module
    raise HostError("no libseccomp binding for this Python: neither seccomp nor pyseccomp can be imported",
                    "install python3-seccomp (Debian, Ubuntu), or libseccomp2 and pip install pyseccomp")  # fmt: skip


class _Compiler:
    """One policy for one architecture."""

    def __init__(self, policy: Policy, arch: str) -> None:
        self.policy, self.arch = policy, arch
        self.lib = _binding()
        self.token = {"x86_64": self.lib.Arch.X86_64, "aarch64": self.lib.Arch.AARCH64}[arch]
        # The binding of libseccomp has signed tokens in Arch and unsigned ones from system_arch().
        # Asked, not guessed: a 32-bit Python on x86_64 has another native architecture.
        self.native = self.lib.system_arch() & _INT_BITS == self.token & _INT_BITS
        self.default = _value(policy.default)

    def program(self) -> bytes:
        refusing = [r for r in self.policy.rules if r.action != _ALLOW]
        allowing = [r for r in self.policy.rules if r.action == _ALLOW]
        groups, by_number = self.groups()
        stages = [self.stage([x for r in part for x in self.rule(r)]) for part in (refusing, allowing) if part]
        stages.append(self.stage(groups))
        tail = [_LOAD_NR]
        for action, number in by_number:
            tail += [_instruction(_JEQ, number, 0, 1), _instruction(_RET, action)]
        tail.append(_instruction(_RET, self.default))
        program = b"".join(stages) + b"".join(tail)
        if not _well_formed(program):
            raise PolicyError(self.policy.path, 0, "", f"the filter has {len(program) // INSTRUCTION_BYTES} "
                              f"instructions; the kernel takes {MAX_INSTRUCTIONS}")  # fmt: skip
        return program

    def groups(self) -> tuple[list[tuple[int, int, list[Any]]], list[tuple[int, int]]]:
        rules: list[tuple[int, int, list[Any]]] = []
        by_number: list[tuple[int, int]] = []
        for group in self.policy.groups:
            action = _value(group.action)
            if action == self.default:  # says for the reader what happens anyway
                for call in group.calls:
                    self.number(call, group.line, f"groups.{group.name}.calls")
                continue
            for call in group.calls:
                number, translatable = self.number(call, group.line, f"groups.{group.name}.calls")
                if number is None:
                    continue
                if translatable is None:
                    by_number.append((action, number))
                else:
                    rules.append((action, translatable, []))
        return rules, by_number

    def rule(self, rule: Rule) -> list[tuple[int, int, list[Any]]]:
        number, translatable = self.number(rule.call, rule.line, "call")
        if number is None:
            return []
        if translatable is None:
            raise PolicyError(self.policy.path, rule.line, "args",
                              f"this libseccomp cannot test arguments of {rule.call} for {self.arch}; "
                              "use a newer one, or put the call into a group")  # fmt: skip
        return [(_value(rule.action), translatable, args) for args in self.conditions(rule)]

    def number(self, call: str, line: int, key: str) -> tuple[int | None, int | None]:
        """(number on the target, number that libseccomp's add_rule takes), None where there is none.

        add_rule takes numbers of the *native* architecture and translates them itself.
        """
        here = self.lib.resolve_syscall(self.token, call)
        if here >= 0:
            native = here if self.native else self.lib.resolve_syscall(self.lib.Arch.NATIVE, call)
            return here, native if native >= 0 else None
        if here < -1:  # a pseudo number: known, but not a call of this architecture (open on aarch64)
            return None, None
        if call in NEWER_CALLS:
            number = NEWER_CALLS[call]
            return number, number if self.native else None
        from .policy import near

        raise PolicyError(self.policy.path, self._line(call, line), key,
                          f"unknown system call {call!r}; {near(call, self._known()) or 'check its name'}")

    def _line(self, call: str, line: int) -> int:
        for number, text in enumerate(self.policy.text.decode().split("\n")[max(line - 1, 0):], max(line, 1)):
            if f'"{call}"' in text.partition("#")[0]:
                return number
        return line

    def _known(self) -> set[str]:
        known = set(NEWER_CALLS)
        for number in range(512):
            try:
                name = self.lib.resolve_syscall(self.token, number)
            except ValueError:  # a gap in the table
                continue
            known.add(name.decode() if isinstance(name, bytes) else str(name))
        return known

    def conditions(self, rule: Rule) -> list[list[Any]]:
        """Every way to meet the conditions, as libseccomp comparisons."""
        ways: list[list[Any]] = [[]]
        for arg in rule.args:
            ways = [[*way, option] for way in ways for option in self.options(arg)]
            if len(ways) > _MAX_EXPANSION:
                raise PolicyError(self.policy.path, rule.line, "args",
                                  "too many masked != conditions; turn one into == of another rule")  # fmt: skip
        return ways

    def options(self, arg: Arg) -> list[Any]:
        lib = self.lib
        if arg.mask == _ALL_BITS:
            op = {"==": lib.EQ, "!=": lib.NE, "<": lib.LT, "<=": lib.LE, ">": lib.GT, ">=": lib.GE}[arg.op]
            return [lib.Arg(arg.index, op, arg.value)]
        if arg.op == "==":
            return [lib.Arg(arg.index, lib.MASKED_EQ, arg.mask, arg.value)]
        # Not equal under a mask: one of its bits is the other way round.
        bits = [1 << b for b in range(64) if arg.mask >> b & 1]
        return [lib.Arg(arg.index, lib.MASKED_EQ, bit, ~arg.value & bit) for bit in bits]

    def stage(self, rules: list[tuple[int, int, list[Any]]]) -> bytes:
        """One libseccomp program whose "undecided" returns are jumps to just behind it."""
        lib = self.lib
        try:
            maker = lib.SyscallFilter(_UNDECIDED)
            if not self.native:
                maker.add_arch(self.token)
                maker.remove_arch(lib.Arch.NATIVE)
            # x32 numbers (bit 30) of x86_64 are a foreign architecture to libseccomp, too.
            maker.set_attr(getattr(lib.Attr, "ACT_BADARCH", 2), _signed(_value(self.policy.foreign_abi)))
            for action, number, args in rules:
                maker.add_rule(_signed(action), number, *args)
            try:
                maker.set_attr(getattr(lib.Attr, "CTL_OPTIMIZE", _CTL_OPTIMIZE), _OPTIMIZE_BINARY_TREE)
            except (OSError, RuntimeError, ValueError):
                pass  # before 2.5: a list in order, slower but the same answers
            program = _export(maker)
        except (OSError, RuntimeError, ValueError) as error:
            raise HostError(f"libseccomp cannot compile {self.policy.path} for {self.arch}: {error}",
                            "use libseccomp 2.5 or newer") from error  # fmt: skip
        if not program.startswith(_LOAD_ARCH) or len(program) % INSTRUCTION_BYTES:
            raise HostError(f"libseccomp made a filter without an architecture check from {self.policy.path}",
                            "use libseccomp 2.5 or newer")  # fmt: skip
        undecided = _instruction(_RET, _UNDECIDED)
        size = INSTRUCTION_BYTES
        parts = [program[i:i + size] for i in range(0, len(program), size)]
        return b"".join(_instruction(_JA, len(parts) - i - 1) if part == undecided else part
                        for i, part in enumerate(parts))  # fmt: skip


def _value(action: str) -> int:
    from .policy import parse_action

    kind, number = parse_action(action)
    return _RET_VALUES[kind] | number


def _signed(value: int) -> int:
    # The binding of libseccomp takes actions as a C int and overflows on 0x80000000; pyseccomp takes both.
    return value - (1 << 32) if value >> 31 else value


def _instruction(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes((jt, jf)) + k.to_bytes(4, "little")


def _export(maker: Any) -> bytes:
    with os.fdopen(os.memfd_create("seccomp", os.MFD_CLOEXEC), "w+b", buffering=0) as file:
        maker.export_bpf(file)
        return os.pread(file.fileno(), _MAX_CACHE_BYTES, 0)
