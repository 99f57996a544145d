"""Every step that a launch can take, as a value that describes itself.

``pysandbox plan`` prints the descriptions; ``native.pack`` turns the values into the flat structs
of ``native/plan.h``; the comments there say what each does in the child. A step names fds by role
("stdin", "cgroup:memory"); which fd that is becomes known at the launch.
"""

from __future__ import annotations

from .record import Record
from .units import format_size

# mount_setattr(2)
RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8

# Landlock's rights of files, in the order of their bits (linux/landlock.h), and the ABI that brought each.
LANDLOCK_FILES = {
    "execute": 1, "write_file": 1, "read_file": 1, "read_dir": 1, "remove_dir": 1, "remove_file": 1, "make_char": 1,
    "make_dir": 1, "make_reg": 1, "make_sock": 1, "make_fifo": 1, "make_block": 1, "make_sym": 1, "refer": 2,
    "truncate": 3, "ioctl_dev": 5,
}  # fmt: skip

_ATTRIBUTES = {RDONLY: "ro", NOSUID: "nosuid", NODEV: "nodev", NOEXEC: "noexec"}


def _words(attributes: int) -> str:
    return ",".join(word for bit, word in _ATTRIBUTES.items() if attributes & bit) or "rw"


def _rights(bits: int) -> str:
    there, not_there = ([name for n, name in enumerate(LANDLOCK_FILES) if (bits >> n & 1) == bit] for bit in (1, 0))
    return ", ".join(there) if len(there) < len(not_there) else f"everything but {', '.join(not_there)}"


class Step(Record):
    """Base of all steps; ``describe()`` is one line without a full stop."""

    def describe(self) -> str:
        raise NotImplementedError


# ---- steps of the init ----


class IdMap(Step):
    """uid_map and gid_map of the new user namespace, in terms of the spawner's."""

    uid_map: str
    gid_map: str
    by_spawner: bool = False

    def describe(self) -> str:
        by = "the spawner" if self.by_spawner else "the init, setgroups denied"
        maps = f"uids {self.uid_map.strip()!r}, gids {self.gid_map.strip()!r}"
        return f"map ids: {maps} (inside, spawner's, count; written by {by})"


class DropGroups(Step):
    def describe(self) -> str:
        return "drop supplementary groups (noted in the result where the id map forbids it)"


class SetHostname(Step):
    """``or_keep``: where a seccomp filter of the caller's container forbids it, the name is kept and noted."""

    name: str
    or_keep: bool = False

    def describe(self) -> str:
        return f"set the host name to {self.name!r}" + " (or keep it where a filter forbids that)" * self.or_keep


class Loopback(Step):
    def describe(self) -> str:
        return "bring the loopback interface up"


class PrivateMounts(Step):
    def describe(self) -> str:
        return "make all mounts private, recursively"


class Scratch(Step):
    """One tmpfs for everything that the program may write: /tmp, /dev/shm, the work directory."""

    size_bytes: int
    inodes: int

    def describe(self) -> str:
        return f"make scratch space: tmpfs of {format_size(self.size_bytes)}, {self.inodes} inodes"


class RootTmpfs(Step):
    def describe(self) -> str:
        return "make the new root: an empty tmpfs"


class RootBind(Step):
    """The new root is this directory of the host itself; ``fd`` names the role of a detached mount of it instead."""

    path: str
    attributes: int = NOSUID | NODEV
    fd: str = ""
    inode: tuple[int, int] = (0, 0)  # as of a Bind

    def describe(self) -> str:
        return f"make the new root: {self.path} itself ({_words(self.attributes)})"


class Upper(Step):
    """Where the next overlay keeps changes: ``upper`` and ``work`` in ``path``, or new ones in scratch if that is
    empty; ``in_scratch``: the path is one there."""

    path: str = ""
    inode: tuple[int, int] = (0, 0)
    in_scratch: bool = False

    def describe(self) -> str:
        return f"changes of the next overlay go to {'scratch:' * self.in_scratch}{self.path or 'scratch'}"


