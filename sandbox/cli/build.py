"""``pysandbox build [OPTIONS] CONTEXT``"""

from __future__ import annotations

import sys

from ..errors import RequestError
from .flags import FLAGS, mixed

EXIT_FAILED = 1


def main(words: list[str]) -> int:
    """Build, print the id; the exit status of docs/build.md."""
    values, others = mixed("build", FLAGS["build"], words, "build")
    if len(others) != 1:
        raise RequestError("build", " ".join(others)[:80], "expected one context directory")
    from ..build.builder import build
    from ..build.options import BuildFailed, BuildOptions
    from .main import tell, write_line
    from .report import lines

    quiet = bool(values.pop("quiet", False))
    own = {name: values.pop(name) for name in ("file", "target", "arguments", "labels", "ids", "net") if name in values}
    options = BuildOptions(
        context=others[0], names=tuple(values.pop("names", ())), cache=not values.pop("no_cache", False),
        options=values, output=None if quiet else 2, tell=None if quiet else write_line, **own,
    )  # fmt: skip
    try:
        image = build(options)
    except BuildFailed as error:
        tell(str(error))
        for line in lines(error.result):
            tell(line)
        return EXIT_FAILED
    sys.stdout.write(f"{image.id}\n")
    return 0
