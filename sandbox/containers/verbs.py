"""What may be asked of a running container: verb -> where its handler is.

A handler is ``handler(monitor, ask) -> dict | Answer | None``: the answer, the answer with fds, or None, which means
that it will call ``ask.answer()`` later itself. It runs in the monitor's only thread, between events, and so must not
wait. ``ask.words`` are the arguments, ``ask.fds`` the fds that came with it, closed when the handler returns unless it
has taken them (``ask.take()``). What it raises is raised at the caller's. Modules are imported at their first use.
"""

from __future__ import annotations

from ..errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .monitor import Monitor

VERBS = {
    "state": "verbs_basic:state",
    "wait": "verbs_basic:wait",
    "signal": "verbs_basic:signal",
    "stop": "verbs_basic:stop",
    "network": "verbs_basic:network",
    "exec": "verbs_exec:execute",
    "exec_signal": "verbs_exec:signal",
    "resize": "verbs_exec:resize",
    "pause": "verbs_cgroup:pause",
    "unpause": "verbs_cgroup:unpause",
    "stats": "verbs_cgroup:stats",
    "update": "verbs_cgroup:update",
    "about": "verbs_look:about",
    "open_tree": "verbs_look:open_tree",
    "attach": "verbs_attach:attach",
    "terminal_size": "verbs_attach:terminal_size",
}


class Answer:
    """An answer with fds, which are closed when it was sent."""

    def __init__(self, words: dict[str, Any], fds: Sequence[int] = ()) -> None:
        self.words, self.fds = words, tuple(fds)


def handler(verb: object) -> Callable[[Monitor, Any], dict[str, Any] | Answer | None]:
    """Who answers this. Raises RequestError."""
    place = VERBS.get(verb) if isinstance(verb, str) else None
    if place is None:
        raise RequestError("verb", str(verb)[:80], f"a container knows {', '.join(VERBS)}")
    module, _colon, name = place.partition(":")
    found = getattr(__import__(f"{__package__}.{module}", fromlist=[name]), name)
    return found  # type: ignore[no-any-return]
