"""The file system of a sandbox: a fresh root, the system read-only, a little writable scratch.

Default view: /usr and its companions recursively read-only; an /etc of ours plus a short list of
the host's harmless files; a private /proc (room ``procfs``); a minimal /dev; /tmp, /dev/shm and the
work directory in one tmpfs whose size and inodes are capped. Of the caller's own files: nothing
but the program, at /app, and what was shared by name.
"""

from __future__ import annotations

from posixpath import basename

from .steps import (
    NODEV,
    NOEXEC,
    NOSUID,
    RDONLY,
    Bind,
    Chdir,
    Mkdir,
    MountFs,
    MountOverlay,
    OpenPty,
    PrivateMounts,
    RootBind,
    RootTmpfs,
    Scratch,
    SetAttributes,
    Step,
    Symlink,
    Upper,
    WriteFile,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .spec import Spec, Stack

APP = "/app"

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

_PLAIN = NOSUID | NODEV
_DEVICE = NOSUID | NOEXEC


def app_path(program: str) -> str:
    """Where a program of the caller's is shown."""
    return f"{APP}/{basename(program)}"


def setup(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """Steps of the init that build the new root; ``procfs`` fills /proc, ``finish`` closes it."""
    limits = spec.limits
    return (
        PrivateMounts(),
        Scratch(size_bytes=limits.disk_bytes, inodes=limits.inodes),
        *((Mkdir(path="/overlay", uid=spec.init_uid, gid=spec.init_gid, in_scratch=True),) if _stacks(spec) else ()),
        *(_foreign_root(spec, host) if spec.rootfs else _system_root(spec, host)),
        *_overlays(spec, host),
        *_dev(spec),
        *_writable(spec),
        *_shared(spec, host),
        *((OpenPty(),) if spec.tty else ()),
    )


def finish(spec: Spec) -> tuple[Step, ...]:
    """Steps after /proc is there: nothing of the root itself stays writable."""
    steps: list[Step] = []
    if spec.rootfs:
        steps.append(SetAttributes(path="/dev", attributes=RDONLY | _DEVICE))
    if not (spec.rootfs and spec.rootfs.writable):
        steps.append(SetAttributes(path="/", attributes=RDONLY | _PLAIN))
    return tuple(steps)


def program(spec: Spec) -> tuple[Step, ...]:
    return (Chdir(path=spec.workdir),)


def _system_root(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    steps: list[Step] = [RootTmpfs()]
    for entry in host.system:
        if entry.kind == "link":
            steps.append(Symlink(target=entry.target, path=entry.path))
        else:
            steps.append(Bind(source=entry.path, path=entry.path))
    for entry in host.etc:
        if entry.kind == "link":
            steps.append(Symlink(target=entry.target, path=entry.path))
        else:
            steps.append(Bind(source=entry.path, path=entry.path, recursive=entry.kind == "dir", make=entry.kind))
    steps += _etc_of_ours(spec)
    for path in ("/home", "/opt", "/root", "/run"):
        steps.append(Mkdir(path=path, uid=spec.init_uid, gid=spec.init_gid))
    steps.append(Symlink(target="/tmp", path="/var/tmp"))
    steps.append(Symlink(target="/run", path="/var/run"))
    return tuple(steps)


def _etc_of_ours(spec: Spec) -> tuple[Step, ...]:
    """Users, hosts and look-up order: the sandbox's own, never the host's."""
    uid, gid = spec.uid, spec.gid
    user = f"sandbox:x:{uid}:{gid}:sandbox:{spec.workdir}:/bin/sh\n"
    passwd = "root:x:0:0:root:/root:/bin/sh\n" + (user if uid else "") + "nobody:x:65534:65534:nobody:/:/bin/false\n"
    group = "root:x:0:\n" + (f"sandbox:x:{gid}:\n" if gid else "") + "nogroup:x:65534:\n"
    files = {
        "passwd": passwd,
        "group": group,
        "hosts": f"127.0.0.1 localhost {spec.hostname}\n::1 localhost\n",
        "hostname": spec.hostname + "\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        "resolv.conf": "",
    }
    return (*(WriteFile(path=f"/etc/{name}", content=text.encode()) for name, text in files.items()),
            Symlink(target="/proc/self/mounts", path="/etc/mtab"))  # fmt: skip


def _foreign_root(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """An overlay, unless ``direct``: the mount points that a root may lack never land in the caller's folder."""
    root = spec.rootfs
    assert root
    path = root.stack.layers[0]
    if root.direct:
        opened = host.opens_trees or root.tree is not None
        made: tuple[Step, ...] = (RootBind(path=path, inode=root.stack.inodes[0], fd="layer:0" * opened),)
    else:
        made = (*_layers(spec, root.stack, 0, host), *_overlay(spec, root.stack, 0, host, scratch=True))
    if root.whole:
        return (*made, *_files(spec, root.files))
    names = ("resolv.conf", "hosts", "hostname")
    ours = tuple(s for s in _etc_of_ours(spec) if isinstance(s, WriteFile) and basename(s.path) in names)
    return (*made, *ours)


def _overlays(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    steps: list[Step] = []
    first = len(spec.rootfs.stack.layers) if spec.rootfs else 0
    for shown in spec.overlays:
        steps += _layers(spec, shown.stack, first, host)
        steps += _overlay(spec, shown.stack, first, host, path=shown.target)
        first += len(shown.stack.layers)
    return tuple(steps)


def _stacks(spec: Spec) -> bool:
    """Is there any overlay?"""
    return bool(spec.overlays) or (spec.rootfs is not None and not spec.rootfs.direct)


def _link_name(number: int) -> str:
    """Short, for the names of all layers have to fit into 255 bytes (``MountOverlay``)."""
    digits = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return digits[number] if number < len(digits) else f"_{digits[number - len(digits)]}"


def _layers(spec: Spec, stack: Stack, first: int, host: HostFacts) -> tuple[Step, ...]:
    """A link in scratch for each layer. Root's may be closed to the sandbox's id, so root opens them itself."""
    steps: list[Step] = []
    for number, (path, inode) in enumerate(zip(stack.layers, stack.inodes, strict=True), first):
        name = f"/overlay/{_link_name(number)}"
        if host.opens_trees:
            steps += _opened(spec, path, name, f"layer:{number}")
        else:
            steps.append(Symlink(target=path, path=name, in_scratch=True, inode=inode))
    return tuple(steps)


def _opened(spec: Spec, path: str, place: str, role: str) -> tuple[Step, ...]:
    """A directory of root's in scratch: overlayfs takes no directory of another mount namespace."""
    return (Mkdir(path=place, uid=spec.init_uid, gid=spec.init_gid, in_scratch=True),
            Bind(source=path, path=place, attributes=_PLAIN, recursive=False, origin=f"fd:{role}", make="",
                 in_scratch=True))  # fmt: skip


def _overlay(
    spec: Spec, stack: Stack, first: int, host: HostFacts, *, path: str = "", scratch: bool = False
) -> tuple[Step, ...]:
    names = tuple(_link_name(number) for number in range(first, first + len(stack.layers)))
    if stack.upper is not None:
        mounted = MountOverlay(layers=names, upper="disk", path=path)
        if host.opens_trees:
            return (*_opened(spec, stack.upper, f"/changes-{first}", f"upper:{first}"),
                    Upper(path=f"/changes-{first}", in_scratch=True), mounted)  # fmt: skip
        return (Upper(path=stack.upper, inode=stack.upper_inode), mounted)
    if scratch:
        return (Upper(), MountOverlay(layers=names, upper="scratch", path=path))
    # overlayfs wants two layers where nothing can be changed
    below = f"{names[-1]}_"
    return (Mkdir(path=f"/overlay/{below}", uid=spec.init_uid, gid=spec.init_gid, in_scratch=True),
            MountOverlay(layers=(*names, below), path=path, attributes=RDONLY | _PLAIN))  # fmt: skip


def _files(spec: Spec, files: tuple[tuple[str, bytes], ...]) -> tuple[Step, ...]:
    """What is ours and no part of the image: written to scratch, shown over what is there."""
    steps: list[Step] = []
    if files:
        steps.append(Mkdir(path="/files", uid=spec.init_uid, gid=spec.init_gid, in_scratch=True))
    for number, (path, content) in enumerate(files):
        steps.append(WriteFile(path=f"/files/{number}", content=content, in_scratch=True))
        steps.append(Bind(source=f"files/{number}", path=path, attributes=_PLAIN | NOEXEC, recursive=False,
                          origin="scratch", make="file", displace=True))  # fmt: skip
    return tuple(steps)


def _dev(spec: Spec) -> tuple[Step, ...]:
    steps: list[Step] = []
    if spec.rootfs:  # the image's own /dev is not to be seen
        options = (("size", "64k"), ("mode", "0755"))
        steps.append(MountFs(path="/dev", fstype="tmpfs", options=options, attributes=_DEVICE))
    for path in (*(f"/dev/{name}" for name in DEVICES), *spec.devices):
        # no attributes: nosuid and noexec mean nothing to a device
        steps.append(Bind(source=path, path=path, attributes=0, recursive=False, make="file", chardev=True))
    pts = (("ptmxmode", "0666"), ("mode", "0620"), ("max", "64"))
    steps.append(MountFs(path="/dev/pts", fstype="devpts", options=pts, attributes=_DEVICE))
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
             "stderr": "/proc/self/fd/2"}  # fmt: skip
    steps += [Symlink(target=target, path=f"/dev/{name}") for name, target in links.items()]
    return tuple(steps)


def _writable(spec: Spec) -> tuple[Step, ...]:
    """Sub-directories of scratch, so that one cap holds for all of them together."""
    steps: list[Step] = []
    whole = spec.rootfs is not None and spec.rootfs.whole
    places = [("shm", "/dev/shm", 0o1777)] if whole else [("tmp", "/tmp", 0o1777), ("shm", "/dev/shm", 0o1777)]
    if not whole and not any(v.target == "/work" for v in spec.volumes):
        places.append(("work", "/work", 0o755))
    for name, path, mode in places:
        steps.append(Mkdir(path=f"/{name}", mode=mode, uid=spec.uid, gid=spec.gid, in_scratch=True))
        attributes = _PLAIN | NOEXEC if path == "/dev/shm" else _PLAIN
        steps.append(Bind(source=name, path=path, attributes=attributes, recursive=False, origin="scratch"))
    return tuple(steps)


def _shared(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    steps: list[Step] = []
    for mount in spec.tmpfs:
        options = (("size", str(mount.size_bytes)), ("nr_inodes", str(spec.limits.inodes)),
                   ("mode", f"{mount.mode:04o}"), ("uid", str(spec.uid)), ("gid", str(spec.gid)))  # fmt: skip
        attributes = _PLAIN | (NOEXEC if mount.noexec else 0)
        steps.append(MountFs(path=mount.target, fstype="tmpfs", options=options, attributes=attributes))
    for number, volume in enumerate(spec.volumes):
        # root's own files may be closed to the id that the sandbox runs as: root opens them itself
        opened = host.opens_trees or volume.fd is not None
        steps.append(Bind(
            source=volume.source, path=volume.target,
            attributes=_PLAIN | (0 if volume.writable else RDONLY) | (NOEXEC if volume.noexec else 0),
            make="dir" if volume.is_dir else "file", origin=f"fd:volume:{number}" if opened else "host",
            inode=volume.inode,
        ))  # fmt: skip
    if spec.program:
        steps.append(Bind(source=spec.program, path=app_path(spec.program), recursive=False, make="file",
                          origin="fd:program" if host.opens_trees else "host", inode=spec.program_inode))  # fmt: skip
    if spec.rootfs and spec.rootfs.whole and spec.rootfs.writable and spec.workdir != "/":
        steps.append(Mkdir(path=spec.workdir, uid=spec.init_uid, gid=spec.init_gid))  # as Docker does
    if spec.workdir not in ("/", "/tmp", "/work") and not spec.rootfs:
        inside = any(spec.workdir == v.target or spec.workdir.startswith(v.target + "/") for v in spec.volumes)
        if not inside:
            steps.append(Mkdir(path=spec.workdir, uid=spec.uid, gid=spec.gid))
    return tuple(steps)
