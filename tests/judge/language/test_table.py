"""The table of languages: what is in it, what an operator may change, and what is said of a mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from judge.errors import LanguageError
from judge.language import Languages, load

MINE = """
[mine]
name = "Mine"
extensions = [".mine"]
tools = { mine = ["mine"] }
version = ["{mine}", "--version"]
run = ["{mine}", "{main}"]
"""


def extra(tmp_path: Path, text: str) -> Languages:
    path = tmp_path / "languages.toml"
    path.write_text(text)
    return load(path)


def mistake(tmp_path: Path, text: str) -> str:
    with pytest.raises(LanguageError) as caught:
        extra(tmp_path, text)
    return str(caught.value)


def test_what_the_issue_names_is_there(languages: Languages) -> None:
    wanted = "c cpp python3 pypy3 java kotlin go rust javascript typescript csharp ruby php perl lua haskell ocaml"
    for name in (*wanted.split(), "pascal", "bash", "awk"):
        assert languages.get(name).id == name


@pytest.mark.parametrize(
    ("alias", "id"), [("C++", "cpp"), ("python", "python3"), ("js", "javascript"), ("c#", "csharp"), ("golang", "go")]
)
def test_aliases(alias: str, id: str, languages: Languages) -> None:
    assert languages.get(alias).id == id


def test_no_alias_is_somebody_elses(languages: Languages) -> None:
    names = [name for language in languages.all for name in (language.id, *language.aliases)]
    assert len(names) == len(set(names))


def test_an_unknown_one_has_a_hint(languages: Languages) -> None:
    with pytest.raises(LanguageError, match="did you mean python3"):
        languages.get("pyton3")


def test_a_block_is_added_and_one_replaced(tmp_path: Path) -> None:
    found = extra(tmp_path, MINE + MINE.replace("mine", "lua").replace('"Mine"', '"Other"'))
    assert found.get("mine").name == "Mine"
    assert found.get("lua").name == "Other" and found.get("lua").compile == ()
    assert found.get("c").name == "C"
    assert found.get("lua").digest != load().get("lua").digest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('nmae = "x"', "unknown key nmae; did you mean name?"),
        ("pids = -1", "pids must be a whole number, 0 or more"),
        ("pids = true", "pids must be a whole number"),
        ('extensions = ".mine"', "extensions must be a list of texts"),
        ("time_factor = 0", "time_factor must be a number above 0"),
        ("time_factor = inf", "time_factor must be finite"),
        ("time_factor = nan", "time_factor must be a number above 0"),
        ("marks = '('", "marks is no regular expression"),
        ('entry = "main"', "no entry 'main'; one of file, java, kotlin, scala"),
        ('compile = ["{mien}", "{sources}"]', "compile: nothing is called {mien}; did you mean {mine}?"),
        ("env = { A = 1 }", "env must be a table of texts"),
        ('prepare = { comand = ["x"] }', "unknown key prepare.comand"),
        ('files = { "../x" = "" }', "files: '../x' is no relative path"),
    ],
)
def test_mistakes_name_file_line_and_hint(line: str, said: str, tmp_path: Path) -> None:
    key = re.split(r"\W", line)[0]
    rows = [row for row in MINE.splitlines() if not row.startswith(f"{key} ")]
    text = "\n".join(["# a comment", *rows, line, ""])
    number = text.splitlines().index(line) + 1
    message = mistake(tmp_path, text)
    assert f"{tmp_path}/languages.toml:{number}: " in message and said in message, message


def test_a_missing_key(tmp_path: Path) -> None:
    message = mistake(tmp_path, MINE.replace('run = ["{mine}", "{main}"]', ""))
    assert "languages.toml:2: run is missing; a block replaces ours as a whole" in message


@pytest.mark.parametrize("text", ["[mine", "name = 1\n", '[Mine]\nname = "x"\n'])
def test_not_a_table_of_languages(text: str, tmp_path: Path) -> None:
    assert "languages.toml" in mistake(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match="cannot be read: No such file"):
        load(tmp_path / "nothing.toml")


def test_the_page_names_them_all(languages: Languages) -> None:
    page = (Path(__file__).parents[3] / "docs" / "languages.md").read_text()
    short = [re.sub(r" \(.*", "", language.name) for language in languages.all]
    assert not [name for name in short if not re.search(rf"[|,] {re.escape(name)}( \(|,| \|)", page)]
