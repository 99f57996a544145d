"""Network: by default a namespace of its own with nothing but loopback.

The namespace is made ahead by the spawner (0.5 ms that no run waits for), owned by the spawner's
user namespace, so nothing inside the sandbox can configure it, and used by one run only. A run that keeps
capabilities over its network gets one that its own user namespace owns, made with it.
"""

from __future__ import annotations

from .steps import Loopback, SetHostname, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .spec import Spec

NETWORK = 0xF << 10  # CAP_NET_BIND_SERVICE, _BROADCAST, _ADMIN and _RAW: linux/capability.h


def fresh(spec: Spec) -> bool:
    """Does this run take the spawner's prepared network namespace?"""
    return spec.has("net") and spec.has("user") and not spec.kept & NETWORK


def setup(spec: Spec) -> tuple[Step, ...]:
    """Steps of the init: names of the uts namespace; loopback is up already in a prepared netns."""
    name = SetHostname(name=spec.hostname, or_keep=not spec.hostname_asked)
    steps: tuple[Step, ...] = (name,) if spec.has("uts") else ()
    return steps if fresh(spec) or not spec.has("net") else (*steps, Loopback())
