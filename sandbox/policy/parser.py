"""The bytes of a policy file -> Policy, with every mistake refused by file, line and a hint.

What needs libseccomp or the numbers of calls is refused later, by ``seccomp.compile``.
"""

from __future__ import annotations

from posixpath import dirname, join

from ..errors import PolicyError
from .constants import ALL_BITS, CONSTANTS, INT_ARGS, INT_BITS
from .files import locate, near, read
from .model import ALLOW, KILL, LOG, Arg, Group, Policy, Rule, may_overlap, parse_action
from .sets import SIGN, sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

VERSION = 1
MAX_PARENTS = 8
ARCHITECTURES = ("x86_64", "aarch64")
OPS = ("==", "!=", "<", "<=", ">", ">=")

TOP_KEYS = ("version", "description", "extends", "default", "foreign_abi", "architectures", "capabilities", "groups",
            "rules")  # fmt: skip
GROUP_KEYS = ("description", "calls", "except", "action", "report")
RULE_KEYS = ("description", "call", "action", "args", "report")
ARG_KEYS = ("index", "mask", "op", "value")


def load(name_or_path: str) -> Policy:
    """The policy of that name or file. Raises PolicyError with file, line, key and hint."""
    name, path = locate(name_or_path)
    return parse(name, path, read(name, path)[0])


def extended(path: str, text: bytes) -> str:
    """The name or path that a policy file extends, "" if none: without a TOML parser, for a warm start.

    The line must be ``extends = "NAME"``, above the first table; ``parse`` refuses every other way of writing it.
    """
    for line in text.split(b"\n"):
        if line.startswith(b"["):
            break
        if line.startswith(b"extends"):
            parts = line.split(b'"')
            word = parts[1].decode("utf-8", "replace") if len(parts) > 2 else ""
            is_file = "/" in word or word.endswith(".toml")
            return join(dirname(path), word) if is_file else word
    return ""


