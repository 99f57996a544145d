"""One virtual machine: a qemu process and its monitor (QMP, on an inherited socket: no path, no port)."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from lab import LabError
from lab.process import die_with_parent

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 1024
# kvm is for machines where it works, such as a developer's own.
ACCEL = os.environ.get("PYSANDBOX_LAB_ACCEL", "tcg,thread=multi")
KERNEL_LINE = "console=ttyS0 quiet loglevel=3 mitigations=off net.ifnames=0"
QMP_SECONDS = 60.0  # the monitor answers at once, unless the machine is drowning


def arguments(*, net: bool) -> list[str]:
    """The machine. A saved state fits only what has the same devices: ``net`` is no device."""
    # Port 0: the kernel picks a free one (hostfwd on a path came with later versions). restrict: no way out.
    forward = f"user,id=n0,restrict={'off' if net else 'on'},hostfwd=tcp:127.0.0.1:0-:22"
    return [
        QEMU, "-M", "q35", "-accel", ACCEL,
        # No SMAP: that is 10 to 20 % faster than max under emulation.
        "-cpu", "Nehalem", "-smp", "2", "-m", str(MEMORY_MIB),
        "-nodefaults", "-no-user-config", "-display", "none",
        "-netdev", forward, "-device", "virtio-net-pci,netdev=n0,romfile=",
        "-object", "rng-random,filename=/dev/urandom,id=rng0", "-device", "virtio-rng-pci,rng=rng0",
        "-device", "virtio-blk-pci,drive=d0",
    ]  # fmt: skip


def identity() -> tuple[str, ...]:
    """All that a saved state depends on beside its disk."""
    try:
        version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"{QEMU} --version: {error}") from error
    return (version, *arguments(net=False), KERNEL_LINE)


class Machine:
    """A running qemu. ``disk``: a -drive's file and options; ``more``: how it starts."""

    def __init__(self, disk: str, more: list[str], console: Path, *, net: bool = False) -> None:
        mine, theirs = socket.socketpair()
        monitor = ["-chardev", f"socket,id=q,fd={theirs.fileno()}", "-mon", "chardev=q,mode=control"]
        drive = ["-drive", f"file={disk},if=none,id=d0,cache=unsafe"]
        self.process = subprocess.Popen(
            [*arguments(net=net), *drive, *more, "-serial", f"file:{console}", *monitor],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: we end it
            preexec_fn=die_with_parent,
        )  # fmt: skip
        theirs.close()
        mine.settimeout(QMP_SECONDS)
        self._monitor = mine.makefile("rw", encoding="utf-8")
        mine.close()  # the file keeps it
        try:
            self._monitor.readline()  # the greeting
            self.qmp("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def qmp(self, command: str, **given: str) -> Any:
        """Call the monitor."""
        try:
            self._monitor.write(json.dumps({"execute": command, "arguments": given}) + "\n")
            self._monitor.flush()
            for line in self._monitor:
                answer = json.loads(line)
                if "error" in answer:
                    raise LabError(f"qemu: {command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except (OSError, ValueError) as error:
            raise LabError(f"qemu: {command}: {error}") from error
        raise LabError(f"qemu went away at {command}; its own words are above")

    def alive(self) -> bool:
        return self.process.poll() is None

    def port(self) -> int:
        """The port of 127.0.0.1 that leads to the guest's ssh."""
        table = self.qmp("human-monitor-command", **{"command-line": "info usernet"})
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", table)
        if not found:
            raise LabError(f"qemu names no forwarded port: {table}")
        return int(found[1])

    def save(self, file: Path, seconds: float) -> None:
        """Stop the machine and write its state."""
        self.qmp("stop")
        self.qmp("migrate", uri=f"exec:cat > {shlex.quote(str(file))}")
        end = time.monotonic() + seconds
        while (status := self.qmp("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > end:
                raise LabError(f"the machine's state cannot be written to {file}: {status}")
            time.sleep(0.05)

    def load(self, file: Path, seconds: float) -> None:
        """Go on from a state; the machine was started with ``-incoming defer``."""
        self.qmp("migrate-incoming", uri=f"exec:cat {shlex.quote(str(file))}")
        end = time.monotonic() + seconds
        while (status := self.qmp("query-status")["status"]) == "inmigrate":
            if time.monotonic() > end:
                raise LabError(f"the machine's state in {file} cannot be read in {seconds:g} s")
            time.sleep(0.01)
        if status != "paused":
            raise LabError(f"the machine is {status} after reading its state from {file}")
        self.qmp("cont")

    def close(self) -> None:
        """End it. Its disk is a throwaway, so there is nothing to shut down."""
        self.process.kill()
        self.process.wait()
        self._monitor.close()
