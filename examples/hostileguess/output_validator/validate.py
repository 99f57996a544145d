import sys
from pathlib import Path

ACCEPT, REJECT = 42, 43


def main():
    secret = Path(sys.argv[1]).read_text().strip()
    try:
        print("ready", flush=True)
        right = sys.stdin.readline(1000).strip() == secret
        print("correct" if right else "no", flush=True)
    except BrokenPipeError:
        right = False
        sys.stdout = None  # nothing is left to flush at the end
    return ACCEPT if right else REJECT


sys.exit(main())
