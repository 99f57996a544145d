import os
import sys
from pathlib import Path

ACCEPT, REJECT = 42, 43


def say(word):
    try:
        os.write(1, word + b"\n")
    except BrokenPipeError:
        pass  # it may have left already, and be right


secret = Path(sys.argv[1]).read_text().strip()
say(b"ready")
right = sys.stdin.readline(1000).strip() == secret
say(b"correct" if right else b"no")
sys.exit(ACCEPT if right else REJECT)
