"""Conditional rules -> classic BPF, by hand.

Not by libseccomp: where a call has several rules, 2.5.4 takes what it has loaded of one argument for another's after
``!=``, ``<`` or ``>=``, and lets calls pass that no rule allows; some such rules it never finishes. It has no masked
``!=``, either, and tests no arguments of calls that it is too old to know.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..policy import Arg

LOAD, AND, JUMP, JEQ, JGT, JGE, RETURN = 0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x06
LOAD_NR = b"\x20\0\0\0\0\0\0\0"
_LOW = (1 << 32) - 1
_ARGS = 16  # offsetof(struct seccomp_data, args)
_FAIL = 0xFF  # stands for the jump to the next rule until its distance is known

_Op = tuple[int, int, int, int]  # code, k, jt, jf


def instruction(code: int, k: int, jt: int = 0, jf: int = 0) -> bytes:
    """struct sock_filter, little-endian as are both architectures."""
    return code.to_bytes(2, "little") + bytes((jt, jf)) + k.to_bytes(4, "little")


def foreign(audit_arch: int, x32_bit: int, action: int) -> bytes:
    """The head of a filter: the action for every other architecture, and for x32 (0: there is none).

    -1, which a tracer sets to skip a call, has bit 30 as well and is no x32 (as libseccomp has it).
    """
    code = [instruction(LOAD, 4), instruction(JEQ, audit_arch, 1, 0), instruction(RETURN, action)]
    if x32_bit:
        code += [LOAD_NR, instruction(JGE, x32_bit, 0, 2), instruction(JEQ, _LOW, 1, 0), instruction(RETURN, action)]
    return b"".join(code)


def stage(rules: Sequence[tuple[int, int, Sequence[Arg]]]) -> bytes:
    """(action, number of the call, conditions) in order: the first rule that holds returns, else on to what follows."""
    by_number: dict[int, list[bytes]] = {}
    for action, number, args in rules:
        by_number.setdefault(number, []).append(_rule(action, args))
    blocks = [(number, b"".join(parts)) for number, parts in by_number.items()]
    left = sum(len(block) // 8 + 3 for _number, block in blocks)
    code = [LOAD_NR]
    for number, block in blocks:
        size = len(block) // 8
        left -= size + 3
        # JA has 32 bits, conditional jumps have 8. Behind the block, the number is known and no other one is asked.
        code += [instruction(JEQ, number, 1, 0), instruction(JUMP, size + 1), block, instruction(JUMP, left)]
    return b"".join(code)


def _rule(action: int, args: Sequence[Arg]) -> bytes:
    ops = [op for arg in args for op in _condition(arg)]
    code = []
    for at, (kind, k, jt, jf) in enumerate(ops):
        beyond = len(ops) - at  # past the return
        code.append(instruction(kind, k, beyond if jt == _FAIL else jt, beyond if jf == _FAIL else jf))
    return b"".join(code) + instruction(RETURN, action)


def _condition(arg: Arg) -> list[_Op]:
    """Goes on behind itself if it holds, else to _FAIL."""
    low: _Op = (LOAD, _ARGS + 8 * arg.index, 0, 0)
    high: _Op = (LOAD, _ARGS + 8 * arg.index + 4, 0, 0)
    high_value, low_value = arg.value >> 32, arg.value & _LOW
    if arg.op in ("<", "<="):
        last = (JGE if arg.op == "<" else JGT, low_value, _FAIL, 0)
        return [high, (JGT, high_value, _FAIL, 0), (JEQ, high_value, 0, 2), low, last]
    if arg.op in (">", ">="):
        last = (JGT if arg.op == ">" else JGE, low_value, 0, _FAIL)
        return [high, (JGT, high_value, 3, 0), (JEQ, high_value, 0, _FAIL), low, last]
    halves = [(half, mask, value) for half, mask, value in
              ((high, arg.mask >> 32, high_value), (low, arg.mask & _LOW, low_value)) if mask]  # fmt: skip
    parts = [[half, *([(AND, mask, 0, 0)] if mask != _LOW else []), (JEQ, value, 0, _FAIL)]
             for half, mask, value in halves]  # fmt: skip
    if arg.op == "!=":
        parts[-1][-1] = (JEQ, halves[-1][2], _FAIL, 0)
        if len(parts) == 2:  # the upper half differs: it holds
            parts[0][-1] = (JEQ, halves[0][2], 0, len(parts[1]))
    return [op for part in parts for op in part]
