"""What a submission is read from: one file, a directory, an archive, with include files."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from judge.build import read
from judge.build.sources import MAX_DEPTH, MAX_FILES
from judge.errors import LanguageError, SubmissionError
from judge.language import Languages

LIMIT = 1 << 17


def test_one_file(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "a.py").write_text("print(1)")
    found = read(tmp_path / "a.py", languages, limit_bytes=LIMIT)
    assert (dict(found.files), found.language.id, found.name) == ({"a.py": b"print(1)"}, "python3", "a.py")


def test_one_file_of_a_language_that_was_named(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "solution.txt").write_text("print(1)")
    found = read(tmp_path / "solution.txt", languages, limit_bytes=LIMIT, language="python")
    assert list(found.files) == ["main.py"]
    with pytest.raises(LanguageError, match="name the language"):
        read(tmp_path / "solution.txt", languages, limit_bytes=LIMIT)


def test_a_directory(tmp_path: Path, languages: Languages) -> None:
    for name in ("main.py", "lib/a.py", "data.txt", ".git/config", "__pycache__/x.pyc", "lib/.hidden"):
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "s" / name).write_text(name)
    found = read(tmp_path / "s", languages, limit_bytes=LIMIT)
    assert dict(found.files) == {name: name.encode() for name in ("main.py", "lib/a.py", "data.txt")}


def test_archives(tmp_path: Path, languages: Languages) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as file:
        file.writestr("top/main.py", "print(1)")
        file.writestr("top/lib.py", "x = 1")
    (tmp_path / "main.rs").write_text("fn main() { }")
    with tarfile.open(tmp_path / "s.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "main.rs", "main.rs")
    zipped = read(tmp_path / "s.zip", languages, limit_bytes=LIMIT)
    assert (sorted(zipped.files), zipped.language.id, zipped.name) == (["lib.py", "main.py"], "python3", "s.zip")
    assert read(tmp_path / "s.tar.gz", languages, limit_bytes=LIMIT).language.id == "rust"


def test_no_archive(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "s.zip").write_text("PK no")
    with pytest.raises(SubmissionError, match=r"s\.zip"):
        read(tmp_path / "s.zip", languages, limit_bytes=LIMIT)


def test_too_long(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "a.py").write_bytes(b"#" * 600)
    assert read(tmp_path / "s", languages, limit_bytes=600)
    with pytest.raises(SubmissionError, match="more than 599 bytes of code"):
        read(tmp_path / "s" / "a.py", languages, limit_bytes=599)
    (tmp_path / "s" / "b.py").write_bytes(b"#" * 500)
    with pytest.raises(SubmissionError, match="more than 1099 bytes of code"):
        read(tmp_path / "s", languages, limit_bytes=1099)
    assert read(tmp_path / "s", languages, limit_bytes=1100)


def test_include_files_are_not_counted(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "big.h").write_bytes(b"/" * 1000)
    (tmp_path / "a.c").write_text("int main(void) { }")
    include = {"c": {"big.h": tmp_path / "big.h"}, "default": {"no.h": tmp_path / "big.h"}}
    found = read(tmp_path / "a.c", languages, limit_bytes=100, include=include)
    assert sorted(found.files) == ["a.c", "big.h"] and found.included == {"big.h"}
    (tmp_path / "a.py").write_text("")
    assert sorted(read(tmp_path / "a.py", languages, limit_bytes=100, include=include).files) == ["a.py", "no.h"]


def test_too_many_files(tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "s").mkdir()
    for n in range(MAX_FILES + 1):
        (tmp_path / "s" / f"{n}.py").touch()
    with pytest.raises(SubmissionError, match=f"more than {MAX_FILES} files"):
        read(tmp_path / "s", languages, limit_bytes=LIMIT)


def test_too_deep(tmp_path: Path, languages: Languages) -> None:
    place = tmp_path / "s" / "/".join("d" * (MAX_DEPTH + 1))
    place.mkdir(parents=True)
    (place / "a.py").touch()
    with pytest.raises(SubmissionError, match="directories in each other"):
        read(tmp_path / "s", languages, limit_bytes=LIMIT)


@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_nothing_there(what: str, tmp_path: Path, languages: Languages) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SubmissionError, match=r"cannot be read: No such file|no file in it"):
        read(tmp_path / what, languages, limit_bytes=LIMIT)


def test_a_link_below_the_root_that_was_named(tmp_path: Path, languages: Languages) -> None:
    """The package's own submissions may share files (problem package format 2025-09, General requirements)."""
    (tmp_path / "p" / "s").mkdir(parents=True)
    (tmp_path / "p" / "shared.py").write_text("x = 1")
    (tmp_path / "outside.py").write_text("secret")
    (tmp_path / "p" / "s" / "a.py").symlink_to("../shared.py")
    assert read(tmp_path / "p" / "s", languages, limit_bytes=LIMIT, root=tmp_path / "p").files["a.py"] == b"x = 1"
    with pytest.raises(SubmissionError, match=r"a\.py is a link"):
        read(tmp_path / "p" / "s", languages, limit_bytes=LIMIT)
    (tmp_path / "p" / "s" / "b.py").symlink_to("../../outside.py")
    with pytest.raises(SubmissionError, match=r"b\.py is a link"):
        read(tmp_path / "p" / "s", languages, limit_bytes=LIMIT, root=tmp_path / "p")
