"""A small package of the 2025-09 format with a secret in its tests, and submissions of all kinds."""

from __future__ import annotations

from pathlib import Path

# In the input and the answer of every secret test, and in what the validator says.
SECRET = "S3CR3T-TOKEN-77"

VALIDATOR = f"""\
import sys
judge, answer, feedback = sys.argv[1:4]
said, wanted = sys.stdin.read().split(), open(answer).read().split()
with open(feedback + "judgemessage.txt", "w") as file:
    file.write("{SECRET} wanted " + " ".join(wanted) + " got " + " ".join(said))
sys.exit(42 if said[:1] == wanted[:1] else 43)
"""
RIGHT = "print(sum(int(word) for word in input().split() if word.isdigit()))\n"
WRONG = "print(sum(int(word) for word in input().split() if word.isdigit()) + 1)\n"
# Tells all that it has seen, wherever it may.
LEAKS = "import sys\nwords = input()\nprint(words)\nprint(words, file=sys.stderr)\nsys.exit(3)\n"
SLOW = "while True: pass\n"


def package(root: Path, *, validator: bool = True, limit: str = "1.0", secret: int = 2) -> Path:
    """sample/1 and so many secret tests: the sum of two numbers."""
    for kind, count in (("sample", 1), ("secret", secret)):
        (root / "data" / kind).mkdir(parents=True)
        for n in range(1, count + 1):
            more = f" {SECRET}" if kind == "secret" else ""
            (root / "data" / kind / f"{n}.in").write_text(f"{n} {n}{more}\n")
            (root / "data" / kind / f"{n}.ans").write_text(f"{2 * n}{more}\n")
    limits = f"limits:\n  memory: 256\n  time_limit: {limit}\n" if limit else "limits:\n  memory: 256\n"
    (root / "problem.yaml").write_text(
        "problem_format_version: 2025-09\nname: Sum\nuuid: 5ca6ba5b-36d5-4eff-8aa7-d967cbc4375e\n"
        f"license: unknown\n{limits}"
    )
    (root / "statement").mkdir()
    (root / "statement" / "problem.en.md").write_text("Add.\n")
    if validator:
        (root / "output_validator").mkdir()
        (root / "output_validator" / "validate.py").write_text(VALIDATOR)
    return root


def submissions(root: Path, **texts: str) -> Path:
    """``accepted__right="..."`` is submissions/accepted/right.py."""
    for name, text in texts.items():
        directory, _, stem = name.partition("__")
        place = root / "submissions" / directory
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{stem}.py").write_text(text)
    return root
