import re
import sys

text = sys.stdin.read()
assert re.fullmatch("[1-9][0-9]*\n", text) and int(text) <= 10**9
sys.exit(42)
