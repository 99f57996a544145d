"""help, completion, version and setup as a person or a shell meets them."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import result
from sandbox.cli.flags import FLAGS
from sandbox.cli.help import OUTCOMES
from sandbox.cli.main import COMMANDS
from sandbox.cli.options import OPTIONS

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TREE = Path(__file__).resolve().parent.parent.parent


# ---- help


def test_alone_it_prints_the_overview(pysandbox: Run) -> None:
    done = pysandbox()
    assert done.returncode == 0
    assert done.stdout == pysandbox("help").stdout == pysandbox("--help").stdout
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_explained(pysandbox: Run, command: str) -> None:
    done = pysandbox("help", command)
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: pysandbox {command}")
    assert f"pysandbox {command}" in done.stdout.partition("Examples:")[2]
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert done.stdout == pysandbox(command, "--help").stdout


def test_run_has_every_option_with_its_default(pysandbox: Run) -> None:
    text = pysandbox("help", "run").stdout
    for option in OPTIONS:
        assert f"--{option.name}" in text
        assert f"\n{option.group}:\n" in text
    assert "--pids N                processes and threads at once (default 128)" in text


def test_run_has_every_outcome_and_code(pysandbox: Run) -> None:
    text = pysandbox("help", "run").stdout
    assert tuple(OUTCOMES) == result.OUTCOMES
    codes = [value for name, value in vars(result).items() if name.startswith("EXIT_")]
    assert len(codes) == 5
    assert all(f"\n  {word} " in text for word in (*OUTCOMES, *codes))


@pytest.mark.parametrize("words", [["nope"], ["help", "nope"], ["help", "run", "plan"], ["completion"],
                                   ["completion", "tcsh"], ["setup"], ["setup", "--user"]])  # fmt: skip
def test_wrong_words_are_one_line_and_125(pysandbox: Run, words: list[str]) -> None:
    done = pysandbox(*words)
    assert done.returncode == 125
    assert done.stdout == ""
    assert done.stderr.startswith("pysandbox: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("example", [["--mem", "256M", "--time", "1s", "--", "python3", "-c", "print(6*7)"]])
def test_the_first_example_works(pysandbox: Run, example: list[str]) -> None:
    assert "pysandbox run --mem 256M --time 1s -- python3 -c 'print(6*7)'" in pysandbox("help", "run").stdout
    assert pysandbox("run", *example).stdout == "42\n"


# ---- completion


def complete(pysandbox: Run, words: list[str], cwd: Path) -> list[str]:
    """What bash offers for the last of ``words``, by the function that the script defines."""
    script = pysandbox("completion", "bash").stdout
    program = f"""{script}
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_pysandbox
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", program, "bash", *words], cwd=cwd, capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    assert done.stderr == ""
    return [word for word in done.stdout.splitlines() if word]


def test_bash_commands(pysandbox: Run, tmp_path: Path) -> None:
    assert set(complete(pysandbox, ["pysandbox", ""], tmp_path)) == {*COMMANDS, "--help", "--version"}
    assert complete(pysandbox, ["pysandbox", "doc"], tmp_path) == ["doctor"]


@pytest.mark.parametrize("command", FLAGS)
def test_bash_options(pysandbox: Run, tmp_path: Path, command: str) -> None:
    offered = complete(pysandbox, ["pysandbox", command, "-"], tmp_path)
    wanted = {f"--{o.name}" for o in FLAGS[command]} | {f"-{o.short}" for o in FLAGS[command] if o.short}
    assert set(offered) == wanted


