"""Tools that tell how much memory and how many CPUs there are, for tests that compare them with the limits.

Used by the tests of our own files, by those of lxcfs in the virtual machine, and by scripts/lxcfs_checks.py.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEM_MIB = 300
CPUS = 1
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROGRAMS = Path(__file__).resolve().parent / "programs"
OPTIONS: dict[str, Any] = {"mem": f"{MEM_MIB}M", "cpus": CPUS, "wall": 60, "volumes": [f"{PROGRAMS}:/tools"]}


def line_of(text: str, start: str) -> list[str]:
    """The words of the line that begins so, without that."""
    return next(line for line in text.splitlines() if line.strip().startswith(start)).strip()[len(start) :].split()


class Tool:
    """``figure`` is "memory" (MiB) or "cpus"; ``reads`` is where it has it from; ``get`` finds it in its output."""

    def __init__(self, figure: str, command: str, reads: str, get: Callable[[str], str]) -> None:
        self.figure, self.command, self.reads, self.get = figure, command, reads, get

    @property
    def argv(self) -> list[str]:
        return shlex.split(self.command)

    @property
    def limit(self) -> int:
        return MEM_MIB if self.figure == "memory" else CPUS

    def shows(self, output: str) -> int:
        return round(float(self.get(output)))


_PYTHON = 'python3 -I -S -c "import os; print({})"'

TOOLS = (
    Tool("memory", "free -m", "/proc/meminfo", lambda out: line_of(out, "Mem:")[0]),
    Tool("memory", "top -bn1", "/proc/meminfo", lambda out: line_of(out, "MiB Mem :")[0]),
    Tool("memory", "vmstat -s", "/proc/meminfo", lambda out: str(int(out.split()[0]) >> 10)),
    Tool("memory", "grep MemTotal /proc/meminfo", "itself", lambda out: str(int(out.split()[1]) >> 10)),
    Tool("memory", "getconf _PHYS_PAGES", "sysinfo(2)", lambda out: str(int(out) * PAGE_BYTES >> 20)),
    Tool("memory", _PYTHON.format("os.sysconf('SC_PHYS_PAGES')"), "sysinfo(2)",
         lambda out: str(int(out) * PAGE_BYTES >> 20)),
    Tool("memory", "busybox free -m", "sysinfo(2), /proc/meminfo", lambda out: line_of(out, "Mem:")[0]),
    Tool("memory", "java -XX:MaxRAMPercentage=100 -XX:+PrintFlagsFinal -version", "sysinfo(2)",
         lambda out: str(int(line_of(out, "size_t MaxHeapSize")[1]) >> 20)),
    Tool("cpus", "nproc", "sched_getaffinity(2)", str.strip),
    Tool("cpus", "getconf _NPROCESSORS_ONLN", "/sys/devices/system/cpu/online, then /proc/stat", str.strip),
    Tool("cpus", "getconf _NPROCESSORS_CONF", "/sys/devices/system/cpu/possible or cpuN", str.strip),
    Tool("cpus", _PYTHON.format("os.cpu_count()"), "/sys/devices/system/cpu/online, then /proc/stat", str.strip),
    Tool("cpus", _PYTHON.format("len(os.sched_getaffinity(0))"), "sched_getaffinity(2)", str.strip),
    Tool("cpus", "lscpu", "/sys/devices/system/cpu, /proc/cpuinfo", lambda out: line_of(out, "CPU(s):")[0]),
    Tool("cpus", "grep -c ^processor /proc/cpuinfo", "itself", str.strip),
    Tool("cpus", "grep -c ^cpu[0-9] /proc/stat", "itself", str.strip),
    Tool("memory", "node -p os.totalmem()/1048576", "/proc/meminfo", str.strip),
    Tool("cpus", "node -p os.cpus().length", "/proc/stat, /proc/cpuinfo", str.strip),
    Tool("cpus", "busybox nproc", "sched_getaffinity(2)", str.strip),
    Tool("cpus", "java /tools/Cpus.java", "sched_getaffinity(2)", str.strip),
)  # fmt: skip


def installed() -> list[Tool]:
    """Those whose program is there."""
    return [tool for tool in TOOLS if shutil.which(tool.command.split()[0])]
