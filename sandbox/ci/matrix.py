"""``matrix:`` of a job: its combinations, and ``${{ matrix.NAME }}`` in the job's texts."""

from __future__ import annotations

from itertools import product

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .faults import Faults
    from .yamlfile import Node

LIMIT = 256
_OPEN, _CLOSE = "${{", "}}"


def combinations(matrix: Node | None, faults: Faults) -> list[dict[str, str]]:
    """Every combination in the order of the file; one empty without a matrix.

    ``exclude`` takes away what fits all of an entry, then ``include`` adds each entry as it is. Mistakes go to faults.
    """
    if matrix is None:
        return [{}]
    if matrix.kind != "mapping" or not matrix.pairs:
        faults.add(matrix.line, f"matrix: expected axes, each a list of values, found {matrix.words}")
        return [{}]
    axes: dict[str, list[str]] = {}
    for name, node in matrix.pairs.items():
        if name in ("include", "exclude"):
            continue
        if not name.replace("_", "a").isalnum() or not name.isascii():
            faults.add(matrix.keys[name], f"matrix: an axis is named by letters, digits and _, not {name[:60]!r}")
        if node.kind != "list" or not node.items or any(item.kind in ("list", "mapping") for item in node.items):
            faults.add(node.line, f"matrix.{name}: expected a list of values, found {node.words}")
            continue
        values = [item.text for item in node.items]
        if len(set(values)) < len(values):
            faults.add(node.line, f"matrix.{name}: a value is there twice")
        axes[name] = values
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > LIMIT:
        faults.add(matrix.line, f"matrix: {count} combinations, at most {LIMIT} are made")
        return [{}]
    made = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    for entry in _entries(matrix.pairs.get("exclude"), "exclude", faults):
        unknown = sorted(entry[0].keys() - axes.keys())
        if unknown:
            faults.add(entry[1], f"matrix.exclude: there is no axis {unknown[0]!r}")
        else:
            before = len(made)
            made = [one for one in made if any(one[name] != value for name, value in entry[0].items())]
            if len(made) == before:
                faults.add(entry[1], "matrix.exclude: no combination has these values")
    for values_of, line in _entries(matrix.pairs.get("include"), "include", faults):
        if values_of in made:
            faults.add(line, "matrix.include: this combination is there already")
        made.append(values_of)
    if not made:
        faults.add(matrix.line, "matrix: no combination is left")
    if len(made) > LIMIT:
        faults.add(matrix.line, f"matrix: {len(made)} combinations, at most {LIMIT} are made")
    return made or [{}]


def _entries(node: Node | None, name: str, faults: Faults) -> Iterator[tuple[dict[str, str], int]]:
    if node is None:
        return
    if node.kind != "list":
        faults.add(node.line, f"matrix.{name}: expected a list of combinations, found {node.words}")
        return
    for item in node.items:
        if (
            item.kind != "mapping"
            or not item.pairs
            or any(value.kind in ("list", "mapping") for value in item.pairs.values())
        ):
            faults.add(item.line, f"matrix.{name}: expected values of axes, found {item.words}")
        else:
            yield {key: value.text for key, value in item.pairs.items()}, item.line


def filled(node: Node, axes: Mapping[str, str], faults: Faults) -> Node:
    """The same tree with ``${{ matrix.NAME }}`` replaced in every value (not in keys)."""
    if node.kind == "list":
        return node.replace(items=tuple(filled(item, axes, faults) for item in node.items))
    if node.kind == "mapping":
        return node.replace(pairs={key: filled(value, axes, faults) for key, value in node.pairs.items()})
    if _OPEN not in node.text:
        return node
    done, rest = "", node.text
    while _OPEN in rest:
        before, _, rest = rest.partition(_OPEN)
        inner, end, rest = rest.partition(_CLOSE)
        name = inner.strip()
        value = axes.get(name.removeprefix("matrix.")) if name.startswith("matrix.") else None
        if not end or value is None:
            known = ", ".join(f"matrix.{axis}" for axis in axes) or "none: the job has no matrix"
            faults.add(node.line, f"no value for {_OPEN}{inner[:60]}{end}", f"there are {known}")
            value = ""
        done += before + value
    return node.replace(kind="text", text=done + rest)
