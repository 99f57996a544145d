"""Typing into a terminal that is shared with the caller, in all disguises."""

from __future__ import annotations

from typing import Any

import pytest

TIOCSTI, TIOCLINUX, TIOCSETD, TIOCSCTTY, TIOCCONS = 0x5412, 0x541C, 0x5423, 0x540E, 0x541D
HIGH = [0, 1 << 32, 0xFFFFFFFF << 32, 1 << 63]


@pytest.mark.parametrize("request_number", [TIOCSTI, TIOCLINUX, TIOCSETD])
def test_the_low_32_bits_decide(request_number: int, inside: Any) -> None:
    """CVE-2017-5226, CVE-2023-28100; with high bits, which the kernel does not look at: CVE-2019-10063."""
    out = inside(
        f"""
master, slave = os.openpty()
byte = ctypes.create_string_buffer(b"x")
for fd in (0, 1, master, slave):
    for high in {HIGH!r}:
        out[f"{{fd}} {{high:x}}"] = call("ioctl", fd, {request_number} | high, byte)
out["works"] = call("ioctl", slave, 0x5413, ctypes.create_string_buffer(8))  # TIOCGWINSZ: the terminal is one
"""
    )
    assert out.pop("works") == 0
    assert set(out.values()) == {-1}, out


def test_no_terminal_of_the_caller(inside: Any) -> None:
    out = inside(
        """
out["tty"] = tried(lambda: os.open("/dev/tty", os.O_RDWR))
out["session"] = [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()]
out["isatty"] = [os.isatty(fd) for fd in (0, 1, 2)]
out["pts"] = os.listdir("/dev/pts")
"""
    )
    assert out == {"tty": -6, "session": [True, True], "isatty": [False] * 3, "pts": ["ptmx"]}


@pytest.mark.parametrize("policy", ["default", "none"])
def test_its_own_terminal_is_its_own(policy: str, box: Any, command: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """--tty: the controlling terminal is from the sandbox's devpts, and the only one there."""
    result = box.run(
        command('print(sorted(os.listdir("/dev/pts")), os.ttyname(0), os.isatty(1), os.tcgetpgrp(0) == os.getpid())'),
        tty=True, policy=policy,
    )  # fmt: skip
    assert result.ok, result
    assert capfd.readouterr().out.splitlines()[0] == "['0', 'ptmx'] /dev/pts/0 True True"
