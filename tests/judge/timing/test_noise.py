"""What the kernel says of the machine's load."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.facts import Evidence, PassFacts, RunFacts
from judge.timing.noise import PRESSURE_FILE, Pressure, Watch


def test_share_of_waiting(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    line = "some avg10=0.00 avg60=0.00 avg300=0.00 total={}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
    file.write_text(line.format(1000))
    pressure = Pressure(str(file))
    watch = Watch(pressure)
    file.write_text(line.format(10**12))
    evidence = Evidence((PassFacts(RunFacts("ok", throttled_ns=5)), PassFacts(RunFacts("ok", throttled_ns=7))))
    noise = watch.noise(evidence, 1)
    assert (noise.pressure, noise.throttled_ns, noise.beside) == (1.0, 12, 1)
    watch = Watch(pressure)
    assert watch.noise(Evidence(), 0).pressure == 0.0
    pressure.close()


def test_kernel_that_does_not_say(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "other"):
        (tmp_path / "other").write_text("nothing of that kind\n")
        pressure = Pressure(str(path))
        assert pressure.waited_us() is None
        assert Watch(pressure).noise(Evidence(), 0).pressure is None
        pressure.close()


@pytest.mark.skipif(not Path(PRESSURE_FILE).exists(), reason="a kernel without pressure stall information")
def test_this_kernel() -> None:
    pressure = Pressure()
    first = pressure.waited_us()
    pressure.close()
    if first is not None:  # None: booted with psi=0
        assert first >= 0
