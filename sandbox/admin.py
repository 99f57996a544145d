"""What `pysandbox setup` does: an administrator gives a user a cgroup subtree of his own.

plan_setup() only looks and returns a list of actions, each with describe(); apply() does them. Nothing
is printed here. The subtree is ``<mount>/pysandbox/uid-<uid>``, in each v1 controller or in v2; its
limits stay the administrator's, only making and filling children goes to the user.

Cgroups do not outlive a reboot, and so neither does this: tmpfiles_lines() is the text of a file for
/etc/tmpfiles.d that does the same at every boot.

v2 has one more demand: a process enters the subtree only from inside of it, as moving needs write
permission on the common ancestor of both places. ``enter`` is the pid of a shell to be put in there.
"""

from __future__ import annotations

import errno
import os

from .cgroup import files, mounts
from .cgroup.delegation import ADMIN, admin_directory
from .cgroup.names import MAIN
from .errors import HostError, RequestError
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .cgroup.mounts import Mounts

# The v1 freezer is not used by the launcher itself; by containers it is.
V2_CONTROLLERS = ("memory", "pids", "cpu", "cpuset", "io")

V1_OWNED = ("cgroup.procs", "tasks")
V2_OWNED = ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads")  # /sys/kernel/cgroup/delegate


class MakeDirectory(Record):
    """mkdir, if it is not there."""

    path: str

    def describe(self) -> str:
        """As a shell command."""
        return f"mkdir -p {self.path}"

    def done(self) -> bool:
        """Is it so already?"""
        return os.path.isdir(self.path)

    def run(self) -> None:
        """Do it; raises OSError."""
        try:
            os.mkdir(self.path, 0o755)
        except FileExistsError:
            pass

    def tmpfiles(self) -> str:
        """As a line of tmpfiles.d(5)."""
        return f"d {self.path} 0755 root root -"


class GiveTo(Record):
    """chown to the user, without following a link."""

    path: str
    uid: int
    gid: int
    directory: bool = False

    def describe(self) -> str:
        """As a shell command."""
        return f"chown {self.uid}:{self.gid} {self.path}"

    def done(self) -> bool:
        """Is it so already?"""
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return (status.st_uid, status.st_gid) == (self.uid, self.gid)

    def run(self) -> None:
        """Do it; raises OSError."""
        try:
            os.chown(self.path, self.uid, self.gid, follow_symlinks=False)
        except FileNotFoundError:
            # cgroup.threads is not there on kernels before 4.14; the other files are.
            if not self.path.endswith("/cgroup.threads"):
                raise

    def tmpfiles(self) -> str:
        """As a line of tmpfiles.d(5)."""
        return f"z {self.path} {'0755' if self.directory else '0644'} {self.uid} {self.gid} -"


class WriteValue(Record):
    """Write a value into a file of a cgroup, if its words are not in it already (``+memory`` reads back as memory)."""

    path: str
    value: str

    def describe(self) -> str:
        """As a shell command."""
        return f"echo {self.value} > {self.path}"

    def done(self) -> bool:
        """Is it so already?"""
        present = files.words(self.path)
        return bool(present) and all(word.lstrip("+") in present for word in self.value.split())

    def run(self) -> None:
        """Do it; raises OSError."""
        files.write(self.path, self.value.encode())

    def tmpfiles(self) -> str:
        """As a line of tmpfiles.d(5)."""
        return f"w {self.path} - - - - {self.value}"


class Enter(Record):
    """Move a running process into the subtree."""

    path: str
    pid: int

    def describe(self) -> str:
        """As a shell command."""
        return f"echo {self.pid} > {self.path}/cgroup.procs"

    def done(self) -> bool:
        """Is it so already?"""
        try:
            return self.pid in files.pids(f"{self.path}/cgroup.procs")
        except FileNotFoundError:
            return False

    def run(self) -> None:
        """Do it; raises OSError."""
        files.write(f"{self.path}/cgroup.procs", b"%d" % self.pid)

    def tmpfiles(self) -> str:
        """None: a process does not outlive a reboot."""
        return ""


if TYPE_CHECKING:
    Action = MakeDirectory | GiveTo | WriteValue | Enter


def look_up(user: str | int) -> tuple[int, int]:
    """uid and gid of a name or number; raises RequestError. A number need not have a name (containers)."""
    import pwd

    text = str(user)
    number = int(text) if text.isascii() and text.isdigit() else None
    if number is not None and number >= 0xFFFFFFFF:  # (uid_t)-1 means "no change" to chown(2)
        raise RequestError("user", user, "a uid is at most 4294967294")
    try:
        entry = pwd.getpwnam(text) if number is None else pwd.getpwuid(number)
    except (KeyError, ValueError):
        if number is None:
            raise RequestError("user", user, "there is no such user") from None
        return number, number
    return entry.pw_uid, entry.pw_gid


