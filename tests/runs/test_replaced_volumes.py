"""A volume or a program that is replaced at its path between two runs: one that was made ahead has the old."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from sandbox import Sandbox


def test_a_sandbox_made_ahead_does_not_show_what_was_there_before(tmp_path: Path) -> None:
    file, directory = tmp_path / "file", tmp_path / "directory"
    with Sandbox() as box:
        for number in range(5):
            file.unlink(missing_ok=True)
            file.write_text(f"file {number} ")
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            (directory / "x").write_text(f"directory {number}")
            result = box.run(["cat", "/file", "/d/x"], volumes=[f"{file}:/file", f"{directory}:/d"])
            assert result.stdout.decode() == f"file {number} directory {number}", result
            time.sleep(0.05)  # the next sandbox is made ahead


def test_a_program_that_was_built_again_is_the_new_one(tmp_path: Path) -> None:
    program = tmp_path / "program"
    with Sandbox() as box:
        for number in range(5):
            program.unlink(missing_ok=True)
            program.write_text(f"#!/bin/sh\necho {number}\n")
            program.chmod(0o755)
            assert box.run([str(program)]).stdout == b"%d\n" % number
            time.sleep(0.05)
