"""pysandbox: run a hostile program under real limits, without root.

    from sandbox import run
    result = run(["python3", "-c", "print(6*7)"], mem="256M", time=1)
    print(result.outcome, result.stdout, result.usage.cpu_ns)
"""

# No import at all, not even of __future__: the command guards itself against Ctrl-C only after this file.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .denials import Denial
    from .errors import HostError, PolicyError, RequestError, SandboxError, SetupError, SupervisorError
    from .notify import Allow, Kill, Notification, Refuse, Return
    from .pipeline import Sandbox, arun, run
    from .request import CAPTURE, DEVNULL, INHERIT, STDOUT, HandOver
    from .result import Cause, Result, Usage

__version__ = "0.1.0"

# Where each public name lives. Looked up at first use: the command line imports this package at every
# start and needs none of them before it has read its arguments.
_HOMES = {
    "run": "pipeline", "arun": "pipeline", "Sandbox": "pipeline",
    "Result": "result", "Usage": "result", "Cause": "result", "Denial": "denials",
    "Notification": "notify", "Allow": "notify", "Refuse": "notify", "Return": "notify", "Kill": "notify",
    "CAPTURE": "request", "DEVNULL": "request", "INHERIT": "request", "STDOUT": "request",
    "HandOver": "request",
    "SandboxError": "errors", "RequestError": "errors", "PolicyError": "errors", "HostError": "errors",
    "SetupError": "errors", "SupervisorError": "errors",
}  # fmt: skip

__all__ = [
    "CAPTURE", "DEVNULL", "INHERIT", "STDOUT", "Allow", "Cause", "Denial", "HandOver", "HostError", "Kill",
    "Notification", "PolicyError", "Refuse", "RequestError", "Result", "Return", "Sandbox", "SandboxError",
    "SetupError", "SupervisorError", "Usage", "arun", "run",
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
