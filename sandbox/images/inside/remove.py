"""Everything in ``/target``, whoever's it is and whatever its modes are."""

from __future__ import annotations

import os
import stat

from .place import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(words: list[str]) -> dict[str, Any]:
    """The names to remove, as hexadecimal; none: all."""
    root = os.open("/target", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in [bytes.fromhex(word) for word in words] or [os.fsencode(entry) for entry in os.listdir(root)]:
        try:
            found = os.lstat(name, dir_fd=root)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(found.st_mode):
            remove_tree(root, name)
        else:
            os.unlink(name, dir_fd=root)
    return {}
