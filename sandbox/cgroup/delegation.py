"""Where a subtree comes from: find() looks, in a fixed order, for a cgroup that we may divide.

    1. the one the caller names (``--cgroup PATH`` or PYSANDBOX_CGROUP); unusable means HostError
    2. the process's own cgroup, where it was delegated to us
    3. v2: a service of the user's systemd, for root of the system's, with a keeper in it (keeper/)
    4. what an administrator made with `pysandbox setup`: <mount>/pysandbox/uid-<uid>
    5. none

v2 is taken if it has the memory controller, else v1, controller by controller: on a hybrid host each
controller is in one of the two only, and memory decides which one is in real use.

What counts as delegated. v1: a directory we may write to; processes beside child cgroups are fine. v2:
a directory, cgroup.procs and cgroup.subtree_control that we may write to, and, where systemd owns the
cgroup, its word that it keeps its hands off (Delegate=yes): it would switch our controllers off again
at its next reload otherwise, and our limits with them. v2 allows no process beside child cgroups that
have controllers, so everything in there, ourselves included, moves to the leaf ``pysandbox-main``.
"""

from __future__ import annotations

import errno
import os
import time
from posixpath import basename, commonpath, dirname, isabs, join, normpath

from ..errors import HostError, RequestError
from . import files, mounts
from .names import MAIN
from .none import NoneBackend

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..keeper.client import Keeper
    from .mounts import Mounts
    from .protocol import Backend

AUTO, NONE = "auto", "none"
# Who gives a subtree.
_OWN, _SYSTEMD, _ADMIN = "the own cgroup of this process", "a service of systemd's", "made by `pysandbox setup`"
ENVIRONMENT = "PYSANDBOX_CGROUP"
ADMIN = "pysandbox"

V2_USED = ("memory", "pids", "cpu", "cpuset", "io")
V1_USED = ("memory", "pids", "cpu", "cpuacct", "cpuset", "blkio", "freezer")
SYSTEMD_RUNS = "/run/systemd/system"  # sd_booted(3)

# A crowd that forks while it is moved needs another round; each round moves all that it sees.
MOVE_ROUNDS = 20


def find(where: str = AUTO, table: Mounts | None = None, prepare: bool = True) -> Backend:
    """The backend for ``where``: "auto", "none" or a path.

    On v1 a path is relative to the mount of each controller, on v2 an absolute path below the mount or
    relative to it. With ``prepare=False`` nothing is changed (no process moved, no controller enabled):
    for looking only. Raises HostError for a named subtree that is unusable, RequestError for a bad path.
    """
    field = "cgroup"
    if where == AUTO and os.environ.get(ENVIRONMENT):
        where, field = os.environ[ENVIRONMENT], ENVIRONMENT
    if where == NONE:
        return NoneBackend("the caller asked for no cgroup", f"leave {field} at auto")
    table = mounts.here() if table is None else table
    if where != AUTO:
        return _named(_checked(field, where), table, prepare)
    if _v2_has_memory(table):
        return _auto_v2(table, prepare)
    if table.v1:
        return _auto_v1(table)
    return NoneBackend("no cgroup hierarchy with controllers is mounted here", "mount cgroup2 on /sys/fs/cgroup")


def _checked(field: str, path: str) -> str:
    if not isabs(path) or "\0" in path or ".." in path.split("/"):
        raise RequestError(field, path, "expected auto, none or an absolute path without ..")
    return normpath(path)


def _v2_has_memory(table: Mounts) -> bool:
    return table.v2 is not None and "memory" in files.words(f"{table.v2.point}/cgroup.controllers")


def user_name() -> str:
    """Our user's name for a sentence; the number where it has none."""
    import pwd  # reads the user database: error paths only

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def setup_fix(version: int) -> str:
    """What to do where nothing is delegated. On v1 systemd gives no controllers to users, so root has to."""
    if version == 2 and os.path.isdir(SYSTEMD_RUNS):
        from ..keeper.client import scope_fix

        return scope_fix()
    return f"run `sudo pysandbox setup --user {user_name()}` once"


def _read_only_fix(table: Mounts) -> str:
    """For a container whose engine shows it its cgroup and no more; "" where /sys/fs/cgroup can be written to."""
    if table.v2 is None or not files.read_only(table.v2.point):
        return ""
    return f"start the container with {table.v2.point} writable (Podman: --security-opt unmask=ALL)"


