"""/proc: fresh, private, with what tells of the host or acts on it masked or read-only."""

from __future__ import annotations

from .steps import NODEV, NOEXEC, NOSUID, RDONLY, Bind, Mkdir, MountFs, ProcWrite, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .spec import Spec

_QUIET = NOSUID | NODEV | NOEXEC


def setup(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """Steps of the init, after the root is filled and before it is entered.

    Without a pid namespace a fresh proc would be refused by the kernel, and would show the host's
    processes: the host's own /proc is shown then (``absent`` in the result says so).
    """
    if not spec.has("pid"):
        return (Bind(source="/proc", path="/proc", attributes=_QUIET),)
    steps: list[Step] = [MountFs(path="/proc", fstype="proc", attributes=_QUIET)]
    if spec.has("user"):
        # The second lock beside the filter: no user namespace below this one (user_namespaces(7)).
        steps.append(ProcWrite(path="sys/user/max_user_namespaces", text="0"))
    if any(e.kind == "dir" for e in host.proc_masked):
        steps.append(Mkdir(path="/empty", mode=0o555, uid=spec.init_uid, gid=spec.init_gid, in_scratch=True))
    for entry in host.proc_masked:
        if entry.kind == "dir":
            steps.append(Bind(source="empty", path=entry.path, attributes=_QUIET | RDONLY, recursive=False,
                              origin="scratch", make=""))  # fmt: skip
        else:
            steps.append(Bind(source="/dev/null", path=entry.path, attributes=0, recursive=False, make="",
                              chardev=True))  # fmt: skip
    for path in host.proc_readonly:
        steps.append(Bind(source=path.removeprefix("/proc/"), path=path, attributes=_QUIET | RDONLY,
                          origin="proc", make=""))  # fmt: skip
    return tuple(steps)
