"""A program cannot touch its cgroup, whether or not the host's cgroup2 mount has nsdelegate.

With nsdelegate the kernel itself refuses writes to the limits of a cgroup namespace's root. Any mount of cgroup2
without that option takes it away from the whole host, as the start of the system's lxcfs does: our confinement
may not rest on it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Result, run
from tests.runs.world import until

pytestmark = [pytest.mark.skipif(os.environ.get("PYSANDBOX_LAB") != "1", reason="needs a guest of the lab"),
              pytest.mark.guests("debian13")]  # fmt: skip

CGROUPS = "/sys/fs/cgroup"
OPTIONS = "rw,nosuid,nodev,noexec,relatime,nsdelegate,memory_recursiveprot"


def as_root(line: str) -> str:
    done = subprocess.run(["sudo", "-n", "sh", "-c", line], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    return done.stdout


def has_nsdelegate() -> bool:
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    (options,) = [words[3].split(",") for words in lines if words[1] == CGROUPS]
    return "nsdelegate" in options


@pytest.fixture(scope="module", params=["nsdelegate", "lxcfs"])
def state(request: pytest.FixtureRequest) -> Iterator[str]:
    """The host as systemd made it, and as lxcfs leaves it."""
    assert has_nsdelegate(), "something has mounted cgroup2 without it"
    if request.param == "nsdelegate":
        yield "nsdelegate"
        return
    as_root("systemctl start lxcfs")
    try:
        assert until(lambda: not has_nsdelegate(), 60), "lxcfs takes it away no more: this shows nothing then"
        yield "lxcfs"
    finally:
        as_root(f"systemctl stop lxcfs; mount -o remount,{OPTIONS} {CGROUPS}")
        assert has_nsdelegate()


# Prints what it found and what it could do; argv: directories to look for cgroup files in.
ATTACK = """
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    ctypes.set_errno(0)
    got = getattr(libc, name)(*args)
    return 0 if got >= 0 else ctypes.get_errno()
found = {
    "cgroup": open("/proc/self/cgroup").read().strip(),
    "mounts": [line for line in open("/proc/self/mountinfo") if " - cgroup" in line],
    "seen": [p for p in ("/sys/fs/cgroup", "/cgroup") if os.path.exists(p)],
    "mount": call("mount", b"none", b"/tmp", b"cgroup2", 0, None),
    "remount": call("mount", None, b"/", None, 32, None),
    "fsopen": call("syscall", 430, b"cgroup2", 0),
    "unshare": call("unshare", 0x10000000 | 0x20000 | 0x2000000),
    "setns": call("setns", os.open("/proc/self/ns/cgroup", os.O_RDONLY), 0),
    "written": [], "tried": 0, "made": [],
}
for top in sys.argv[1:]:
    for directory, _names, names in os.walk(top):
        try:
            os.mkdir(directory + "/mine")
            found["made"].append(directory)
        except OSError:
            pass
        for name in names:
            if not name.startswith(("cgroup.", "memory.", "cpu.", "pids.", "io.")):
                continue
            found["tried"] += 1
            try:
                fd = os.open(f"{directory}/{name}", os.O_WRONLY)
            except OSError:
                continue
            try:
                os.write(fd, b"max")  # not 0: where it works it would go into that cgroup itself, with memory.high 0
            except OSError:
                pass
            found["written"].append(f"{directory}/{name}")
print(json.dumps(found))
sys.stdout.flush()
block = bytearray(96 << 20)
for at in range(0, len(block), 4096): block[at] = 1
print("more than it may")
"""


def attack(*places: str, **options: Any) -> tuple[dict[str, Any], Result]:
    result = run(["python3", "-I", "-S", "-c", ATTACK, *places], mem="48M", pids=16, cpus=1.5, wall=200, **options)
    assert result.backend == "v2", result
    line = result.stdout.splitlines()[0] if result.stdout else b""
    assert line.startswith(b"{"), result
    return json.loads(line), result


@pytest.mark.parametrize("policy", ["default", "none"])
def test_there_is_no_cgroup_to_be_seen_or_made(policy: str, state: str) -> None:
    found, result = attack("/proc/self/root/sys", "/proc/1/root/sys", policy=policy)
    assert found["cgroup"] == "0::/"
    assert not found["mounts"] and not found["seen"] and not found["tried"]
    for way in ("mount", "remount", "fsopen", "unshare", "setns"):
        assert found[way] != 0, f"{way} works"
    assert result.outcome == "memory" and b"more than it may" not in result.stdout, result


@pytest.mark.parametrize("policy", ["default", "none"])
@pytest.mark.parametrize("volume", [f"{CGROUPS}:/cg", "/sys:/cg"])
def test_a_share_of_it_is_read_only_all_the_way_down(volume: str, policy: str, state: str) -> None:
    """The files of the leaf belong to the uid that the program has: read-only is what keeps them."""
    top = "/cg" if volume.startswith(CGROUPS) else "/cg/fs/cgroup"
    mine = Path("/proc/self/cgroup").read_text().split("::")[1].strip()
    unit = mine.removesuffix("/pysandbox-main")
    found, result = attack(top + unit, volumes=[volume], policy=policy)
    assert found["tried"] > 40, "it saw nothing that could be written, so this shows nothing"
    assert found["written"] == [] and found["made"] == []
    assert result.outcome == "memory" and b"more than it may" not in result.stdout, result


def test_the_attack_finds_what_is_open(state: str) -> None:
    """The same program outside of a sandbox, on a cgroup of ours, does write: the silence above means something."""
    mine = Path("/proc/self/cgroup").read_text().split("::")[1].strip().removesuffix("/pysandbox-main")
    target = f"{CGROUPS}{mine}/attacked"
    os.mkdir(target)
    try:
        script = ATTACK.partition("block = ")[0]
        done = subprocess.run(["python3", "-I", "-S", "-c", script, target], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        assert f"{target}/memory.max" in found["written"] and found["made"] == [target]
    finally:
        os.rmdir(f"{target}/mine")
        os.rmdir(target)
