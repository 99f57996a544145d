"""Hooks: programs of the host that the engine wants run around a container. config.md, "POSIX-platform Hooks".

They come from the caller and run as the caller, outside of the sandbox, with the container's state on stdin. Two kinds
run inside of the container's namespaces before it is complete, which nobody can do here: a bundle that has one is
refused.
"""

from __future__ import annotations

from ..errors import HostError
from .container import Hook

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .reader import Node

# In the order in which they run.
SUPPORTED = ("prestart", "createRuntime", "poststart", "poststop")
_INSIDE = ("createContainer", "startContainer")


def parse(hooks: Node) -> dict[str, tuple[Hook, ...]]:
    """Name -> hooks in order. Raises RequestError for those that cannot be run."""
    for name in _INSIDE:
        if hooks.nodes(name):
            hooks.fail(name, f"hooks inside of the container cannot be run; there are {', '.join(SUPPORTED)}")
    return {name: tuple(_hook(node) for node in hooks.nodes(name)) for name in SUPPORTED if hooks.nodes(name)}


def _hook(node: Node) -> Hook:
    path = node.text("path")
    if not path.startswith("/"):
        node.fail("path", "expected an absolute path", path)
    timeout = node.number("timeout") if node.has("timeout") else None
    if timeout is not None and timeout <= 0:
        node.fail("timeout", "expected seconds, more than 0", timeout)
    env = node.texts("env")
    for pair in env:
        if "=" not in pair:
            node.fail("env", "expected NAME=VALUE", pair)
    return Hook(path=path, args=node.texts("args"), env=env, timeout_s=timeout)


def run(name: str, hooks: Sequence[Hook], state: Mapping[str, Any], log: int) -> None:
    """One after the other, with ``state`` as JSON on stdin and ``log`` (an fd) as stderr.

    Raises HostError for one that fails, which ends the series.
    """
    import json
    import subprocess

    text = json.dumps(state).encode()
    for hook in hooks:
        env = dict(pair.split("=", 1) for pair in hook.env)
        try:
            done = subprocess.run(
                list(hook.args) or [hook.path], executable=hook.path, env=env, input=text, stdout=subprocess.DEVNULL,
                stderr=log, timeout=hook.timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise HostError(f"the {name} hook {hook.path} was still there after {hook.timeout_s} s",
                            "give it more time, or leave it out") from None  # fmt: skip
        except OSError as error:
            why = (error.strerror or "unusable").lower()
            raise HostError(f"the {name} hook {hook.path} cannot be run: {why}", "correct or remove it") from None
        if done.returncode:
            how = f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
            raise HostError(f"the {name} hook {hook.path} failed: {how}", "see what it wrote to stderr")
