"""``pysandbox policy list``, ``show`` and ``schema``: what there is, as it stands or resolved."""

from __future__ import annotations

from ...policy import FOLDER, load, locate, names, read
from ...policy.write import to_toml
from ..printed import out
from .words import only, parsed


def list_(words: list[str]) -> int:
    """The shipped policies and the first line of each."""
    _values, others = parsed("list", words)
    only("list", others, 0, 0, "no words")
    found = [load(name) for name in names()]
    width = max((len(policy.name) for policy in found), default=0)
    out(f"{policy.name:<{width}}  {policy.description.partition(chr(10))[0]}" for policy in found)
    return 0


def main(words: list[str]) -> int:
    """The text of a policy, or what it amounts to with sets and parents written out."""
    values, others = parsed("show", words)
    only("show", others, 1, 1, "one NAME or FILE")
    if not values.get("resolved"):
        name, path = locate(others[0])
        out(read(name, path)[0].decode("utf-8", "backslashreplace").removesuffix("\n").split("\n"))
        return 0
    from ...policy.resolve import resolve

    policy = load(others[0])
    chain = ", which extends ".join(level.path for level in policy.levels())
    out(to_toml(resolve(policy), comment=f"{chain}, resolved", fold=False).removesuffix("\n").split("\n"))
    return 0


def schema_(words: list[str]) -> int:
    """The JSON schema of the data of a policy file."""
    _values, others = parsed("schema", words)
    only("schema", others, 0, 0, "no words")
    with open(f"{FOLDER}/policy.schema.json", encoding="utf-8") as file:
        out([file.read().removesuffix("\n")])
    return 0


