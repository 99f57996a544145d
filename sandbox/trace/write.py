"""A learned policy as a file: a new one, or additions to one that keeps its text, its order and its comments."""

from __future__ import annotations

import os
import re

from ..errors import PolicyError, RequestError
from ..policy import Policy, parse
from ..policy.files import locate, read
from ..policy.write import to_toml
from .learn import with_additions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .learn import Additions

_WIDTH = 100
_HEADER = """\
Learned by `pysandbox trace`: what these runs did, and what a libc may do in others. To add another run
to it: pysandbox trace --merge FILE -- PROGRAM. Read it before you rely on it: docs/policies.md."""


def new(policy: Policy, more: Additions) -> str:
    """The text of a new policy."""
    return to_toml(with_additions(policy, more), comment=_HEADER, fold=False)


def added(policy: Policy, more: Additions) -> str:
    """The text of an old policy with additions: calls go into the groups of their names, the rest to the end.

    Raises PolicyError if the text then does not say what it should.
    """
    text = policy.text.decode("utf-8")
    names = {group.name for group in policy.groups}
    fresh = {}
    for name, (action, why, calls) in more.groups.items():
        longer = _into_group(text, name, calls) if name in names else None
        if longer is None:
            while name in names or name in fresh:
                name += "_2"
            fresh[name] = (action, why, calls)
        else:
            text = longer
    bare = policy.replace(groups=(), rules=(), parent=None, description="", capabilities=(), architectures=())
    tail = to_toml(with_additions(bare, more.replace(groups=fresh)), fold=False)
    _, found, tail = tail.partition("\n[")
    if found:
        text = f"{text.rstrip()}\n\n[{tail}"
    again = parse(policy.name, policy.path, text.encode())
    told = {(c, g.action) for g in again.groups for c in g.calls}
    wanted = {(c, action) for action, _why, calls in more.groups.values() for c in calls}
    before = {(c, g.action) for g in policy.groups for c in g.calls}
    if told != wanted | before or len(again.rules) != len(policy.rules) + len(more.rules):
        raise PolicyError(policy.path, 0, "", "the additions cannot be written into this text; merge by hand")
    return text


def _into_group(text: str, name: str, calls: tuple[str, ...]) -> str | None:
    """The calls at the head of a group's list; None where its text is not as we would write it."""
    header = re.search(rf"^\[groups\.{re.escape(name)}\][ \t]*(#.*)?$", text, re.MULTILINE)
    if header is None:
        return None
    end = re.compile(r"^\[", re.MULTILINE).search(text, header.end())
    array = re.compile(r"^calls[ \t]*=[ \t]*\[", re.MULTILINE).search(text, header.end())
    if array is None or (end is not None and end.start() < array.start()):
        return None
    words = ", ".join(f'"{call}"' for call in calls)
    rest = text[array.end():]
    line = rest.partition("\n")[0]
    before, closed, after = line.partition("]")
    if closed and before.strip() and "#" not in before and len(line) + len(words) < _WIDTH:
        return f"{text[:array.end()]}{before.rstrip().rstrip(',')}, {words}]{after}{rest[len(line):]}"
    gap = "" if rest[:1] in "\n\r" else "\n    "
    return f"{text[:array.end()]}\n    {words},{gap}{rest}"


def target(word: str, flag: str) -> str:
    """The path of a policy to write. Raises RequestError for ``flag``."""
    name, path = locate(word)
    if word == name:  # a bare word is a packaged policy
        raise RequestError(flag, word, f"a policy file needs a slash or .toml: ./{word}.toml")
    return path


def load_for_merge(path: str) -> Policy | None:
    """The policy to add to, None if there is none yet. Raises PolicyError."""
    if not os.path.lexists(path):
        return None
    name = locate(path)[0]
    return parse(name, path, read(name, path)[0])


def store(path: str, text: str) -> None:
    """Whole or not at all. Raises RequestError."""
    made = f"{path}.{os.getpid()}.part"
    try:
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o666
        fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            data = text.encode()
            while data:
                data = data[os.write(fd, data):]
        finally:
            os.close(fd)
        os.replace(made, path)
    except OSError as error:
        try:
            os.unlink(made)
        except OSError:
            pass
        raise RequestError("--write", path, f"cannot write: {error.strerror}") from None