def plan_setup(user: str | int, table: Mounts | None = None, enter: int | None = None) -> list[Action]:
    """What to do to give ``user`` a subtree, in order; raises RequestError, and HostError where no cgroup is mounted.

    Everything that is to be true is listed, also what is true already (done() tells).
    """
    table = mounts.here() if table is None else table
    uid, gid = look_up(user)
    actions: list[Action] = []
    if table.v2 is not None and "memory" in files.words(f"{table.v2.point}/cgroup.controllers"):
        actions.extend(_plan_v2(table.v2.point, uid, gid, enter))
    else:
        # Controllers mounted together share a mount point.
        for point in dict.fromkeys(mount.point for mount in table.v1.values()):
            cpuset = any(name == "cpuset" and mount.point == point for name, mount in table.v1.items())
            actions.extend(_plan_v1(point, uid, gid, cpuset, enter))
    if not actions:
        raise HostError("no cgroup hierarchy with controllers is mounted here", "mount cgroup2 on /sys/fs/cgroup")
    return actions


def _plan_v1(point: str, uid: int, gid: int, cpuset: bool, enter: int | None) -> Iterator[Action]:
    directory = admin_directory(point, uid)
    for path in (f"{point}/{ADMIN}", directory):
        yield MakeDirectory(path=path)
        if cpuset:
            # A cpuset begins empty, and an empty one takes no task (ENOSPC).
            for file in ("cpuset.cpus", "cpuset.mems"):
                value = (files.read_or_none(f"{point}/{file}") or b"").decode().strip()
                yield WriteValue(path=f"{path}/{file}", value=value)
    yield GiveTo(path=directory, uid=uid, gid=gid, directory=True)
    for file in V1_OWNED:
        yield GiveTo(path=f"{directory}/{file}", uid=uid, gid=gid)
    if enter is not None:
        yield Enter(path=directory, pid=enter)


def _plan_v2(point: str, uid: int, gid: int, enter: int | None) -> Iterator[Action]:
    directory = admin_directory(point, uid)
    offered = files.words(f"{point}/cgroup.controllers")
    enable = " ".join(f"+{name}" for name in V2_CONTROLLERS if name in offered)
    yield WriteValue(path=f"{point}/cgroup.subtree_control", value=enable)
    yield MakeDirectory(path=f"{point}/{ADMIN}")
    yield WriteValue(path=f"{point}/{ADMIN}/cgroup.subtree_control", value=enable)
    yield MakeDirectory(path=directory)
    # Processes wait in a child, as the subtree itself is to have controllers on.
    yield MakeDirectory(path=f"{directory}/{MAIN}")
    for path in (directory, f"{directory}/{MAIN}"):
        yield GiveTo(path=path, uid=uid, gid=gid, directory=True)
        for file in V2_OWNED:
            yield GiveTo(path=f"{path}/{file}", uid=uid, gid=gid)
    if enter is not None:
        yield Enter(path=f"{directory}/{MAIN}", pid=enter)


def require_root(user: str | int, undoing: bool = False) -> None:
    """Raises HostError with the command to type, if we are not root."""
    if os.geteuid() != 0:
        command = f"sudo pysandbox setup --user {user}{' --undo' if undoing else ''}"
        raise HostError("cgroups are given away by root only", f"run `{command}`")


def apply(actions: Sequence[Action], user: str | int) -> list[Action]:
    """Do what is not done yet, in order; the actions that were needed. Raises HostError at the first failure."""
    require_root(user)
    needed: list[Action] = []
    for action in actions:
        if action.done():
            continue
        try:
            action.run()
        except OSError as fault:
            reason = (fault.strerror or str(fault)).lower()
            fix = ""
            if fault.errno == errno.EROFS:
                fix = "cgroups are mounted read-only here; run it outside of this container"
            elif fault.errno == errno.EBUSY:
                fix = "processes are in that cgroup itself; move them to a child of it first"
            raise HostError(f"`{action.describe()}` failed: {reason}", fix) from fault
        needed.append(action)
    return needed


def undo(user: str | int, table: Mounts | None = None) -> list[str]:
    """Remove the user's subtree, and ``pysandbox`` if it is empty then; the directories removed.

    Raises HostError if something is still in use: nothing is ended or emptied here. The user may be gone
    from the user database already; then give the number.
    """
    require_root(user, undoing=True)
    table = mounts.here() if table is None else table
    uid = look_up(user)[0]
    removed = []
    points = [mount.point for mount in table.v1.values()] + ([table.v2.point] if table.v2 else [])
    for point in dict.fromkeys(points):
        directory = admin_directory(point, uid)
        for path in (f"{directory}/{MAIN}", directory):
            if os.path.isdir(path):
                try:
                    gone = files.remove(path, 100_000_000)
                except OSError as fault:
                    raise files.failed("remove", path, b"", fault) from fault
                if not gone:
                    raise HostError(f"{path} is in use", "end the sandboxes and shells in it, then try again")
                removed.append(path)
        if os.path.isdir(f"{point}/{ADMIN}"):
            try:
                os.rmdir(f"{point}/{ADMIN}")
                removed.append(f"{point}/{ADMIN}")
            except OSError as fault:
                if fault.errno not in (errno.EBUSY, errno.ENOTEMPTY):  # another user's subtree is in it
                    raise files.failed("remove", f"{point}/{ADMIN}", b"", fault) from fault
    return removed


def tmpfiles_lines(user: str | int, table: Mounts | None = None) -> str:
    """The text of /etc/tmpfiles.d/pysandbox-uid-UID.conf, which makes the subtree at every boot."""
    lines = ["# made by `pysandbox setup`: a cgroup subtree for one user, see tmpfiles.d(5)"]
    lines.extend(action.tmpfiles() for action in plan_setup(user, table))
    return "\n".join(dict.fromkeys(line for line in lines if line)) + "\n"
