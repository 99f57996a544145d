"""After a failure: what a person may have forgotten to share."""

from __future__ import annotations

import os

from .result import EXEC_FAILED
from .words import is_visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .result import Result
    from .spec import Spec


def _shared(spec: Spec, path: str) -> bool:
    return any(path == v.source or path.startswith(v.source + "/") for v in spec.volumes)


def hints_for(spec: Spec, result: Result) -> tuple[str, ...]:
    """Sentences about the program and about arguments that exist on the host but not inside."""
    hints = []
    if result.outcome == EXEC_FAILED:
        hints += _program_hints(spec, result)
    if spec.rootfs is None:
        for raw in spec.argv[1:]:
            text = os.fsdecode(raw)
            if not text or text.startswith("-") or len(text) > 4096 or "\n" in text:
                continue
            path = os.path.abspath(text)
            if os.path.exists(path) and not is_visible(path) and not _shared(spec, os.path.realpath(path)):
                target = text if os.path.isabs(text) else f"{spec.workdir.rstrip('/')}/{os.path.normpath(text)}"
                if spec.isolation == "landlock":  # every path is the host's
                    target = path
                if ".." not in target.split("/") and not target.startswith(("/proc", "/dev")) and path != "/":
                    hints.append(f"{text} exists on the host but not in the sandbox: share it with -v {path}:{target}")
            if len(hints) >= 5:
                break
    return tuple(hints)


def _program_hints(spec: Spec, result: Result) -> list[str]:
    name = os.fsdecode(spec.argv[0])
    if spec.program is None and "/" in name and os.path.exists(name) and spec.rootfs is None:
        return [f"{name} exists on the host but not in the sandbox: share its directory with -v"]
    if spec.program is not None or os.path.exists(name):
        interpreter = _interpreter(spec.program or name)
        if result.exit_code == 127 and interpreter:
            return [f"its interpreter {interpreter} does not exist in the sandbox"]
        if result.exit_code == 126:
            if not os.access(spec.program or name, os.X_OK):
                return [f"the file is not executable: chmod +x {spec.program or name}"]
            return ["the file is neither a binary of this machine nor a script that starts with #!"]
    if "/" not in name:
        return [f"no program called {name} in the sandbox's PATH ({dict(spec.env).get(b'PATH', b'').decode()})"]
    return []


def _interpreter(path: str) -> str:
    """The interpreter of a script, "" if it is none."""
    try:
        with open(path, "rb") as file:
            line = file.readline(256)
    except OSError:
        return ""
    return os.fsdecode(line[2:].split()[0]) if line.startswith(b"#!") and line[2:].split() else ""
