"""/proc tells the truth: every tool that is here agrees with the limits, through our own files.

docs/proc.md has the table of tools; PYSANDBOX_WRITE_DOCS=1 writes it anew. lxcfs: tests/vm/guest/test_lxcfs.py
and scripts/lxcfs_checks.py, because only root starts one here.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import RequestError, Sandbox, run
from tests.runs.figures import OPTIONS, TOOLS, Tool, installed, line_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "proc.md"
BEGIN, END = "<!-- tools: begin -->\n", "<!-- tools: end -->\n"
HEAD = ("Tool", "Figure", "Reads", "plain", "static", "lxcfs")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def shell(text: str, **options: object) -> str:
    result = run(["sh", "-c", text], **options)
    assert result.ok, result.stderr
    return result.stdout.decode()


def value(tool: Tool, proc: str) -> int | None:
    """What it shows; None if it fails."""
    result = run(tool.argv, proc=proc, stderr="capture", **OPTIONS)
    assert result.outcome in ("ok", "exited") and result.proc == proc, (tool.command, result)
    return tool.shows(result.stdout.decode()) if result.ok else None


# ---- tools ----


@pytest.mark.parametrize("tool", installed(), ids=lambda tool: tool.command)
def test_a_tool_agrees_with_the_limits(tool: Tool) -> None:
    assert value(tool, "static") == tool.limit


def test_the_tools_are_here() -> None:
    """Those of procps, coreutils, libc and Python are on every host that runs this suite."""
    assert len(installed()) >= 12


def test_the_page_says_what_the_tools_show() -> None:
    """The table of docs/proc.md, row by row, for what is installed here."""
    cells = {}
    for line in PAGE.read_text().partition(BEGIN)[2].partition(END)[0].splitlines()[2:]:
        row = [cell.strip().strip("`") for cell in line.strip("| ").split(" | ")]
        cells[row[0]] = row
    rows = []
    for tool in TOOLS:
        known = cells.get(tool.command, [])
        row = [tool.command, tool.figure, tool.reads, *(known[3:4] or ["host"]), "limit", "limit"]
        if tool in installed():
            plain = value(tool, "plain")
            # else the host is as small as the limit
            if plain != tool.limit or tool.reads.startswith(("sched_getaffinity", "sysinfo")):
                row[3] = "fails" if plain is None else "limit" if plain == tool.limit else "host"
        rows.append(row)
    if os.environ.get("PYSANDBOX_WRITE_DOCS"):
        before, _, rest = PAGE.read_text().partition(BEGIN)
        lines = [f"| {' | '.join(HEAD)} |", f"|{' --- |' * len(HEAD)}"]
        lines += [f"| {' | '.join([f'`{row[0]}`', *row[1:]])} |" for row in rows]
        PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + rest.partition(END)[2])
        pytest.fail(f"{PAGE.name} was written, not compared")
    assert rows == list(cells.values())


# ---- what is shown, and when ----


@pytest.mark.parametrize(("proc", "options", "kind"), [
    ("auto", {}, "plain"), ("auto", {"time": 5, "pids": 9}, "plain"), ("plain", {"mem": "64M", "cpus": 1}, "plain"),
    ("static", {}, "static"), ("static", {"cpus": 1}, "static"),
    ("auto", {"mem": "64M", "without": ["mount"]}, "plain"),
])  # fmt: skip
def test_which_way_is_taken(proc: str, options: dict[str, object], kind: str) -> None:
    result = run(["true"], proc=proc, **options)
    assert result.ok and result.proc == kind and result.to_json()["proc"] == kind


def test_auto_pays_only_for_a_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a limit lxcfs is looked at, here in a place where there is none: a note, and our own files."""
    monkeypatch.setenv("PYSANDBOX_LXCFS", str(tmp_path))
    with Sandbox() as box:
        plain, limited = box.run(["true"]), box.run(["true"], mem="64M")
    assert plain.proc == "plain" and not plain.notes
    assert limited.proc == "static" and [note for note in limited.notes if str(tmp_path) in note]


