"""Our own files: the host's texts with the numbers of the limits in them.

They stand still: what is used at a moment, only lxcfs can tell. So free memory is all memory, and the
times of the CPUs and the load are 0. Formats: fs/proc/meminfo.c, fs/proc/stat.c, proc(5).
"""

from __future__ import annotations

# Properties of the kernel or the machine, not amounts of memory.
_KEPT = frozenset(("VmallocTotal", "Hugepagesize"))

# A plan has 4096 steps, and each file takes one.
_MOST_WITH_TOPOLOGY = 512

LOADAVG = b"0.00 0.00 0.00 1/1 1\n"
_SWAPS = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def total_kib(meminfo: bytes, name: bytes = b"MemTotal") -> int:
    """An amount in a meminfo, KiB; 0 if there is none of that name."""
    for line in meminfo.splitlines():
        key, _, value = line.partition(b":")
        if key == name:
            return int(value.split()[0])
    return 0


def meminfo(host: bytes, mem_bytes: int | None, swap_bytes: int) -> bytes:
    """/proc/meminfo: every line that this kernel has; the host's own text where memory is not limited."""
    if mem_bytes is None:
        return host
    total = min(mem_bytes >> 10, total_kib(host))
    swap = min(swap_bytes >> 10, total_kib(host, b"SwapTotal"))
    # vm.overcommit_ratio is 50 by default
    values = {"MemTotal": total, "MemFree": total, "MemAvailable": total, "SwapTotal": swap, "SwapFree": swap,
              "CommitLimit": total // 2 + swap}  # fmt: skip
    lines = []
    for line in host.decode().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if name in _KEPT:
            lines.append(line)
        elif words:
            unit = "".join(f" {word}" for word in words[1:])
            lines.append(f"{name + ':':<16}{values.get(name, 0):>8}{unit}")
    return "".join(f"{line}\n" for line in lines).encode()


def swaps(host_meminfo: bytes, mem_bytes: int | None, swap_bytes: int) -> bytes:
    """/proc/swaps: one nameless area of the size that may be used."""
    size = total_kib(host_meminfo, b"SwapTotal")
    if mem_bytes is not None:
        size = min(size, swap_bytes >> 10)
    return _SWAPS + (b"none\t\t\t\t\tvirtual\t\t%d\t\t0\t\t0\n" % size if size else b"")


def cpuinfo(blocks: tuple[bytes, ...], count: int) -> bytes:
    """/proc/cpuinfo of ``count`` processors in one socket, with the text of the host's first ones.

    ``blocks`` are the host's processors, at least one; where there are too few the last is repeated.
    """
    out = []
    for number in range(count):
        new = {b"processor": number, b"physical id": 0, b"siblings": count, b"core id": number, b"cpu cores": count,
               b"apicid": number, b"initial apicid": number}  # fmt: skip
        for line in blocks[min(number, len(blocks) - 1)].splitlines():
            name, colon, _ = line.partition(b":")
            value = new.get(name.strip())
            out.append(line if value is None or not colon else b"%s: %d" % (name, value))
        out.append(b"")
    return b"".join(line + b"\n" for line in out)


def stat(count: int, btime_s: int) -> bytes:
    """/proc/stat of ``count`` CPUs that have not done anything yet, in a system booted at ``btime_s``."""
    zeros = " 0" * 10
    lines = [f"cpu {zeros}", *(f"cpu{number}{zeros}" for number in range(count)), "intr 0", "ctxt 0"]
    lines += [f"btime {btime_s}", "processes 1", "procs_running 1", "procs_blocked 0", "softirq" + " 0" * 11]
    return "".join(f"{line}\n" for line in lines).encode()


def system_cpus(count: int) -> dict[str, bytes]:
    """sys/devices/system/cpu: the lists, and a directory for each CPU.

    C libraries before glibc 2.34 count the directories; lscpu says 0 cores unless they tell of a topology: one
    socket, a core for each CPU.
    """
    here = "sys/devices/system/cpu"
    numbers = b"0-%d\n" % (count - 1) if count > 1 else b"0\n"
    lists = {f"{here}/{name}": numbers for name in ("online", "possible", "present")}
    lists |= {f"{here}/kernel_max": b"%d\n" % (count - 1), f"{here}/offline": b"\n"}
    everybody = _mask((1 << count) - 1)
    for number in range(count):
        topology = f"{here}/cpu{number}/topology"
        lists[f"{topology}/core_id"] = b"%d\n" % number
        if count <= _MOST_WITH_TOPOLOGY:
            lists[f"{topology}/physical_package_id"] = b"0\n"
            lists[f"{topology}/thread_siblings"] = _mask(1 << number)
            lists[f"{topology}/core_siblings"] = everybody
    return lists


def _mask(bits: int) -> bytes:
    """As the kernel prints a set of CPUs: words of 32 bits, the highest first (%*pb)."""
    words = [bits >> shift & 0xFFFFFFFF for shift in range(0, bits.bit_length(), 32)]
    return ",".join(f"{word:08x}" for word in reversed(words)).encode() + b"\n"


def vmstat(host: bytes) -> bytes:
    """/proc/vmstat: every counter that this kernel has, at 0. The kernel counts for the whole host only."""
    return b"".join(line.partition(b" ")[0] + b" 0\n" for line in host.splitlines())
