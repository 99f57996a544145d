import re
import sys

text = sys.stdin.read()
assert re.fullmatch(r"(0|[1-9][0-9]*)(\.[0-9]{1,6})?\n", text) and float(text) <= 10**6
sys.exit(42)
