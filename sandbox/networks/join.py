"""``container:NAME``: the network namespace of another container, with its names. It goes on while one of the two
lives; its way to the outside ends with the container that it was made for.
"""

from __future__ import annotations

import os

from ..errors import HostError
from . import tools
from .network import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .network import Joined


def network_of(joined: Joined, ids: str) -> Network:
    """As a Network of our own. Raises HostError if a range of ids is asked for and that one has a single one."""
    place = joined.place

    def close() -> None:
        os.close(place.user_fd)
        os.close(place.net_fd)

    try:
        if ids == "range":
            _require_range(place.user_fd)
    except BaseException:
        close()
        raise
    # What is published is that container's, and is listed there.
    return Network(place, hosts=joined.hosts, resolv=joined.resolv, closing=(close,))


def _require_range(user_fd: int) -> None:
    from ..userns import outer_ids

    command = tools.entering(user=user_fd, as_root=outer_ids() is not None)
    text = tools.call([*command, tools.find("cat", "a network"), "/proc/self/uid_map"], fds=(user_fd,),
                      what="a look at the ids of the container to join")  # fmt: skip
    if sum(int(line.split()[2]) for line in text.splitlines()) < 2:
        raise HostError("the container to join has a single id, so one with --ids range cannot share its network",
                        "start that one with --ids range too, or this one without")  # fmt: skip
