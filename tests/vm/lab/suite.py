"""The tests marked v2 in all guests at once: one driver for each, its output in one piece when it is done."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lab.process import die_with_parent
from lab.snapshot import say

POLL_SECONDS = 0.2


def run(tree: Path, guests: list[str]) -> int:
    """0 if all tests of all guests passed; logs are in .dev/lab-GUEST.log."""
    folder = tree / ".dev"
    folder.mkdir(exist_ok=True)
    lanes: dict[str, subprocess.Popen[bytes]] = {}
    failed: list[str] = []
    try:
        for guest in guests:
            command = [sys.executable, "-PB", "-m", "lab", "pytest", "--guest", guest]
            with open(folder / f"lab-{guest}.log", "wb") as log:
                lanes[guest] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                preexec_fn=die_with_parent)  # fmt: skip
            say(f"{guest}: started")
        waiting = dict(lanes)
        while waiting:
            time.sleep(POLL_SECONDS)
            done = [name for name, lane in waiting.items() if lane.poll() is not None]
            if not done:
                continue
            guest = done[0]
            lane = waiting.pop(guest)
            print(f"======== {guest}", flush=True)
            sys.stdout.write((folder / f"lab-{guest}.log").read_text(errors="replace"))
            sys.stdout.flush()
            if lane.returncode:
                failed.append(f"{guest} (exit status {lane.returncode})")
    finally:
        for lane in lanes.values():
            if lane.returncode is None:
                lane.terminate()
                lane.wait()
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0
