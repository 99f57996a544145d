"""/proc: fresh, private, with what tells of the host or acts on it masked or read-only.

Figures of memory and CPUs may be others than the kernel's: ``procview`` chooses them, and here they become
steps. Our own files lie in a tmpfs that the program never sees and are bound one by one; those of lxcfs are
bound on top of them, so that ours show again when lxcfs is gone and its layer is taken off.
"""

from __future__ import annotations

from .steps import NODEV, NOEXEC, NOSUID, RDONLY, Bind, Mkdir, MountFs, ProcWrite, Step, ViewFile, ViewTmpfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .procview import View
    from .spec import Spec

_QUIET = NOSUID | NODEV | NOEXEC


# Shown as one directory: a bind for each file of it would cost 7 us each.
_SYSTEM_CPUS = "sys/devices/system/cpu"


def setup(spec: Spec, host: HostFacts, view: View) -> tuple[Step, ...]:
    """Steps of the init, after the root is filled and before it is entered.

    Without a pid namespace a fresh proc would be refused by the kernel, and would show the host's
    processes: the host's own /proc is shown then (``absent`` in the result says so).
    """
    if not spec.has("pid"):
        return (Bind(source="/proc", path="/proc", attributes=_QUIET), *_view(view))
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
    return (*steps, *_view(view))


def enter(view: View) -> tuple[Step, ...]:
    """Steps of the init for its run, before it enters the cgroup: the run's own figures."""
    return tuple(ViewFile(path=f"/{name}", content=content) for name, content in view.files.items()
                 if not view.is_fixed(name))  # fmt: skip


def _view(view: View) -> tuple[Step, ...]:
    if not view.files:
        return ()
    steps: list[Step] = [ViewTmpfs()]
    for name, content in view.files.items():
        steps.append(ViewFile(path=f"/{name}", content=content if view.is_fixed(name) else b""))
    if any(name.startswith(_SYSTEM_CPUS) for name in view.files):
        steps.append(Bind(source=_SYSTEM_CPUS, path=f"/{_SYSTEM_CPUS}", attributes=_QUIET | RDONLY, recursive=False,
                          origin="view"))  # fmt: skip
    for name in view.files:
        if not name.startswith(_SYSTEM_CPUS):
            steps.append(Bind(source=name, path=f"/{name}", attributes=_QUIET | RDONLY, recursive=False,
                              origin="view", make=""))  # fmt: skip
    for name in view.served:
        by_fd = view.source.startswith("fd:")
        steps.append(Bind(
            source=name if by_fd else f"{view.source}/{name}", path=f"/{name}", attributes=_QUIET | RDONLY,
            recursive=False, origin=f"{view.source}:{name}" if by_fd else "host", make="", optional=view.optional,
        ))  # fmt: skip
    return tuple(steps)
