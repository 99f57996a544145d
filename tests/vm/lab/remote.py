"""Commands and files in a guest, over ssh: a real login by PAM, live output and an exit status for nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from lab import LabError
from lab.machine import Machine


class Remote:
    """``machine``'s guest; ``image`` has the keys, ``folder`` is for the sockets of shared connections."""

    def __init__(self, machine: Machine, image: Path, folder: Path) -> None:
        self._machine, self._image, self._folder = machine, image, folder
        self._port = machine.port()

    def ssh(self, user: str, *options: str) -> list[str]:
        """The start of an ssh command line. A login takes 0.8 s, so one connection for each user is kept."""
        settings = {
            "IdentitiesOnly": "yes", "HostKeyAlias": "lab", "UserKnownHostsFile": self._image / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes", "LogLevel": "ERROR",
            "ConnectTimeout": 5, "BatchMode": "yes", "KexAlgorithms": "curve25519-sha256",
            "ControlMaster": "auto", "ControlPath": self._folder / f"ssh-{user}", "ControlPersist": "yes",
        }  # fmt: skip
        spelled = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return ["ssh", "-F", "none", "-p", str(self._port), "-i", str(self._image / "id"), "-l", user,
                *spelled, *options, "127.0.0.1"]  # fmt: skip

    def wait(self, command: str, seconds: float, feed: bytes = b"") -> None:
        """Run ``command`` as root as soon as the guest answers."""
        end = time.monotonic() + seconds
        error = b""
        while time.monotonic() < end and self._machine.alive():
            done = subprocess.run([*self.ssh("root"), command], input=feed, capture_output=True, check=False)
            if done.returncode == 0:
                return
            error = done.stdout + done.stderr
            if done.returncode != 255:  # ssh's own
                raise LabError(f"the guest is not well: {command}: {error.decode(errors='replace').strip()}")
            time.sleep(0.05)
        raise LabError(f"the guest does not answer in {seconds:g} s: {error.decode(errors='replace').strip()}")

    def root(self, command: str) -> None:
        """A shell line as root, its output to ours."""
        done = subprocess.run([*self.ssh("root"), command], stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode:
            raise LabError(f"as root in the guest: {command}: exit status {done.returncode}")

    def send(self, user: str, archive: subprocess.Popen[bytes]) -> None:
        """Unpack a tar archive, ``archive``'s output, into ~/src."""
        with archive:
            done = subprocess.run([*self.ssh(user), "mkdir -p src && tar -x -C src"], stdin=archive.stdout, check=False)
        if archive.returncode or done.returncode:
            raise LabError(f"the tree cannot be copied: tar {archive.returncode}, ssh {done.returncode}")

    def fetch(self, user: str, path: str) -> bytes | None:
        """A regular file below ~/src, None if there is none."""
        line = f'cd src && [ -f "{path}" ] && [ ! -L "{path}" ] && cat -- "{path}"'
        done = subprocess.run([*self.ssh(user), line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        return done.stdout if done.returncode == 0 else None

    def run(self, user: str, command: str, *, tty: bool, stdin: int | None = None, seconds: float | None = None) -> int:
        """A shell line as ``user``; its exit status, 124 after ``seconds``."""
        line = [*self.ssh(user, *(["-t"] if tty else [])), command]
        try:
            return subprocess.run(line, stdin=stdin, timeout=seconds, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"lab: not done after {seconds:g} s", file=sys.stderr)
            return 124

    def hang_up(self) -> None:
        """End the shared connections; a state that is saved should have none."""
        for socket in self._folder.glob("ssh-*"):
            user = socket.name.removeprefix("ssh-")
            subprocess.run([*self.ssh(user, "-O", "exit")], capture_output=True, check=False)
