"""Names of programs and paths that somebody else has chosen."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sandbox import RequestError, Sandbox

NAMES = ["a\nb", "-n", "--json=x", "with spaces; touch $(id)", "%s%n%s", "..x", ".hidden", "ü", "\udcff\udcfe", "'\"`",
         "a:b", "a,b=c", "\\040", "x" * 255, "~", "*", "sandbox\r", "\x1b[2J"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(name: str, tmp_path: Path, box: Sandbox) -> None:
    program = tmp_path / name
    shutil.copy("/usr/bin/printf", program)
    result = box.run([os.fsencode(program), "%s", "ran"])
    assert result.ok and result.stdout == b"ran", result
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_with_a_hostile_name_sees_itself(name: str, tmp_path: Path, box: Sandbox) -> None:
    program = tmp_path / name
    program.write_text('#!/bin/sh\nprintf %s "$0"\n')
    program.chmod(0o755)
    result = box.run([os.fsencode(program)])
    assert result.ok and result.stdout == b"/app/" + os.fsencode(name), result


@pytest.mark.parametrize("what", ["/etc/shadow", "/etc/passwd", "/etc", "/proc/self/mem", "/dev/null", "/", "/tmp/.."])
def test_a_link_is_no_way_to_read(what: str, tmp_path: Path, box: Sandbox) -> None:
    """What a link points to is shared only if it is a regular file, and then executed, not read."""
    link = tmp_path / "program"
    link.symlink_to(what)
    try:
        result = box.run([str(link)])
    except RequestError:
        return
    except Exception as error:
        assert type(error).__name__ in ("SetupError", "HostError"), error
        return
    assert result.outcome == "exec_failed" and not result.stdout, result


@pytest.mark.parametrize(
    "name", ["/proc/self/exe", "/proc/1/exe", "/proc/self/fd/3", "/proc/self/root/bin/sh", "/dev/fd/0"]
)
def test_magic_links_as_a_program(name: str, box: Sandbox) -> None:
    """CVE-2019-5736: no name executes the init or the spawner inside of the sandbox."""
    try:
        result = box.run([name, "-c", "echo ran"], stdin=b"")
    except RequestError as error:  # the host's own of that name, which the caller may not read
        assert error.field == "argv"
        return
    # the caller's own interpreter, shared as a program (it cannot run "echo"), or nothing at all
    assert result.stdout in (b"", b"ran\n") and (result.outcome != "ok" or "root/bin/sh" in name), result


def test_an_empty_or_torn_name_is_refused(box: Sandbox) -> None:
    for argv in ([], [""], ["a\0b"], [b"\0"], ["/bin/true", "\0"]):
        with pytest.raises(RequestError):
            box.run(argv)


@pytest.mark.parametrize(
    "interpreter", ["/proc/1/exe", "/proc/self/exe", "/app/program", "/nonexistent", "", "/etc/hostname"]
)
def test_interpreters(interpreter: str, tmp_path: Path, box: Sandbox) -> None:
    """The interpreter is looked up inside. A script that names itself ends with an error, not with a loop."""
    program = tmp_path / "program"
    program.write_text(f"#!{interpreter}\n")
    program.chmod(0o755)
    result = box.run([str(program)])
    assert not result.ok and not result.stdout, result
