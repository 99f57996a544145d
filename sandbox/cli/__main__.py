"""``python3 -m sandbox.cli``: the same as ``pysandbox``."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