def test_a_way_that_is_not_there_is_an_error(pysandbox: Command, tmp_path: Path) -> None:
    for words, said in (
        (["--proc", "lxcfs"], "lxcfs"),
        (["--proc", "truth"], "expected"),
        (["--proc", "static", "--without", "mount"], "mount namespace"),
    ):
        done = pysandbox("run", *words, "--", "true", env={"PYSANDBOX_LXCFS": str(tmp_path)})
        assert done.returncode == 125 and done.stderr.count("\n") == 1, done.stderr
        assert "--proc" in done.stderr and said in done.stderr
    with pytest.raises(RequestError):
        run(["true"], proc="truth")


def test_a_dead_lxcfs_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It answered a moment ago, and does not when the sandbox is made: ours are there, and the result says so."""
    (tmp_path / "proc").mkdir()
    for name in ("meminfo", "swaps"):
        (tmp_path / "proc" / name).write_text("MemTotal: 77 kB\n")
    monkeypatch.setenv("PYSANDBOX_LXCFS", str(tmp_path))
    with Sandbox(mem="64M") as box:
        show = ["grep", "MemTotal", "/proc/meminfo"]
        found = box.run(show)
        assert found.proc == "lxcfs" and found.stdout == b"MemTotal: 77 kB\n" and not found.notes
        for name in ("meminfo", "swaps"):
            os.unlink(tmp_path / "proc" / name)
        lost = box.run(show)
        assert lost.proc == "static" and lost.stdout.split() == [b"MemTotal:", b"65536", b"kB"]
        assert any("died" in note for note in lost.notes)
        again = box.run(show)  # asked anew: not tried at all
        assert again.proc == "static" and again.stdout == lost.stdout


@pytest.mark.v2
@pytest.mark.parametrize("options", [
    {"ids": "range"}, {"without": ["pid"]}, {"without": ["time"]}, {"without": ["cgroup", "net"]}, {"user": "0:0"},
    {"policy": "none"}, {"disk": "64K", "inodes": 16}, {"tty": False, "hostname": "x"},
], ids=str)  # fmt: skip
def test_in_every_kind_of_sandbox(options: dict[str, object]) -> None:
    found = run(["cat", "/proc/meminfo", "/sys/devices/system/cpu/online"], mem="64M", cpus=1, proc="static", **options)
    assert found.ok, found
    assert line_of(found.stdout.decode(), "MemTotal:") == ["65536", "kB"] and found.stdout.endswith(b"\n0\n")


@pytest.mark.parametrize("mode", ["ro", "scratch"])
def test_in_a_foreign_root(mode: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    subprocess.run(["cp", "/bin/busybox", tmp_path / "bin" / "sh"], check=True)
    text = "grep MemTotal /proc/meminfo; cat /sys/devices/system/cpu/online; grep -c ^cpu /proc/stat; nproc"
    text = text.replace("grep", "busybox grep").replace("cat", "busybox cat").replace("nproc", "busybox nproc")
    os.link(tmp_path / "bin" / "sh", tmp_path / "bin" / "busybox")
    found = run(["/bin/sh", "-c", text], rootfs=f"{tmp_path}:{mode}", mem="64M", cpus=1, env={"PATH": "/bin"})
    assert found.stdout.split() == [b"MemTotal:", b"65536", b"kB", b"0", b"2", b"1"], found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin"]  # nothing was made in the caller's folder


def test_a_share_at_sys_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    assert shell("ls /sys", volumes=[f"{tmp_path}:/sys:rw"], cpus=1) == "mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_runs_that_differ_in_their_limits_each_see_their_own() -> None:
    """Their sandboxes are alike, so that the next one is made ahead; what is in the files is the run's."""
    with Sandbox(proc="static") as box:
        for mem in (64, 80, 64, 96):
            for cpus in (1, 0.5):
                text = box.run(["cat", "/proc/meminfo"], mem=f"{mem}M", cpus=cpus).stdout.decode()
                assert line_of(text, "MemTotal:") == [str(mem << 10), "kB"]


# ---- what they hold ----


def test_memory_of_which_nothing_is_used() -> None:
    _head, memory, swap = (line.split() for line in shell("free -m", mem="64M").splitlines())
    assert memory == ["Mem:", "64", "0", "64", "0", "0", "64"] and swap == ["Swap:", "0", "0", "0"]


