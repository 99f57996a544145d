import re
import sys

most = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
lines = sys.stdin.read().split("\n")
numbers = lines[1].split(" ")
assert len(lines) == 3 and lines[2] == ""
assert re.fullmatch("[1-9][0-9]*", lines[0]) and len(numbers) == int(lines[0]) <= most
assert all(re.fullmatch("0|-?[1-9][0-9]*", n) and abs(int(n)) <= 10**6 for n in numbers)
sys.exit(42)
