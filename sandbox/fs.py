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
    OpenPty,
    PrivateMounts,
    RootOverlay,
    RootTmpfs,
    Scratch,
    SetAttributes,
    Step,
    Symlink,
    WriteFile,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .spec import Spec

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
        *(_foreign_root(spec) if spec.rootfs else _system_root(spec, host)),
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


def _foreign_root(spec: Spec) -> tuple[Step, ...]:
    """An overlay in both modes: the mount points that a root may lack never land in the caller's folder."""
    assert spec.rootfs
    names = ("resolv.conf", "hosts", "hostname")
    ours = tuple(s for s in _etc_of_ours(spec) if isinstance(s, WriteFile) and basename(s.path) in names)
    return (RootOverlay(lower=spec.rootfs.path), *ours)


def _dev(spec: Spec) -> tuple[Step, ...]:
    steps: list[Step] = []
    if spec.rootfs:  # the image's own /dev is not to be seen
        options = (("size", "64k"), ("mode", "0755"))
        steps.append(MountFs(path="/dev", fstype="tmpfs", options=options, attributes=_DEVICE))
    for name in DEVICES:  # no attributes: nosuid and noexec mean nothing to a device
        steps.append(Bind(source=f"/dev/{name}", path=f"/dev/{name}", attributes=0, recursive=False, make="file",
                          chardev=True))  # fmt: skip
    pts = (("ptmxmode", "0666"), ("mode", "0620"), ("max", "64"))
    steps.append(MountFs(path="/dev/pts", fstype="devpts", options=pts, attributes=_DEVICE))
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
             "stderr": "/proc/self/fd/2"}  # fmt: skip
    steps += [Symlink(target=target, path=f"/dev/{name}") for name, target in links.items()]
    return tuple(steps)


def _writable(spec: Spec) -> tuple[Step, ...]:
    """Sub-directories of scratch, so that one cap holds for all of them together."""
    steps: list[Step] = []
    places = [("tmp", "/tmp", 0o1777), ("shm", "/dev/shm", 0o1777)]
    if not any(v.target == "/work" for v in spec.volumes):
        places.append(("work", "/work", 0o755))
    for name, path, mode in places:
        steps.append(Mkdir(path=f"/{name}", mode=mode, uid=spec.uid, gid=spec.gid, in_scratch=True))
        attributes = _PLAIN | NOEXEC if path == "/dev/shm" else _PLAIN
        steps.append(Bind(source=name, path=path, attributes=attributes, recursive=False, origin="scratch"))
    return tuple(steps)


def _shared(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    steps: list[Step] = []
    for mount in spec.tmpfs:
        options = (("size", str(mount.size_bytes)), ("nr_inodes", str(spec.limits.inodes)), ("mode", "0755"),
                   ("uid", str(spec.uid)), ("gid", str(spec.gid)))  # fmt: skip
        steps.append(MountFs(path=mount.target, fstype="tmpfs", options=options))
    for number, volume in enumerate(spec.volumes):
        steps.append(Bind(
            source=volume.source, path=volume.target, attributes=_PLAIN | (0 if volume.writable else RDONLY),
            make="dir" if volume.is_dir else "file",
            # root's own files may be closed to the id that the sandbox runs as: root opens them itself
            origin=f"fd:volume:{number}" if host.opens_trees else "host", inode=volume.inode,
        ))  # fmt: skip
    if spec.program:
        steps.append(Bind(source=spec.program, path=app_path(spec.program), recursive=False, make="file",
                          origin="fd:program" if host.opens_trees else "host", inode=spec.program_inode))  # fmt: skip
    if spec.workdir not in ("/", "/tmp", "/work") and not spec.rootfs:
        inside = any(spec.workdir == v.target or spec.workdir.startswith(v.target + "/") for v in spec.volumes)
        if not inside:
            steps.append(Mkdir(path=spec.workdir, uid=spec.uid, gid=spec.gid))
    return tuple(steps)
