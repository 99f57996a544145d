"""Who the program is: one id, or a range in which it is a subordinate id and not the caller."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import Result, Sandbox, run
from tests.runs.world import named, until

pytestmark = pytest.mark.v2


def first_subid() -> int:
    name = pwd.getpwuid(os.geteuid()).pw_name
    for line in Path("/etc/subuid").read_text().splitlines():
        user, start, count = line.split(":")
        if user in (name, str(os.geteuid())) and int(count) >= 65536:
            return int(start)
    pytest.fail("this user has no subordinate ids in /etc/subuid; see docs/development.md")


def host_uids(box: Sandbox, **options: object) -> set[int]:
    """The uids on the host of a program that runs now."""
    with box.start(["sleep", "60"], **options) as running:
        assert until(lambda: named("sleep"))
        pid = named("sleep")[0][0]
        line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:"))
        running.supervision.kill("interrupted", "seen enough")
        running.wait()
    return set(map(int, line.split()[1:]))


def test_single_id_is_the_caller_outside_and_1000_inside() -> None:
    assert run(["id", "-u"]).stdout == b"1000\n"
    with Sandbox() as box:
        assert host_uids(box) == {os.geteuid()}


def test_range_is_a_subordinate_id_outside() -> None:
    start = first_subid()
    with Sandbox(ids="range") as box:
        assert host_uids(box) == {start + 999}  # inside 1 is the first of them
        assert host_uids(box, user=1) == {start}
        assert os.geteuid() not in host_uids(box, user="4711:4712")


@pytest.mark.parametrize("limits", [{}, {"mem": "64M", "time": 5}], ids=["plain", "limited"])
def test_range_has_no_groups_and_no_capabilities(limits: dict[str, object]) -> None:
    result = run(["sh", "-c", "id; grep -E '^(Groups|Cap|NoNew)' /proc/self/status"], ids="range", user="5:6", **limits)
    assert result.ok, result
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("uid=5") and "gid=6" in lines[0]
    status = dict(line.split(":", 1) for line in lines[1:])
    assert status["Groups"].strip() == "" and status["NoNewPrivs"].strip() == "1"
    assert {v.strip() for k, v in status.items() if k.startswith("Cap")} == {"0" * 16}
    assert not result.notes


def test_range_limits_are_enforced(program: Callable[[str], str]) -> None:
    assert run([program("eater"), "heap", "256"], ids="range", mem="32M").outcome == "memory"
    assert run([program("spin"), "one"], ids="range", wall="200ms").exit_status == 124
    assert not named("spin")
    # not with mem: see test_fork_bomb_is_contained_and_gone
    bomb = run([program("bomb")], ids="range", pids=20, wall="200ms", time=1000)
    assert bomb.exit_status == 124 and not named("bomb")


def test_program_of_a_range_may_not_touch_what_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("secret")
    (tmp_path / "private").chmod(0o600)
    tmp_path.chmod(0o755)
    text = "cat /data/private; echo x > /data/new; kill -9 1"
    result = run(["sh", "-c", text], ids="range", volumes=[f"{tmp_path}:/data:rw"])
    assert result.stdout == b"" and not result.ok
    assert os.listdir(tmp_path) == ["private"]


def test_files_of_a_range_in_a_writable_volume(tmp_path: Path) -> None:
    start = first_subid()
    open_dir = tmp_path / "open"
    open_dir.mkdir()
    open_dir.chmod(0o777)
    result = run(["sh", "-c", "touch /data/made; stat -c %u /data/made"], ids="range", volumes=[f"{open_dir}:/data:rw"])
    assert result.stdout == b"1000\n"
    assert (open_dir / "made").stat().st_uid == start + 999
    (open_dir / "made").unlink()
    # One id: it is the caller's own file.
    run(["touch", "/data/made"], volumes=[f"{open_dir}:/data:rw"])
    assert (open_dir / "made").stat().st_uid == os.geteuid()


@pytest.mark.parametrize("ids", ["single", "range"])
def test_user_0_is_root_in_name_only(ids: str) -> None:
    tries = "mount -t tmpfs x /mnt 2>/dev/null; chown 5 /tmp 2>/dev/null; hostname other 2>/dev/null"
    text = f"id -u; grep CapEff /proc/self/status; {tries}; hostname"
    result = run(["sh", "-c", text], ids=ids, user=0)
    assert result.stdout.split() == [b"0", b"CapEff:", b"0" * 16, b"sandbox"], result
    assert b"root" in run(["sh", "-c", "id -un; ls -ld /work"], ids=ids, user=0).stdout


def test_range_cannot_switch_to_another_id(python_program: Callable[..., Result]) -> None:
    text = "import os\ntry: os.setuid(7)\nexcept PermissionError: print('refused')"
    assert python_program(text, ids="range").stdout == b"refused\n"


def test_kinds_of_ids_side_by_side() -> None:
    with Sandbox() as box:
        for _ in range(3):
            assert box.run(["id", "-u"]).stdout == b"1000\n"
            assert box.run(["id", "-u"], ids="range", user=77).stdout == b"77\n"


def test_command_line(pysandbox: Callable[..., SimpleNamespace]) -> None:
    assert pysandbox("run", "--ids", "range", "--user", "12:34", "--", "sh", "-c", "id -u; id -g").stdout == "12\n34\n"
    assert pysandbox("run", "--user", "0", "--", "id", "-u").stdout == "0\n"


def test_no_new_privs_is_explained() -> None:
    import subprocess
    import sys

    text = "from sandbox import HostError, run\ntry: run(['true'], ids='range')\nexcept HostError as e: print(e)"
    done = subprocess.run(
        ["setpriv", "--no-new-privs", sys.executable, "-c", text], capture_output=True, text=True, check=False
    )
    assert "no_new_privs" in done.stdout and done.stdout.count("\n") == 1, done