class MountOverlay(Step):
    """An overlay; ``layers`` are names of links in scratch:/overlay, topmost first; ``path`` "" is the new root.
    ``upper``: "", "scratch" or "disk", of the Upper before it."""

    layers: tuple[str, ...]
    upper: str = ""
    path: str = ""
    attributes: int = NOSUID | NODEV

    def describe(self) -> str:
        where = f"show at {self.path}" if self.path else "make the new root"
        layers = f"{len(self.layers)} layer{'s' * (len(self.layers) != 1)}"
        return f"{where}: overlay over {layers} ({_words(self.attributes)})"


class Mkdir(Step):
    path: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    in_scratch: bool = False

    def describe(self) -> str:
        where = "scratch:" if self.in_scratch else ""
        return f"make directory {where}{self.path} mode {self.mode:o} owner {self.uid}:{self.gid}"


class Symlink(Step):
    target: str
    path: str
    in_scratch: bool = False
    inode: tuple[int, int] = (0, 0)  # of the target, where it is a layer: as of a Bind

    def describe(self) -> str:
        return f"link {'scratch:' * self.in_scratch}{self.path} -> {self.target}"


class WriteFile(Step):
    path: str
    content: bytes
    mode: int = 0o644
    in_scratch: bool = False

    def describe(self) -> str:
        where = "scratch:" * self.in_scratch
        return f"write {where}{self.path}, {len(self.content)} bytes, mode {self.mode:o}"


class ViewTmpfs(Step):
    """A tmpfs that holds our own files of /proc and /sys; the program sees single files of it, bound read-only."""

    def describe(self) -> str:
        return "make a tmpfs for our own files of /proc and /sys"


class ViewFile(Step):
    """A file in the view's tmpfs: the setup makes it, empty where its content is the run's, which fills it."""

    path: str
    content: bytes = b""
    mode: int = 0o644

    def describe(self) -> str:
        return f"write view:{self.path}, {len(self.content)} bytes"


class MountFs(Step):
    path: str
    fstype: str
    options: tuple[tuple[str, str], ...] = ()
    attributes: int = NOSUID | NODEV

    def describe(self) -> str:
        options = ",".join(f"{k}={v}" if v else k for k, v in self.options)
        return f"mount {self.fstype} on {self.path} ({_words(self.attributes)}{',' + options if options else ''})"


class Bind(Step):
    """Show ``source`` at ``path``. ``origin``: "host" path, "scratch", "proc", "view", or "fd:ROLE"."""

    source: str
    path: str
    attributes: int = RDONLY | NOSUID | NODEV
    recursive: bool = True
    origin: str = "host"
    make: str = "dir"  # what to mount on if it is missing: dir, file, or "" (must exist)
    chardev: bool = False
    optional: bool = False  # leave it out, and note that, if the source cannot be had
    inode: tuple[int, int] = (0, 0)  # of the source: what is replaced at its path is another step
    displace: bool = False  # with make="file": a link to nowhere at ``path`` gives way to an empty file
    in_scratch: bool = False  # ``path`` is one in scratch

    def describe(self) -> str:
        source = self.source if self.origin == "host" else f"{self.origin}:{self.source}"
        deep = " and all below" if self.recursive else ""
        place = f"{'scratch:' * self.in_scratch}{self.path}"
        return f"show {source}{deep} at {place} ({_words(self.attributes)}){' if it can be had' * self.optional}"


class SetAttributes(Step):
    path: str
    attributes: int

    def describe(self) -> str:
        return f"make {self.path} {_words(self.attributes)}"


class SwitchRoot(Step):
    or_chroot: bool = True

    def describe(self) -> str:
        otherwise = " (chroot where pivot_root is refused)" * self.or_chroot
        return f"pivot_root into the new root, detach the old one{otherwise}"


class ProcWrite(Step):
    path: str
    text: str

    def describe(self) -> str:
        return f"write {self.text!r} to /proc/{self.path}"


class Attach(Step):
    fd: str

    def describe(self) -> str:
        return f"enter the cgroup ({self.fd})"


