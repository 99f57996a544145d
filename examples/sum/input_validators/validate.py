import re
import sys

lines = sys.stdin.read().split("\n")
numbers = lines[1].split(" ")
assert len(lines) == 3 and lines[2] == ""
assert re.fullmatch("[1-9][0-9]*", lines[0]) and len(numbers) == int(lines[0]) <= 100
assert all(re.fullmatch("0|-?[1-9][0-9]*", n) and abs(int(n)) <= 10**17 for n in numbers)
sys.exit(42)