def admin_directory(point: str, uid: int) -> str:
    """The administrator's subtree for ``uid`` below a mount point."""
    return f"{point}/{ADMIN}/uid-{uid}"


# ---- v1


def unusable_v1(directory: str) -> str:
    """What keeps us from making leaves in a v1 directory, "" if nothing does."""
    if not os.path.exists(f"{directory}/cgroup.procs"):
        return f"there is no cgroup {directory}"
    if not files.may_write(directory):
        return files.unwritable(directory)
    return ""


def _auto_v1(table: Mounts) -> Backend:
    uid = os.geteuid()
    bases: dict[str, str] = {}
    why: dict[str, str] = {}
    given: dict[str, None] = {}
    for name in V1_USED:
        if name not in table.v1:
            why[name] = f"the {name} controller is not mounted"
            continue
        own = table.own_directory(name)
        admin = admin_directory(table.v1[name].point, uid)
        for directory, giver in ((own, "the own cgroup of this process"), (admin, "made by `pysandbox setup`")):
            fault = unusable_v1(directory) if directory else "the own cgroup of this process is out of sight"
            if not fault and directory == admin and os.stat(admin).st_uid != uid:
                fault = f"{admin} belongs to uid {os.stat(admin).st_uid}, not to uid {uid}"
            if not fault and directory:
                bases[name] = directory
                given[giver] = None
                break
            why[name] = fault  # the last one is the administrator's, which is the one that a fix can make
    fix = setup_fix(1)
    from .v1 import V1Backend  # a launch needs v1 or v2, never both

    if not bases:
        return NoneBackend(why.get("memory") or "no cgroup v1 controller is usable", fix)
    return V1Backend(bases, why, f"cgroup v1: {', '.join(dict.fromkeys(bases.values()))} ({', '.join(given)})", fix)


def _named_v1(path: str, table: Mounts) -> Backend:
    from .v1 import V1Backend

    bases: dict[str, str] = {}
    why: dict[str, str] = {}
    for name in V1_USED:
        if name not in table.v1:
            why[name] = f"the {name} controller is not mounted"
            continue
        directory = normpath(join(table.v1[name].point, path.lstrip("/")))
        why[name] = unusable_v1(directory)
        if not why[name]:
            bases[name] = directory
    fix = f"make {path} in every controller and give it to uid {os.geteuid()}, or leave cgroup at auto"
    if not bases:
        faults = [fault for fault in why.values() if not fault.endswith("not mounted")] or [*why.values()]
        raise HostError(f"cgroup {path} is not usable: {faults[0]}", fix)
    return V1Backend(bases, why, f"cgroup v1: {', '.join(dict.fromkeys(bases.values()))} (named by the caller)", fix)


# ---- v2


def _auto_v2(table: Mounts, prepare: bool) -> Backend:
    faults: list[str] = []
    fix, better = _read_only_fix(table) or setup_fix(2), ""
    for name, candidate in _candidates(table):
        try:
            return candidate(table, prepare)
        except HostError as fault:
            faults.append(fault.missing)
            if name != _ADMIN and fault.fix and not better:
                better = fault.fix  # who failed knows why
    return NoneBackend("; ".join(faults) or "our own cgroup is out of sight", better or fix)


def _candidates(table: Mounts) -> Iterator[tuple[str, Callable[[Mounts, bool], Backend]]]:
    if own_base(table) is not None:
        yield _OWN, _own_v2
    if os.path.isdir(SYSTEMD_RUNS):
        yield _SYSTEMD, _systemd_v2
    yield _ADMIN, _admin_v2


def _own_v2(table: Mounts, prepare: bool) -> Backend:
    return _usable(own_base(table) or "", _OWN, table, prepare)


def _admin_v2(table: Mounts, prepare: bool) -> Backend:
    assert table.v2
    return _usable(admin_directory(table.v2.point, os.geteuid()), _ADMIN, table, prepare)


def _usable(directory: str, giver: str, table: Mounts, prepare: bool) -> Backend:
    fault = unusable_v2(directory, table, named=False)
    if fault:
        raise HostError(fault, "")
    return _prepared(directory, giver, prepare)


