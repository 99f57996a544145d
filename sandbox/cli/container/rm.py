"""``pysandbox rm [-f] CONTAINER... | -a``"""

from __future__ import annotations

from ...containers import find, list_containers
from ...containers.record import ALIVE
from ...errors import RequestError, SandboxError
from ..flags import mixed
from ..main import EXIT_FAULT, tell
from ..tables.run import FLAGS


def main(words: list[str]) -> int:
    """Remove each; says which could not be, and goes on with the others."""
    values, names = mixed("rm", FLAGS["rm"], words, "rm")
    if bool(names) == bool(values.get("all")):
        raise RequestError("rm", " ".join(names), "expected containers, or -a alone; see pysandbox help rm")
    if not names:
        names = [c.id for c in list_containers() if values.get("force") or c.state.state not in ALIVE]
    status = 0
    for name in names:
        try:
            find(name).remove(force=bool(values.get("force")))
            print(name)
        except SandboxError as error:
            tell(str(error))
            status = EXIT_FAULT
    return status
