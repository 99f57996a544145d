"""Policy files: TOML text -> Policy, with every mistake refused by file, line and a hint.

    locate()  name or path -> (name, path); never touches the file
    read()    path -> bytes and stat; the only reader of a policy file
    parse()   bytes -> Policy; checks all that needs no knowledge of system call numbers
    load()    the three together

What a policy decides for one system call, in this order (docs/policies.md):

    1. a rule whose conditions hold and whose action is not allow
    2. a rule whose conditions hold and whose action is allow
    3. the action of the group that names the call
    4. the default

Numbers, libseccomp and the kernel are not known here; ``seccomp.py`` refuses unknown calls.
"""

from __future__ import annotations

import errno
import os
from posixpath import abspath, dirname, join, splitext

from .errors import PolicyError
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

NONE = "none"
VERSION = 1
# The packaged policies: beside the package in a checkout and in site-packages alike.
FOLDER = join(dirname(dirname(abspath(__file__))), "policies")
MAX_TEXT_BYTES = 256 << 10

ALLOW = "allow"
KILL = "kill"  # the whole process, by SIGSYS (SECCOMP_RET_KILL_PROCESS, Linux 4.14)
LOG = "log"  # allowed, and written to the audit log
TRAP = "trap"  # a SIGSYS that the program may handle
ERRNO = "errno:"
_PLAIN_ACTIONS = (ALLOW, KILL, LOG, TRAP)
_MAX_ERRNO = 4095  # MAX_ERRNO of the kernel; seccomp(2) caps larger values silently

ALL_BITS = (1 << 64) - 1
INT_BITS = (1 << 32) - 1
_OPS = ("==", "!=", "<", "<=", ">", ">=")

_TOP_KEYS = ("version", "description", "default", "foreign_abi", "groups", "rules")
_GROUP_KEYS = ("description", "calls", "action")
_RULE_KEYS = ("description", "call", "action", "args")
_ARG_KEYS = ("index", "mask", "op", "value")

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
_INT_ARGS = {
    "clone": (0,), "unshare": (0,), "setns": (0, 1), "personality": (0,),
    "ioctl": (0, 1), "fcntl": (0, 1), "prctl": (0,), "open": (1,), "openat": (0, 2), "creat": (1,),
    "socket": (0, 1, 2), "socketpair": (0, 1, 2), "setsockopt": (0, 1, 2), "getsockopt": (0, 1, 2),
    "kill": (0, 1), "tkill": (0, 1), "tgkill": (0, 1, 2), "ptrace": (), "seccomp": (0, 1), "memfd_create": (1,),
    "madvise": (2,), "flock": (0, 1), "sched_setscheduler": (0, 1), "setpriority": (0, 1, 2),
}  # fmt: skip


class Arg(Record):
    """One condition: ``(argument[index] & mask) op value``; all numbers unsigned."""

    index: int
    op: str
    value: int
    mask: int = ALL_BITS


class Rule(Record):
    """An action for a call when all of ``args`` hold; ``line`` is where the file says so."""

    call: str
    action: str
    args: tuple[Arg, ...]
    line: int = 0


class Group(Record):
    """Calls that share one unconditional action."""

    name: str
    action: str
    calls: tuple[str, ...]
    line: int = 0


