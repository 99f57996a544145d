"""What is shown, as a value; ``choose.py`` makes it, ``procfs`` turns it into steps."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from ..spec import Spec


class View(Record):
    """What is shown.

    kind: "plain" (the kernel's own), "static" (ours), "lxcfs" or "private" (some of a lxcfs on top of ours).
    files: name relative to / -> content of our own. served: the names that come from the lxcfs. source: its
    directory on the host; or, as "fd:lxcfs", the first part of the roles of detached mounts
    ("fd:lxcfs:proc/meminfo"). optional: a file that lxcfs does not give at the launch is left out, and ours
    shows. cpuset: CPUs that the run's cgroup has to be limited to for lxcfs to count them.
    """

    kind: str = "plain"
    files: dict[str, bytes] = {}
    served: tuple[str, ...] = ()
    source: str = ""
    optional: bool = False
    cpuset: str | None = None
    notes: tuple[str, ...] = ()

    def key(self) -> tuple[object, ...]:
        """What the setup of a sandbox depends on: which files, and those contents that are no run's own."""
        fixed = tuple(self.files[name] for name in self.files if self.is_fixed(name))
        return (tuple(self.files), fixed, self.served, self.source, self.optional)

    def is_fixed(self, name: str) -> bool:
        """Is this file written by the setup? Those of /proc are written for each run, so that setups are alike."""
        return not name.startswith("proc/")


PLAIN = View()


def matters(spec: Spec, enforced: Container[str]) -> bool:
    """May the view be another than PLAIN? ``enforced`` are the limits that hold here."""
    if not spec.has("mount") or spec.proc == "plain":
        return False
    limits = spec.limits
    return spec.proc != "auto" or "mem" in enforced or limits.cpu_milli is not None or limits.cpuset is not None
