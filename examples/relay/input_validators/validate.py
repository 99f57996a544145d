import re
import sys

assert re.fullmatch("pack\n[abcd]{1,1000}\n", sys.stdin.read())
sys.exit(42)
