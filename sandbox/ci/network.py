"""Networks of jobs with services: a named one each, on which a service is found by the names that the job has for it.

Members of a named network are found by the names of their containers, and no two containers have the same. A job's own
names for its services ("db") are the same in every job: they are aliases of its network.
"""

from __future__ import annotations

import os
import time

from ..errors import RequestError
from ..networks import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A member leaves when its container has ended, which its monitor does after it has told so.
_LEAVE_S = 5


def make(name: str, *, internal: bool, names: Mapping[str, Sequence[str]]) -> str:
    """A network; its name. ``internal``: without a way out. ``names``: of each container the names that it is found by.

    Raises HostError, and RequestError if there is one.
    """
    return store.create(name, internal=internal, aliases={name: list(others) for name, others in names.items()}).name


def remove(name: str) -> None:
    """Forget a network when its last member has left. Raises RequestError if one stays."""
    end = time.monotonic() + _LEAVE_S
    while True:
        try:
            store.remove(name)
            return
        except RequestError:
            if name not in [network.name for network in store.networks()]:
                return
            if time.monotonic() > end:
                raise
        time.sleep(0.02)


def remove_all(base: str) -> None:
    """Forget ``base`` and the networks whose names go on with ``base-``. Raises RequestError if one is in use."""
    if not os.path.isdir(store.directory()):
        return
    for network in store.networks():
        if network.name == base or network.name.startswith(f"{base}-"):
            remove(network.name)
