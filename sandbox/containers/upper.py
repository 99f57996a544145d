"""Whose overlay the root of a container is: the kernel's, or fuse-overlayfs' (fuseroot.py) where the kernel's refuses.

On the launch path of ``run --image``.
"""

from __future__ import annotations

import os

from ..images.store import needs_fuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "fuse"  # the directory in the container's: is it there, its root was, or is, served so
NOTE = "fuse-overlayfs serves the root: its time, memory and disk traffic are not the container's, no limit counts them"


def needed(directory: str, asked: str, layers: Sequence[str]) -> str:
    """Why the changes of this container need it: "" if the kernel's overlayfs will do."""
    if asked == "fuse":
        return "--upper fuse was asked for"
    if asked != "disk":
        return ""
    if any(needs_fuse(layer) for layer in layers):
        return "a layer of the image lies on a file system that cannot hold whiteouts of overlayfs"
    kind = _file_system(directory)
    if kind in ("overlay", "ecryptfs") or kind.startswith(("nfs", "fuse")):
        return f"{directory} is on {kind}, which overlayfs takes no changes on"
    try:
        os.getxattr(f"{directory}/upper", "user.overlay.opaque")
    except OSError as error:
        import errno

        if error.errno == errno.EOPNOTSUPP:
            return f"{directory} is on {kind} without user attributes, which overlayfs takes no changes on"
    return ""


def _file_system(directory: str) -> str:
    """Its type, as in mountinfo."""
    fd = os.open(directory, os.O_PATH | os.O_CLOEXEC)
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb") as file:
            number = next((line.split()[1] for line in file if line.startswith(b"mnt_id:")), b"")
    finally:
        os.close(fd)
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            left, _dash, right = line.partition(b" - ")
            if left.split(b" ", 1)[0] == number:
                return os.fsdecode(right.split(b" ", 1)[0])
    return ""


def used(directory: str) -> bool:
    """Is, or was, the root of this container served so?"""
    return os.path.isdir(f"{directory}/{NAME}")
