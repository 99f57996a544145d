"""Boot a guest once, save it, and resume private clones of that state: 2 s in place of 15."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import LabError, cache, image, machine
from lab.guests import Guest
from lab.machine import Machine
from lab.remote import Remote

BOOT_SECONDS, SAVE_SECONDS, RESUME_SECONDS = 300.0, 120.0, 120.0
# No "pysandbox" in it: the tests look for files of that name that were left in /tmp.
RUN_PREFIX = "lab-run-"
# Running means that no unit failed. The rest is read into the page cache that is saved along.
BOOTED = """
state=$(systemctl is-system-running --wait) || { echo "$state"; systemctl --failed --no-legend --plain; exit 1; }
systemctl is-active --quiet user@$(id -u alice).service || { echo "alice has no user manager"; exit 1; }
cd /
runuser -u alice -- python3 -m pytest --version >/dev/null && runuser -u alice -- gcc --version >/dev/null && sync
"""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for sockets and the console of one machine, short enough for a socket's name.

    Folders of drivers that were killed are removed: theirs is the lock that nobody holds.
    """
    for old in Path(tempfile.gettempdir()).glob(RUN_PREFIX + "*"):
        try:
            about = old.lstat()
            if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or time.time() - about.st_mtime < 60:
                continue  # not ours, or so young that its driver may not have the lock yet
            with open(old / "lock", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue  # in use, gone, or not made yet
    made = Path(tempfile.mkdtemp(prefix=RUN_PREFIX))
    try:
        with open(made / "lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make(target: Path, fill: Callable[[Path], None]) -> None:
    """Make an entry of the cache aside; it appears complete or not at all."""
    aside = target.with_name(target.name + ".part")
    image.discard(aside)
    aside.mkdir(mode=0o700)
    try:
        fill(aside)
        aside.rename(target)
    finally:
        image.discard(aside)


def _boot(image_dir: Path, folder: Path) -> None:
    overlay = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f"../{image_dir.name}/root.img"]
    subprocess.run([*overlay, str(folder / "boot.qcow2")], check=True)
    start = ["-kernel", str(image_dir / "vmlinuz"), "-initrd", str(image_dir / "initrd"),
             "-append", machine.KERNEL_LINE]  # fmt: skip
    with run_folder() as run:
        vm = Machine(f"{folder}/boot.qcow2,format=qcow2", start, run / "console")
        try:
            remote = Remote(vm, image_dir, run)
            remote.wait(BOOTED, BOOT_SECONDS)
            remote.hang_up()
            time.sleep(1)  # for the guest's side of the connection
            vm.save(folder / "state", SAVE_SECONDS)
        except LabError:
            say("the guest's console:")
            sys.stderr.write((run / "console").read_text(errors="replace")[-4000:])
            raise
        finally:
            vm.close()


def build(guest: Guest) -> tuple[Path, Path]:
    """The folders of the image and of the snapshot of ``guest``, made if they are not there."""
    image_dir, snapshot_dir = cache.image_dir(guest), cache.snapshot_dir(guest, machine.identity())
    if image_dir.is_dir() and snapshot_dir.is_dir():
        return image_dir, snapshot_dir
    with cache.locked(guest, alone=True):
        begin = time.monotonic()
        if not image_dir.is_dir():
            say(f"making the image of {guest.name}")
            _make(image_dir, lambda folder: image.build(guest, folder))
            say(f"image of {guest.name} made in {time.monotonic() - begin:.0f} s")
        begin = time.monotonic()
        if not snapshot_dir.is_dir():
            _make(snapshot_dir, lambda folder: _boot(image_dir, folder))
            say(f"{guest.name} booted and saved in {time.monotonic() - begin:.0f} s")
    return image_dir, snapshot_dir


@contextmanager
def resumed(guest: Guest, *, net: bool = False) -> Iterator[Remote]:
    """A running clone of the guest, gone at the end."""
    while True:
        image_dir, snapshot_dir = build(guest)
        with cache.locked(guest, alone=False):
            if not snapshot_dir.is_dir():
                continue  # cleaned meanwhile
            with run_folder() as run:
                disk = f"{snapshot_dir}/boot.qcow2,format=qcow2,snapshot=on"
                vm = Machine(disk, ["-incoming", "defer"], run / "console", net=net)
                try:
                    vm.load(snapshot_dir / "state", RESUME_SECONDS)
                    remote = Remote(vm, image_dir, run)
                    # A clone has the clock and the random numbers of the saved machine.
                    clock = f"date -s @{time.time() + 0.8:.1f} >/dev/null && lab-reseed"
                    remote.wait(clock, RESUME_SECONDS, feed=os.urandom(256))
                    yield remote
                finally:
                    vm.close()
            return


def clean(guest: Guest) -> None:
    """Remove all images and snapshots of a guest."""
    with cache.locked(guest, alone=True):
        for entry in cache.entries(guest):
            say(f"removing {entry}")
            image.discard(entry)
