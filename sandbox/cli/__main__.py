"""``python3 -m sandbox.cli``: the same as ``pysandbox``."""

import sys

try:
    from .main import main
except KeyboardInterrupt:  # before anything of ours could remember it
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
