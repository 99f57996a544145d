"""Whether a run has a seccomp listener, what it asks about, and the filter that asks.

A process tree can have one listener (the kernel answers EBUSY to a second), so one filter serves all: sysinfo(2)
told from the limits, refused calls that are reported, and a caller's own handler, which has the listener to itself.
The filter is the policy's with its refusals turned into questions (seccomp/compile.py), and a prologue in front of it.
native/listen.c loads it and answers.
"""

from __future__ import annotations

import errno
import os

from .errors import HostError
from .record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .spec import Spec

# seccomp(2), linux/audit.h: the architecture, and the numbers of sendmsg and sysinfo
_NATIVE = {"x86_64": (0xC000003E, 46, 99), "aarch64": (0xC00000B7, 211, 179)}
ALLOW, USER_NOTIF = 0x7FFF0000, 0x7FC00000
_LOAD, _JEQ, _RET = 0x20, 0x15, 0x06
_NR, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; the low half comes first
# Fds of a run lie below it; a table of files of this size is one page.
_CLEAR_OF_OURS = 1536
# /proc/sys/kernel/yama/ptrace_scope: from 2 on CAP_SYS_PTRACE is asked for, at 3 nobody may attach.
YAMA_CAPABILITY, YAMA_NOBODY = 2, 3

_made: dict[tuple[bytes, int, bool], bytes] = {}


class Listening(Record):
    """What the listener of a run is for. ``number`` is the fd number by which it leaves the program's process,
    ``required`` whether the run is to fail where somebody listens already."""

    number: int
    sysinfo: bool = False
    denials: bool = False
    notify: bool = False
    required: bool = False


def decide(spec: Spec, host: HostFacts, *, limited: bool, reports: bool) -> tuple[Listening | None, tuple[str, ...]]:
    """The listener of this run, None if it needs or can have none, and notes for the result.

    ``limited``: is a limit of memory enforced? ``reports``: does the policy refuse anything that is to be reported?
    Raises HostError where a listener was asked for by name and cannot be had.
    """
    why, fix = _obstacle(spec, host)
    if spec.notify:
        if why:
            raise HostError(f"system calls cannot be handed out: {why}", fix)
        return Listening(number=number(spec, host), notify=True, required=True), ()
    sysinfo = sysinfo_wanted(spec, host, limited)
    denials = reports and spec.denials != "off" and not why
    if why and reports and spec.denials == "on":
        raise HostError(f"refused system calls cannot be known: {why}", fix)
    notes: tuple[str, ...] = ()
    if why and reports and spec.denials == "auto" and number(spec, host) < 0:
        notes = (f"refused system calls are not known: {why}",)
    if not sysinfo and not denials:
        return None, notes
    required = (sysinfo and spec.sysinfo == "on") or (denials and spec.denials == "on")
    return Listening(number=number(spec, host), sysinfo=sysinfo, denials=denials, required=required), notes


def sysinfo_wanted(spec: Spec, host: HostFacts, limited: bool) -> bool:
    """Is sysinfo(2) to be answered in this run? Raises HostError where it was asked for by name and cannot be."""
    if spec.sysinfo == "off" or spec.notify or (spec.sysinfo == "auto" and not limited):
        return False
    why, fix = _obstacle(spec, host)
    if not why and (host.ptrace_scope >= YAMA_NOBODY or (host.ptrace_scope >= YAMA_CAPABILITY
                                                         and not spec.has("user"))):  # fmt: skip
        why = f"kernel.yama.ptrace_scope is {host.ptrace_scope}"
        fix = "an administrator: sysctl -w kernel.yama.ptrace_scope=1 (from 3 only by a reboot), or --sysinfo off"
    if why and spec.sysinfo == "on":
        raise HostError(f"sysinfo(2) cannot be answered: {why}", fix)
    return not why


def _obstacle(spec: Spec, host: HostFacts) -> tuple[str, str]:
    """What is in the way of a listener and what to do about it; empty if nothing is."""
    # validate() refuses it where it was asked for by name; a handler looks for its callers outside
    if not spec.has("mount") and spec.has("pid") and not spec.notify:
        return "the program's processes are not in the host's /proc", "leave out pid as well"
    if host.listener_errno:
        said = os.strerror(host.listener_errno).lower()
        if host.listener_errno in (errno.EINVAL, errno.ENOSYS):
            said = "the kernel has no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
        return said, "use Linux 5.19 or newer, or --sysinfo off --denials off"
    if number(spec, host) < 0:
        if spec.limits.nofile < host.nofile:
            return f"--nofile {spec.limits.nofile} leaves no fd number for the listener", "ask for one more, or more"
        return (f"no fd number is left above the program's open files ({min(spec.limits.nofile, host.nofile)}): "
                f"the caller's own hard limit is {host.nofile}",
                f"raise it (ulimit -Hn), or ask for less: --nofile {host.nofile - 1}")  # fmt: skip
    return "", ""


def number(spec: Spec, host: HostFacts) -> int:
    """An fd number that we can have and the program cannot, being at or above its hard limit; -1 if there is none.

    The listener itself needs a number below that limit which is no stream of the program, until exec closes it.
    """
    limit = min(spec.limits.nofile, host.nofile)
    if limit <= sum(fd < limit for fd in (0, 1, 2, *spec.pass_fds)):
        return -1
    chosen = max(limit, min(_CLEAR_OF_OURS, host.nofile - 1))
    return chosen if chosen < host.nofile else -1


# ---- the filter ----


def filter_of(program: bytes, asking: bytes, listening: Listening, machine: str) -> bytes:
    """What a run with this listener loads in place of the policy's ``program`` (b"": it has no filter).

    A handler is asked what the policy leaves to it (notify rules) and no more; else ``asking`` is loaded, whose true
    answers the init knows.
    """
    body = asking if listening.denials else program or _instruction(_RET, ALLOW)
    key = (body, listening.number, listening.sysinfo)
    if key not in _made:
        if len(_made) > 16:
            _made.clear()
        _made[key] = prologue(listening.number, listening.sysinfo, machine) + body
    return _made[key]


def prologue(number: int, sysinfo: bool, machine: str) -> bytes:
    """Instructions in front of a filter: sendmsg(2) on this fd passes, and sysinfo(2) is asked about if wanted.

    Nothing but sendmsg depends on an argument, so the kernel's bitmap of constant answers (Linux 5.11) serves all
    other calls as before. Other architectures fall through to the policy's own test of the architecture, which
    every filter begins with.
    """
    arch, sendmsg, told = _NATIVE[machine]
    # what the kernel goes through for every call when it makes its bitmap comes first: the number
    hole = _native_only(arch, [_instruction(_LOAD, _FIRST_ARGUMENT), _instruction(_JEQ, number, 0, 1),
                               _instruction(_RET, ALLOW)])  # fmt: skip
    ask = _native_only(arch, [_instruction(_RET, USER_NOTIF)]) if sysinfo else []
    head = [_instruction(_LOAD, _NR), _instruction(_JEQ, sendmsg, 0, len(hole)), *hole]
    if sysinfo:  # after the hole, which has loaded other words
        head += [_instruction(_LOAD, _NR), _instruction(_JEQ, told, 0, len(ask)), *ask]
    return b"".join(head)


def _native_only(arch: int, instructions: list[bytes]) -> list[bytes]:
    return [_instruction(_LOAD, _ARCH), _instruction(_JEQ, arch, 0, len(instructions)), *instructions]


def _instruction(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    return code.to_bytes(2, "little") + bytes((jt, jf)) + k.to_bytes(4, "little")
