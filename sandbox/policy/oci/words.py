"""Names of the OCI runtime specification (config-linux.md, "Seccomp") for what a policy has."""

from __future__ import annotations

import errno

from ..model import ALLOW, ERRNO, KILL, LOG, NOTIFY, TRAP, parse_action

# SCMP_ACT_KILL and _KILL_THREAD end one thread only; what is left of a program is nothing to go on with.
ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_KILL_PROCESS": KILL, "SCMP_ACT_KILL": KILL, "SCMP_ACT_KILL_THREAD": KILL,
    "SCMP_ACT_LOG": LOG, "SCMP_ACT_TRAP": TRAP, "SCMP_ACT_NOTIFY": NOTIFY, "SCMP_ACT_ERRNO": ERRNO,
}  # fmt: skip
KILL_THREAD = ("SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD")
TRACE = "SCMP_ACT_TRACE"

MASKED = "SCMP_CMP_MASKED_EQ"
OPS = {
    "SCMP_CMP_EQ": "==", "SCMP_CMP_NE": "!=", "SCMP_CMP_LT": "<", "SCMP_CMP_LE": "<=", "SCMP_CMP_GT": ">",
    "SCMP_CMP_GE": ">=", MASKED: "==",
}  # fmt: skip

# What this machine's programs are -> (OCI, Go); the names of Go are those of includes.arches and excludes.arches.
NATIVE = {"x86_64": ("SCMP_ARCH_X86_64", "amd64"), "aarch64": ("SCMP_ARCH_AARCH64", "arm64")}
FOREIGN = {"x86_64": ("SCMP_ARCH_X86", "SCMP_ARCH_X32"), "aarch64": ("SCMP_ARCH_ARM",)}
ARCHES = {
    f"SCMP_ARCH_{name}"
    for name in ("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
                 "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64",
                 "LOONGARCH64", "M68K", "SH", "SHEB")
}  # fmt: skip


def refusal(number: int) -> str:
    """``errno:EPERM`` for 1; the number itself if it has no name, or is 0."""
    return f"{ERRNO}{errno.errorcode.get(number, number)}"


def of_action(action: str) -> tuple[str, int | None]:
    """(name, errnoRet) of an action of a policy."""
    kind, number = parse_action(action)
    name = next(name for name, ours in ACTIONS.items() if ours == kind)
    return name, number if kind == ERRNO else None
