"""``pysandbox setup --user NAME``: what an administrator does once, so that a user can limit his sandboxes.

Works in a checkout that is not built: nothing here may import the native core.
"""

from __future__ import annotations

import os
import sys

from .. import admin
from ..cgroup import mounts
from ..cgroup.delegation import ADMIN, admin_directory
from ..cgroup.names import MAIN
from ..errors import HostError, RequestError
from ..units import parse_count
from .flags import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EXIT_DECLINED = 1
TMPFILES = "/etc/tmpfiles.d"
_PID_MAX = 1 << 22  # PID_MAX_LIMIT
# secure_path of a usual sudoers file
_ROOTS_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def main(words: list[str]) -> int:
    """Say what is to be done, ask, do it."""
    values = parse("setup", words)
    user = values.get("user")
    if user is None:
        raise RequestError("setup", "", "needs --user NAME; see pysandbox help setup")
    return _undo(user, values, words) if values.get("undo") else _give(user, values, words)


def _give(user: str, values: dict[str, Any], words: list[str]) -> int:
    enter = _process(values["enter"]) if "enter" in values else None
    actions = admin.plan_setup(user, enter=enter)
    uid = admin.look_up(user)[0]
    needed = [action for action in actions if not action.done()]
    text = admin.tmpfiles_lines(user) if values.get("tmpfiles") else ""
    _say(f"so that uid {uid} can limit its sandboxes:", [action.describe() for action in needed])
    if len(needed) < len(actions):
        _print(f"  ({len(actions) - len(needed)} of {len(actions)} steps are done already)")
    if text:
        _print(f"  write {_tmpfiles_path(uid)}:", *(f"    {line}" for line in text.splitlines()))
    if not needed and not text:
        _print("nothing is left to do")
        return 0
    _require_root(words)
    if not values.get("yes") and not _agreed():
        return EXIT_DECLINED
    admin.apply(actions, user)
    if text:
        _write_tmpfiles(_tmpfiles_path(uid), text)
    _print(f"done: uid {uid} can limit its sandboxes" + ("" if text else " until the next boot"))
    return 0


def _undo(user: str, values: dict[str, Any], words: list[str]) -> int:
    if "enter" in values or values.get("tmpfiles"):
        raise RequestError("--undo", user, "goes with --user and --yes only")
    uid = admin.look_up(user)[0]
    path = _tmpfiles_path(uid)
    removals = [f"rmdir {directory}" for directory in _directories(uid)]
    if os.path.lexists(path):
        removals.append(f"rm {path}")
    _say(f"to take back what uid {uid} was given:", removals)
    if not removals:
        _print("nothing is left to do")
        return 0
    _require_root(words)
    if not values.get("yes") and not _agreed():
        return EXIT_DECLINED
    admin.undo(user)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise HostError(f"cannot remove {path}: {(error.strerror or '').lower()}", "remove it by hand") from error
    _print("done")
    return 0


def _directories(uid: int) -> list[str]:
    """What undo() is going to remove, innermost first."""
    table = mounts.here()
    points = [mount.point for mount in table.v1.values()] + ([table.v2.point] if table.v2 else [])
    found = []
    for point in dict.fromkeys(points):
        directory = admin_directory(point, uid)
        found += [path for path in (f"{directory}/{MAIN}", directory) if os.path.isdir(path)]
        above = f"{point}/{ADMIN}"
        try:
            inside = {entry.name for entry in os.scandir(above) if entry.is_dir(follow_symlinks=False)}
        except OSError:
            continue
        if inside <= {os.path.basename(directory)}:  # another user's subtree may be in it
            found.append(above)
    return found


def _process(text: str) -> int:
    pid = parse_count("--enter", text, 1, _PID_MAX)
    if not os.path.exists(f"/proc/{pid}"):
        raise RequestError("--enter", text, "there is no such process")
    return pid


# ---- words


def _print(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
    sys.stdout.flush()


def _say(why: str, commands: list[str]) -> None:
    _print(why, *(f"  {command}" for command in commands))


def _agreed() -> bool:
    """Ask on a terminal; without one there is nobody who could have read the list."""
    if not os.isatty(0):
        raise RequestError("setup", "", "standard input is no terminal to ask at; add --yes")
    sys.stdout.write("do this now? [y/N] ")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip().lower()
    if answer in ("y", "yes"):
        return True
    _print("nothing was changed")
    return False


def _require_root(words: list[str]) -> None:
    if os.geteuid() != 0:
        raise HostError("cgroups are given away by root only", f"run `{sudo_command(words)}`")


def sudo_command(words: list[str]) -> str:
    """The very command to type: plain where root would find this pysandbox, else with the path of this package."""
    import shlex

    started = os.path.realpath(sys.argv[0])
    found = next((p for p in (f"{d}/pysandbox" for d in _ROOTS_PATH) if os.path.exists(p)), "")
    if found and os.path.realpath(found) == started:
        return shlex.join(["sudo", "pysandbox", "setup", *words])
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # -B: what root compiles beside a user's files, the user could not remove.
    python = [sys.executable or "python3", "-PB", "-m", "sandbox.cli"]
    return shlex.join(["sudo", "env", f"PYTHONPATH={package}", *python, "setup", *words])


# ---- the next boot


def _tmpfiles_path(uid: int) -> str:
    return f"{TMPFILES}/pysandbox-uid-{uid}.conf"


def _write_tmpfiles(path: str, text: str) -> None:
    temporary = f"{path}.new"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, path)
    except FileNotFoundError:
        raise HostError(f"there is no {TMPFILES}, so this host has no systemd-tmpfiles",
                        "run `pysandbox setup` at every boot instead") from None  # fmt: skip
    except OSError as error:
        why = (error.strerror or "").lower()
        raise HostError(f"cannot write {path}: {why}", "check the file system it is on") from error
