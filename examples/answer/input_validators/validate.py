import re
import sys

assert re.fullmatch("[1-9][0-9]*\n", sys.stdin.read())
sys.exit(42)
