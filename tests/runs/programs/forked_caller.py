"""Runs a program, forks, and runs one in parent and child at once; the child must not use the parent's spawner."""

import os
import sys

from sandbox import run


def shout(text: str) -> bytes:
    return run(["echo", text], mem="64M").stdout


assert shout("before") == b"before\n"
child = os.fork()
if child == 0:
    wrong = [n for n in range(20) if shout(f"child {n}") != f"child {n}\n".encode()]
    sys.stdout.flush()
    os._exit(len(wrong))
wrong = [n for n in range(20) if shout(f"parent {n}") != f"parent {n}\n".encode()]
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert shout("after") == b"after\n"
print(len(wrong), status)
