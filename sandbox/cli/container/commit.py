"""``pysandbox commit CONTAINER [IMAGE]``"""

from __future__ import annotations

from ...errors import RequestError
from .names import find, parse


def main(words: list[str]) -> int:
    """Make the image and print its id."""
    values, names = parse("commit", words)
    if len(names) not in (1, 2):
        raise RequestError("commit", " ".join(names)[:80], "name a container and an image; see pysandbox help commit")
    from ...containers.commit import commit

    timestamp = values.get("timestamp")
    if timestamp is not None and not (timestamp.isdecimal() and int(timestamp) < 1 << 34):
        raise RequestError("--timestamp", timestamp, "expected seconds since the epoch")
    image = commit(
        find(names[0]), names[1] if len(names) == 2 else None, changes=values.get("change", ()),
        author=values.get("author", ""), message=values.get("message", ""), pause=not values.get("no_pause"),
        timestamp=None if timestamp is None else int(timestamp), compress=values.get("compress", "none"),
    )  # fmt: skip
    print(image.id)
    return 0
