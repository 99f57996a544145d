"""A system call in words, as strace writes it: ``openat(AT_FDCWD, "/etc/shadow", O_RDONLY|O_CLOEXEC)``.

From a number, six registers, and what lay in memory where they point. All of it comes from the program:
nothing is believed, memory may be missing, cut or nonsense, and no control character gets through.
Numbers are shown as the kernel reads them: an int of a 64-bit register is its low half.
"""

from __future__ import annotations

from ..record import Record
from . import name as name_of
from .text import data, hexadecimal, number, string
from .vocabulary import constants, signature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .vocabulary import Parameter

_NATIVE = ("x86_64", "aarch64")  # any other ABI is said
_O_CREAT, _O_TMPFILE_BIT = 0o100, 0o20000000
_AT_FDCWD = -100


# Arguments behind the operation: registers that an operation does not read hold whatever was in them.
_PRCTL_NONE = (
    "PR_GET_DUMPABLE", "PR_GET_KEEPCAPS", "PR_GET_TIMING", "PR_GET_SECCOMP", "PR_GET_SECUREBITS", "PR_GET_TIMERSLACK",
    "PR_TASK_PERF_EVENTS_DISABLE", "PR_TASK_PERF_EVENTS_ENABLE", "PR_MCE_KILL_GET", "PR_GET_NO_NEW_PRIVS",
    "PR_GET_THP_DISABLE", "PR_GET_FP_MODE", "PR_SVE_GET_VL", "PR_SME_GET_VL", "PR_GET_TAGGED_ADDR_CTRL",
    "PR_GET_IO_FLUSHER", "PR_PAC_GET_ENABLED_KEYS", "PR_GET_MDWE", "PR_GET_MEMORY_MERGE",
    "PR_MPX_ENABLE_MANAGEMENT", "PR_MPX_DISABLE_MANAGEMENT",
)  # fmt: skip
_PRCTL_MORE = {"PR_SET_SECCOMP": 2, "PR_MCE_KILL": 2, "PR_CAP_AMBIENT": 2, "PR_SET_SPECULATION_CTRL": 2,
               "PR_PAC_SET_ENABLED_KEYS": 2, "PR_GET_AUXV": 2, "PR_SET_MM": 3, "PR_SCHED_CORE": 4, "PR_SET_VMA": 4,
               "PR_SET_SYSCALL_USER_DISPATCH": 4}  # fmt: skip
_FUTEX = {0: 4, 1: 3, 6: 4, 7: 2, 8: 2, 13: 4}  # FUTEX_WAIT, WAKE, LOCK_PI, UNLOCK_PI, TRYLOCK_PI, LOCK_PI2
_KEYCTL = (2, 1, 3, 1, 3, 2, 3, 1, 2, 2, 4, 3, 4, 3, 1, 2, 1, 3, 0, 4)  # from KEYCTL_GET_KEYRING_ID on


class Call(Record):
    """A call: ``name`` is "" if the number has none, ``arguments`` are (name, text), as many as the call has."""

    name: str
    abi: str
    number: int
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        mark = "" if self.abi in _NATIVE else f"[{self.abi}] "
        return f"{mark}{self.name or f'syscall {self.number}'}({', '.join(text for _name, text in self.arguments)})"


def decode(abi: str, number: int, args: Sequence[int], memory: Sequence[bytes] = ()) -> Call:
    """The call with that number; ``memory[i]`` is what lay at the address ``args[i]``, b"" if unreadable."""
    name = (name_of(abi, number) if abi in ("i386", "x32", *_NATIVE) else None) or ""
    width = 32 if abi == "i386" else 64
    args = [*args, 0, 0, 0, 0, 0, 0][:6]
    parameters = signature(abi, name) if name else None
    if parameters is None:
        shown = tuple((f"arg{index + 1}", hexadecimal(value & (1 << width) - 1)) for index, value in enumerate(args))
        return Call(name=name, abi=abi, number=number, arguments=shown)
    masked = tuple(value & (1 << width) - 1 for value in args)
    return Call(name=name, abi=abi, number=number, arguments=_Decoder(abi, name, width, masked, memory).all(parameters))