class UnshareCgroup(Step):
    def describe(self) -> str:
        return "unshare the cgroup namespace: the sandbox's own cgroup becomes its root"


class UnshareTime(Step):
    """Time namespace; the two values are subtracted from the monotonic and the boot clock."""

    monotonic_ns: int
    boottime_ns: int

    def describe(self) -> str:
        return "unshare the time namespace: monotonic and boot time start at zero"


class OpenPty(Step):
    def describe(self) -> str:
        return "open a terminal in the sandbox's own devpts and hand its master to the supervisor"


class OpenNamespaces(Step):
    def describe(self) -> str:
        return "open the own user and mount namespace and hand them to the supervisor, who may take mounts away"


class HandOut(Step):
    def describe(self) -> str:
        return "open the own namespaces and root directory and hand them to the supervisor, who may have more joined"


class Join(Step):
    """``kind`` as in namespaces(7), by its file in /proc/PID/ns; "root": the directory that becomes the root."""

    kind: str
    fd: str

    def describe(self) -> str:
        if self.kind == "root":
            return "make the sandbox's root directory the root"
        return f"enter the sandbox's {self.kind} namespace"


class Export(Step):
    """In the plan of a private lxcfs: a file that its server gives out."""

    path: str

    def describe(self) -> str:
        return f"give out {self.path}"


class Listen(Step):
    def describe(self) -> str:
        return "be ready to take the seccomp listener of the program"


class AnswerSysinfo(Step):
    """The init will answer sysinfo(2); None is the host's figure. ``ptrace``: it keeps CAP_SYS_PTRACE for that."""

    mem_bytes: int | None
    swap_bytes: int | None
    boottime_ns: int
    ptrace: bool = False

    def describe(self) -> str:
        memory = "the host's" if self.mem_bytes is None else format_size(self.mem_bytes)
        swap = "the host's" if self.swap_bytes is None else format_size(self.swap_bytes)
        return f"answer sysinfo(2): memory {memory}, swap {swap}" + " (keeps CAP_SYS_PTRACE in here)" * self.ptrace


class Gauge(Step):
    """A file of the cgroup that tells its use. ``with_memory``: that of swap counts memory as well."""

    what: str  # memory, swap or tasks
    fd: str
    with_memory: bool = False

    def describe(self) -> str:
        return f"use of {self.what} for sysinfo(2): {self.fd}"


class LandlockRuleset(Step):
    """Bits as in linux/landlock.h: what is handled, and so refused where no LandlockPath allows it."""

    abi: int
    filesystem: int
    network: int
    scoped: int

    def describe(self) -> str:
        words = [f"{self.filesystem.bit_count()} rights of files", f"{self.network.bit_count()} of TCP ports",
                 f"{self.scoped.bit_count()} scopes"]  # fmt: skip
        return f"make a Landlock ruleset (ABI {self.abi}): {', '.join(words)}"


class LandlockPath(Step):
    """What the program may do at ``path`` and below; ``fd`` names the role of an open directory instead."""

    path: str
    rights: int
    optional: bool = False
    fd: str = ""

    def describe(self) -> str:
        if_there = " if it is there" * self.optional
        return f"at and below {self.path}{if_there} allow {_rights(self.rights)} (Landlock)"


class LandlockQueues(Step):
    """The POSIX message queues of the ipc namespace, which have no path (a kernel may be without)."""

    rights: int

    def describe(self) -> str:
        return f"at the message queues, if the kernel has them, allow {_rights(self.rights)} (Landlock)"


# ---- steps of the program's process ----


class Session(Step):
    tty: bool = False
    rows: int = 0  # of the terminal; 0: not known
    columns: int = 0

    def describe(self) -> str:
        return "start a session" + (" with the terminal" if self.tty else " without a terminal")


class Stream(Step):
    number: int
    role: str  # an fd role, "null" or "pty"

    def describe(self) -> str:
        return f"connect fd {self.number} to {self.role}"


