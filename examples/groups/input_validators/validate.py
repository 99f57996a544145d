import re
import sys

most = int(sys.argv[1]) if len(sys.argv) > 1 else 10**18
text = sys.stdin.read()
assert re.fullmatch("(0|[1-9][0-9]*)\n", text) and int(text) <= most
sys.exit(42)
