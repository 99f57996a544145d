"""Every mistake of a policy file, not the first alone: what ``pysandbox policy check`` tells."""

from __future__ import annotations

from ..errors import PolicyError
from .files import near
from .model import ALLOW, Group, Policy, Rule
from .parser import _Parser, _toml_error
from .sets import SIGN, sets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def mistakes(name: str, path: str, text: bytes) -> tuple[Policy | None, list[PolicyError]]:
    """(the policy, without what is wrong, None if nothing is left; all that is wrong, in the order of the file)."""
    import tomllib

    try:
        data = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        return None, [PolicyError(path, text.count(b"\n", 0, error.start) + 1, "", "not UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return None, [_toml_error(path, str(error), text)]
    except RecursionError:
        return None, [PolicyError(path, 0, "", "not TOML: nested too deeply")]
    reader = _Lenient(path, text.decode("utf-8").split("\n"), (path,))
    policy = None
    try:
        policy = reader.policy(name, text, data)
    except PolicyError as error:
        reader.found.append(error)
    found = sorted(dict.fromkeys(reader.found), key=lambda e: (e.file != path, e.line))
    return policy, found


class _Lenient(_Parser):
    """Goes on after a mistake, with something harmless in the place of what was wrong."""

    def __init__(self, path: str, lines: list[str], chain: tuple[str, ...]) -> None:
        super().__init__(path, lines, chain)
        self.found: list[PolicyError] = []
        self.going_on = False

    def group(self, name: str, data: object) -> Group:
        try:
            return super().group(name, data)
        except PolicyError as error:
            self.found.append(error)
            return Group(name=name, action=ALLOW, calls=())

    def rule(self, index: int, data: object) -> Rule:
        try:
            return super().rule(index, data)
        except PolicyError as error:
            self.found.append(error)
            return Rule(call="", action=ALLOW, args=())

    def expanded(self, groups: list[Group], tables: dict[str, Any]) -> tuple[Group, ...]:
        kept = []
        for group in groups:
            good = []
            for word in group.calls:
                if word.startswith(SIGN) and word[1:] not in sets():
                    hint = near(word[1:], sets()) or f"there are {', '.join(sorted(sets()))}"
                    line = self.find(f'"{word}"', group.line)
                    key = f"groups.{group.name}.calls"
                    self.found.append(PolicyError(self.path, line, key, f"no set {word}; {hint}"))
                else:
                    good.append(word)
            kept.append(group.replace(calls=tuple(good)))
        return super().expanded(kept, tables)

    def left_out(self, group: Group, table: dict[str, Any]) -> set[str]:
        try:
            return super().left_out(group, table if isinstance(table, dict) else {})
        except PolicyError as error:
            self.found.append(error)
            return set()

    def parent(self, data: dict[str, Any], text: bytes) -> Policy | None:
        try:
            return super().parent(data, text)
        except PolicyError as error:
            self.found.append(error)
            data.setdefault("default", "kill")  # what it extends would have said
            return None

    def keys(self, table: dict[str, Any], known: tuple[str, ...], line: int, key: str) -> None:
        self._on(super().keys, table, known, line, key)

    def contradictions(self, policy: Policy) -> None:
        self._on(super().contradictions, policy)

    def action(self, table: dict[str, Any], name: str, line: int, key: str, default: str | None = None) -> str:
        if line:  # of a group or a rule, which ends there
            return super().action(table, name, line, key, default)
        try:
            return super().action(table, name, line, key, default)
        except PolicyError as error:
            self.found.append(error)
            return default or "kill"

    def _on(self, check: Any, *given: Any) -> None:
        """Run a check whose complaints are no reason to stop."""
        self.going_on = True
        try:
            check(*given)
        finally:
            self.going_on = False

    def fail(self, line: int, key: str, hint: str, word: str = "") -> Any:
        if not self.going_on:
            super().fail(line, key, hint, word)
        self.found.append(PolicyError(self.path, self.find(word, line) if word else line, key, hint))
