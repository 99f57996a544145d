"""validate.py input answer feedback_dir/ < output, once for each pass. The feedback directory stays."""

import re
import sys
from pathlib import Path

ACCEPT, REJECT = 42, 43
FEEDBACK = Path(sys.argv[3])
SECOND = FEEDBACK / "packed.txt"  # ours: there if this is the second pass


def judge(message, code):
    with (FEEDBACK / "judgemessage.txt").open("a") as file:
        print(message, file=file)
    return code


def main():
    letters = Path(sys.argv[2]).read_text().strip()
    said = sys.stdin.read(10000).strip()
    if SECOND.exists():
        return judge("second pass", ACCEPT if said == letters else REJECT)
    if not re.fullmatch("[a-zA-Z0-9+-]{1,500}", said):
        return judge("not what may be printed", REJECT)
    SECOND.write_text(said)
    (FEEDBACK / "nextpass.in").write_text(f"unpack\n{said}\n")
    return judge(f"packed {len(letters)} into {len(said)}", ACCEPT)


sys.exit(main())
