"""Names for numbers in conditions, and which arguments the kernel reads as 32-bit ints."""

from __future__ import annotations

ALL_BITS = (1 << 64) - 1
INT_BITS = (1 << 32) - 1

# Names that may stand for a number in ``value`` and ``mask``, joined by "|". Only constants that
# x86_64 and aarch64 share.
CONSTANTS = {
    "TIOCSTI": 0x5412, "TIOCLINUX": 0x541C, "TIOCCONS": 0x541D, "TIOCSETD": 0x5423,
    "AF_UNSPEC": 0, "AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_KEY": 15, "AF_NETLINK": 16,
    "AF_PACKET": 17, "AF_ALG": 38, "AF_VSOCK": 40, "AF_XDP": 44,
    "SOCK_STREAM": 1, "SOCK_DGRAM": 2, "SOCK_RAW": 3, "SOCK_SEQPACKET": 5, "SOCK_PACKET": 10,
    "SOCK_TYPE_MASK": 0xF, "NETLINK_ROUTE": 0,
    "CLONE_NEWTIME": 0x80, "CLONE_NEWNS": 0x20000, "CLONE_NEWCGROUP": 0x02000000, "CLONE_NEWUTS": 0x04000000,
    "CLONE_NEWIPC": 0x08000000, "CLONE_NEWUSER": 0x10000000, "CLONE_NEWPID": 0x20000000,
    "CLONE_NEWNET": 0x40000000, "CLONE_VM": 0x100, "CLONE_THREAD": 0x10000,
    "PER_LINUX": 0, "PER_LINUX32": 8, "UNAME26": 0x20000, "ADDR_NO_RANDOMIZE": 0x40000,
    "O_ACCMODE": 3, "O_CREAT": 0o100, "O_EXCL": 0o200, "O_TRUNC": 0o1000, "O_APPEND": 0o2000,
    "PROT_READ": 1, "PROT_WRITE": 2, "PROT_EXEC": 4,
    "INT": INT_BITS,
}  # fmt: skip

# Arguments of which the kernel reads the low 32 bits only. A comparison of all 64 bits would be
# passed by garbage above them: CVE-2019-10063 was TIOCSTI let through in exactly this way.
INT_ARGS = {
    "clone": (0,), "unshare": (0,), "setns": (0, 1), "personality": (0,),
    "ioctl": (0, 1), "fcntl": (0, 1), "prctl": (0,), "open": (1,), "openat": (0, 2), "creat": (1,),
    "socket": (0, 1, 2), "socketpair": (0, 1, 2), "setsockopt": (0, 1, 2), "getsockopt": (0, 1, 2),
    "kill": (0, 1), "tkill": (0, 1), "tgkill": (0, 1, 2), "ptrace": (), "seccomp": (0, 1), "memfd_create": (1,),
    "madvise": (2,), "flock": (0, 1), "sched_setscheduler": (0, 1), "setpriority": (0, 1, 2),
    "getrlimit": (0,), "setrlimit": (0,), "prlimit64": (0, 1),
}  # fmt: skip