BASH = [
    (["run", "--net", ""], {"none", "host", "user"}),
    (["run", "--net", "=", "h"], {"host"}),
    (["run", "--net", "="], {"none", "host", "user"}),
    (["run", "--without", "u"], {"user", "uts"}),
    (["run", "--mem", "64M", "--hos"], {"--hostname"}),
    (["run", "--mem", "=", "64M", "--hos"], {"--hostname"}),
    (["run", "-t", "--hos"], {"--hostname"}),
    (["run", "-e", "A", "=", "b", "--hos"], {"--hostname"}),
    (["run", "-v", "one", ":", "/two", ":", "ro", "--hos"], {"--hostname"}),
    (["run", "-v", "on"], {"one.txt"}),
    (["run", "--policy", "str"], {"strict"}),
    (["run", "--stdin", "n"], {"null"}),
    (["run", "--stdin", "o"], {"one.txt"}),
    (["run", "--mem", ""], set()),
    (["run", "true", "--me"], set()),
    (["run", "--", "true", "--me"], set()),
    (["run", "--", "-"], set()),
    (["run", "cat", "on"], {"one.txt"}),
    (["plan", "--ids", ""], {"single", "range"}),
    (["help", "comp"], {"completion"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["version", ""], set()),
    (["policy", "sc"], {"schema"}),
    (["policy", "show", "str"], {"strict"}),
    (["policy", "check", "on"], {"one.txt"}),
    (["policy", "show", "--res"], {"--resolved"}),
    (["policy", "explain", "--abi", "i"], {"i386"}),
    (["policy", "explain", "unshare", "--policy", "str"], {"strict"}),
    (["judge", "cali"], {"calibrate"}),
    (["judge", "on"], {"one.txt"}),
    (["judge", "check", "on"], {"one.txt"}),
    (["judge", "--profile", ""], {"icpc", "ioi", "dmoj"}),
    (["judge", "-j", "2", "package", "on"], {"one.txt"}),
    (["judge", "package", "--html", "on"], {"one.txt"}),
    (["judge", "package", "--fre"], {"--fresh"}),
    (["judge", "calibrate", "--write", "--run"], {"--runs"}),
    (["trace", "--write", "--run"], set()),
    (["setup", "--user", "roo"], {"root"}),
    (["setup", "--user", "root", "--un"], {"--undo"}),
]


@pytest.mark.parametrize(("words", "offered"), BASH, ids=[" ".join(words) for words, _ in BASH])
def test_bash_words(pysandbox: Run, tmp_path: Path, words: list[str], offered: set[str]) -> None:
    (tmp_path / "one.txt").touch()
    assert set(complete(pysandbox, ["pysandbox", *words], tmp_path)) == offered


def test_bash_offers_programs_to_run(pysandbox: Run, tmp_path: Path) -> None:
    assert "true" in complete(pysandbox, ["pysandbox", "run", "tru"], tmp_path)
    assert "true" in complete(pysandbox, ["pysandbox", "run", "--mem", "1G", "--", "tru"], tmp_path)


def test_zsh_and_fish_name_every_flag(pysandbox: Run) -> None:
    """By structure: these shells need not be installed. Where they are, they have to accept the script."""
    zsh, fish = pysandbox("completion", "zsh").stdout, pysandbox("completion", "fish").stdout
    for command, options in FLAGS.items():
        part = zsh.partition(f"        {command})\n")[2].partition(";;")[0]
        for option in options:
            assert f"--{option.name}" in part
            assert f"__pysandbox_at options {command}' -l {option.name} " in fish
    for command in COMMANDS:
        assert f"'{command}:" in zsh
        assert f"-a {command} " in fish
    for shell, text in (("zsh", zsh), ("fish", fish)):
        # an apostrophe in a quoted text is '\\'' in zsh
        assert text.replace("'\\''", "").count("'") % 2 == 0 or shell == "fish"
        if shutil.which(shell):
            done = subprocess.run([shell, "-n", "/dev/stdin"], input=text, capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, "")


# ---- setup, as far as it goes without root


def test_setup_prints_the_actions_and_the_sudo_command(pysandbox: Run) -> None:
    done = pysandbox("setup", "--user", "64321", "--yes")
    assert done.returncode == 125
    assert "pysandbox/uid-64321" in done.stdout
    command = done.stderr.partition("`")[2].partition("`")[0]
    assert command.startswith("sudo ")
    assert command.endswith(" setup --user 64321 --yes")


def test_setup_command_of_sudo_is_one_that_runs(pysandbox: Run, tmp_path: Path) -> None:
    """The same words without sudo, from elsewhere and with nothing else in the environment."""
    said = pysandbox("setup", "--user", "64321", "--tmpfiles").stderr.partition("`sudo ")[2].partition("`")[0]
    done = subprocess.run(["env", "-i", "PATH=/usr/bin:/bin", "sh", "-c", said], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 125
    assert "d " in done.stdout
    assert "/etc/tmpfiles.d/pysandbox-uid-64321.conf" in done.stdout
    assert "by root only" in done.stderr


BAD = [["--user", "no-such-user-here"], ["--user", "-1"], ["--user", "0", "--enter", "x"],
       ["--user", "64321", "--enter", "0"], ["--user", "64321", "--enter", "4194304"],
       ["--user", "64321", "--undo", "--enter", "1"], ["--user", "64321", "--now"],
       ["--user", "64321", "--yes=1"]]  # fmt: skip


@pytest.mark.parametrize("words", BAD, ids=[" ".join(words) for words in BAD])
def test_setup_refuses(pysandbox: Run, words: list[str]) -> None:
    done = pysandbox("setup", *words)
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1


def test_setup_undo_of_nothing(pysandbox: Run) -> None:
    done = pysandbox("setup", "--user", "64321", "--undo")
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing is left to do" in done.stdout


def test_setup_and_help_need_no_native_core(tmp_path: Path) -> None:
    """An unbuilt checkout: the package without what the compiler made."""
    built = shutil.ignore_patterns("*.so", "spawner", "__pycache__")
    shutil.copytree(TREE / "sandbox", tmp_path / "sandbox", ignore=built)
    shutil.copytree(TREE / "policies", tmp_path / "policies")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for words in (["setup", "--user", "64321"], ["help", "run"], ["completion", "bash"], ["doctor"]):
        argv = [sys.executable, "-P", "-m", "sandbox.cli", *words]
        done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=60)
        assert done.returncode == {"setup": 125, "doctor": 1}.get(words[0], 0), done.stderr
        assert "Traceback" not in done.stderr
        if words[0] == "doctor":
            assert "missing  native core" in done.stdout
        if words[0] == "setup":
            assert "by root only" in done.stderr


def test_setup_does_not_ask_where_nobody_answers() -> None:
    from sandbox.cli import setup
    from sandbox.errors import RequestError

    read_end, write_end = os.pipe()
    kept = os.dup(0)
    try:
        os.dup2(read_end, 0)
        with pytest.raises(RequestError, match="add --yes"):
            setup._agreed()
    finally:
        os.dup2(kept, 0)
        for fd in (kept, read_end, write_end):
            os.close(fd)


@pytest.mark.parametrize(("answer", "agreed"), [("y", "True"), ("YES", "True"), ("n", "False"), ("", "False")])
def test_setup_asks_at_a_terminal(pysandbox_env: dict[str, str], answer: str, agreed: str) -> None:
    master, slave = pty.openpty()
    code = "from sandbox.cli import setup; print(setup._agreed())"
    argv = [sys.executable, "-P", "-c", code]
    child = subprocess.Popen(argv, env=pysandbox_env, stdin=slave, stdout=subprocess.PIPE, text=True)
    os.close(slave)
    os.write(master, f"{answer}\n".encode())
    out, _ = child.communicate(timeout=60)
    os.close(master)
    assert "do this now? [y/N]" in out
    assert out.splitlines()[-1].endswith(agreed)


def test_no_zombie_for_a_pid_1_that_reaps_nobody(pysandbox_env: dict[str, str]) -> None:
    """As in many containers: the command, and a script that used the API, have waited for their spawner."""
    code = """
import ctypes, os, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER: orphans become ours
for use in ["-m", "sandbox.cli", "run", "true"], ["-c", "from sandbox import run; run(['true'])"]:
    subprocess.run([sys.executable, *use], check=True)
    try:
        print(os.waitpid(-1, os.WNOHANG))
    except ChildProcessError:
        print("none")
"""
    done = subprocess.run([sys.executable, "-c", code], env=pysandbox_env, capture_output=True, text=True, timeout=60,
                          check=False)  # fmt: skip
    assert done.stdout.splitlines() == ["none", "none"], done
