"""Where the cgroup hierarchies are mounted and where this process sits in them: /proc/self, parsed.

Formats: proc_pid_mountinfo(5) and cgroups(7). Pure functions on text; only ``here()`` reads files.
"""

from __future__ import annotations

import os
from posixpath import join, normpath

from ..record import Record

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct", "cpuset", "freezer", "blkio")


class Mount(Record):
    """One mounted hierarchy. ``root`` is the cgroup that its mount point shows (not "/" in containers)."""

    point: str
    root: str
    version: int
    controllers: tuple[str, ...] = ()

    def directory(self, cgroup: str) -> str | None:
        """The directory of ``cgroup`` (a path as in /proc/PID/cgroup) below this mount, None if out of sight.

        A cgroup outside our cgroup namespace reads as ``/../x``: where that is cannot be known.
        """
        if "/.." in cgroup or "/.." in self.root:
            return None
        if self.root != "/":
            if cgroup != self.root and not cgroup.startswith(self.root + "/"):
                return None
            cgroup = cgroup[len(self.root) :]
        return normpath(join(self.point, cgroup.lstrip("/")))


class Mounts(Record):
    """The hierarchies of this process: ``v1`` by controller, ``v2`` if there is one, ``own`` cgroup paths.

    Keys of ``own`` are the v1 controllers, and "" for v2.
    """

    v1: dict[str, Mount] = {}
    v2: Mount | None = None
    own: dict[str, str] = {}

    def own_directory(self, controller: str) -> str | None:
        """The directory of this process's own cgroup; ``controller`` "" is v2."""
        mount = self.v1.get(controller) if controller else self.v2
        cgroup = self.own.get(controller)
        return mount.directory(cgroup) if mount and cgroup is not None else None


def unescape(field: str) -> str:
    """mountinfo writes space, tab, newline and backslash as three octal digits."""
    head, *rest = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)


def parse_mountinfo(text: str) -> tuple[Mount, ...]:
    """Every cgroup mount that a path can reach: of two on the same mount point the later one covers the other."""
    found: dict[str, Mount] = {}
    for line in text.splitlines():
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not dash or len(fields) < 6 or len(tail) < 3:
            continue
        root, point = unescape(fields[3]), unescape(fields[4])
        found.pop(point, None)
        if tail[0] == "cgroup2":
            found[point] = Mount(point=point, root=root, version=2)
        elif tail[0] == "cgroup":
            options = tail[2].split(",")
            controllers = tuple(name for name in CONTROLLERS if name in options)
            if controllers:
                found[point] = Mount(point=point, root=root, version=1, controllers=controllers)
    return tuple(found.values())


def parse_own(text: str) -> dict[str, str]:
    """/proc/self/cgroup as controller -> path; v2 under ""."""
    own: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if number == "0" and not names:
            own[""] = path
        else:
            own.update({name: path for name in names.split(",") if name in CONTROLLERS})
    return own


def combine(mountinfo: str, cgroup: str) -> Mounts:
    """Both texts together; of several mounts of a hierarchy, one that shows our own cgroup is preferred."""
    own = parse_own(cgroup)
    v1: dict[str, Mount] = {}
    v2: Mount | None = None
    for mount in parse_mountinfo(mountinfo):
        if mount.version == 2:
            if v2 is None or (v2.directory(own.get("", "/")) is None and mount.directory(own.get("", "/"))):
                v2 = mount
            continue
        for name in mount.controllers:
            known, path = v1.get(name), own.get(name, "/")
            if known is None or (known.directory(path) is None and mount.directory(path)):
                v1[name] = mount
    return Mounts(v1=v1, v2=v2, own=own)


def here() -> Mounts:
    """The hierarchies of this process, read now."""
    texts = []
    for path in ("/proc/self/mountinfo", "/proc/self/cgroup"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            texts.append("")  # no /proc, or a kernel without cgroups: no hierarchy can be found
            continue
        try:
            chunks = []
            while chunk := os.read(fd, 65536):
                chunks.append(chunk)
            texts.append(os.fsdecode(b"".join(chunks)))
        finally:
            os.close(fd)
    return combine(*texts)
