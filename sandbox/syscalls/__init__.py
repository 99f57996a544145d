"""The system calls of the kernel: names and numbers for each ABI, and calls in words (``decode``).

The data is ``calls.txt``, made by scripts/syscalls.py from the kernel's headers. Nothing here depends on
libseccomp, whose tables end where its release did (Debian 12's with Linux 5.17), or on the machine.
"""

from __future__ import annotations

from posixpath import dirname

ABIS = ("x86_64", "i386", "x32", "aarch64")
X32_BIT = 1 << 30  # __X32_SYSCALL_BIT: x32 is x86_64 to everything but the number

# AUDIT_ARCH_* of <linux/audit.h>, what seccomp_data.arch holds. arm is 32-bit ARM, of which there is no table.
_AUDIT_ARCH = {
    "x86_64": 0xC000003E, "x32": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028,
}  # fmt: skip

# What man pages, libc or other ABIs call it -> what the kernel does.
_ALIASES = {
    "fstatat": "newfstatat", "fstatat64": "newfstatat", "pread": "pread64", "pwrite": "pwrite64", "umount": "umount2",
    "prlimit": "prlimit64", "sendfile64": "sendfile", "fadvise": "fadvise64", "posix_fadvise": "fadvise64",
    "sysctl": "_sysctl", "_exit": "exit", "sigaction": "rt_sigaction", "sigprocmask": "rt_sigprocmask",
    "sigpending": "rt_sigpending", "sigsuspend": "rt_sigsuspend", "sigtimedwait": "rt_sigtimedwait",
    "sigqueue": "rt_sigqueueinfo", "sigreturn": "rt_sigreturn", "wait": "wait4", "waitpid": "wait4", "wait3": "wait4",
    "send": "sendto", "recv": "recvfrom", "posix_fallocate": "fallocate", "raise": "tgkill", "klogctl": "syslog",
    "mq_send": "mq_timedsend", "mq_receive": "mq_timedreceive", "mq_setattr": "mq_getsetattr",
    "mq_getattr": "mq_getsetattr", "readdir": "getdents64", "lockf": "fcntl", "stime": "settimeofday",
    "nice": "setpriority", "signal": "rt_sigaction", "mmap2": "mmap", "_llseek": "lseek", "_newselect": "select",
    "stat64": "stat", "lstat64": "lstat", "fstat64": "fstat", "fcntl64": "fcntl", "statfs64": "statfs",
    "fstatfs64": "fstatfs", "truncate64": "truncate", "ftruncate64": "ftruncate", "ugetrlimit": "getrlimit",
}  # fmt: skip

_by_name: dict[str, dict[str, int]] = {}
_by_number: dict[str, dict[int, str]] = {}


def _table(abi: str) -> dict[str, int]:
    if not _by_name:
        tables: dict[str, dict[str, int]] = {each: {} for each in ABIS}
        with open(f"{dirname(__file__)}/calls.txt", encoding="utf-8") as file:
            for line in file:
                if line[0] == "#":
                    continue
                name, *columns = line.split()
                for each, column in zip(ABIS, columns, strict=True):
                    if column != "-":
                        tables[each][name] = int(column) | (X32_BIT if each == "x32" else 0)
        _by_name.update(tables)
    return _by_name[abi]


def number(abi: str, name: str) -> int | None:
    """The number of a call, None if the ABI has none by that name; those of x32 have bit 30 set. KeyError: the ABI."""
    return _table(abi).get(name)


def name(abi: str, number: int) -> str | None:
    """The call with that number, None if there is none (or it is newer than the table). KeyError: the ABI."""
    table = _table(abi)
    if abi not in _by_number:
        _by_number[abi] = {value: key for key, value in table.items()}
    return _by_number[abi].get(number)


def names(abi: str) -> tuple[str, ...]:
    """Every call of an ABI. KeyError: the ABI."""
    return tuple(_table(abi))


def alias(word: str) -> str | None:
    """The kernel's name of a call that man pages or libc call otherwise (``pread``: ``pread64``)."""
    return _ALIASES.get(word)


def audit_arch(abi: str) -> int:
    """AUDIT_ARCH of an ABI, what a filter sees as ``arch``. KeyError: the ABI."""
    return _AUDIT_ARCH[abi]


def abi_of(arch: int, number: int) -> str:
    """The ABI of a call that a filter saw: also ``arm``, of which nothing more is known, and "" for others."""
    if arch == _AUDIT_ARCH["x86_64"]:
        # A number of -1 (which a tracer sets to skip a call) has the bit as well, and is no x32.
        return "x32" if number >= 0 and number & X32_BIT else "x86_64"
    return next((abi for abi, value in _AUDIT_ARCH.items() if value == arch), "")
