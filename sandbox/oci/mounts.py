"""``mounts`` of config.json: what a sandbox has anyway, what becomes a volume or a tmpfs, and what is refused.

config.md, "Mounts"; config-linux.md, "Default Filesystems". /proc, /dev and what is below them are the sandbox's own:
mounted by us in one way, whatever options a bundle has for them. Volumes are always nosuid and nodev, and read-only
ones with all that is mounted below them.
"""

from __future__ import annotations

import os
from posixpath import normpath

from ..record import Record
from ..request import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reader import Node

# Ours, by destination -> the types that mean the same.
_OURS = {"/proc": ("proc",), "/dev": ("tmpfs",), "/dev/pts": ("devpts",), "/dev/shm": ("tmpfs", "bind")}
_NOT_SHOWN = {
    "mqueue": "no mqueue is shown: mq_open(3) needs none",
    "sysfs": "no sysfs is shown, but the CPUs that the limits leave: a sysfs tells of the host",
    "cgroup": "no cgroup file system is shown",
    "cgroup2": "no cgroup file system is shown",
}
# True of every mount here, or of no meaning for what may be done.
_TRUE = frozenset((
    "nosuid", "nodev", "private", "rprivate", "defaults", "exec", "rexec", "async", "silent", "loud", "symfollow",
    "rnosuid", "rnodev", "rsymfollow", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime",
    "strictatime", "nostrictatime", "ratime", "rnoatime", "rdiratime", "rnodiratime", "rrelatime", "rnorelatime",
    "rstrictatime", "rnostrictatime",
    "bind", "rbind", "newinstance",
))  # fmt: skip
# What a sandbox does not have, and a program that needs it sees.
_LAXER = {"suid": "setuid programs gain nothing", "rsuid": "setuid programs gain nothing",
          "dev": "devices cannot be opened", "rdev": "devices cannot be opened",
          "sync": "writes are not synchronous"}  # fmt: skip
_OWN = ("ro", "rw", "rro", "rrw", "noexec", "rnoexec", "tmpcopyup")
OPTIONS = tuple(sorted({*_TRUE, *_LAXER, *_OWN}))
# Harmless devices that may be bound by name (roots.DEVICES); those of every sandbox are there.
_DEVICES = ("/dev/fuse", "/dev/net/tun", "/dev/kvm")
_ALWAYS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


class Mounts(Record):
    """``volumes``, ``tmpfs`` and ``devices`` are fields of the Request, in the order of the bundle."""

    volumes: tuple[Mount, ...] = ()
    tmpfs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


class _Options(Record):
    read_only: bool
    noexec: bool
    rbind: bool
    bind: bool
    values: dict[str, str]
    copy_up: bool


def mounts(top: Node, bundle: str, root: str, notes: list[str]) -> Mounts:
    """Raises RequestError for what cannot be shown as it was asked for."""
    volumes: list[Mount] = []
    tmpfs: list[str] = []
    devices: list[str] = []
    for node in top.nodes("mounts"):
        target = node.text("destination")
        if not target.startswith("/") or ".." in target.split("/"):
            node.fail("destination", "expected an absolute path without '..'", target)
        target = "/" + normpath(target).lstrip("/")
        kind, options = node.text("type"), _options(node, notes)
        if options.bind or kind == "bind" or kind == "rbind":
            kind = "bind"
        if node.has("uidMappings") or node.has("gidMappings"):
            node.fail("uidMappings", "mounts with ids of their own cannot be had")
        if target in _OURS:
            if kind not in _OURS[target]:
                node.fail("type", f"{target} is the sandbox's own {_OURS[target][0]}", kind)
            if kind == "bind":
                notes.append(f"{node.place}: {target} is the sandbox's own, not {node.text('source')}")
        elif kind == "bind" and target == "/sys":
            notes.append(f"{node.place}: {_NOT_SHOWN['sysfs']}")
        elif kind in _NOT_SHOWN:
            _not_shown(node, kind, target, options, notes)
        elif kind == "bind" and target in (*_ALWAYS, *_DEVICES):
            if os.path.realpath(node.text("source")) != target:
                node.fail("source", f"at {target} only this device can be shown", node.text("source"))
            devices += [target] * (target in _DEVICES)
        elif kind == "bind":
            volumes.append(_volume(node, target, bundle, options))
        elif kind == "tmpfs":
            _covered(node, target, volumes)
            tmpfs.append(_tmpfs(node, target, root, options, notes))
        else:
            node.fail("type", "cannot be mounted without root; there are bind, tmpfs, proc, sysfs, devpts, mqueue, "
                      "cgroup", kind)  # fmt: skip
    return Mounts(volumes=tuple(volumes), tmpfs=tuple(tmpfs), devices=tuple(devices))