class Chdir(Step):
    path: str

    def describe(self) -> str:
        return f"enter {self.path}"


class Keyring(Step):
    def describe(self) -> str:
        return "join a new session keyring"


class Rlimit(Step):
    name: str
    resource: int
    soft: int
    hard: int
    or_less: bool = False  # a default: no more than the caller's own hard limit, which nobody can raise

    def describe(self) -> str:
        hard = "" if self.soft == self.hard else f" (hard {format_size(self.hard)})"
        return f"set RLIMIT_{self.name} to {format_size(self.soft)}{hard}{', or the less we have' * self.or_less}"


class Channel(Step):
    """The way out for the listener: a number that the program, by its hard limit of open files, cannot have."""

    number: int
    to_python: bool = False

    def describe(self) -> str:
        return f"keep fd {self.number} for the listener, to {'the supervisor' if self.to_python else 'the init'}"


class Affinity(Step):
    cpus: tuple[int, ...]

    def describe(self) -> str:
        return f"run on CPUs {','.join(map(str, self.cpus))}"


class SetIds(Step):
    """``keep_capabilities``: the permitted set outlives a change from uid 0, for DropCaps to choose from."""

    uid: int
    gid: int
    keep_capabilities: bool = False

    def describe(self) -> str:
        return f"become uid {self.uid}, gid {self.gid}"


def _capabilities(mask: int) -> str:
    from .capabilities import names

    return ",".join(names(mask))


class DropBounding(Step):
    """``kept``: a mask of capabilities that stay."""

    kept: int = 0

    def describe(self) -> str:
        if self.kept:
            return f"reduce the capability bounding set to {_capabilities(self.kept)}"
        return "empty the capability bounding set"


class DropCaps(Step):
    """All sets become ``kept``, a mask. ``bounding_checked``: refuse to go on if the bounding set is another (without a
    user namespace it cannot be reduced, and nothing may be kept)."""

    bounding_checked: bool = True
    kept: int = 0

    def describe(self) -> str:
        if self.kept:
            return f"keep {_capabilities(self.kept)} in the other four sets, in this user namespace, and nothing else"
        return "drop all capabilities from the other four sets" + (", bounding set kept" * (not self.bounding_checked))


class NoNewPrivs(Step):
    def describe(self) -> str:
        return "set no_new_privs"


class Restrict(Step):
    def describe(self) -> str:
        return "enter a Landlock domain of its own with the ruleset"


class Confine(Step):
    """``net``: the network is shared by name."""

    net: bool = False

    def describe(self) -> str:
        sockets = "sockets in the file system" if self.net else "sockets"
        return f"load a filter for what Landlock does not know: {sockets}, modes, owners, System V IPC, other processes"


class Wait(Step):
    fd: str

    def describe(self) -> str:
        return f"wait for a byte from the gate ({self.fd})"


class Started(Step):
    """Billing begins: the supervisor hears of it, with the CPU counter's value where there is one."""

    baseline: bool = False

    def describe(self) -> str:
        return "report the start" + (", with the cgroup's CPU counter" if self.baseline else "")


class Seccomp(Step):
    """``asking`` is loaded in place of ``program`` where ``listener`` ("init", "python") is to hear of calls;
    ``required``: or fail, where somebody listens already."""

    policy: str
    program: bytes
    asking: bytes = b""
    listener: str = ""
    required: bool = False

    def describe(self) -> str:
        program = self.asking if self.listener else self.program
        loaded = f"load the seccomp filter of policy {self.policy}, {len(program) // 8} instructions"
        if not self.listener:
            return loaded
        asked = "the supervisor" if self.listener == "python" else "the init"
        return f"{loaded}, which asks {asked}" + ("" if self.required else " (unless somebody listens to us already)")


class Exec(Step):
    candidates: tuple[bytes, ...]

    def describe(self) -> str:
        paths = [c.decode("utf-8", "backslashreplace") for c in self.candidates]
        return f"execute {paths[0]}" + (f" (or {', '.join(paths[1:])})" if paths[1:] else "")