def _systemd_v2(table: Mounts, prepare: bool) -> Backend:
    from ..keeper import client, systemd  # not for those who have a subtree of their own

    assert table.v2
    if table.v2.root != "/":
        raise HostError(f"{table.v2.point} shows a part of the cgroups only, and not that of systemd", setup_fix(2))
    keeper = client.obtain(table.v2.point) if prepare else client.running()
    if keeper is not None:
        return _prepared(keeper.cgroup, f"{_SYSTEMD}, kept by pid {keeper.pid}", prepare, keeper)
    systemd.check()
    # For looking only: nothing was started, so this is where it would be.
    uid = os.geteuid()
    base = f"{table.v2.point}/user.slice/user-{uid}.slice/user@{uid}.service" if uid else table.v2.point
    return _prepared(base, f"{_SYSTEMD}, at the first run that needs it", prepare)


def own_base(table: Mounts) -> str | None:
    """Our own v2 cgroup, or the one above it if we were moved aside into ``pysandbox-main`` before."""
    own = table.own_directory("")
    return dirname(own) if own is not None and basename(own) == MAIN else own


def unusable_v2(directory: str, table: Mounts, named: bool) -> str:
    """What keeps us from dividing a v2 cgroup, "" if nothing does; for one that was named systemd is not asked."""
    if not os.path.exists(f"{directory}/cgroup.procs"):
        return f"there is no cgroup {directory}"
    for path in (directory, f"{directory}/cgroup.procs", f"{directory}/cgroup.subtree_control"):
        if not files.may_write(path):
            return files.unwritable(path)
    if not files.words(f"{directory}/cgroup.controllers"):
        return f"{directory} was given no controllers"
    entry = _entry_fault(directory, table)
    if entry or named:
        return entry
    if table.own_directory("") == f"{directory}/{MAIN}":
        return ""  # where we were moved from, after systemd was asked
    unit = systemd_unit(directory, table)
    if unit and not _systemd_delegates(unit):
        return f"{unit} belongs to systemd, which did not delegate it (Delegate=yes)"
    return ""


def _entry_fault(directory: str, table: Mounts) -> str:
    """Moving (and being born) needs cgroup.procs of the common ancestor (cgroup-v2.rst, "Delegation Containment")."""
    own = table.own_directory("")
    if own is None:
        return f"this process sits outside of what {table.v2.point if table.v2 else '/sys/fs/cgroup'} shows"
    ancestor = commonpath((own, directory))
    gate = f"{ancestor}/cgroup.procs"
    if files.may_write(gate):
        return ""
    return (
        f"this process sits in {own}, and {gate} must be writable by uid {os.geteuid()} to go from there to"
        f" {directory} (start it from a shell that was put there: `sudo pysandbox setup --enter PID`)"
    )


def systemd_unit(directory: str, table: Mounts) -> str:
    """The directory of the innermost systemd unit around ``directory``, "" where systemd does not own it."""
    point = table.v2.point if table.v2 else "/"
    while directory.startswith(point + "/"):
        if directory.endswith((".scope", ".service", ".slice", ".socket", ".mount", ".swap")):
            return directory
        directory = dirname(directory)
    return ""


def _systemd_delegates(unit: str) -> bool:
    if unit.endswith(".slice"):
        return False  # slices cannot be delegated (systemd.resource-control(5))
    # trusted.delegate is readable with CAP_SYS_ADMIN only; user.delegate is since systemd 251.
    for attribute in ("user.delegate", "trusted.delegate"):
        try:
            return os.getxattr(unit, attribute) == b"1"
        except OSError:
            continue
    # No mark: an older systemd, a user manager (252 and 257 set none where the system's does), or no delegation.
    return _asked_once(unit)


def _asked_once(unit: str) -> bool:
    """systemctl's word, kept in the user's cache: asking takes 10 ms, and a unit is delegated for all of its life."""
    from .. import cache

    # The inode of a cgroup is not used again before the next boot (kernfs_new_node, 64 bits).
    try:
        boot = files.read("/proc/sys/kernel/random/boot_id")
        made_from = b"delegated 1 %b %d %b\n" % (os.fsencode(unit), os.stat(unit).st_ino, boot.strip())
    except OSError:  # closed to us, or the unit has just ended
        return _systemctl_delegates(unit) == b"yes"
    label = os.fsencode(unit).replace(b"%", b"%%").replace(b"/", b"%")[-180:]
    directory = cache.open_directory("delegated")
    try:
        kept = cache.read(directory, label, made_from)
        if kept is not None:
            return kept == b"yes"
        answer = _systemctl_delegates(unit)
        if answer:
            cache.store(directory, label, made_from, answer)
        return answer == b"yes"
    finally:
        cache.close_directory(directory)


