"""StartTransientUnit over D-Bus, by jeepney: the user's systemd, or for root the system's.

org.freedesktop.systemd1(5) has the call, systemd.service(5) and systemd.resource-control(5) the properties.
"""

from __future__ import annotations

import os
import stat

from ..errors import HostError
from ..executable import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Nothing here may hang: a bus or a systemd that does not answer is as good as none.
BUS_S = 3.0
JOB_S = 10.0
SYSTEM_BUS = "/run/dbus/system_bus_socket"
SIGKILL = 9

_PATH, _NAME = "/org/freedesktop/systemd1", "org.freedesktop.systemd1"
_EXISTS = "org.freedesktop.systemd1.UnitExists"


def bus() -> str:
    """The address of the bus on which our systemd is. Raises HostError where there is none.

    Not what XDG_RUNTIME_DIR says: ``su -c`` and ``sudo`` leave it as it was for another user.
    """
    uid = os.geteuid()
    path = f"/run/user/{uid}/bus" if uid else SYSTEM_BUS
    try:
        found = os.stat(path)
        if stat.S_ISSOCK(found.st_mode) and found.st_uid == uid:
            return f"unix:path={path}"
        if uid == 0:
            raise HostError(f"{path} belongs to uid {found.st_uid}: this root is not the root of systemd",
                            "start it as root outside of the user namespace, or as another user")  # fmt: skip
    except OSError:
        pass
    given = os.environ.get("DBUS_SESSION_BUS_ADDRESS", "")
    if uid and given.startswith("unix:"):
        return given
    raise _no_manager()


def _no_manager() -> HostError:
    uid = os.geteuid()
    if uid == 0:
        return HostError(f"there is no system bus at {SYSTEM_BUS}", "start dbus, or name a subtree by --cgroup")
    return HostError(f"uid {uid} has no systemd user manager running (no /run/user/{uid}/bus)",
                     f"`sudo loginctl enable-linger {_name(uid)}`, or run it in a login of that user")  # fmt: skip


def _name(uid: int) -> str:
    import pwd  # reads the user database: error paths only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def journal_fix(name: str) -> str:
    """Where systemd has written down what became of a unit."""
    return f"see `journalctl {'--user ' if os.geteuid() else ''}-u {name}`"


def _status_fix() -> str:
    return f"see `systemctl {'--user ' if os.geteuid() else ''}status`"


def _no_jeepney() -> HostError:
    return HostError("the Python package jeepney is not installed, by which systemd is asked for a cgroup subtree",
                     "`sudo apt-get install python3-jeepney`, or pip install jeepney")  # fmt: skip


def check() -> None:
    """Could ``start_service`` be called? Starts nothing. Raises HostError that says what is missing."""
    from importlib.util import find_spec

    if find_spec("jeepney") is None:
        raise _no_jeepney()
    bus()


def start_service(name: str, command: list[str]) -> bool:
    """Start ``command`` as the transient, delegated service ``name`` and wait until it says that it is ready.

    ``name`` is also that of its directory below the runtime directory, mode 0700, which systemd removes
    when it ends. False if there is such a unit already. Raises HostError.
    """
    try:
        from jeepney.io.blocking import open_dbus_connection
    except ImportError:
        raise _no_jeepney() from None
    address = bus()
    try:
        with open_dbus_connection(address, auth_timeout=BUS_S) as connection:
            return _start(connection, f"{name}.service", _properties(name, command))
    except HostError:
        raise
    except Exception as fault:  # jeepney: OSError, ValueError, AuthenticationError, DBusErrorResponse
        if address != f"unix:path=/run/user/{os.geteuid()}/bus" and os.geteuid():
            raise _no_manager() from fault
        said = str(fault) or type(fault).__name__
        raise HostError(f"the bus at {address} cannot be used: {said}", _status_fix()) from fault


def _start(connection: Any, unit: str, properties: list[tuple[str, tuple[str, Any]]]) -> bool:
    from jeepney import DBusAddress, MatchRule, new_method_call
    from jeepney.bus_messages import message_bus

    manager = DBusAddress(_PATH, _NAME, f"{_NAME}.Manager")
    rule = MatchRule(type="signal", interface=manager.interface, member="JobRemoved", path=_PATH)

    def call(message: Any) -> Any:
        reply = connection.send_and_get_reply(message, timeout=BUS_S)
        if reply.header.message_type.name != "error":
            return reply.body
        name = next((v for k, v in reply.header.fields.items() if k.name == "error_name"), "?")
        if name == _EXISTS:
            return None
        said = reply.body[0] if reply.body else name
        raise HostError(f"systemd does not start {unit}: {said}", _status_fix())

    call(message_bus.AddMatch(rule))  # before the call, or the signal may be missed
    with connection.filter(rule) as signals:
        start = new_method_call(manager, "StartTransientUnit", "ssa(sv)a(sa(sv))", (unit, "fail", properties, []))
        body = call(start)
        if body is None:
            return False
        while True:
            _number, job, _unit, result = connection.recv_until_filtered(signals, timeout=JOB_S).body
            if job == body[0]:
                break
    if result != "done":
        raise HostError(f"{unit} did not start: systemd says {result}", journal_fix(unit))
    return True


def _properties(name: str, command: list[str]) -> list[tuple[str, tuple[str, Any]]]:
    return [
        ("Description", ("s", "pysandbox: a cgroup subtree for sandboxes")),
        ("Type", ("s", "notify")),
        ("NotifyAccess", ("s", "main")),
        # Ex: without it a $ in the path would be expanded.
        ("ExecStartEx", ("a(sasas)", [(command[0], ["pysandbox-keeper", *command[1:]], ["no-env-expand"])])),
        ("Environment", ("as", [f"{key}={value}" for key, value in environment().items()])),
        ("Delegate", ("b", True)),
        ("TasksMax", ("t", (1 << 64) - 1)),
        ("OOMPolicy", ("s", "continue")),  # a sandbox at its limit is no reason to stop all others
        ("KillSignal", ("i", SIGKILL)),  # spawners block SIGTERM: systemd would wait for 90 s
        ("CollectMode", ("s", "inactive-or-failed")),
        ("RuntimeDirectory", ("as", [name])),
        ("RuntimeDirectoryMode", ("u", 0o700)),
    ]
