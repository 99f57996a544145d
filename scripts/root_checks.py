"""What only root can check; ``./dev test`` runs it as root before it drops its privileges.

doctor has to be right for root, for a user who was given a subtree, and for a user with nothing. Each
time its word is compared with what a run does. The user here has a uid that nobody has, and what
`pysandbox setup` gives to it is taken back at the end.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYSANDBOX = [sys.executable, "-PB", f"{TREE}/bin/pysandbox"]
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": TREE, "LANG": "C.UTF-8"}
HOG = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
EXIT_MEMORY, EXIT_FAULT = 137, 125
TIMEOUT_S = 120
FIRST_UID, LAST_UID = 64_900, 64_999


class CheckFailed(Exception):
    """Something is not as it has to be."""


def require(condition: bool, what: str) -> None:
    """An assert that -O leaves in place."""
    if not condition:
        raise CheckFailed(what)


def call(*words: str, uid: int = 0, inside: bool = False) -> subprocess.CompletedProcess[str]:
    """pysandbox as a user; ``inside`` waits to be put into the user's cgroup before it starts."""
    identity = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
    command = ["sh", "-c", 'read -r go && exec "$@"', "sh", *PYSANDBOX, *words]
    with subprocess.Popen(command, env=ENVIRONMENT, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **identity) as child:  # type: ignore[call-overload] # fmt: skip
        if inside:
            entered = call("setup", "--user", str(uid), "--enter", str(child.pid), "--yes")
            require(entered.returncode == 0, f"setup --enter: {entered.stderr}")
        try:
            out, err = child.communicate("go\n", timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            raise CheckFailed(f"`pysandbox {' '.join(words)}` as uid {uid} did not end in {TIMEOUT_S} s") from None
        return subprocess.CompletedProcess(command, child.returncode, out, err)


def compare(who: str, uid: int = 0, inside: bool = False) -> bool:
    """doctor's word against a run; whether ``run --mem`` works."""
    doctor = call("doctor", "--json", "-", uid=uid, inside=inside)
    require(doctor.stderr == "", f"doctor {who}: {doctor.stderr}")
    report = json.loads(doctor.stdout)
    run = call("run", "--mem", "16M", "--", *HOG, uid=uid, inside=inside)
    works = run.returncode == EXIT_MEMORY
    require(works or run.returncode == EXIT_FAULT, f"run {who}: exit code {run.returncode}: {run.stderr}")
    said = f"doctor {who} says {report['works']}, a run says {works}"
    require(report["works"] is works, f"{said}: {doctor.stdout}{run.stderr}")
    require(doctor.returncode == (0 if works else 1), f"doctor {who}: exit code {doctor.returncode}")
    for check in report["checks"]:
        require(check["state"] == "ok" or bool(check["fix"]), f"doctor {who}: no fix for {check}")
    return works


def host_uid() -> None:
    """Root's sandbox runs as somebody else on the host."""
    report = json.loads(call("doctor", "--json", "-").stdout)
    check = next(check for check in report["checks"] if check["name"] == "user namespace")
    require(check["state"] == "ok", f"user namespace for root: {check}")
    require("uid 0 " not in check["detail"], f"root's programs are root: {check}")


def unused_uid() -> int:
    """A uid without an account, a process or a subtree."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                taken.add(os.stat(f"/proc/{name}").st_uid)
            except FileNotFoundError:
                continue  # it ended
    for directory, names, _files in os.walk("/sys/fs/cgroup"):
        if os.path.basename(directory) == "pysandbox":
            taken |= {int(name[4:]) for name in names if name.startswith("uid-") and name[4:].isdigit()}
    return next(uid for uid in range(LAST_UID, FIRST_UID - 1, -1) if uid not in taken)


def figures_of_lxcfs(uid: int) -> None:
    """A lxcfs of our own in a mount namespace of its own, looked at from this user's sandboxes."""
    if shutil.which("lxcfs") is None or not os.path.exists("/dev/fuse"):
        print("root_checks: lxcfs or /dev/fuse is not here, so /proc by lxcfs was not checked")
        return
    alone = ["unshare", "--mount", "--propagation", "private"]
    done = subprocess.run([*alone, sys.executable, f"{TREE}/scripts/lxcfs_checks.py", str(uid)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    require(done.returncode == 0, done.stderr.strip())
    print(done.stdout, end="")


def roots_by_fuse(uid: int) -> None:
    """In a mount namespace of its own, with an open /dev/fuse."""
    alone = ["unshare", "--mount", "--propagation", "private"]
    done = subprocess.run([*alone, sys.executable, f"{TREE}/scripts/fuse_checks.py", str(uid)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    require(done.returncode == 0, done.stderr.strip())
    print(done.stdout, end="")


def images_of_root() -> None:
    """Files come into them, although the sandbox is somebody else."""
    done = subprocess.run([sys.executable, f"{TREE}/scripts/image_checks.py"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)  # fmt: skip
    require(done.returncode == 0, done.stderr.strip())
    print(done.stdout, end="")


def networks_to_the_outside(uid: int) -> None:
    """In a network namespace of its own, with servers beyond it and an open /dev/net/tun."""
    alone = ["unshare", "--mount", "--net", "--propagation", "private"]
    done = subprocess.run([*alone, sys.executable, f"{TREE}/scripts/tun_checks.py", str(uid)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # fmt: skip
    require(done.returncode == 0, done.stderr.strip())
    print(done.stdout, end="")


def given_and_taken_back(uid: int) -> None:
    """setup makes the difference, and undo takes it back."""
    require(not compare("for a user with nothing", uid), f"run --mem works for uid {uid}, which was given nothing")
    subtree = f"/sys/fs/cgroup/memory/pysandbox/uid-{uid}"
    made = call("setup", "--user", str(uid), "--yes")
    try:
        require(made.returncode == 0, f"setup: {made.stderr}")
        again = call("setup", "--user", str(uid), "--yes")
        require("nothing is left to do" in again.stdout, f"setup a second time: {again.stdout}{again.stderr}")
        if os.path.isdir(subtree):  # v1
            require(os.stat(subtree).st_uid == uid, f"{subtree} was not given to uid {uid}")
            limit = os.stat(f"{subtree}/memory.limit_in_bytes").st_uid
            require(limit == 0, "the limit of the whole subtree is not the administrator's any more")
        v2 = "cgroup.subtree_control" in made.stdout
        require(compare("for a user with a subtree", uid, inside=v2), "run --mem does not work after setup")
        if not v2:  # there tests/vm/guest/test_lxcfs.py does it
            figures_of_lxcfs(uid)
        networks_to_the_outside(uid)
        roots_by_fuse(uid)
    finally:
        undone = call("setup", "--user", str(uid), "--undo", "--yes")
    require(undone.returncode == 0, f"setup --undo: {undone.stderr}")
    require(not os.path.exists(subtree), f"setup --undo left {subtree}")
    require(not compare("after --undo", uid), "run --mem works after setup --undo")


def main() -> int:
    """All checks; 1 and one line at the first that fails."""
    if os.geteuid() != 0:
        print("root_checks: run me as root", file=sys.stderr)
        return 2
    try:
        compare("for root")
        host_uid()
        images_of_root()
        given_and_taken_back(unused_uid())
    except CheckFailed as failure:
        print(f"root_checks: {failure}", file=sys.stderr)
        return 1
    print("root_checks: doctor and setup are right for root, for a user with a subtree, for a user with nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main())