def test_every_line_of_the_kernels_files_is_there() -> None:
    for name, separator in (("meminfo", ":"), ("vmstat", " ")):
        ours = shell(f"cat /proc/{name}", mem="64M").splitlines()
        theirs = Path(f"/proc/{name}").read_text().splitlines()
        assert [line.partition(separator)[0] for line in ours] == [line.partition(separator)[0] for line in theirs]


def test_the_load_and_the_disks_are_not_the_hosts() -> None:
    assert shell("cat /proc/loadavg", mem="64M") == "0.00 0.00 0.00 1/1 1\n"
    assert shell("cat /proc/diskstats", cpus=1) == ""


def test_the_boot_of_the_sandbox() -> None:
    before = int(time.time())
    text = shell("grep btime /proc/stat; uptime; cat /proc/uptime", cpus=1)
    assert before <= int(line_of(text, "btime")[0]) <= time.time()
    assert "up 0 min" in text and "load average: 0.00, 0.00, 0.00" in text
    with open("/proc/stat") as file:
        host = next(int(line.split()[1]) for line in file if line.startswith("btime"))
    assert abs(int(line_of(shell("cat /proc/stat", cpus=1, without=["time"]), "btime")[0]) - host) <= 1


@pytest.mark.parametrize("path", ["/proc/meminfo", "/proc/stat", "/proc/loadavg", "/sys/devices/system/cpu/online"])
def test_nobody_writes_them(path: str) -> None:
    for options in ({}, {"ids": "range"}, {"policy": "none", "user": "0:0"}):
        result = run(["sh", "-c", f"echo 1 > {path}; chmod 777 {path}; rm {path}; mv {path} /tmp; umount {path}"],
                     mem="64M", cpus=1, stderr="capture", **options)  # fmt: skip
        assert not result.ok
        assert shell(f"cat {path}", mem="64M", cpus=1) != "1\n"
    text = "import os, sys; print(os.statvfs(sys.argv[1]).f_flag & 15)"
    found = run(["python3", "-I", "-S", "-c", text, path], mem="64M", cpus=1)
    assert found.stdout == b"15\n"  # ST_RDONLY, ST_NOSUID, ST_NODEV, ST_NOEXEC


def test_where_they_lie_cannot_be_reached() -> None:
    mounts = shell("cat /proc/self/mountinfo", mem="64M", cpus=1).splitlines()
    shown = [fields for fields in (line.split() for line in mounts) if fields[3].startswith(("/proc/", "/sys/"))]
    ours = {fields[4] for fields in shown if fields[3] == fields[4]}
    assert "/proc/meminfo" in ours and "/sys/devices/system/cpu" in ours
    assert not [fields for fields in shown if fields[3] == "/" and fields[4] == "/"]


# ---- CPUs ----


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: there is nothing to choose")
def test_whole_cpus_are_spread_over_those_allowed() -> None:
    show = ["python3", "-I", "-S", "-c", "import os; print(*os.sched_getaffinity(0))"]
    with Sandbox(cpus=1) as box:
        first, second = box.run(show).stdout, box.run(show).stdout
    assert first != second and {int(first), int(second)} <= os.sched_getaffinity(0)


def test_a_fraction_pins_nothing() -> None:
    allowed = len(os.sched_getaffinity(0))
    assert shell("nproc; getconf _NPROCESSORS_ONLN", cpus=0.5).split() == [str(allowed), "1"]


def test_a_cpuset_is_shown() -> None:
    cpu = max(os.sched_getaffinity(0))
    text = "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo; taskset -cp $$"
    # a user of systemd has no cpuset controller unless an administrator says so; the mask follows it all the same
    assert shell(text, cpuset=str(cpu), best_effort=True).split()[:3] == ["1", "1", "1"]


def test_plan_shows_it(pysandbox: Command) -> None:
    done = pysandbox("plan", "--mem", "64M", "--proc", "static", "--", "true")
    assert "show view:proc/meminfo at /proc/meminfo (ro,nosuid,nodev,noexec)" in done.stdout
    assert "write view:/proc/meminfo" in done.stdout.partition("take the order")[2]