def _systemctl_delegates(unit: str) -> bytes:
    """Its word, yes or no; empty where nobody answers."""
    import subprocess

    manager = "--user" if "/user@" in unit else "--system"
    command = ["systemctl", manager, "show", "--property=Delegate", "--value", "--", basename(unit)]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return b""
    return answer.stdout.strip()


def _named(path: str, table: Mounts, prepare: bool) -> Backend:
    if table.v2 is not None and _v2_has_memory(table):
        point = table.v2.point
        inside = path == point or path.startswith(point + "/")
        directory = path if inside else normpath(join(point, path.lstrip("/")))
        fault = unusable_v2(directory, table, named=True)
        if fault:
            raise HostError(f"cgroup {path} is not usable: {fault}", "name another, or leave cgroup at auto")
        return _prepared(directory, "named by the caller", prepare)
    if table.v1:
        return _named_v1(path, table)
    raise HostError(f"cgroup {path} is not usable: no cgroup hierarchy is mounted", "leave cgroup at auto")


def _prepared(directory: str, giver: str, prepare: bool, keeper: Keeper | None = None) -> Backend:
    from .v2 import V2Backend

    available = frozenset(files.words(f"{directory}/cgroup.controllers")) & frozenset(V2_USED)
    if prepare:
        enable(directory, available)
        enabled = frozenset(files.words(f"{directory}/cgroup.subtree_control"))
        available &= enabled
    fix = f"write +CONTROLLER to cgroup.subtree_control of {dirname(directory)} as root"
    if directory in (mount.point for mount in (mounts.here().v2,) if mount):
        fix = "the container's engine, or systemd for it, must give this cgroup more controllers"
    if "/user@" in directory:
        # Delegate= of user@.service decides what a user can give; a manager that runs keeps what it has.
        fix = ("`sudo systemctl edit user@.service`, add the lines [Service] and "
               "Delegate=cpu cpuset io memory pids, then log out everywhere and in again")  # fmt: skip
    elif os.path.isdir(SYSTEMD_RUNS):
        fix = "start it in a unit with Delegate=cpu cpuset io memory pids"
    return V2Backend(directory, available, f"cgroup v2: {directory} ({giver})", fix, keeper)


def enable(directory: str, controllers: frozenset[str]) -> None:
    """Switch controllers on for the children of ``directory``; what is in the way moves to ``pysandbox-main``."""
    control = f"{directory}/cgroup.subtree_control"
    lacking = controllers - set(files.words(control))
    for attempt in range(MOVE_ROUNDS):
        if not lacking:
            return
        text = " ".join(f"+{name}" for name in sorted(lacking)).encode()
        try:
            files.write(control, text)
            return
        except OSError as fault:
            # EBUSY: processes are in the way. The true root cgroup is exempt from that rule and never says so.
            if fault.errno != errno.EBUSY or attempt == MOVE_ROUNDS - 1:
                raise files.failed("write", control, text, fault, "end the processes in it") from fault
        _move_aside(directory)
        if attempt:
            time.sleep(0.001 * attempt)


def _move_aside(directory: str) -> None:
    """Every process of ours in ``directory`` to its child ``pysandbox-main``; refuses if there is someone else's."""
    main = f"{directory}/{MAIN}"
    if files.has_hidden(f"{directory}/cgroup.procs"):
        raise HostError(
            f"in {directory} is a process that this pid namespace does not show, and that cannot be moved",
            "give the container a cgroup of its own (Podman: --cgroup-manager=systemd keeps its monitor out)",
        )
    inside = files.pids(f"{directory}/cgroup.procs")
    for pid in inside:
        try:
            owner = os.stat(f"/proc/{pid}").st_uid
        except FileNotFoundError:
            continue  # it ended
        if owner != os.geteuid() and os.geteuid() != 0:
            raise HostError(f"process {pid} of uid {owner} is in {directory}", "end it, or name another cgroup")
    if not os.path.isdir(main):
        try:
            os.mkdir(main, 0o755)
        except FileExistsError:
            pass
        except OSError as fault:
            raise files.failed("make", main, b"", fault) from fault
    for pid in inside:
        try:
            files.write(f"{main}/cgroup.procs", b"%d" % pid)
        except OSError as fault:
            if fault.errno != errno.ESRCH:  # it ended
                raise files.failed("write", f"{main}/cgroup.procs", b"%d" % pid, fault) from fault
