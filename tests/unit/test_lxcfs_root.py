"""The root of a private lxcfs, step by step; PYSANDBOX_WRITE_PLANS=1 writes the snapshots anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.lxcfs import FILES, MOUNT_POINT, export_steps, root_steps
from sandbox.steps import RDONLY, Bind, SwitchRoot
from tests.unit.test_plan import HOST

PLANS = Path(__file__).resolve().parent / "plans" / "lxcfs"
CASES: dict[str, tuple[str, ...]] = {"v2": (), "v1": ("cgroup:0", "cgroup:1")}


@pytest.mark.parametrize("name", CASES)
def test_snapshots(name: str) -> None:
    steps = (*root_steps(HOST, CASES[name]), *export_steps())
    text = "".join(f"{step.describe()}\n" for step in steps)
    file = PLANS / f"{name}.txt"
    if os.environ.get("PYSANDBOX_WRITE_PLANS"):
        file.write_text(text)
        pytest.fail(f"{file.name} was written, not compared")
    assert text == file.read_text()


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_the_host_can_be_written(name: str) -> None:
    steps = root_steps(HOST, CASES[name])
    assert isinstance(steps[-1], SwitchRoot)
    for step in steps:
        if isinstance(step, Bind) and step.origin == "host":
            assert step.attributes & RDONLY or step.chardev, step.describe()


def test_what_it_gives_out_are_absolute_names_below_its_mount_point() -> None:
    assert [step.path for step in export_steps()] == [f"{MOUNT_POINT}/{name}" for name in FILES]  # type: ignore[attr-defined]
