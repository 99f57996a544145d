import sys

sys.exit(0 if sys.stdin.read() == "yes\n" else 1)
