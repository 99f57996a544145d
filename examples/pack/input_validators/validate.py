import re
import sys

text = sys.stdin.read()
assert re.fullmatch("[1-9][0-9]* [1-9][0-9]*\n[1-9][0-9]*( [1-9][0-9]*)*\n", text)
capacity, count, *weights = [int(word) for word in text.split()]
assert count == len(weights) <= 20 and max(capacity, *weights) <= 1000 and min(weights) <= capacity
sys.exit(42)
