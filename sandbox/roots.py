"""What containers have a run show beside volumes by words: roots of layers, overlays, Mounts, devices.

Imported only for a run that asks for one of them. Whatever is wrong is a RequestError that names the field.
"""

from __future__ import annotations

import os
from posixpath import isabs

from .errors import RequestError
from .request import Overlay
from .spec import Rootfs, Shown, Stack, Volume
from .words import existing_path, inode_of, mount_target, parse_flag, parse_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .request import LayeredRoot, Mount

# Of a file of ours over an image's: hosts, passwd.
MAX_FILE_BYTES = 1 << 20
# native/plan.h, PYSB_MAX_LAYERS
MAX_LAYERS = 100

# What may be asked for beside the few that are always there.
DEVICES = ("/dev/fuse", "/dev/net/tun", "/dev/kvm")


def parse_layered(root: LayeredRoot) -> Rootfs:
    """A root of directories, or of a tree that is mounted already."""
    direct = parse_flag("rootfs", root.direct)
    if direct and (len(root.layers) != 1 or root.upper is not None):
        raise RequestError("rootfs", list(root.layers), "a root that is used as it is has one layer and no upper")
    if root.tree is not None and (not direct or isinstance(root.tree, bool) or not isinstance(root.tree, int)):
        raise RequestError("rootfs", root.tree, "expected the fd of a mount, with direct=True")
    files = []
    if not hasattr(root.files, "items"):
        raise RequestError("rootfs", root.files, "expected a mapping of paths to contents")
    for path, content in root.files.items():
        if not isinstance(content, bytes) or len(content) > MAX_FILE_BYTES:
            raise RequestError("rootfs", path, f"expected its content, at most {MAX_FILE_BYTES} bytes")
        files.append((mount_target("rootfs", path), content))
    return Rootfs(stack=_stack("rootfs", root.layers, root.upper), writable=not parse_flag("rootfs", root.read_only),
                  direct=direct, whole=True, files=tuple(files), tree=root.tree)  # fmt: skip


def _stack(field: str, layers: Sequence[str], upper: str | None) -> Stack:
    if not layers or isinstance(layers, (str, bytes)) or not hasattr(layers, "__iter__"):
        raise RequestError(field, layers, "expected a list of at least one directory")
    if len(layers) > MAX_LAYERS:
        raise RequestError(field, f"{len(layers)} layers", f"more than {MAX_LAYERS}; commit and flatten the image")
    inodes = []
    for path in (*layers, *(() if upper is None else (upper, f"{upper}/upper", f"{upper}/work"))):
        if not isabs(parse_text(field, path)) or not os.path.isdir(path):
            raise RequestError(field, path, "expected the absolute path of a directory")
        inodes.append(inode_of(path))
    return Stack(layers=tuple(layers), inodes=tuple(inodes[: len(layers)]), upper=upper,
                 upper_inode=(0, 0) if upper is None else inodes[len(layers)])  # fmt: skip


def parse_overlays(asked: Sequence[Overlay], rootfs: Rootfs | None) -> tuple[Shown, ...]:
    """Not more layers than a plan holds, those of the root among them."""
    if wrong := [o for o in asked if not isinstance(o, Overlay)]:
        raise RequestError("overlays", wrong[0], "expected an Overlay")
    shown = tuple(_shown(o) for o in asked)
    total = sum(len(o.stack.layers) for o in shown) + (len(rootfs.stack.layers) if rootfs is not None else 0)
    if total > MAX_LAYERS:
        raise RequestError("overlays", f"{total} layers", f"more than {MAX_LAYERS} together")
    return shown


def _shown(overlay: Overlay) -> Shown:
    return Shown(target=mount_target("overlay", overlay.target), stack=_stack("overlay", overlay.layers, overlay.upper))


def parse_mount(mount: Mount) -> Volume:
    """A volume by parts."""
    target, writable = mount_target("volume", mount.target), parse_flag("volume", mount.writable)
    noexec = parse_flag("volume", mount.noexec)
    if isinstance(mount.source, int):
        try:
            is_dir = os.fstat(mount.source).st_mode & 0o170000 == 0o040000
        except PermissionError:  # FUSE of another user namespace: we may only pass it on, and its root is a directory
            is_dir = True
        except OSError as error:
            raise RequestError("volume", mount.source, "not an open file") from error
        return Volume(source=f"fd {mount.source}", target=target, writable=writable, is_dir=is_dir, fd=mount.source,
                      noexec=noexec)  # fmt: skip
    source, is_dir = existing_path("volume", mount.source)
    return Volume(source=source, target=target, writable=writable, is_dir=is_dir, inode=inode_of(source), noexec=noexec)


def parse_devices(devices: Sequence[str]) -> tuple[str, ...]:
    """Only those that hold nothing of the host's and that distributions give to everybody."""
    for path in devices:
        if path not in DEVICES:
            raise RequestError("device", path, f"cannot be had in a sandbox; there are {', '.join(DEVICES)}")
        if not os.path.exists(path):
            raise RequestError("device", path, "this host has no such device")
    return tuple(dict.fromkeys(devices))
