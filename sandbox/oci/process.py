"""``process`` of config.json: the program, its ids and rights, its limits. config.md, "Process"."""

from __future__ import annotations

from ..capabilities import NEVER_MASK, names, number
from .reader import Node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .container import Caller

# setrlimit(2) name -> field of the Request that sets it.
_RLIMITS = {"RLIMIT_NOFILE": "nofile", "RLIMIT_CORE": "core", "RLIMIT_FSIZE": "fsize", "RLIMIT_STACK": "stack",
            "RLIMIT_NPROC": "pids"}  # fmt: skip
_INFINITY = (1 << 64) - 1
_MOST = {"nofile": 1 << 20, "pids": 1 << 22}
_UMASK = 0o022


def user(process: Node) -> tuple[int, int]:
    """uid and gid inside."""
    node = process.node("user")
    ids = node.number("uid"), node.number("gid")
    if min(ids) < 0 or max(ids) >= (1 << 32) - 1:
        node.fail("", "expected ids of 32 bits", list(ids))
    return ids


def request(process: Node, ids: str, notes: list[str]) -> dict[str, Any]:
    """Fields of the Request. Raises RequestError for what the specification wants refused."""
    values = program(process)
    _refuse(process)
    _user(process.node("user"), ids, notes)
    if process.has("noNewPrivileges") and not process.flag("noNewPrivileges"):
        notes.append("process.noNewPrivileges: always set, setuid programs and file capabilities gain nothing")
    return {**values, **_capabilities(process, notes), **_rlimits(process, notes)}


def program(process: Node) -> dict[str, Any]:
    """What is executed, and where: all that counts of a process that joins a container."""
    argv = process.texts("args")
    if not argv:
        process.fail("args", "no program is named")
    env: dict[str, str] = {}
    for i, pair in enumerate(process.texts("env")):
        name, equals, value = pair.partition("=")
        if not name or not equals:
            process.fail(f"env[{i}]", "expected NAME=VALUE", pair)
        env[name] = value
    cwd = process.text("cwd")
    if not cwd.startswith("/"):
        process.fail("cwd", "expected an absolute path", cwd)
    return {"argv": argv, "env": env, "workdir": cwd, "tty": process.flag("terminal")}


def of_the_container(process: Node) -> list[str]:
    """What a process that joins a container has of it, whatever its own file says: sentences for the log."""
    notes = [f"{process.at(key)}: the container's hold for a program that joins it"
             for key in ("capabilities", "rlimits", "apparmorProfile", "selinuxLabel", "oomScoreAdj")
             if process.has(key)]  # fmt: skip
    if process.has("noNewPrivileges") and not process.flag("noNewPrivileges"):
        notes.append(f"{process.at('noNewPrivileges')}: always set")
    if process.node("user").has("additionalGids"):
        notes.append(f"{process.node('user').at('additionalGids')}: left out, as the container's")
    return notes


def oom_score_adj(process: Node, caller: Caller) -> int | None:
    """None to leave it. Raises RequestError for less than the caller has: that takes CAP_SYS_RESOURCE on the host."""
    if not process.has("oomScoreAdj"):
        return None
    wanted = process.number("oomScoreAdj")
    if not -1000 <= wanted <= 1000:
        process.fail("oomScoreAdj", "expected -1000 to 1000")
    if wanted < caller.oom_score_adj:
        process.fail("oomScoreAdj", f"without root it cannot be less than the caller's own, {caller.oom_score_adj}")
    return None if wanted == caller.oom_score_adj else wanted


def console_size(process: Node) -> tuple[int, int]:
    """Rows and columns, of meaning with ``terminal`` only."""
    size = process.node("consoleSize")
    found = size.number("height"), size.number("width")
    if not process.flag("terminal"):
        return 0, 0
    if min(found) < 0 or max(found) > 65535:
        size.fail("", "expected 0 to 65535", list(found))
    return found


def _refuse(process: Node) -> None:
    """What has no counterpart here, and would be missed."""
    for key, fix in (("apparmorProfile", "this runtime changes no AppArmor profile"),
                     ("selinuxLabel", "this runtime sets no SELinux label"),
                     ("scheduler", "a sandbox keeps the caller's scheduling"),
                     ("ioPriority", "a sandbox keeps the caller's I/O priority"),
                     ("execCPUAffinity", "use linux.resources.cpu.cpus")):  # fmt: skip
        if process.data.get(key) not in (None, "", {}):
            process.fail(key, f"cannot be had: {fix}; leave it out")


def _user(node: Node, ids: str, notes: list[str]) -> None:
    groups = [group for group in node.numbers("additionalGids") if group != node.number("gid")]
    if groups and (ids == "single" or node.number("uid")):
        node.fail("additionalGids", "supplementary groups cannot be had; leave them out", groups)
    if groups:  # of root, who may open by CAP_DAC_OVERRIDE what they would
        notes.append(f"process.user.additionalGids: not set, uid 0 has no supplementary groups ({groups})")
    if node.has("umask") and node.number("umask") != _UMASK:
        node.fail("umask", f"is always {_UMASK} (octal 022)")


def _capabilities(process: Node, notes: list[str]) -> dict[str, Any]:
    """What the program has after exec: the bounding set for uid 0, the ambient set for others (capabilities(7)).

    The specification wants no error for what cannot be granted, but a warning.
    """
    node = process.node("capabilities")
    sets = {key: _mask(node, key, notes) for key in ("bounding", "effective", "inheritable", "permitted", "ambient")}
    given = sets["bounding"] if process.node("user").number("uid") == 0 else sets["ambient"] & sets["permitted"]
    if refused := names(given & NEVER_MASK):
        notes.append(f"process.capabilities: never kept in a sandbox: {', '.join(f'CAP_{n}' for n in refused)}")
    kept = names(given & ~NEVER_MASK)
    return {"cap_add": kept, "cap_drop": ("ALL",)} if kept else {"cap_drop": ("ALL",)}


def _mask(node: Node, key: str, notes: list[str]) -> int:
    mask = 0
    for name in node.texts(key):
        found = number(name) if name.startswith("CAP_") else None
        if found is None:
            notes.append(f"{node.at(key)}: this runtime knows no {name!r:.60}")
        else:
            mask |= 1 << found
    return mask


def _rlimits(process: Node, notes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    seen = set()
    for node in process.nodes("rlimits"):
        kind, soft, hard = node.text("type"), node.number("soft"), node.number("hard")
        if kind not in _RLIMITS:
            node.fail("type", f"cannot be set; there are {', '.join(sorted(_RLIMITS))}", kind)
        if kind in seen:
            node.fail("type", "is there twice", kind)
        seen.add(kind)
        if not 0 <= soft <= hard:
            node.fail("soft", f"more than the hard limit, {hard}, or negative", soft)
        if soft != hard:
            notes.append(f"{node.place}: {kind} is {_limit(soft)}, and cannot be raised to the hard {_limit(hard)}")
        field = _RLIMITS[kind]
        if soft == _INFINITY and field not in _MOST:
            values[field] = "unlimited"
        else:
            values[field] = min(soft, _MOST.get(field, soft))
            if not values[field] and field == "pids":
                node.fail("soft", "no program could be started", soft)
    return values


def _limit(value: int) -> str:
    return "unlimited" if value == _INFINITY else str(value)


