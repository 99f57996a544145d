"""Containers whose root fuse-overlayfs serves: called by root_checks.py, as root, and by tests/containers/test_fuse.py.

    unshare --mount --propagation private python3 scripts/fuse_checks.py UID
    unshare --user --map-root-user --mount python3 scripts/fuse_checks.py short DIRECTORY

Root gives the user a /dev/fuse that is open to all, as udev makes it. The user then is in a container of its own, so to
speak: a user namespace with an overlay, on which the kernel's overlayfs takes no changes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM, BUSYBOX = "fuse-overlayfs", "/bin/busybox"
TIMEOUT_S = 120
EXIT_FAILED, EXIT_CALLED_WRONG, EXIT_FAULT = 1, 2, 125
NOTE = "fuse-overlayfs serves the root"
CHANGE = """
set -e
echo new >/new; ln /new /linked; echo more >>/etc/words; rm /etc/os-release; rm -r /home; mkdir /home; echo x >/home/x
rm -r /opt; mkfifo /pipe; mkdir -m 700 /d; ln -s /nowhere /d/link; mv /usr/a /usr/b
cat /etc/words
"""
# What would be taken for marks of fuse-overlayfs'.
FORGE = "if (echo >/etc/.wh.words) 2>/dev/null; then exit 9; fi"
LOOK = "cat /etc/words; ls -A /etc /home /usr /d; ls -d /opt; cat /linked"


class CheckFailed(Exception):
    """Something is not as it has to be."""


def require(condition: bool, what: str) -> None:
    """An assert that -O leaves in place."""
    if not condition:
        raise CheckFailed(what)


class Data:
    """A data directory; ``call`` is a command that uses it."""

    def __init__(self, path: str, root: str) -> None:
        self.path = path
        os.makedirs(path, mode=0o700)
        self.done("image", "import", root, "box")

    def call(self, *words: str, path: str = "/usr/local/bin:/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
        environment = {"PATH": path, "PYTHONPATH": TREE, "LANG": "C.UTF-8", "PYSANDBOX_DATA": self.path,
                       "SOURCE_DATE_EPOCH": "1000000000"}  # fmt: skip
        return subprocess.run([sys.executable, "-PB", f"{TREE}/bin/pysandbox", *words], env=environment, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                              check=False)  # fmt: skip

    def done(self, *words: str) -> str:
        found = self.call(*words)
        require(found.returncode == 0, f"pysandbox {' '.join(words)}: {found.returncode} {found.stdout}{found.stderr}")
        return found.stdout

    def inspect(self, name: str) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = json.loads(self.done("inspect", name))[0]
        return found


def make_root(path: str) -> str:
    """What an image is made of."""
    for name in ("bin", "etc", "home/user", "opt/a", "usr/a/deep", "dev", "proc", "sys", "tmp"):
        os.makedirs(f"{path}/{name}")
    shutil.copy(BUSYBOX, f"{path}/bin/busybox")
    for name in ("sh", "cat", "ls", "ln", "rm", "mkdir", "mkfifo", "mv", "sleep"):
        os.symlink("busybox", f"{path}/bin/{name}")
    for name in ("etc/words", "etc/os-release", "home/user/file", "usr/a/deep/file"):
        with open(f"{path}/{name}", "w") as file:
            file.write(f"{name}\n")
    return path


def changed(data: Data, upper: str, served: bool) -> str:
    """The id of the image that a container's changes make; what a container of that shows is looked at."""
    script = FORGE + CHANGE if served else CHANGE
    ran = data.call("run", "--name", "one", "--upper", upper, "--image", "box", "--", "/bin/sh", "-c", script)
    require(ran.returncode == 0 and ran.stdout == "etc/words\nmore\n", f"{upper}: {ran}")
    require((NOTE in ran.stderr) is served, f"{upper}: {ran.stderr}")
    said = data.inspect("one")["files"]["root"]
    require(said == (PROGRAM if served else "overlayfs"), f"inspect says {said}")
    image = data.done("commit", "one", "two").strip()
    ran = data.call("run", "--rm", "--upper", upper, "--image", "two", "--", "/bin/sh", "-c", LOOK)
    ours = ("hostname", "hosts", "resolv.conf", "passwd", "group")
    there = [line for line in ran.stdout.splitlines() if line not in ours]
    expected = "etc/words more /d: link  /etc: words  /home: x  /usr: b new".split(" ")
    require(there == expected, f"{upper}: {ran}")
    return image


def copied(data: Data, directory: str) -> None:
    """cp of a container that has ended, and of one that runs; exec."""
    for name in ("in", "out"):
        os.makedirs(f"{directory}/{name}", exist_ok=True)
    with open(f"{directory}/in/file", "w") as file:
        file.write("from outside\n")

    def both_ways(name: str) -> None:
        data.done("cp", f"{name}:/new", f"{directory}/out/{name}")
        with open(f"{directory}/out/{name}") as file:
            require(file.read() == "new\n", f"cp out of {name}")
        data.done("cp", f"{directory}/in/file", f"{name}:/usr/file")
        missing = data.call("cp", f"{name}:/etc/os-release", f"{directory}/out/")
        require(missing.returncode == EXIT_FAULT, f"cp of what was removed: {missing}")

    both_ways("one")
    both_ways("live")
    text = data.done("exec", "live", "--", "/bin/cat", "/usr/file", "/linked")
    require(text == "from outside\nnew\n", f"exec: {text}")


