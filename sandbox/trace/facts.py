"""The notes of a run."""

from __future__ import annotations

from ..record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .conditions import Values

# A program that makes up names, numbers or values must not fill our memory.
MAX_PLACES = 20_000  # files and addresses
MAX_KINDS = 10_000


class Kind(Record):
    """A call with the values of the arguments that matter, and the policy's answer to it. No values: they do not
    matter for this call, or were too many."""

    abi: str
    number: int
    call: str
    values: Values
    action: str


class Facts:
    """What was seen. ``args`` is the first example of each kind; ``foreign`` and unknown calls have an empty name."""

    def __init__(self) -> None:
        self.counts: dict[Kind, int] = {}
        self.args: dict[Kind, tuple[int, ...]] = {}
        self.threads: set[int] = set()
        self.files: dict[str, dict[str, int]] = {}
        self.sockets: dict[str, int] = {}
        self.kinds_left_out = 0  # calls
        self.places_left_out = 0
        self.unread = 0  # paths and addresses that could not be read

    def saw(self, kind: Kind, args: tuple[int, ...], pid: int) -> None:
        """One call."""
        if kind in self.counts:
            self.counts[kind] += 1
        elif len(self.counts) < MAX_KINDS:
            self.counts[kind] = 1
            self.args[kind] = args
        else:
            self.kinds_left_out += 1
        self.threads.add(pid)

    def touched(self, path: str, how: str) -> None:
        """A file that a call named. ``how``: read, write, create, change, exec, look, missing."""
        entry = self.files.get(path)
        if entry is None:
            if len(self.files) >= MAX_PLACES:
                self.places_left_out += 1
                return
            entry = self.files[path] = {}
        entry[how] = entry.get(how, 0) + 1

    def talked(self, what: str) -> None:
        """A socket that was made, or an address that was used."""
        if what not in self.sockets and len(self.sockets) >= MAX_PLACES:
            self.places_left_out += 1
            return
        self.sockets[what] = self.sockets.get(what, 0) + 1

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.counts.values()) + self.kinds_left_out

    def by_call(self) -> dict[str, int]:
        """Name of a call (with its ABI if that is foreign) -> how often."""
        found: dict[str, int] = {}
        for kind, count in self.counts.items():
            label = label_of(kind)
            found[label] = found.get(label, 0) + count
        return found


def label_of(kind: Kind) -> str:
    """``openat``; ``[i386] open``; ``[x86_64] 999`` where there is no name."""
    import os

    word = kind.call or str(kind.number)
    return word if kind.call and kind.abi == os.uname().machine else f"[{kind.abi or 'unknown'}] {word}"
