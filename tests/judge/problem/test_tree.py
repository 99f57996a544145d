"""Files that leave the package, or that are none."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from judge.problem.faults import Faults
from judge.problem.tree import LIMIT_DEPTH, Tree, natural
from tests.judge.problem.packages import CURRENT, LEGACY, errors, read, write


def test_links_out_of_the_package_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    (tmp_path / "secret").write_text("x")
    (root / "data/secret/03.in").symlink_to("/etc/passwd")
    (root / "data/secret/03.ans").symlink_to("../../../secret")
    (root / "submissions/wrong_answer").symlink_to(tmp_path)
    (root / "include").symlink_to("/nowhere")
    problem, found = read(tmp_path, LEGACY)
    assert [str(fault) for fault in found if fault.severity == "error"] == [
        "data/secret/03.ans: error: a symbolic link out of the package (put the file itself there)",
        "data/secret/03.in: error: a symbolic link out of the package (put the file itself there)",
        "include: error: a symbolic link out of the package (put the file itself there)",
        "submissions/wrong_answer: error: a symbolic link out of the package (put the file itself there)",
    ]
    assert problem is not None and all(root in test.input.parents for test in problem.tests)


def test_a_sibling_with_the_same_start_is_outside(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", CURRENT)
    write(tmp_path / "sum2", {"x.py": ""})
    (root / "submissions/accepted/x.py").symlink_to("../../../sum2/x.py")
    assert errors(tmp_path, {}) == [
        "submissions/accepted/x.py: error: a symbolic link out of the package (put the file itself there)"
    ]


def test_links_inside_are_resolved(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    (root / "data/secret/03.in").symlink_to("../sample/1.in")
    (root / "data/secret/03.ans").symlink_to(root / "data/sample/1.ans")
    problem, found = read(tmp_path, {})
    assert problem is not None and not [fault for fault in found if fault.severity == "error"]
    assert problem.tests[-1].name == "secret/03" and problem.tests[-1].input == root / "data/sample/1.in"


def test_loops_end(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    (root / "data/secret/g").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "nowhere").symlink_to("nothing")
    assert errors(tmp_path, {}) == [
        "data/secret/g: error: a symbolic link to a directory that it is in",
        "loop: error: a symbolic link that leads to itself",
        "nowhere: error: a broken symbolic link, or unreadable: No such file or directory",
    ]


def test_what_is_no_file(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    os.mkfifo(root / "data/secret/03.in")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "x.sock"))
    os.mkdir(os.fsencode(root) + b"/data/secret/\xff")
    (root / "data/secret/a\nb").mkdir()
    assert errors(tmp_path, {}) == [
        "data/secret/03.in: error: neither a file nor a directory but a FIFO",
        "data/secret/\\udcff: error: the name has bytes that are no text, or control characters",
        "data/secret/a\\nb: error: the name has bytes that are no text, or control characters",
        "x.sock: error: neither a file nor a directory but a socket",
    ]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    root = write(tmp_path / "sum", LEGACY)
    (root / "data/secret/01.in").chmod(0)
    (root / "data/sample").chmod(0)
    try:
        assert errors(tmp_path, {}) == [
            "data/sample: error: the directory cannot be read: Permission denied",
            "data/secret/01.ans: error: there is no 01.in for this answer",
            "data/secret/01.in: error: cannot be read: Permission denied",
        ]
    finally:
        (root / "data/sample").chmod(0o755)


def test_depth_is_capped(tmp_path: Path) -> None:
    (tmp_path / "/".join(["d"] * (LIMIT_DEPTH + 2))).mkdir(parents=True)
    faults = Faults()
    Tree(tmp_path, faults)
    assert [fault.message for fault in faults.all] == [f"directories are nested more than {LIMIT_DEPTH} deep"]


def test_natural_order() -> None:
    names = ["10", "9", "a10", "a9", "a", "01", "1", "2b", "2"]
    assert sorted(names, key=natural) == ["01", "1", "2", "2b", "9", "10", "a", "a9", "a10"]


def test_what_is_forgotten_is_gone_with_all_below_it(tmp_path: Path) -> None:
    write(tmp_path, {"a/b/c": "", "a/d": "", "b": "", "e/b": ""})
    tree = Tree(tmp_path, Faults())
    tree.forget(lambda entry: entry.name == "b")
    assert [entry.relative for entry in tree.everything()] == ["a", "a/d", "e"]
    assert tree.file("a/b/c") is None and tree.file("b") is None and tree.entries("a/b") == []
    assert tree.file("a/d") is not None and tree.has_directory("e") and not tree.has_directory("a/b")
