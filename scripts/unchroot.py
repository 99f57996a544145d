"""Run a command in the same tree, but with that tree as the root of a mount namespace of its own.

The kernel refuses user namespaces to a process in a chroot (create_user_ns(2): EPERM), and a sandbox
needs one. Root can turn the chroot into a real root: copy its mounts, leave the chroot (what
CAP_SYS_CHROOT allows anyway), pivot_root into the copy. ``./dev`` does so for root; a user without
privileges cannot.

    unchroot.py COMMAND [ARGUMENTS]     (does nothing but exec where there is no chroot)
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 1 << 18, 2
SYS_OPEN_TREE, SYS_MOVE_MOUNT = 428, 429  # the same on every architecture since Linux 5.1
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
OPEN_TREE_CLONE, AT_RECURSIVE, MOVE_MOUNT_F_EMPTY_PATH, AT_FDCWD = 1, 0x8000, 4, -100

libc = ctypes.CDLL(None, use_errno=True)


def call(what: str, result: int) -> int:
    """``result`` unless it is an error."""
    if result < 0:
        sys.exit(f"unchroot: {what}: {os.strerror(ctypes.get_errno())}")
    return result


def chrooted() -> bool:
    """Is our root directory no mount's root?"""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as table:
        return all(line.split()[4] != "/" for line in table)


def leave() -> None:
    """Make the tree below our root the root of a new mount namespace."""
    call("unshare", libc.unshare(CLONE_NEWNS))
    tree_fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)  # after it: the new namespace's mount
    # Out of the chroot: a directory that is not below the new root has no ".." that ends there.
    inner = f"/.unchroot-{os.getpid()}"
    os.mkdir(inner)
    try:
        os.chroot(inner)
        os.fchdir(tree_fd)
    finally:
        os.rmdir(f".{inner}")
    while not os.path.samefile(".", ".."):
        os.chdir("..")
    os.chroot(".")
    call("mount private", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    copy = call("open_tree", libc.syscall(SYS_OPEN_TREE, tree_fd, b".", OPEN_TREE_CLONE | AT_RECURSIVE))
    call("move_mount", libc.syscall(SYS_MOVE_MOUNT, copy, b"", AT_FDCWD, b"/", MOVE_MOUNT_F_EMPTY_PATH))
    os.fchdir(copy)
    call("pivot_root", libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], b".", b"."))
    call("umount", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")
    for fd in (copy, tree_fd):
        os.close(fd)


def main() -> None:
    here = os.getcwd()
    if chrooted():
        leave()
        os.chdir(here)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
