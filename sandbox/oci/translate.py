"""config.json -> Container. Nothing is made, started or written here; the host is asked what it has, no more.

A property that has no meaning here gets the error that the specification wants of a runtime that cannot do it; what is
done in another way goes to the notes.
"""

from __future__ import annotations

import os

from ..request import LayeredRoot
from . import hooks, ids, linux, mounts, process, resources, seccomp
from .container import Container
from .reader import Node, fault, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .container import Caller

# A program under no profile of the bundle's own still gets ours; this annotation names another one.
POLICY_ANNOTATION = "org.pysandbox.policy"
DEFAULT_POLICY = "ci"
# Without a limit of the bundle's own. As systemd's TasksMax for a user's services on small machines.
DEFAULT_PIDS = 4096

_SHARED = ("pid", "ipc", "uts", "cgroup", "time")
_NET_RIGHTS = {"NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW"}


def translate(text: bytes, bundle: str, caller: Caller) -> Container:
    """What a bundle at this absolute path amounts to. Raises RequestError with the JSON path of what cannot be done."""
    top = load(text)
    notes: list[str] = []
    for platform in ("windows", "solaris", "vm", "zos", "freebsd"):
        if top.data.get(platform):
            top.fail(platform, "this is a runtime for Linux", platform)
    if not top.has("process"):
        raise fault("process", "a container without a program cannot be started", None)
    if not top.has("linux"):
        raise fault("linux", "missing: it names the namespaces", None)
    body, node = top.node("process"), top.node("linux")
    made = ids.namespaces(node)
    if made.get("net") and not caller.inside:
        raise fault("linux.namespaces", "a network namespace can be joined from the user namespace that owns it only",
                    made["net"])  # fmt: skip
    who = ids.identity(node, caller, made, process.user(body))
    request: dict[str, Any] = {**who, **process.request(body, who["ids"], notes)}
    request["rootfs"] = _root(top.node("root"), bundle)
    shown = mounts.mounts(top, bundle, request["rootfs"].layers[0], notes)
    request.update(mounts.values(shown))
    devices = (*shown.devices, *linux.check(node, notes))
    if devices:
        request["devices"] = tuple(dict.fromkeys(devices))
    request.update(_names(top, made))
    request.update(_namespaces(made))
    limits = resources.limits(node.node("resources"))
    # a bundle without limits runs without a cgroup as well; one with limits has all of them kept, or an error
    request = {"pids": DEFAULT_PIDS, "exact_env": True, **request, **limits, "best_effort": not limits}
    rights = set(request.get("cap_add", ())) & _NET_RIGHTS
    if made.get("net", "host") and rights:
        notes.append("process.capabilities: without effect on a network that others have made: "
                     + ", ".join(sorted(f"CAP_{name}" for name in rights)))  # fmt: skip
    annotations = top.pairs("annotations")
    request["policy"] = annotations.get(POLICY_ANNOTATION, DEFAULT_POLICY)
    return Container(
        version=top.text("ociVersion"), bundle=bundle, request=request, join=made.get("net", ""), maps=caller.inside,
        profile=seccomp.profile(node), oom_score_adj=process.oom_score_adj(body, caller),
        console_size=process.console_size(body), hooks=hooks.parse(top.node("hooks")), annotations=annotations,
        notes=tuple(notes),
    )  # fmt: skip


def _root(node: Node, bundle: str) -> LayeredRoot:
    path = node.text("path")
    if not path:
        raise fault("root.path", "missing: a container has a root of its own", None)
    full = os.path.join(bundle, path)
    if not os.path.isdir(full):
        node.fail("path", "is no directory", full)
    return LayeredRoot(layers=(os.path.abspath(full),), direct=True, read_only=node.flag("readonly"))


def _names(top: Node, made: dict[str, str]) -> dict[str, Any]:
    if top.text("domainname"):
        top.fail("domainname", "cannot be set in a sandbox; leave it out")
    if not top.text("hostname"):
        return {}
    if "uts" not in made:
        top.fail("hostname", 'would be the host\'s: add {"type": "uts"} to linux.namespaces')
    return {"hostname": top.text("hostname")}


def _namespaces(made: dict[str, str]) -> dict[str, Any]:
    """A namespace that is not listed is the caller's own, as the specification has it."""
    values: dict[str, Any] = {}
    if without := tuple(name for name in _SHARED if name not in made):
        values["without"] = without
    if made.get("net", "host"):  # the spawner's own, which enters the one that is to be joined
        values["net"] = "host"
    return values
