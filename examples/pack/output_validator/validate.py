"""validate.py input answer feedback_dir/ < output: 42 with score_multiplier.txt, or 43.

Samples have no score: what is written about one is ignored (2025-09, Samples).
"""

import sys
from pathlib import Path

ACCEPT, REJECT = 42, 43


def say(message):
    with open(sys.argv[3] + "judgemessage.txt", "a") as file:
        print(message, file=file)


def main():
    capacity, count, *weights = [int(word) for word in Path(sys.argv[1]).read_text().split()]
    best = int(Path(sys.argv[2]).read_text())
    words = sys.stdin.read(1000).split()
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= count for word in words):
        say("not a list of positions")
        return REJECT
    chosen = {int(word) for word in words}
    if len(chosen) < len(words):
        say("something was chosen twice")
        return REJECT
    weight = sum(weights[position - 1] for position in chosen)
    say(f"{weight} of {capacity}, the best is {best}")
    if not 0 < weight <= capacity:
        return REJECT
    Path(sys.argv[3] + "score_multiplier.txt").write_text(f"{min(1, weight / best)}\n")
    return ACCEPT


sys.exit(main())