def servers(identity: str) -> list[int]:
    """The processes that serve a container's root, fuse-overlayfs last."""
    found, parents = [], {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                command = file.read()
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                parents[int(entry)] = (int(file.read().rpartition(")")[2].split()[1]), command)
        except OSError:
            continue
        if b"fuseserver" in command and identity.encode() in command:
            found.append(int(entry))
    served = [pid for pid, (parent, command) in parents.items() if parent in found and PROGRAM.encode() in command[:99]]
    return [pid for pid in found if pid not in served] + [pid for pid in served if pid not in found]


def wait_for(what: str, is_so: object) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so():  # type: ignore[operator]
        require(time.monotonic() < deadline, what)
        time.sleep(0.02)


def ended(data: Data) -> None:
    """Its server dies: told. Its monitor is killed: everything goes."""
    state = data.inspect("live")["state"]
    monitor = int(str(state["monitor_pid"]))
    identity = str(data.inspect("live")["id"])
    there = servers(identity)
    require(len(there) >= 2, f"these serve it: {there}")
    os.kill(monitor, signal.SIGKILL)
    wait_for(f"after kill -9 of the monitor: {servers(identity)} are left",
             lambda: not any(os.path.exists(f"/proc/{pid}") for pid in there))  # fmt: skip
    data.done("rm", "live")
    data.done("run", "-d", "--name", "lost", "--upper", "fuse", "--image", "box", "--", "/bin/sleep", "600")
    identity = str(data.inspect("lost")["id"])
    os.kill(servers(identity)[-1], signal.SIGKILL)
    wait_for("nobody tells that fuse-overlayfs has died",
             lambda: PROGRAM in str(data.inspect("lost")["state"]["error"]))  # fmt: skip
    data.done("rm", "-f", "lost")


def refused(data: Data) -> None:
    """By name, with what to do."""
    for words, part in (
        (["--net", "host"], "--net host"), (["--io-write", "1M"], "is not limited"),
    ):  # fmt: skip
        found = data.call("run", "--rm", "--upper", "fuse", *words, "--image", "box", "--", "/bin/true")
        require(found.returncode == EXIT_FAULT and part in found.stderr, f"{words}: {found}")


def as_user(directory: str, whole: bool) -> None:
    """In a user and a mount namespace of our own, as what is root there. Not ``whole``: what the kernel decides."""
    root = make_root(f"{directory}/root")
    for name in ("lower", "upper", "work", "overlay"):
        os.mkdir(f"{directory}/{name}")
    options = f"userxattr,lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", f"{directory}/overlay"], check=True)
    above = Data(f"{directory}/overlay/data", root)
    made = changed(above, "disk", True)
    above.done("run", "-d", "--name", "live", "--image", "two", "--", "/bin/sleep", "600")
    if whole:
        copied(above, f"{directory}/files")
    ended(above)
    if not whole:
        return
    plain = Data(f"{directory}/plain", root)
    changed(plain, "disk", False)
    plain.done("rm", "one")
    again = changed(plain, "fuse", True)  # devices here, files in their place there
    require(made == again, f"the same changes make different images: {made}, {again}")
    refused(plain)


def main(words: list[str]) -> int:
    """All checks; 1 and one line at the first that fails."""
    if len(words) == 2 and words[0] in ("user", "short"):
        try:
            as_user(words[1], words[0] == "user")
        except CheckFailed as failure:
            print(failure, file=sys.stderr)
            return EXIT_FAILED
        return 0
    if os.geteuid() != 0 or len(words) != 1 or not words[0].isdigit():
        print("fuse_checks: run me as root, in a mount namespace of my own, with a uid", file=sys.stderr)
        return EXIT_CALLED_WRONG
    if not (shutil.which(PROGRAM) and os.path.exists(BUSYBOX) and os.path.exists("/dev/fuse")):
        print(f"fuse_checks: {PROGRAM}, {BUSYBOX} or /dev/fuse is not here, so roots by it were not checked")
        return 0
    uid = int(words[0])
    directory = tempfile.mkdtemp(prefix="pysandbox-fuse-", dir="/var/tmp")
    try:
        os.mkdir(f"{directory}/dev")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "dev,mode=755", "tmpfs", f"{directory}/dev"], check=True)
        device = f"{directory}/dev/fuse"
        os.mknod(device, 0o20666, os.stat("/dev/fuse").st_rdev)
        os.chmod(device, 0o666)
        subprocess.run(["mount", "--bind", device, "/dev/fuse"], check=True)  # in our own mount namespace
        os.chmod(directory, 0o755)
        os.mkdir(f"{directory}/home")
        os.chown(f"{directory}/home", uid, uid)
        command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-PB", os.path.abspath(__file__),
                   "user", f"{directory}/home"]  # fmt: skip
        done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              user=uid, group=uid, extra_groups=[],
                              env={"PATH": os.defpath, "LANG": "C.UTF-8"})  # fmt: skip
        if done.returncode != 0:
            print(f"fuse_checks: {done.stderr.strip()[-4000:]}", file=sys.stderr)
            return EXIT_FAILED
    finally:
        for mounted in ("/dev/fuse", f"{directory}/dev"):
            subprocess.run(["umount", "-l", mounted], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(directory)
    print(f"fuse_checks: {PROGRAM} serves roots where the kernel cannot; the same changes make the same image")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