class _Decoder:
    """One call; the methods are the kinds of arguments of signatures.txt that look at more than a number."""

    def __init__(self, abi: str, call: str, width: int, args: tuple[int, ...], memory: Sequence[bytes]) -> None:
        self.abi, self.call, self.width, self.args = abi, call, width, args
        self.memory = (*memory, b"", b"", b"", b"", b"", b"")

    def all(self, parameters: tuple[Parameter, ...]) -> tuple[tuple[str, str], ...]:
        shown = []
        if self.call == "futex":
            parameters = parameters[:_FUTEX.get(self.args[1] & 0x7F, 6)]
        for index, parameter in enumerate(parameters):
            text = self.one(index, parameter)
            if text is not None:
                shown.append((parameter.name, text))
        return tuple(shown)

    def one(self, index: int, parameter: Parameter) -> str | None:
        """The text of an argument; None if the call has it only in other forms."""
        value, kind = self.args[index], parameter.kind
        if kind.isupper():
            return self.set(kind, value)
        plain = number(kind, value, self.width)
        if plain is not None:
            return plain
        special: Callable[[int, Parameter], str | None] = getattr(self, f"_{kind}")
        return special(index, parameter)

    def set(self, name: str, value: int) -> str:
        known = constants(self.abi, name)
        return known.words(value) if known else hexadecimal(value)

    def address(self, index: int) -> str:
        return number("ptr", self.args[index], self.width) or ""

    def _dirfd(self, index: int, _: Parameter) -> str:
        text = number("int", self.args[index], self.width) or ""
        return "AT_FDCWD" if text == str(_AT_FDCWD) else text

    def _str(self, index: int, _: Parameter) -> str:
        return string(self.memory[index]) if self.args[index] and self.memory[index] else self.address(index)

    _path = _str

    def _buf(self, index: int, parameter: Parameter) -> str:
        length = self.args[parameter.length]
        if not self.args[index] or (length and not self.memory[index]):
            return self.address(index)
        return data(self.memory[index], length)

    def _optval(self, index: int, parameter: Parameter) -> str:
        if self.args[parameter.length] & 0xFFFFFFFF == 4 and len(self.memory[index]) >= 4:
            return f"[{int.from_bytes(self.memory[index][:4], 'little', signed=True)}]"
        return self._buf(index, parameter)

    def _creat(self, index: int, _: Parameter) -> str | None:
        """The mode of a new file, which the kernel looks at only where a file can come into being."""
        flags = self.args[index - 1]
        return number("mode", self.args[index], self.width) if flags & (_O_CREAT | _O_TMPFILE_BIT) else None

    def _filemode(self, index: int, _: Parameter) -> str:
        mode = self.args[index] & 0xFFFF
        kind = self.set("S_IFMT", mode & 0o170000) + "|" if mode & 0o170000 else ""
        return f"{kind}{mode & 0o7777:#05o}".replace("0o", "0")

    def _filedev(self, index: int, _: Parameter) -> str | None:
        """The number of a device, of a new file that is one."""
        device = self.set("S_IFMT", self.args[index - 1] & 0o170000) in ("S_IFCHR", "S_IFBLK")
        return number("dev", self.args[index], self.width) if device else None

    def _prctl(self, index: int, _: Parameter) -> str | None:
        option, value = self.set("PR", self.args[0]), self.args[index]
        known = option.startswith("PR_")
        if index > (0 if option in _PRCTL_NONE else _PRCTL_MORE.get(option, 1) if known else 4):
            return None
        if option == "PR_SET_NAME":
            return self._str(index, _)
        names = {"PR_SET_PDEATHSIG": "SIG", "PR_SET_SECCOMP": "SECCOMP_MODE"}
        if option in names and index == 1:
            return self.set(names[option], value)
        return str(value) if value < 4096 else hexadecimal(value)

    def _keyctl(self, index: int, _: Parameter) -> str | None:
        operation = self.args[0] & 0xFFFFFFFF
        if index > (_KEYCTL[operation] if operation < len(_KEYCTL) else 4):
            return None
        key = constants(self.abi, "KEY")
        special = key.words(self.args[index]) if key is not None and self.args[index] & 0xFFFFFFFF else ""
        return special if special.startswith("KEY_") else hexadecimal(self.args[index])

    def _fcntl(self, index: int, _: Parameter) -> str | None:
        command, value = self.set("FCNTL", self.args[1]), self.args[index]
        names = {"F_SETFD": "FD", "F_SETFL": "O", "F_ADD_SEALS": "SEAL"}
        if command in names:
            return self.set(names[command], value)
        if command in ("F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS"):
            return None
        if command in ("F_DUPFD", "F_DUPFD_CLOEXEC", "F_SETOWN", "F_SETSIG", "F_SETPIPE_SZ", "F_SETLEASE"):
            return number("int", value, self.width)
        return hexadecimal(value)

    def _protocol(self, index: int, _: Parameter) -> str:
        family = self.set("AF", self.args[0])
        if family == "AF_NETLINK":
            return self.set("NETLINK", self.args[index])
        # 0 is "the one there is": for IP it is not IPPROTO_IP that is meant.
        if family in ("AF_INET", "AF_INET6") and self.args[index] & 0xFFFFFFFF:
            return self.set("IPPROTO", self.args[index])
        return number("int", self.args[index], self.width) or ""

    def _sockopt(self, index: int, _: Parameter) -> str:
        if self.set("SOL", self.args[1]) == "SOL_SOCKET":
            return self.set("SO", self.args[index])
        return number("int", self.args[index], self.width) or ""

    def _sockaddr(self, index: int, parameter: Parameter) -> str:
        from .sockaddr import text

        length = self.args[parameter.length] & 0xFFFFFFFF
        shown = text(self.memory[index][:length], length) if self.args[index] else ""
        return shown or self.address(index)

    def _socklen(self, index: int, parameter: Parameter) -> str | None:
        """The length of an address, which its own text shows if there is one."""
        address = parameter.length
        if self.args[address] and len(self.memory[address]) >= 2:
            return None
        return number("int", self.args[index], self.width)

    def _numbers(self, index: int, count: int) -> list[int]:
        """So many u64 of the memory there; none if it is not all there."""
        memory = self.memory[index]
        if not self.args[index] or len(memory) < count * 8:
            return []
        return [int.from_bytes(memory[8 * i:8 * i + 8], "little") for i in range(count)]

    def _open_how(self, index: int, _: Parameter) -> str:
        how = self._numbers(index, 3)
        if not how:
            return self.address(index)
        mode = f", mode={number('mode', how[1], 64)}" if how[1] else ""
        resolve = f", resolve={self.set('RESOLVE', how[2])}" if how[2] else ""
        return f"{{flags={self.set('O', how[0])}{mode}{resolve}}}"

    def _clone_args(self, index: int, _: Parameter) -> str:
        args = self._numbers(index, 8)  # CLONE_ARGS_SIZE_VER0
        if not args:
            return self.address(index)
        end = f", exit_signal={self.set('SIG', args[4])}" if args[4] else ""
        return f"{{flags={self.set('CLONE3', args[0])}{end}}}"

    def _rlimit64(self, index: int, _: Parameter) -> str:
        limits = self._numbers(index, 2)
        if not limits:
            return self.address(index)
        cur, most = ("RLIM64_INFINITY" if limit == (1 << 64) - 1 else str(limit) for limit in limits)
        return f"{{rlim_cur={cur}, rlim_max={most}}}"

    def _rlimit(self, index: int, parameter: Parameter) -> str:
        # struct rlimit has longs: 32 bits on i386 and x32.
        return self._rlimit64(index, parameter) if self.abi in _NATIVE else self.address(index)
