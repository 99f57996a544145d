"""The lab without a machine: keys of its cache, its command line, which files go in, what ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import LabError, __main__, cache, suite, tree
from lab.guests import GUESTS

from tests.conftest import TREE
from tests.runs.world import until

GUEST = GUESTS["debian12"]


@pytest.mark.parametrize(
    ("env", "root"),
    [
        ({"PYSANDBOX_LAB_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/pysandbox-lab")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/pysandbox-lab"),
    ],
)
def test_cache_folder(env: dict[str, str], root: Path) -> None:
    assert cache.root(env) == root


def test_keys_know_where_parts_end() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc") != cache.key("abc")


def test_image_key_is_the_recipe_and_the_guest(tmp_path: Path) -> None:
    copy = tmp_path / "recipe"
    shutil.copytree(cache.RECIPE, copy)
    key = cache.image_key(GUEST, copy)
    assert key == cache.image_key(GUEST)
    assert key != cache.image_key(GUEST._replace(packages=(*GUEST.packages, "nano")), copy)
    assert key != cache.image_key(GUEST._replace(suite="trixie"), copy)
    assert key != cache.image_key(GUEST._replace(delegate=("io",)), copy)
    with open(copy / "settings.sh", "a") as file:
        file.write("true\n")
    assert key != cache.image_key(GUEST, copy)


def test_guests_have_entries_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYSANDBOX_LAB_CACHE", str(tmp_path / "cache"))
    assert cache.entries(GUEST) == []
    folders = [cache.image_dir(guest) for guest in GUESTS.values()]
    folders += [cache.snapshot_dir(GUEST, ("qemu 7",)), cache.snapshot_dir(GUEST, ("qemu 8",))]
    assert len(set(folders)) == 4
    for folder in folders:
        folder.mkdir(parents=True)
    with cache.locked(GUEST, alone=True):
        assert set(cache.entries(GUEST)) == {folders[0], *folders[2:]}


@pytest.mark.parametrize(
    ("argv", "guest", "theirs"),
    [
        (["pytest"], "debian12", []),
        (["pytest", "--guest", "debian13", "-k", "a", "tests", "-k", "b"], "debian13", ["-k", "a", "tests", "-k", "b"]),
        (["pytest", "--guest=debian13", "--", "--guest"], "debian13", ["--guest"]),
        (["run", "--no-scope", "--before", "true", "--", "ls", "--guest"], "debian12", ["ls", "--guest"]),
        (["run", "ls", "--no-scope"], "debian12", ["ls", "--no-scope"]),
    ],
)
def test_ours_come_first(argv: list[str], guest: str, theirs: list[str]) -> None:
    options, rest = __main__.parse(argv)
    assert (options.guest, rest) == (guest, theirs)


@pytest.mark.parametrize("argv", [[], ["run"], ["run", "--guest", "debian11", "ls"], ["build", "ls"], ["nap"]])
def test_wrong_words(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        __main__.parse(argv)
    assert error.value.code == 2
    assert "usage: ./dev lab" in capsys.readouterr().err


def shell_line(*argv: str) -> str:
    return __main__.shell_line(*__main__.parse(["run", *argv]))


def test_shell_line(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    line = shell_line("--no-scope", "--env", "WORDS=it's $HOME", "--", "sh", "-c", 'echo "$PWD|$PYTHONPATH|$WORDS"')
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path}/src|{tmp_path}/src|it's $HOME\n"
    assert "systemd-run" in shell_line("true")
    assert "systemd-run" not in shell_line("--user", "bob", "true"), "bob has no manager that could make one"


@pytest.mark.parametrize("setting", ["A", "=1", "A B=1", "1;true=1"])
def test_wrong_environment(setting: str) -> None:
    with pytest.raises(LabError, match="NAME=VALUE"):
        shell_line("--env", setting, "true")


def test_files_of_the_tree(tmp_path: Path) -> None:
    for name in ("sandbox/native/spawner", "sandbox/native/_core.abi3.so",
                 "judge/native/_compare.abi3.so", ".dev/x", "kept", "gone", "tests/t"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / ".gitignore").write_text(".dev/\n*.so\nspawner\n")
    built = ["judge/native/_compare.abi3.so", "sandbox/native/_core.abi3.so", "sandbox/native/spawner"]
    assert tree.files(tmp_path) == sorted([".gitignore", "gone", "kept", "link", "tests/t", *built])
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "gone"], check=True)
    (tmp_path / "gone").unlink()
    assert tree.files(tmp_path) == sorted([".gitignore", "kept", "link", "tests/t", *built])
    with tree.archive(tmp_path) as archive:
        listed = subprocess.run(["tar", "-t"], stdin=archive.stdout, capture_output=True, text=True, check=True).stdout
    assert archive.returncode == 0
    assert listed.split() == tree.files(tmp_path)
    (tmp_path / "sandbox/native/spawner").unlink()
    with pytest.raises(LabError, match=r"spawner is not there; run: \./dev build"):
        tree.files(tmp_path)


DRIVER = """
import subprocess, time
from lab.process import die_with_parent
child = subprocess.Popen(["sleep", "1000"], preexec_fn=die_with_parent, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(1000)
"""


def test_kill9_of_the_driver() -> None:
    env = {**os.environ, "PYTHONPATH": str(TREE / "tests" / "vm")}
    with subprocess.Popen([sys.executable, "-c", DRIVER], env=env, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        child = int(driver.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        driver.send_signal(signal.SIGKILL)
        driver.wait()

    def gone() -> bool:
        try:
            state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):  # gone before open(2), or before read(2)
            return True
        return state in "ZX"  # pid 1 may be slow to reap

    assert until(gone)


def test_a_guest_that_does_not_start_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TREE / "tests" / "vm"))
    assert suite.run(tmp_path, ["no-such-guest"]) == 1
    assert "no-such-guest (exit status 2)" in capfd.readouterr().err