class Policy(Record):
    """A parsed policy; ``path`` is its file and ``text`` the bytes of that file."""

    name: str
    path: str
    text: bytes
    default: str
    foreign_abi: str = KILL
    description: str = ""
    groups: tuple[Group, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def filters(self) -> bool:
        """False if the policy lets everything pass, so that no filter is needed."""
        return not (self.default == self.foreign_abi == ALLOW and not self.groups and not self.rules)


def locate(name_or_path: str) -> tuple[str, str]:
    """(name, path): a value with a slash or ending in ``.toml`` is a file, others are packaged."""
    if "\0" in name_or_path or not name_or_path:
        raise PolicyError(repr(name_or_path), 0, "", "not a policy; give a name such as default, or a file")
    if "/" in name_or_path or name_or_path.endswith(".toml"):
        path = abspath(name_or_path)
        return splitext(path)[0].rpartition("/")[2], path
    # No slash is left, so that ".." cannot climb out: "..toml" is merely missing.
    return name_or_path, f"{FOLDER}/{name_or_path}.toml"


def read(name: str, path: str) -> tuple[bytes, os.stat_result]:
    """The bytes of a policy file and its stat, both from one descriptor."""
    try:
        # O_NONBLOCK: a fifo by that name must not hang the launch.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        _missing(name, path, error)
    try:
        stat = os.fstat(fd)
        if stat.st_mode & 0o170000 != 0o100000:
            raise PolicyError(path, 0, "", "not a regular file")
        if stat.st_size > MAX_TEXT_BYTES:
            raise PolicyError(path, 0, "", f"{stat.st_size} bytes; a policy has at most {MAX_TEXT_BYTES}")
        text = b""
        while chunk := os.read(fd, MAX_TEXT_BYTES + 1 - len(text)):
            text += chunk
        if len(text) > MAX_TEXT_BYTES:
            raise PolicyError(path, 0, "", f"grew while it was read; a policy has at most {MAX_TEXT_BYTES} bytes")
    except OSError as error:
        raise PolicyError(path, 0, "", f"cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)
    return text, stat


def _missing(name: str, path: str, error: OSError) -> NoReturn:
    if error.errno != errno.ENOENT or dirname(path) != FOLDER:
        raise PolicyError(path, 0, "", f"cannot be read: {error.strerror}") from None
    known = names()
    hint = near(name, known) or f"there are {', '.join(known) or 'none'}; a file needs a slash or .toml"
    raise PolicyError(name, 0, "", f"no such policy; {hint}") from None


def names() -> list[str]:
    """The packaged policies, in order."""
    try:
        return sorted(f[:-5] for f in os.listdir(FOLDER) if f.endswith(".toml"))
    except OSError:
        return []


def near(word: str, known: Iterable[str]) -> str:
    """``did you mean …`` for a word that is almost one of ``known``, else an empty text."""
    from difflib import get_close_matches

    matches = get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}" if matches else ""


def load(name_or_path: str) -> Policy:
    """The policy of that name or file. Raises PolicyError with file, line, key and hint."""
    name, path = locate(name_or_path)
    return parse(name, path, read(name, path)[0])


def parse(name: str, path: str, text: bytes) -> Policy:
    """A Policy from the bytes of a file; ``path`` is for messages. Raises PolicyError."""
    import tomllib

    try:
        data = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PolicyError(path, text.count(b"\n", 0, error.start) + 1, "", "not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(path, str(error), text) from None
    except RecursionError:
        raise PolicyError(path, 0, "", "not TOML: nested too deeply") from None
    return _Parser(path, text.decode("utf-8").split("\n")).policy(name, text, data)


def _toml_error(path: str, message: str, text: bytes) -> PolicyError:
    # tomllib has the line in its text only (until 3.14): "… (at line 3, column 7)".
    what, _, where = message.rpartition(" (at ")
    digits = where.removeprefix("line ").partition(",")[0]
    line = int(digits) if digits.isdecimal() else text.rstrip().count(b"\n") + 1  # "at end of document"
    return PolicyError(path, line, "", f"not TOML: {(what or message).lower()}")


def parse_action(action: str) -> tuple[str, int]:
    """("errno:EPERM") -> ("errno:", 1); ("kill") -> ("kill", 0). ValueError says what is wrong."""
    if action in _PLAIN_ACTIONS:
        return action, 0
    if action.startswith(ERRNO):
        word = action[len(ERRNO):]
        number = int(word) if word.isdecimal() and word.isascii() else getattr(errno, word, 0)
        if isinstance(number, int) and (0 < number <= _MAX_ERRNO or word == "0"):  # 0: says yes, does nothing
            return ERRNO, number
        hint = near(word.upper(), errno.errorcode.values())
        raise ValueError(f"unknown errno {word!r}; {hint or 'give a name such as EPERM'}")
    known = (*_PLAIN_ACTIONS, "errno:EPERM", "errno:ENOSYS")
    hint = near(action, known) or f"use {', '.join(_PLAIN_ACTIONS)} or errno:NAME"
    raise ValueError(f"unknown action {action!r}; {hint}")


def may_overlap(one: tuple[Arg, ...], other: tuple[Arg, ...]) -> bool:
    """False if no call can meet both sets of conditions (shown by two ``==`` that exclude each other)."""
    return not any(
        a.index == b.index and a.op == b.op == "==" and (a.value ^ b.value) & a.mask & b.mask
        for a in one
        for b in other
    )


class _Parser:
    """One file; ``where`` finds the line of a complaint, because tomllib keeps none."""

    def __init__(self, path: str, lines: list[str]) -> None:
        self.path, self.lines = path, lines

    def policy(self, name: str, text: bytes, data: dict[str, Any]) -> Policy:
        self.keys(data, _TOP_KEYS, 0, "")
        # bool is an int, and true == 1.
        if data.get("version") != VERSION or isinstance(data.get("version"), bool):
            self.fail(self.find("version"), "version", f"expected {VERSION} (got {data.get('version')!r})")
        groups = tuple(self.group(n, g) for n, g in self.typed(data, "groups", dict, 0, {}).items())
        rules = tuple(self.rule(i, r) for i, r in enumerate(self.typed(data, "rules", list, 0, [])))
        policy = Policy(
            name=name, path=self.path, text=text, groups=groups, rules=rules,
            description=self.typed(data, "description", str, 0, ""),
            default=self.action(data, "default", 0, "default"),
            foreign_abi=self.action(data, "foreign_abi", 0, "foreign_abi", KILL),
        )  # fmt: skip
        self.contradictions(policy)
        return policy

    def group(self, name: str, data: object) -> Group:
        line, key = self.section(f"[groups.{name}]"), f"groups.{name}"
        table = self.table(data, line, key)
        self.keys(table, _GROUP_KEYS, line, key)
        self.typed(table, "description", str, line, "")
        calls = self.typed(table, "calls", list, line)
        for call in calls:
            if not isinstance(call, str) or not call:
                self.fail(line, f"{key}.calls", f"expected names of system calls (got {call!r})")
        return Group(name=name, action=self.action(table, "action", line, f"{key}.action"),
                     calls=tuple(calls), line=line)  # fmt: skip

    def rule(self, index: int, data: object) -> Rule:
        line, key = self.section("[[rules]]", index), f"rules[{index}]"
        table = self.table(data, line, key)
        self.keys(table, _RULE_KEYS, line, key)
        self.typed(table, "description", str, line, "")
        call = self.typed(table, "call", str, line)
        args = tuple(self.arg(call, a, line, f"{key}.args[{i}]")
                     for i, a in enumerate(self.typed(table, "args", list, line)))  # fmt: skip
        if not args:
            self.fail(line, f"{key}.args", f"no conditions; put {call} into a group")
        if len({a.index for a in args}) != len(args):
            self.fail(line, f"{key}.args", "the same index twice; libseccomp takes one condition for each argument")
        return Rule(call=call, action=self.action(table, "action", line, f"{key}.action"), args=args, line=line)

    def arg(self, call: str, data: object, line: int, key: str) -> Arg:
        table = self.table(data, line, key)
        self.keys(table, _ARG_KEYS, line, key)
        index = self.typed(table, "index", int, line)
        if not 0 <= index <= 5:
            self.fail(line, f"{key}.index", f"expected 0 to 5 (got {index})")
        op = self.typed(table, "op", str, line, "==")
        if op not in _OPS:
            self.fail(line, f"{key}.op", f"unknown comparison {op!r}; use one of {' '.join(_OPS)}")
        value = self.number(table, "value", line, key)
        if "mask" not in table:
            if index in _INT_ARGS.get(call, ()):
                self.fail(line, key, f'the kernel reads argument {index} of {call} as a 32-bit int; add mask = "INT"')
            return Arg(index=index, op=op, value=value)
        mask = self.number(table, "mask", line, key)
        if op not in ("==", "!="):
            self.fail(line, f"{key}.mask", f"a mask goes with == and != only (got {op!r})")
        if value & ~mask or not mask:
            self.fail(line, f"{key}.value", f"{value:#x} can never be the result of masking with {mask:#x}")
        if call in _INT_ARGS and index in _INT_ARGS[call] and mask & ~INT_BITS:
            self.fail(line, f"{key}.mask", f"the kernel reads only 32 bits of argument {index} of {call}")
        return Arg(index=index, op=op, value=value, mask=mask)

    def number(self, table: dict[str, Any], name: str, line: int, key: str) -> int:
        given = table.get(name)
        if isinstance(given, str):
            value = 0
            for word in given.split("|"):
                if word.strip() not in CONSTANTS:
                    hint = near(word.strip(), CONSTANTS) or "give the number"
                    self.fail(line, f"{key}.{name}", f"unknown constant {word.strip()!r}; {hint}", word.strip())
                value |= CONSTANTS[word.strip()]
            return value
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= ALL_BITS:
            self.fail(line, f"{key}.{name}", f"expected 0 to 2^64-1 or names of constants (got {given!r})")
        return given

    def action(self, table: dict[str, Any], name: str, line: int, key: str, default: str | None = None) -> str:
        action = self.typed(table, name, str, line, default)
        try:
            parse_action(action)
        except ValueError as error:
            self.fail(line, key, str(error), name)
        return str(action)

    def contradictions(self, policy: Policy) -> None:
        home: dict[str, Group] = {}
        for group in policy.groups:
            for call in group.calls:
                if call in home:
                    there = home[call]
                    self.fail(group.line, f"groups.{group.name}.calls",
                              f"{call} is already in group {there.name} ({there.action}, line {there.line}); "
                              "name it once", f'"{call}"')  # fmt: skip
                home[call] = group
        for i, rule in enumerate(policy.rules):
            group_of = home.get(rule.call)
            if rule.action == ALLOW and group_of is not None and group_of.action == ALLOW:
                self.fail(rule.line, f"rules[{i}]",
                          f"group {group_of.name} already allows every {rule.call}; take it out of the group")
            for j, earlier in enumerate(policy.rules[:i]):
                if (rule.call == earlier.call and rule.action != earlier.action
                        and (rule.args == earlier.args or ALLOW not in (rule.action, earlier.action))
                        and may_overlap(rule.args, earlier.args)):  # fmt: skip
                    self.fail(rule.line, f"rules[{i}]",
                              f"{rule.action} contradicts {earlier.action} of rules[{j}] (line {earlier.line}) "
                              f"for the same {rule.call}")  # fmt: skip
        if policy.foreign_abi in (ALLOW, LOG) and policy.filters:
            # An i386 or x32 call would go past every rule above.
            self.fail(0, "foreign_abi", "a filter that lets foreign ABIs pass filters nothing; use kill",
                      "foreign_abi")  # fmt: skip

    # --- the ground: types, keys, lines ---------------------------------------------------------

    def keys(self, table: dict[str, Any], known: tuple[str, ...], line: int, key: str) -> None:
        for name in table:
            if name not in known:
                hint = near(name, known) or f"known are {', '.join(known)}"
                self.fail(line, f"{key}.{name}" if key else name, f"unknown key; {hint}", name)

    def table(self, data: object, line: int, key: str) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail(line, key, f"expected a table (got {data!r})")
        return data

    def typed(self, table: dict[str, Any], name: str, kind: type, line: int, default: Any = None) -> Any:
        if name not in table:
            if default is None:
                self.fail(line, name, "missing")
            return default
        value = table[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            wanted = {dict: "a table", list: "a list", str: "a text", int: "a whole number"}[kind]
            self.fail(line, name, f"expected {wanted} (got {value!r})", name)
        return value

    def section(self, header: str, occurrence: int = 0) -> int:
        """The line (from 1) of a table's header, 0 if it is written in another way."""
        for number, line in enumerate(self.lines, 1):
            if line.strip().startswith(header):
                if not occurrence:
                    return number
                occurrence -= 1
        return 0

    def find(self, word: str, start: int = 0) -> int:
        """The first line from ``start`` on that has ``word`` outside a comment, else ``start``."""
        for number, line in enumerate(self.lines[max(start - 1, 0):], max(start, 1)):
            if word in line.partition("#")[0]:
                return number
        return start

    def fail(self, line: int, key: str, hint: str, word: str = "") -> NoReturn:
        raise PolicyError(self.path, self.find(word, line) if word else line, key, hint)
