"""Our own scripts (``inside/``) in a sandbox of their own: whoever reads what strangers made does it there.

The script runs by the host's python3 with the directory that it works on as its only writable place, no network, no
rights but those over files of its own user namespace. What it says is a line of JSON on stderr, read with care: it may
be anybody's by then.

Landlock is off: our rules never allow device nodes, and a whiteout is one (0:0, which is no device). The mount
namespace alone confines it.
"""

from __future__ import annotations

import json
import os

from ..errors import HostError, RequestError, SupervisorError
from ..pipeline import Sandbox
from ..request import CAPTURE, DEVNULL, HandOver, Mount
from ..result import EXEC_FAILED, OUTPUT, WALL_TIME
from ..subid import NOBODY, RANGE_IDS, acts_as_root, ranges_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..request import NetworkPlace, Overlay
    from ..result import Result
    from ..running import Running

PYTHON = "/usr/bin/python3"
INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside")
PLACE = "/pysandbox/inside"
REPORT_BYTES = 256 << 10
DEFAULT_MEMORY_BYTES = 512 << 20
DEFAULT_WALL_SECONDS = 3600
REFUSED = 3  # inside/start.py
# Over files of the ids that are mapped: all of them the caller's own, or of the caller's range.
CAPABILITIES = {
    "single": ("DAC_OVERRIDE", "FOWNER"),
    "range": ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETFCAP"),
}
_BOOT = (
    "import sys; sys.path.insert(0, {place!r}); sys.dont_write_bytecode = True; "
    "from inside import start, {script} as script; "
    "sys.exit(start.run(script.main, sys.argv[1:], {memory}))"
)

_sandbox: Sandbox | None = None


def _helper() -> Sandbox:
    """One for this process, with a warm spawner for each kind of ids."""
    global _sandbox
    if _sandbox is None:
        import atexit

        _sandbox = Sandbox()
        atexit.register(_sandbox.close)
    return _sandbox


def start_inside(
    script: str, args: Sequence[str] = (), *, mounts: Sequence[Mount | str] = (), overlays: Sequence[Overlay] = (),
    stdin: Any = DEVNULL, stdout: Any = DEVNULL, ids: str = "single", mem: int = DEFAULT_MEMORY_BYTES,
    wall: float = DEFAULT_WALL_SECONDS, caps: Sequence[str] | None = None, network: NetworkPlace | None = None,
) -> Running:  # fmt: skip
    """Start ``inside/SCRIPT.py`` as the sandbox's user 0; ``mem``: bytes of address space, ``wall``: seconds.

    ``network``: where to be instead of alone, for a mount of FUSE, which its own user namespace alone may see.
    ``stdin`` and ``stdout`` as a Request's, an fd of ``stdout`` is handed over. Raises HostError without a python3 of
    the system, and what ``Sandbox.start`` raises.
    """
    if not os.access(PYTHON, os.X_OK):
        raise HostError(f"{PYTHON} is missing, which unpacks and packs layers in a sandbox", "apt install python3")
    code = _BOOT.format(place=os.path.dirname(PLACE), script=script, memory=int(mem))
    options: dict[str, Any] = {"overlays": tuple(overlays)} if overlays else {}
    return _helper().start(
        [PYTHON, "-I", "-S", "-B", "-c", code, *args],
        env={"LANG": "C.UTF-8"}, workdir="/",
        volumes=(Mount(source=INSIDE, target=PLACE), *mounts),
        stdin=stdin, stdout=HandOver(stdout) if isinstance(stdout, int) else stdout, stderr=CAPTURE,
        user=0, ids=ids, net="join" if network else "none", network=network,
        cap_add=CAPABILITIES[ids] if caps is None else tuple(caps),
        wall=wall, pids=16, nofile=1024, landlock="off", proc="plain", sysinfo="off", denials="off", **options,
    )  # fmt: skip


def run_inside(script: str, args: Sequence[str] = (), **options: Any) -> Result:
    """As ``start_inside``, and wait. ``report_of`` makes sense of the Result."""
    with start_inside(script, args, **options) as running:
        return running.wait()


def report_of(result: Result, field: str, value: object) -> dict[str, Any]:
    """What the script answered; its JSON object is checked to be one, its values are for the caller to check.

    Raises RequestError with ``field`` and ``value`` if it refused what it was given, HostError if the host failed it
    (a full disk, a limit of time), SupervisorError if it ended otherwise.
    """
    if result.outcome == WALL_TIME:
        raise HostError(f"{field} {value}: not done in time", "is the disk that slow?")
    if result.outcome == EXEC_FAILED:
        raise HostError(f"{PYTHON} cannot be run in a sandbox: {result.error}", "pysandbox doctor says more")
    report: object = None
    lines = result.stderr[-REPORT_BYTES:].strip().splitlines()
    if lines and result.outcome != OUTPUT:
        try:
            report = json.loads(lines[-1])
        except (ValueError, RecursionError):
            report = None
    if isinstance(report, dict):
        if result.exit_code == 0:
            return report
        if result.exit_code == REFUSED and isinstance(report.get("refused"), str):
            raise RequestError(field, value, _line(report["refused"]))
        if isinstance(report.get("failed"), str):
            raise HostError(f"{field} {value}: {_line(report['failed'])}", "see to the file system that it is on")
    said = lines[-1][-200:].decode("utf-8", "backslashreplace") if lines else "nothing"
    how = f"{result.outcome} {result.exit_status}"
    raise SupervisorError(f"{field} {value}: the helper ended with {how}, saying {said!r}")


def number(report: dict[str, Any], key: str) -> int:
    """A count from a report. Raises SupervisorError for anything else."""
    value = report.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise SupervisorError(f"a helper's {key} is no count: {str(value)[:100]!r}")
    return value


def texts(report: dict[str, Any], key: str) -> tuple[str, ...]:
    """Lines from a report, printable and short. Raises SupervisorError for anything else."""
    value = report.get(key)
    if not isinstance(value, list) or len(value) > 1000 or not all(isinstance(line, str) for line in value):
        raise SupervisorError(f"a helper's {key} are no lines: {str(value)[:100]!r}")
    return tuple(_line(line) for line in value)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:1000])


def last_id(ids: str) -> int:
    """The highest id that a file may be given to."""
    return RANGE_IDS - 1 if ids == "range" else 0


def give(path: str, ids: str) -> None:
    """Let the sandbox's user 0 own this directory of ours: root's is somebody else (identity.py), a user's the user."""
    if not acts_as_root():
        return
    uids, gids = ranges_of("root", 0, RANGE_IDS)
    if ids == "single" and not (uids and gids):
        uids = gids = NOBODY
    os.chown(path, uids, gids, follow_symlinks=False)


def remove_tree(path: str, *names: str, ids: str = "single") -> None:
    """Empty a directory of ours of all that a sandbox has put there, or of ``names`` in it alone.

    ``ids="range"`` where files may be another id's. Raises what ``report_of`` raises.
    """
    result = run_inside("remove", [os.fsencode(name).hex() for name in names], ids=ids,
                        mounts=(Mount(source=path, target="/target", writable=True),))  # fmt: skip
    report_of(result, "remove", path)
