"""pysandbox: run a hostile program under real limits, without root.

    from sandbox import run
    result = run(["python3", "-c", "print(6*7)"], mem="256M", time=1)
    print(result.outcome, result.stdout, result.usage.cpu_ns)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .denials import Denial
    from .errors import HostError, PolicyError, RequestError, SandboxError, SetupError, SupervisorError
    from .pipeline import Sandbox, arun, run
    from .request import CAPTURE, DEVNULL, INHERIT, STDOUT
    from .result import Cause, Result, Usage

__version__ = "0.1.0"

# Where each public name lives. Looked up at first use: the command line imports this package at every
# start and needs none of them before it has read its arguments.
_HOMES = {
    "run": "pipeline", "arun": "pipeline", "Sandbox": "pipeline",
    "Result": "result", "Usage": "result", "Cause": "result", "Denial": "denials",
    "CAPTURE": "request", "DEVNULL": "request", "INHERIT": "request", "STDOUT": "request",
    "SandboxError": "errors", "RequestError": "errors", "PolicyError": "errors", "HostError": "errors",
    "SetupError": "errors", "SupervisorError": "errors",
}  # fmt: skip

__all__ = [
    "CAPTURE", "DEVNULL", "INHERIT", "STDOUT", "Cause", "Denial", "HostError", "PolicyError", "RequestError",
    "Result", "Sandbox", "SandboxError", "SetupError", "SupervisorError", "Usage", "arun", "run",
]  # fmt: skip


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(__import__(f"{__name__}.{home}", fromlist=[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