def _options(node: Node, notes: list[str]) -> _Options:
    words: set[str] = set()
    values: dict[str, str] = {}
    ours = node.text("destination") in _OURS or node.text("type") in _NOT_SHOWN
    for i, word in enumerate(node.texts("options")):
        key, equals, value = word.partition("=")
        if equals:
            values[key] = value
        elif word in _LAXER:
            notes.append(f"{node.place}.options: {word} cannot be had: {_LAXER[word]}")
        elif word in _OWN:
            words -= {"ro", "rw", "rro", "rrw"} if word in ("ro", "rw", "rro", "rrw") else set()  # the last one counts
            words.add(word)
        elif word not in _TRUE and not ours:
            node.fail(f"options[{i}]", "cannot be had", word)
        else:
            words.add(word)
    return _Options(read_only=bool(words & {"ro", "rro"}), noexec=bool(words & {"noexec", "rnoexec"}),
                    rbind="rbind" in words, bind=bool(words & {"bind", "rbind"}), values=values,
                    copy_up="tmpcopyup" in words)  # fmt: skip


def _not_shown(node: Node, kind: str, target: str, options: _Options, notes: list[str]) -> None:
    usual = {"mqueue": "/dev/mqueue", "sysfs": "/sys"}.get(kind, "/sys/fs/cgroup")
    if target != usual and not target.startswith(usual + "/"):
        node.fail("destination", f"a {kind} can be asked for at {usual} only, where it is left out", target)
    if kind != "mqueue" and not options.read_only:
        node.fail("options", f"a writable {kind} cannot be had; add ro", list(node.texts("options")))
    notes.append(f"{node.place}: {_NOT_SHOWN[kind]}")


def _volume(node: Node, target: str, bundle: str, options: _Options) -> Mount:
    source = node.text("source")
    if not source:
        node.fail("source", "a bind needs one", source)
    if options.values:
        node.fail("options", "a bind takes no values", options.values)
    if options.copy_up:
        node.fail("options", "tmpcopyup is for tmpfs", "tmpcopyup")
    return Mount(source=os.path.join(bundle, source), target=target, writable=not options.read_only,
                 noexec=options.noexec)  # fmt: skip


def _covered(node: Node, target: str, volumes: list[Mount]) -> None:
    """Volumes are mounted after every tmpfs: one that is to lie on a volume would be hidden by it."""
    for volume in volumes:
        if target == volume.target or target.startswith(volume.target.rstrip("/") + "/"):
            node.fail("destination", f"a tmpfs on {volume.target}, which is a volume, cannot be had", target)


def _tmpfs(node: Node, target: str, root: str, options: _Options, notes: list[str]) -> str:
    if options.read_only:
        node.fail("options", "a tmpfs that cannot be written to would stay empty; leave it out", "ro")
    words = ["noexec"] * options.noexec
    for key, value in options.values.items():
        if key == "mode" and value and len(value) <= 5 and all(c in "01234567" for c in value):
            words.append(f"mode={value}")
        elif key != "size":
            node.fail("options", "of a tmpfs size and mode can be set", f"{key}={value}")
    if options.copy_up and _holds_something(root, target):
        node.fail("options", f"tmpcopyup: {target} of the root is not empty, and its content cannot be copied; use "
                  "notmpcopyup, or a volume", "tmpcopyup")  # fmt: skip
    size = options.values.get("size", "")
    if size.endswith("%"):
        node.fail("options", "a share of the host's memory is no size; give bytes", f"size={size}")
    return ":".join((target, size or "64m", *([",".join(words)] if words else [])))


def _holds_something(root: str, target: str) -> bool:
    """A look, by which nothing is decided but a refusal: links of the root may lead it anywhere."""
    try:
        with os.scandir(root + target) as found:
            return next(found, None) is not None
    except OSError:
        return False


def values(found: Mounts) -> dict[str, Any]:
    """Fields of the Request."""
    return {name: value for name, value in found.asdict().items() if value}

