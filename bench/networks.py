"""What each kind of network adds to the start of a container, and to its end: milliseconds, median and 90th percentile.

    python3 bench/networks.py [N]

A kind that this host cannot have (/dev/net/tun is closed) is named and left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from time import perf_counter_ns

import common  # noqa: F401 - puts the tree on the path

from sandbox import HostError
from sandbox.networks import open_network, store
from sandbox.networks.network import Network
from sandbox.networks.spec import NetworkSpec

KINDS: dict[str, NetworkSpec] = {
    "named, internal": NetworkSpec.parse("inner"),
    "named, internal, shaped": NetworkSpec.parse("inner", bandwidth="10M"),
    "user": NetworkSpec.parse("user"),
    "user, a port": NetworkSpec.parse("user", publish=["80"]),
    "user, an allow list": NetworkSpec.parse("user", allow=["192.0.2.1:80"]),
    "user, shaped": NetworkSpec.parse("user", bandwidth="10M"),
    "named": NetworkSpec.parse("outer"),
}


def timed(spec: NetworkSpec, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds of opening and of closing."""
    opening, closing = [], []
    for _ in range(count):
        begin = perf_counter_ns()
        network: Network = open_network(spec)
        middle = perf_counter_ns()
        network.close()
        opening.append((middle - begin) / 1e6)
        closing.append((perf_counter_ns() - middle) / 1e6)
    return opening, closing


def shown(figures: list[float]) -> str:
    """Median / 90th percentile."""
    return f"{statistics.median(figures):.1f} / {sorted(figures)[int(len(figures) * 0.9)]:.1f}"


def main() -> int:
    """A row for each kind."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as directory:
        os.environ["PYSANDBOX_DATA"] = f"{directory}/data"
        store.create("inner", internal=True)
        store.create("outer")
        print(f"| {'ms, median / p90':<24} | {'open':>14} | {'close':>14} |\n| --- | --- | --- |")
        for name, spec in KINDS.items():
            try:
                opening, closing = timed(spec, count)
            except HostError as error:
                print(f"| {name:<24} | {error.missing} |")
                continue
            print(f"| {name:<24} | {shown(opening):>14} | {shown(closing):>14} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
