"""Acceptance line 8: whatever is asked in a wrong way is one clear line and 125, and leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import RequestError, SandboxError, run
from tests.runs.world import programs_of

Command = Callable[..., SimpleNamespace]

SIZES = [
    "-1",
    "",
    " ",
    "x",
    "64Q",
    "1e6",
    "0x40",
    "64M64M",
    "inf",
    "nan",
    "1.2.3",
    "９",
    "99999999999999999999",
    "9999999T",
    "-0",
]
TIMES = ["-1s", "", "x", "1y", "1s1s", "0", "0s", "inf", "nan", "1e3", "99999999999999999999s", "０s", "9999999999h"]
COUNTS = ["-1", "", "x", "1.5", "1k", "99999999999999999999", "0x10", "٣"]

# The least that a field accepts, for fields where 0 or 1 is too little.
TOO_LITTLE = {"mem": "1K", "disk": "1K", "stack": "1K", "pids": "0", "inodes": "1", "nofile": "2", "cpus": "0.001"}

BAD = {
    "mem": SIZES, "output": SIZES, "disk": SIZES, "fsize": SIZES, "stack": SIZES, "core": SIZES,
    "time": TIMES, "wall": TIMES, "idle": TIMES, "grace": TIMES,
    "pids": COUNTS, "inodes": COUNTS, "nofile": COUNTS,
    "swap": [*SIZES, "64M"],  # alone it means nothing
    "cpus": ["-1", "", "x", "0", "1e1", "nan", "inf", "99999999", "1,5"],
    "cpuset": ["", "-", "-1", "x", "1-0", "0,", ",", "0--1", "99999999", "0-99999999999", "9-9-9", "4096"],
    "io-read": ["", "-1", "0", "x", "10", "0iops", "-5iops", "iops", "10M,", ",", "10M,10M", "5iops,5iops",
                "1iops,2M,3M"],
    "io-write": ["", "-1", "0", "x", "10", "0iops", "4294967295iops", "1e3", "10M 5iops"],
    "proc": ["", "x", "STATIC", "none", "static,lxcfs"],
    "sysinfo": ["", "x", "ON", "yes", "1"],
    "cgroup": ["", "relative/path", "..", "/a/../b", "/no/such/cgroup"],
    "volume": ["", ":", "x", "/usr", "/usr:", ":/x", "/usr:relative", "/no/such/dir:/x", "/usr:/x:rx", "/usr:/x:ro:rw",
               "/usr:/a/../b", "/usr:/", "/usr:/proc", "/usr:/proc/self", "/usr:/dev/shm", "/dev/null:/x"],
    "tmpfs": ["", "relative", "/", "/proc", "/dev/x", "/x:-1", "/x:y", "/a/../b"],
    "rootfs": ["", "/no/such/root", "/etc/passwd", "/usr:", "/usr:rw", "/usr:ro:ro"],
    "workdir": ["", "relative", "/a/../b", "..", "/no/" * 1500],
    "without": ["", "x", "usr", "pid,net", "user"],
    "net": ["", "x", "bridge", "HOST"],
    "cap-add": ["", "x", "SYS_ADMIN", "CHOWN,x"],
    "cap-drop": ["", "x", "CHOWN,x"],
    "denials": ["", "x", "yes"],
    "isolation": ["", "x", "none", "namespaces,landlock"],
    "landlock": ["", "x", "yes", "7"],
    "ids": ["", "x", "0"],
    "user": ["", "-1", "x", "root", "1:", "1:x", "99999999999", "4294967295", "1:2:3"],
    "hostname": ["", "-x", ".x", "a b", "ä", "x" * 65, "a_b", "a/b"],
    "policy": ["", "no-such-policy", "/no/such/policy.toml", "../../etc/passwd", "/etc/passwd"],
    "env": ["", "X", "=x", "="],
    "stdin": ["", "/no/such/file", "/"],
    "stdout": ["", "/no/such/dir/file", "/"],
    "stderr": ["", "/no/such/dir/file", "/"],
    "json": ["", "/no/such/dir/file", "/"],
}  # fmt: skip

CASES = [(field, value) for field, values in BAD.items() for value in values] + list(TOO_LITTLE.items())


def assert_refused(done: SimpleNamespace, *words: str) -> None:
    assert done.returncode == 125, done
    assert done.stdout == ""
    assert done.stderr.startswith("pysandbox: ") and done.stderr.endswith("\n")
    assert done.stderr.count("\n") == 1 and len(done.stderr) < 700, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("field", BAD)
def test_bad_values_of_every_flag(field: str, pysandbox: Command, tmp_path: Path) -> None:
    wrong = []
    for name, value in CASES:
        if name != field:
            continue
        done = pysandbox("run", f"--{field}={value}", "--", "echo", "ran")
        try:
            # Of a policy the file is named, which says more.
            assert_refused(done, field if field != "policy" or not value else os.path.basename(value))
        except AssertionError as error:
            wrong.append(f"{value[:40]!r}: exit {done.returncode}: {error}")
    assert not wrong, "\n".join(wrong)
    assert not list(tmp_path.iterdir()) and not programs_of()


def test_every_flag_is_tried() -> None:
    from sandbox.cli.options import OPTIONS

    assert set(BAD) == {option.name for option in OPTIONS if option.kind != "flag"}


@pytest.mark.parametrize("flag", ["--best-effort", "--tty", "--quiet"])
def test_flags_without_a_value_refuse_one(flag: str, pysandbox: Command) -> None:
    assert_refused(pysandbox("run", f"{flag}=yes", "--", "echo", "ran"), flag)


@pytest.mark.parametrize("words", [
    [], ["--"], [""], ["--", ""], ["--mem"], ["--mem", "64M"], ["-v"], ["--no-such-flag", "--", "true"], ["-Z", "true"],
    ["--mme", "64M", "true"], ["--=x", "true"], ["---", "true"], ["--mem", "--", "true"],
], ids=lambda words: " ".join(words) or "nothing")  # fmt: skip
def test_command_lines_that_say_nothing_sensible(words: list[str], pysandbox: Command) -> None:
    assert_refused(pysandbox("run", *words))


def test_near_miss_is_named(pysandbox: Command) -> None:
    assert_refused(pysandbox("run", "--memm", "64M", "--", "true"), "--mem?")


@pytest.mark.parametrize("command", ["", "ruin", "--frobnicate", "\n", "\udcff"])
def test_unknown_commands(command: str, pysandbox: Command) -> None:
    assert_refused(pysandbox(command))


def test_newlines_and_control_bytes_do_not_break_the_line(pysandbox: Command) -> None:
    assert_refused(pysandbox("run", "--mem", "64M\npysandbox: all is well", "--", "true"), "--mem")
    assert_refused(pysandbox("run", "--mem", "\udcff\udcfe\x1b[2J", "--", "true"), "--mem")
    assert "\x1b" not in pysandbox("run", "--mem", "\x1b[2J", "--", "true").stderr
    assert "\x1b" not in pysandbox("run", "--\x1b[2J", "--", "true").stderr


def test_program_and_files_with_dots(pysandbox: Command, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert_refused(pysandbox("run", "-v", "inner/../../../no-such-dir:/x", "--", "true"), "--volume")
    done = pysandbox("run", "--", "../no-such-program")
    assert done.returncode == 127 and done.stderr.count("\n") <= 2


def test_2_mib_of_arguments(pysandbox: Command) -> None:
    # MAX_ARG_STRLEN: no kernel lets us hand over one word of 2 MiB, so many make the sum.
    words = ["y" * 100_000] * 18
    done = pysandbox("run", "--", "sh", "-c", "echo $#", "sh", *words)
    assert done.returncode == 0 and done.stdout == "18\n", done.stderr
    single = "y" * (2 << 20)
    with pytest.raises(RequestError) as caught:
        run(["echo", single])
    assert len(str(caught.value)) < 500
    with pytest.raises(RequestError):
        run(["echo", *["y" * 100_000] * 80])


def test_too_much_of_everything() -> None:
    for options in (
        {"volumes": ["/usr:/x"] * 201}, {"tmpfs": ["/x"] * 201}, {"env": {"X": "y" * (2 << 20)}},
        {"env": {"x" * (2 << 20): "y"}}, {"workdir": "/" + "x" * 5000}, {"hostname": "x" * 5000},
        {"policy": "x" * 100_000}, {"cgroup": "/" + "x" * 100_000}, {"pass_fds": list(range(3, 300))},
    ):  # fmt: skip
        with pytest.raises(SandboxError) as caught:
            run(["true"], **options)
        assert len(str(caught.value)) < 500 and "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [
    {"argv": ["a\0b"]}, {"argv": ["echo", "a\0b"]}, {"env": {"a\0": "b"}}, {"env": {"a": "b\0"}},
    {"volumes": ["/usr\0:/x"]}, {"workdir": "/x\0"}, {"rootfs": "/usr\0"}, {"hostname": "x\0"}, {"policy": "x\0"},
    {"cgroup": "/x\0"}, {"stdin": "/x\0"}, {"stdout": "/x\0"}, {"tmpfs": ["/x\0"]}, {"mem": "1\0M"}, {"cpuset": "0\0"},
], ids=str)  # fmt: skip
def test_nul_bytes(options: dict[str, object]) -> None:
    argv = options.pop("argv", ["true"]) if "argv" in options else ["true"]
    with pytest.raises(SandboxError) as caught:
        run(argv, **options)  # type: ignore[arg-type]
    assert "\0" not in str(caught.value)


@pytest.mark.parametrize("options", [
    {"mem": -1}, {"mem": 1.5}, {"mem": True}, {"mem": [1]}, {"time": -1}, {"time": 0}, {"time": float("nan")},
    {"time": float("inf")}, {"time": True}, {"time": 1 << 70}, {"pids": 0}, {"pids": 1.0}, {"pids": True},
    {"pids": 1 << 40},
    {"cpus": float("nan")}, {"cpus": -1}, {"cpuset": 0}, {"volumes": "/usr:/x"}, {"volumes": [1]}, {"volumes": 7},
    {"env": ["A=b"]}, {"env": {1: "x"}}, {"env": {"x": 1}}, {"tty": 1}, {"net": None}, {"ids": 1}, {"user": -1},
    {"user": 1.5}, {"workdir": b"/x"}, {"rootfs": 1}, {"policy": 1}, {"stdin": 99999}, {"stdin": 1.5},
    {"stdout": object()}, {"pass_fds": [0]}, {"pass_fds": ["x"]}, {"pass_fds": [998]}, {"without": "pid"},
    {"best_effort": "no"}, {"grace": -1}, {"stdin": -1}, {"stderr": -1}, {"stdin": True},
], ids=str)  # fmt: skip
def test_wrong_values_from_python(options: dict[str, object]) -> None:
    with pytest.raises(SandboxError) as caught:
        run(["true"], **options)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500
    assert next(iter(options)).rstrip("s") in text


@pytest.mark.parametrize("argv", [[], "true", b"true", None, 7, [1], [None], [""], [b""], [["true"]]], ids=repr)
def test_wrong_argv(argv: object) -> None:
    with pytest.raises(RequestError) as caught:
        run(argv)  # type: ignore[arg-type]
    assert "argv" in str(caught.value)


def test_refusals_leave_no_fds_and_no_cgroups() -> None:
    from tests.runs.world import open_fds

    run(["true"], mem="64M")
    before = open_fds()
    for _ in range(50):
        for options in ({"stdin": b"x", "stdout": "/no/such/dir/x"}, {"mem": "64M", "pass_fds": [998]},
                        {"mem": "64M", "policy": "none", "stderr": "/no/such/dir/x"}):  # fmt: skip
            with pytest.raises(RequestError):
                run(["true"], **options)  # type: ignore[arg-type]
    assert len(open_fds()) == len(before)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(
    closed: str, pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path
) -> None:
    """A file of ours that gets the number of a closed stream must not be taken for that stream."""
    text = "echo to-stdout; echo to-stderr >&2; cat; exit 4"
    command = ["sh", "-c", f'"$@" {closed}', "sh", *pysandbox_argv, "run", "--json", "r", "--", "sh", "-c", text]
    done = subprocess.run(command, env=pysandbox_env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True,
                          check=False, timeout=30)  # fmt: skip
    assert done.returncode == 4, done
    assert json.loads((tmp_path / "r").read_bytes())["exit_code"] == 4
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "to-stdout\n")
    assert done.stderr == ("" if "2>&-" in closed else "to-stderr\n")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_fault_without_a_stderr_is_125_all_the_same(
    closed: str, pysandbox_argv: list[str], pysandbox_env: dict[str, str]
) -> None:
    command = ["sh", "-c", f'"$@" {closed}', "sh", *pysandbox_argv, "run", "--mem", "x", "--", "true"]
    assert subprocess.run(command, env=pysandbox_env, check=False, timeout=30).returncode == 125


def test_missing_working_directory(pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path) -> None:
    def from_nowhere(*program: str) -> subprocess.CompletedProcess[str]:
        gone = tmp_path / "gone"
        gone.mkdir()
        command = [
            "sh",
            "-c",
            'rmdir "$1"; shift; exec "$@"',
            "sh",
            os.fspath(gone),
            *pysandbox_argv,
            "run",
            "--",
            *program,
        ]
        return subprocess.run(
            command, env=pysandbox_env, cwd=gone, capture_output=True, text=True, check=False, timeout=30
        )

    done = from_nowhere("echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n"), done
    assert_refused(SimpleNamespace(**vars(from_nowhere("./prog"))))