def parse(name: str, path: str, text: bytes, children: tuple[str, ...] = ()) -> Policy:
    """A Policy from the bytes of a file; ``path`` is for messages, and what a relative ``extends`` begins at.

    Raises PolicyError.
    """
    import tomllib

    try:
        data = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PolicyError(path, text.count(b"\n", 0, error.start) + 1, "", "not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(path, str(error), text) from None
    except RecursionError:
        raise PolicyError(path, 0, "", "not TOML: nested too deeply") from None
    return _Parser(path, text.decode("utf-8").split("\n"), (*children, path)).policy(name, text, data)


def _toml_error(path: str, message: str, text: bytes) -> PolicyError:
    # tomllib has the line in its text only (until 3.14): "… (at line 3, column 7)".
    what, _, where = message.rpartition(" (at ")
    digits = where.removeprefix("line ").partition(",")[0]
    line = int(digits) if digits.isdecimal() else text.rstrip().count(b"\n") + 1  # "at end of document"
    return PolicyError(path, line, "", f"not TOML: {(what or message).lower()}")


class _Parser:
    """One file; ``where`` finds the line of a complaint, because tomllib keeps none."""

    def __init__(self, path: str, lines: list[str], chain: tuple[str, ...]) -> None:
        self.path, self.lines, self.chain = path, lines, chain

    def policy(self, name: str, text: bytes, data: dict[str, Any]) -> Policy:
        self.keys(data, TOP_KEYS, 0, "")
        # bool is an int, and true == 1.
        if data.get("version") != VERSION or isinstance(data.get("version"), bool):
            self.fail(self.find("version"), "version", f"expected {VERSION} (got {data.get('version')!r})")
        parent = self.parent(data, text)
        tables = self.typed(data, "groups", dict, 0, {})
        groups = self.expanded([self.group(n, g) for n, g in tables.items()], tables)
        rules = tuple(self.rule(i, r) for i, r in enumerate(self.typed(data, "rules", list, 0, [])))
        policy = Policy(
            name=name, path=self.path, text=text, groups=groups, rules=rules, parent=parent, said=frozenset(data),
            description=self.typed(data, "description", str, 0, ""),
            default=self.action(data, "default", 0, "default", parent.default if parent else None),
            foreign_abi=self.action(data, "foreign_abi", 0, "foreign_abi", parent.foreign_abi if parent else KILL),
            architectures=self.words(data, "architectures", ARCHITECTURES, parent.architectures if parent else ()),
            capabilities=self.capabilities(data, parent),
        )  # fmt: skip
        self.contradictions(policy)
        return policy

    def parent(self, data: dict[str, Any], text: bytes) -> Policy | None:
        line = self.find("extends")
        word = self.typed(data, "extends", str, 0, "")
        found = extended(self.path, text)
        if "extends" in data and not word:
            self.fail(line, "extends", "names nothing; leave it out, or name a policy")
        if found != (join(dirname(self.path), word) if "/" in word or word.endswith(".toml") else word):
            self.fail(line, "extends", 'write extends = "NAME" on a line of its own, above the first table')
        if not word:
            return None
        name, path = locate(found)
        if path in self.chain:
            self.fail(line, "extends", f"{word} extends this policy in its turn")
        if len(self.chain) > MAX_PARENTS:
            self.fail(line, "extends", f"more than {MAX_PARENTS} policies that extend each other")
        try:
            return parse(name, path, read(name, path)[0], self.chain)
        except PolicyError as error:
            if error.file == name:  # no such policy: said of the line that names it
                self.fail(line, "extends", error.hint)
            raise

    def capabilities(self, data: dict[str, Any], parent: Policy | None) -> tuple[str, ...]:
        names = self.words(data, "capabilities", (), parent.capabilities if parent else ())
        return tuple(dict.fromkeys(name.upper().removeprefix("CAP_") for name in names))

    def words(
        self, data: dict[str, Any], key: str, known: tuple[str, ...], default: tuple[str, ...]
    ) -> tuple[str, ...]:  # fmt: skip
        if key not in data:
            return default
        line = self.find(key)
        for word in self.typed(data, key, list, 0):
            if not isinstance(word, str) or not word:
                self.fail(line, key, f"expected texts (got {word!r})")
            if known and word not in known:
                self.fail(line, key, f"unknown {word!r}; {near(word, known) or 'there are ' + ', '.join(known)}")
        return tuple(data[key])

    def expanded(self, groups: list[Group], tables: dict[str, Any]) -> tuple[Group, ...]:
        """The groups with calls in place of sets: what a file names itself is not taken from a set."""
        named = {call for group in groups for call in group.calls if not call.startswith(SIGN)}
        out = []
        for group in groups:
            left_out = self.left_out(group, tables[group.name])
            calls: list[str] = []
            for word in group.calls:
                if not word.startswith(SIGN):
                    calls.append(word)
                    continue
                known = sets()
                if word[1:] not in known:
                    hint = near(word[1:], known) or f"there are {', '.join(sorted(known))}"
                    self.fail(group.line, f"groups.{group.name}.calls", f"no set {word}; {hint}", f'"{word}"')
                calls += [c for c in known[word[1:]] if c not in named and c not in left_out]
            out.append(group.replace(calls=tuple(calls)))
        return tuple(out)

    def left_out(self, group: Group, table: dict[str, Any]) -> set[str]:
        key = f"groups.{group.name}.except"
        words = self.typed(table, "except", list, group.line, [])
        inside = {call for word in group.calls if word.startswith(SIGN) for call in sets().get(word[1:], ())}
        for word in words:
            if not isinstance(word, str) or word not in inside:
                self.fail(group.line, key, f"{word!r} is in none of the sets of this group", f'"{word}"')
        return set(words)

    def group(self, name: str, data: object) -> Group:
        line, key = self.section(f"[groups.{name}]"), f"groups.{name}"
        table = self.table(data, line, key)
        self.keys(table, GROUP_KEYS, line, key)
        calls = self.typed(table, "calls", list, line)
        for call in calls:
            if not isinstance(call, str) or not call:
                self.fail(line, f"{key}.calls", f"expected names of system calls (got {call!r})")
        action = self.action(table, "action", line, f"{key}.action")
        return Group(name=name, action=action, calls=tuple(calls), line=line,
                     report=self.flag(table, "report", line), description=self.text(table, line))  # fmt: skip

    def rule(self, index: int, data: object) -> Rule:
        line, key = self.section("[[rules]]", index), f"rules[{index}]"
        table = self.table(data, line, key)
        self.keys(table, RULE_KEYS, line, key)
        call = self.typed(table, "call", str, line)
        args = tuple(self.arg(call, a, line, f"{key}.args[{i}]")
                     for i, a in enumerate(self.typed(table, "args", list, line)))  # fmt: skip
        if not args:
            self.fail(line, f"{key}.args", f"no conditions; put {call} into a group")
        if len({a.index for a in args}) != len(args):
            self.fail(line, f"{key}.args", "the same index twice; libseccomp takes one condition for each argument")
        return Rule(call=call, action=self.action(table, "action", line, f"{key}.action"), args=args, line=line,
                    report=self.flag(table, "report", line), description=self.text(table, line))  # fmt: skip

    def arg(self, call: str, data: object, line: int, key: str) -> Arg:
        table = self.table(data, line, key)
        self.keys(table, ARG_KEYS, line, key)
        index = self.typed(table, "index", int, line)
        if not 0 <= index <= 5:
            self.fail(line, f"{key}.index", f"expected 0 to 5 (got {index})")
        op = self.typed(table, "op", str, line, "==")
        if op not in OPS:
            self.fail(line, f"{key}.op", f"unknown comparison {op!r}; use one of {' '.join(OPS)}")
        value = self.number(table, "value", line, key)
        if "mask" not in table:
            if index in INT_ARGS.get(call, ()):
                self.fail(line, key, f'the kernel reads argument {index} of {call} as a 32-bit int; add mask = "INT"')
            return Arg(index=index, op=op, value=value)
        mask = self.number(table, "mask", line, key)
        if op not in ("==", "!="):
            self.fail(line, f"{key}.mask", f"a mask goes with == and != only (got {op!r})")
        if value & ~mask or not mask:
            self.fail(line, f"{key}.value", f"{value:#x} can never be the result of masking with {mask:#x}")
        if call in INT_ARGS and index in INT_ARGS[call] and mask & ~INT_BITS:
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

    def flag(self, table: dict[str, Any], name: str, line: int) -> bool:
        value = table.get(name, True)
        if not isinstance(value, bool):
            self.fail(line, name, f"expected true or false (got {value!r})", name)
        return value

    def text(self, table: dict[str, Any], line: int) -> str:
        return str(self.typed(table, "description", str, line, ""))

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
