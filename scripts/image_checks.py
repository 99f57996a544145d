"""Images and containers of root's, whose sandbox is somebody else: what is copied into them, and COPY of a build.

``python3 scripts/image_checks.py``, as root; scripts/root_checks.py runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUSYBOX = "/bin/busybox"
TIMEOUT_S = 120


def make_inputs(top: str) -> None:
    """A root file system of one program, and a build context."""
    os.makedirs(f"{top}/root/bin")
    shutil.copy(BUSYBOX, f"{top}/root/bin/busybox")
    for name in ("sh", "cat"):
        os.symlink("busybox", f"{top}/root/bin/{name}")
    os.mkdir(f"{top}/context")
    with open(f"{top}/context/Dockerfile", "w", encoding="ascii") as file:
        file.write("FROM box\nCOPY Dockerfile /copied\nRUN cat /copied > /read\n")


def main() -> int:
    """All checks; 1 and one line at the first that fails."""
    if not os.path.exists(BUSYBOX):
        print("image_checks: busybox-static is not installed, so images of root's were not checked")
        return 0
    with tempfile.TemporaryDirectory() as top:
        make_inputs(top)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "PYTHONPATH": TREE, "LANG": "C.UTF-8",
                       "PYSANDBOX_DATA": f"{top}/data"}  # fmt: skip
        commands = (
            ("image", "import", f"{top}/root", "box"), ("run", "--name", "c", "--image", "box", "--", "sh", "-c", ":"),
            *(("cp", f"{top}/context/Dockerfile", f"c:/in{number}") for number in range(2)),
            ("cp", "c:/in1", f"{top}/out"), ("rm", "c"),
            ("build", "--tag", "built", f"{top}/context"),
            ("run", "--rm", "--image", "built", "--", "cat", "/read"),
        )  # fmt: skip
        for words in commands:
            done = subprocess.run([sys.executable, "-PB", f"{TREE}/bin/pysandbox", *words], env=environment, cwd="/",
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S,
                                  check=False)  # fmt: skip
            if done.returncode:
                print(f"image_checks: pysandbox {' '.join(words)}: {done.stderr.strip()[-300:]}", file=sys.stderr)
                return 1
        with open(f"{top}/context/Dockerfile", encoding="ascii") as wanted, open(f"{top}/out", encoding="ascii") as out:
            text = wanted.read()
            if done.stdout != text or out.read() != text:
                print(f"image_checks: the built image has {done.stdout!r}, not the Dockerfile", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
