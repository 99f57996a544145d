"""JSON without the ``json`` package, whose import (``re`` above all) costs a start of the command line 2.5 ms.

The C scanner and encoder are the package's own; where a Python has them otherwise, the package is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Context:
    strict, object_hook, object_pairs_hook = True, None, None
    parse_float, parse_int, parse_constant = float, int, float
    memo: dict[str, str] = {}


def _no_default(value: object) -> object:
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def _make() -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    try:
        import _json

        plain = _json.encode_basestring_ascii
        encode = _json.make_encoder({}, _no_default, plain, None, ": ", ", ", False, False, False)
        scan: Any = _json.make_scanner(_Context)  # type: ignore[arg-type]
        written = "".join(encode({"a": [1, "b", None]}, 0))
        if written != '{"a": [1, "b", null]}' or scan('{"a": [1.5]}', 0)[0] != {"a": [1.5]}:
            raise ImportError("another _json")
    except (ImportError, AttributeError, TypeError):
        import json

        return json.dumps, json.loads

    def dumps(value: Any) -> str:
        return "".join(encode(value, 0))

    def loads(text: str) -> Any:
        text = text.lstrip(" \t\n\r")
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("no JSON at all") from None
        except SystemError:  # it has an exception of json.decoder's for that, if somebody has imported it
            raise ValueError("broken JSON") from None
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None
        if text[end:].strip(" \t\n\r"):
            raise ValueError(f"something after the JSON, at {end}")
        return value

    return dumps, loads


dumps, loads = _make()
