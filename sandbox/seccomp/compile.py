"""A policy -> the classic BPF program. Imported only when the cache has no program.

After a look at the architecture, and at what no policy decides (policy.answer.OWN), each level of a policy (the
file, then what it extends) becomes up to four programs in a row, each of which ends in an answer or jumps on:

    1. conditional rules that refuse       (ioctl TIOCSTI, clone with CLONE_NEWUSER; rules.py)
    2. conditional rules that allow        (personality 0, socket AF_INET; rules.py)
    3. groups                              (the long list, by libseccomp, as a binary tree)
    4. calls by number                     (newer than this libseccomp, whose numbers are in ``syscalls``)

and the default comes last.

Each policy is compiled twice: to the true answers, and to the same with every refusal that is to be
reported turned into a question to the listener (seccomp_unotify(2)), who knows the true answer.

The return instructions that mean "undecided" become jumps; classic BPF jumps only forward, so the
verifier of the kernel sees an ordinary program. A call allowed by its number alone stays such, so
that the kernel's bitmap of constant answers (Linux 5.11) still skips the filter for it.
"""

from __future__ import annotations

import os

from .. import syscalls
from ..errors import HostError, PolicyError, RequestError
from ..policy.answer import OWN
from . import INSTRUCTION_BYTES, LOAD_ARCH, MAX_INSTRUCTIONS, Filter, rules, well_formed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..policy import Arg, Policy, Rule

_UNDECIDED = 0x7FF07FFF  # SECCOMP_RET_TRACE with a datum of ours; no policy can ask for it
_RET_VALUES = {"allow": 0x7FFF0000, "log": 0x7FFC0000, "trap": 0x00030000, "kill": 0x80000000, "errno:": 0x00050000,
               "notify": 0x7FC00000}  # fmt: skip
_OPTIMIZE_BINARY_TREE = 2  # SCMP_FLTATR_CTL_OPTIMIZE, libseccomp 2.5
_CTL_OPTIMIZE = 8
_ALLOW = "allow"
_INT_BITS = (1 << 32) - 1


def compile_policy(policy: Policy, arch: str) -> Filter:
    """Both programs of a policy by libseccomp; empty if it needs none. Raises PolicyError, HostError."""
    if policy.architectures and arch not in policy.architectures:
        raise PolicyError(policy.path, 0, "architectures",
                          f"it is for {', '.join(policy.architectures)}, this is for {arch}")  # fmt: skip
    mask = capability_mask(policy)
    if not policy.filters:
        return Filter(program=b"", asking=b"", capabilities=mask, asks=False)
    return Filter(program=_Compiler(policy, arch, asking=False).program(),
                  asking=_Compiler(policy, arch, asking=True).program(),
                  capabilities=mask, asks=policy.asks)  # fmt: skip


def capability_mask(policy: Policy) -> int:
    """The capabilities of a policy as bits. Raises PolicyError for names that are none or are never kept."""
    if not policy.capabilities:
        return 0
    from ..capabilities import add_mask

    try:
        return add_mask("capabilities", policy.capabilities)
    except RequestError as error:
        level = next((level for level in policy.levels() if "capabilities" in level.said), policy)
        lines = enumerate(level.text.decode().split("\n"), 1)
        line = next((number for number, text in lines if text.startswith("capabilities")), 0)
        raise PolicyError(level.path, line, "capabilities", f"{error.value!r}: {error.why}") from None


def binding() -> Any:
    from importlib import import_module

    for name in ("seccomp", "pyseccomp"):
        try:
            module = import_module(name)
        except (ImportError, RuntimeError, OSError):  # pyseccomp: RuntimeError without the library
            continue
        if hasattr(module, "SyscallFilter"):
            return module
    raise HostError("no libseccomp binding for this Python: neither seccomp nor pyseccomp can be imported",
                    "install python3-seccomp (Debian, Ubuntu), or libseccomp2 and pip install pyseccomp")  # fmt: skip


