"""Sandboxes of an unprivileged user against a lxcfs that root starts: called by root_checks.py, as root.

    unshare --mount --propagation private python3 scripts/lxcfs_checks.py UID

lxcfs is mounted in a mount namespace of its own, in a temporary directory, with -l and --enable-cfs, so nothing
of the machine is touched; every tool that is here has to agree with the limits through it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TREE)

START_S, TIMEOUT_S = 30, 120
EXIT_FAILED, EXIT_CALLED_WRONG = 1, 2


class CheckFailed(Exception):
    """Something is not as it has to be."""


def require(condition: bool, what: str) -> None:
    """An assert that -O leaves in place."""
    if not condition:
        raise CheckFailed(what)


def run(uid: int, point: str, *words: str) -> subprocess.CompletedProcess[str]:
    """``pysandbox run`` as the user, with lxcfs at ``point``."""
    environment = {"PATH": os.defpath, "PYTHONPATH": TREE, "LANG": "C.UTF-8", "PYSANDBOX_LXCFS": point}
    command = [sys.executable, "-PB", f"{TREE}/bin/pysandbox", "run", *words]
    return subprocess.run(command, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=TIMEOUT_S, user=uid, group=uid, extra_groups=[], check=False)  # fmt: skip


def result(uid: int, point: str, *words: str) -> dict[str, object]:
    """The JSON of a run."""
    done = run(uid, point, "--json", "-", *words)
    require(done.stdout.startswith("{"), f"{words}: {done.stderr}")
    found: dict[str, object] = json.loads(done.stdout)
    return found


def tools_agree(uid: int, point: str) -> int:
    """Each tool against the limits; how many there were."""
    from tests.runs.figures import CPUS, MEM_MIB, PROGRAMS, installed

    tools = installed()
    options = ["--mem", f"{MEM_MIB}M", "--cpus", str(CPUS), "--wall", "60", "-v", f"{PROGRAMS}:/tools"]
    for way in ("auto", "lxcfs"):
        for tool in tools:
            found = result(uid, point, "--proc", way, *options, "--", *tool.argv)
            require(found["outcome"] == "ok" and found["proc"] == "lxcfs", f"{tool.command}: {found}")
            shown = tool.shows(str(found["stdout"]))
            require(shown == tool.limit, f"`{tool.command}` shows {shown} through lxcfs, the limit is {tool.limit}")
    return len(tools)


def served(uid: int, point: str) -> None:
    """Which files come from it, by limit; memory in use moves; without a time namespace its uptime is used."""
    text = "grep fuse.lxcfs /proc/self/mountinfo | cut -d' ' -f5"
    for words, expected in (
        (["--mem", "64M"], "meminfo swaps loadavg"),
        (["--cpus", "1"], "loadavg stat"),
        (["--cpuset", "0", "--mem", "64M", "--without", "time"], "meminfo swaps loadavg stat uptime"),
    ):
        found = result(uid, point, *words, "--", "sh", "-c", text)
        names = " ".join(line.removeprefix("/proc/") for line in str(found["stdout"]).split())
        # without any load on the host nobody can tell whose it is that lxcfs shows, and then ours is taken
        if os.getloadavg()[0] < 0.05:
            names, expected = names.replace("loadavg", "").strip(), expected.replace("loadavg", "").strip()
        require(names == expected, f"{words}: {names!r} come from lxcfs, not {expected!r}: {found}")
    used = "b = bytearray(40 << 20); print(*[line for line in open('/proc/meminfo') if line.startswith('MemFree')])"
    free = str(result(uid, point, "--mem", "100M", "--", "python3", "-I", "-S", "-c", used)["stdout"])
    require(int(free.split()[1]) < 65 << 10, f"40 of 100 MiB are used, {free}")


def gone(uid: int, point: str) -> None:
    """After its death: an error by name, our own files otherwise."""
    refused = run(uid, point, "--proc", "lxcfs", "--mem", "64M", "--", "true")
    require(refused.returncode == 125 and "lxcfs" in refused.stderr, f"dead lxcfs by name: {refused}")
    found = result(uid, point, "--mem", "64M", "--", "cat", "/proc/meminfo")
    require(found["proc"] == "static" and bool(found["notes"]), f"dead lxcfs: {found}")
    require("MemTotal:          65536 kB" in str(found["stdout"]), f"dead lxcfs: {found['stdout']}")


def private(uid: int, directory: str) -> None:
    """One that the user starts, with a /dev/fuse that is open to all, as udev makes it; under this host's cgroups."""
    os.mkdir(f"{directory}/dev")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "dev,mode=755", "tmpfs", f"{directory}/dev"], check=True)
    device = f"{directory}/dev/fuse"
    os.mknod(device, 0o20666, os.stat("/dev/fuse").st_rdev)
    os.chmod(device, 0o666)
    subprocess.run(["mount", "--bind", device, "/dev/fuse"], check=True)  # in our own mount namespace
    words = ["--proc", "private", "--mem", "64M", "--cpus", "1", "--", "sh", "-c"]
    found = result(uid, "", *words, "head -1 /proc/meminfo; grep -c fuse.lxcfs /proc/self/mountinfo")
    require(found["outcome"] == "ok" and found["proc"] == "private" and not found["notes"], f"private lxcfs: {found}")
    require(str(found["stdout"]).startswith("MemTotal:          65536 kB\n"), f"private lxcfs: {found['stdout']}")


def main(words: list[str]) -> int:
    """All checks; 1 and one line at the first that fails."""
    if os.geteuid() != 0 or len(words) != 1 or not words[0].isdigit():
        print("lxcfs_checks: run me as root, in a mount namespace of my own, with a uid", file=sys.stderr)
        return EXIT_CALLED_WRONG
    uid = int(words[0])
    directory = tempfile.mkdtemp(prefix="pysandbox-lxcfs-")
    point = f"{directory}/lxcfs"
    os.chmod(directory, 0o755)
    os.mkdir(point)
    command = ["lxcfs", "-f", "-l", "--enable-cfs", "-p", f"{directory}/pid", point]
    try:
        with open(f"{directory}/log", "wb") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START_S
            while not os.path.exists(f"{point}/proc/meminfo"):
                if server.poll() is not None or time.monotonic() > deadline:
                    with open(f"{directory}/log", errors="replace") as log_text:
                        raise CheckFailed(f"lxcfs did not start: {log_text.read()[-1000:]}")
                time.sleep(0.05)
            count = tools_agree(uid, point)
            served(uid, point)
            server.kill()
            server.wait()
            time.sleep(2)  # the kernel keeps names of a FUSE for a second
            gone(uid, point)
            private(uid, directory)
        finally:
            server.kill()
            server.wait()
            for mounted in (point, f"{directory}/dev"):
                subprocess.run(["umount", "-l", mounted], check=False, stderr=subprocess.DEVNULL)
    except CheckFailed as failure:
        print(f"lxcfs_checks: {failure}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        shutil.rmtree(directory)
    print(f"lxcfs_checks: {count} tools agree with the limits through lxcfs; dead, it is done without; one of the "
          "user's own works")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