class _Compiler:
    """One policy for one architecture."""

    def __init__(self, policy: Policy, arch: str, *, asking: bool) -> None:
        self.policy, self.arch, self.asking = policy, arch, asking
        self.level = policy
        self.lib = binding()
        self.token = {"x86_64": self.lib.Arch.X86_64, "aarch64": self.lib.Arch.AARCH64}[arch]
        # The binding of libseccomp has signed tokens in Arch and unsigned ones from system_arch().
        # Asked, not guessed: a 32-bit Python on x86_64 has another native architecture.
        self.native = self.lib.system_arch() & _INT_BITS == self.token & _INT_BITS
        self.default = self.value(policy.default, True)

    def value(self, action: str, report: bool) -> int:
        """The SECCOMP_RET value of an action; in the asking program a refusal that is told is a question."""
        from ..policy import parse_action

        kind, number = parse_action(action)
        if self.asking and report and kind in ("errno:", "kill"):
            return _RET_VALUES["notify"]
        return _RET_VALUES[kind] | number

    def program(self) -> bytes:
        x32_bit = syscalls.X32_BIT if self.arch == "x86_64" else 0
        foreign = self.value(self.policy.foreign_abi, True)
        parts = [rules.foreign(syscalls.audit_arch(self.arch), x32_bit, foreign),
                 rules.stage(self.rule(OWN))]  # fmt: skip
        for level in self.policy.levels():
            self.level = level
            refusing = [r for r in level.rules if r.action != _ALLOW]
            allowing = [r for r in level.rules if r.action == _ALLOW]
            groups, by_number = self.groups()
            for part in (refusing, allowing):
                conditional = [x for rule in part for x in self.rule(rule)]
                if conditional:
                    parts.append(rules.stage(conditional))
            if groups:
                parts.append(self.stage(groups))
            if by_number:
                parts.append(rules.LOAD_NR)
            for action, number in by_number:
                parts += [rules.instruction(rules.JEQ, number, 0, 1), rules.instruction(rules.RETURN, action)]
        program = b"".join(parts) + rules.instruction(rules.RETURN, self.default)
        if not well_formed(program):
            raise PolicyError(self.policy.path, 0, "", f"the filter has {len(program) // INSTRUCTION_BYTES} "
                              f"instructions; the kernel takes {MAX_INSTRUCTIONS}")  # fmt: skip
        return program

    def groups(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """(action, number) of each call: by libseccomp's numbers, and of calls that it does not know."""
        by_library: list[tuple[int, int]] = []
        by_number: list[tuple[int, int]] = []
        for group in self.level.groups:
            action = self.value(group.action, group.report)
            for call in group.calls:
                number, translatable = self.number(call, group.line, f"groups.{group.name}.calls")
                # what happens anyway is for the reader only, unless a parent says otherwise
                if number is None or (action == self.default and self.level.parent is None):
                    continue
                if translatable is None:
                    by_number.append((action, number))
                else:
                    by_library.append((action, translatable))
        return by_library, by_number

    def rule(self, rule: Rule) -> list[tuple[int, int, tuple[Arg, ...]]]:
        number, _translatable = self.number(rule.call, rule.line, "call")
        return [] if number is None else [(self.value(rule.action, rule.report), number, rule.args)]

    def number(self, call: str, line: int, key: str) -> tuple[int | None, int | None]:
        """(number on the target, number that libseccomp's add_rule takes), None where there is none.

        add_rule takes numbers of the *native* architecture and translates them itself.
        """
        here = self.lib.resolve_syscall(self.token, call)
        if here >= 0:
            native = here if self.native else self.lib.resolve_syscall(self.lib.Arch.NATIVE, call)
            return here, native if native >= 0 else None
        if here < -1:  # a pseudo number: known, but not a call of this architecture (open on aarch64)
            return None, None
        # Unknown to this libseccomp (Debian 12 has 2.5.4, which ends at 450), or a call of other architectures only.
        if any(syscalls.number(abi, call) is not None for abi in syscalls.ABIS):
            there = syscalls.number(self.arch, call)
            return there, there if self.native else None
        from ..policy import near

        raise PolicyError(self.level.path, self._line(call, line), key,
                          f"unknown system call {call!r}; {near(call, self._known()) or 'check its name'}")

    def _line(self, call: str, line: int) -> int:
        for number, text in enumerate(self.level.text.decode().split("\n")[max(line - 1, 0):], max(line, 1)):
            if f'"{call}"' in text.partition("#")[0]:
                return number
        return line

    def _known(self) -> set[str]:
        known = set(syscalls.names(self.arch))
        for number in range(512):
            try:
                name = self.lib.resolve_syscall(self.token, number)
            except ValueError:  # a gap in the table
                continue
            known.add(name.decode() if isinstance(name, bytes) else str(name))
        return known

    def stage(self, calls: list[tuple[int, int]]) -> bytes:
        """One libseccomp program whose "undecided" returns are jumps to just behind it."""
        lib = self.lib
        try:
            maker = lib.SyscallFilter(_UNDECIDED)
            if not self.native:
                maker.add_arch(self.token)
                maker.remove_arch(lib.Arch.NATIVE)
            # x32 numbers (bit 30) of x86_64 are a foreign architecture to libseccomp, too.
            maker.set_attr(getattr(lib.Attr, "ACT_BADARCH", 2), _signed(self.value(self.policy.foreign_abi, True)))
            for action, number in calls:
                maker.add_rule(_signed(action), number)
            try:
                maker.set_attr(getattr(lib.Attr, "CTL_OPTIMIZE", _CTL_OPTIMIZE), _OPTIMIZE_BINARY_TREE)
            except (OSError, RuntimeError, ValueError):
                pass  # before 2.5: a list in order, slower but the same answers
            program = _export(maker)
        except (OSError, RuntimeError, ValueError) as error:
            raise HostError(f"libseccomp cannot compile {self.policy.path} for {self.arch}: {error}",
                            "use libseccomp 2.5 or newer") from error  # fmt: skip
        if not program.startswith(LOAD_ARCH) or len(program) % INSTRUCTION_BYTES:
            raise HostError(f"libseccomp made a filter without an architecture check from {self.policy.path}",
                            "use libseccomp 2.5 or newer")  # fmt: skip
        undecided = rules.instruction(rules.RETURN, _UNDECIDED)
        size = INSTRUCTION_BYTES
        parts = [program[i:i + size] for i in range(0, len(program), size)]
        return b"".join(rules.instruction(rules.JUMP, len(parts) - i - 1) if part == undecided else part
                        for i, part in enumerate(parts))  # fmt: skip


def _signed(value: int) -> int:
    # The binding of libseccomp takes actions as a C int and overflows on 0x80000000; pyseccomp takes both.
    return value - (1 << 32) if value >> 31 else value


def _export(maker: Any) -> bytes:
    with os.fdopen(os.memfd_create("seccomp", os.MFD_CLOEXEC), "w+b", buffering=0) as file:
        maker.export_bpf(file)
        return os.pread(file.fileno(), MAX_INSTRUCTIONS * INSTRUCTION_BYTES * 4, 0)
