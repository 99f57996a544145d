"""Which language a submission is in, and where it begins."""

from __future__ import annotations

import pytest

from judge.errors import LanguageError, SubmissionError
from judge.language import Languages
from judge.language.entry import main_class, main_file, renamed

MAIN = b"public static void main(String[] a) {}"


@pytest.mark.parametrize(
    ("files", "id"),
    [
        (["a.c"], "c"), (["a.cc"], "cpp"), (["a.C"], "cpp"), (["a.c", "b.cpp", "b.h"], "cpp"),
        (["a.py", "data.txt"], "python3"), (["Main.java", "Other.java"], "java"), (["main.ts"], "typescript"),
        (["x/y/main.rs", "x/y/lib.rs"], "rust"),
        (["a.pas"], "pascal"), (["a.S"], "asm"),
    ],
)  # fmt: skip
def test_by_extension(files: list[str], id: str, languages: Languages) -> None:
    assert languages.detect(files).id == id


@pytest.mark.parametrize(
    ("name", "text", "id"),
    [
        ("a.py", b"#!/usr/bin/env pypy3\nprint(1)", "pypy3"), ("a.py", b"#!/usr/bin/python3\nprint(1)", "python3"),
        ("a.py", b"# pypy is faster\nprint(1)", "python3"), ("a.pl", b"my $x = <STDIN>;\nprint $x;", "perl"),
        ("a.pl", b"#!/usr/bin/perl\n1;", "perl"), ("a.pl", b"main :-\n  print(1).\n", "prolog"),
        ("a.pl", b"", "prolog"),
    ],
)  # fmt: skip
def test_by_what_the_text_says(name: str, text: bytes, id: str, languages: Languages) -> None:
    assert languages.detect({name: text}).id == id


@pytest.mark.parametrize("files", [["a.c", "b.py"], ["a.java", "b.kt", "c.rs"]])
def test_several_languages(files: list[str], languages: Languages) -> None:
    with pytest.raises(LanguageError, match="files of several languages; name the language"):
        languages.detect(files)


@pytest.mark.parametrize("files", [["README"], ["data.txt"], [], [".py"], ["a.py2"]])
def test_none(files: list[str], languages: Languages) -> None:
    with pytest.raises(LanguageError, match="no file has an extension of a known language"):
        languages.detect(files)


@pytest.mark.parametrize(
    ("files", "entrypoint", "main"),
    [
        (["b.py", "a.py"], None, "a.py"), (["b.py", "Main.py"], None, "Main.py"),
        (["main.py", "__main__.py"], None, "__main__.py"),
        (["b.py", "a.py"], "b.py", "b.py"), (["b.py", "a.py"], "b", "b.py"), (["x.py"], None, "x.py"),
    ],
)  # fmt: skip
def test_main_file(files: list[str], entrypoint: str | None, main: str) -> None:
    assert main_file(files, entrypoint, "s") == main


def test_an_entry_point_that_is_not_there() -> None:
    with pytest.raises(SubmissionError, match=r"has no file other\.py"):
        main_file(["main.py"], "other.py", "s")


@pytest.mark.parametrize(
    ("id", "files", "main"),
    [
        ("java", {"A.java": b"class Helper { static void f() {} } public class A { " + MAIN + b" }"}, "A"),
        ("java", {"A.java": b"class A { static class In { } public static final void main(String... a) {} }"}, "A"),
        ("java", {"A.java": b"package p.q; // class Z { static void main(\nclass A { " + MAIN + b" }"}, "p.q.A"),
        ("java", {"A.java": b"class A { static public void main(String[] a) { } }"}, "A"),
        ("java", {"B.java": b'class B { Object s = "static void main("; }', "C.java": b"class C {" + MAIN + b"}"}, "C"),
        ("java", {"A.java": b"class A { " + MAIN + b" }", "Main.java": b"class Main { " + MAIN + b" }"}, "Main"),
        ("java", {"A.java": b"nonsense"}, "Main"),
        ("kotlin", {"adding.kt": b"fun main() {}"}, "AddingKt"),
        ("kotlin", {"a-b.kt": b"package p\nfun main(args: Array<String>) {}"}, "p.A_bKt"),
        ("scala", {"a.scala": b"object Adding extends App { }"}, "Adding"),
        ("scala", {"a.scala": b"class X {}\nobject Go { def main(a: Array[String]) = () }"}, "Go"),
    ],
)  # fmt: skip
def test_main_class(id: str, files: dict[str, bytes], main: str, languages: Languages) -> None:
    assert main_class(languages.get(id), files, None) == main
    assert main_class(languages.get(id), files, "Named") == "Named"


def test_a_java_file_is_called_as_its_public_class(languages: Languages) -> None:
    java = languages.get("java")
    text = b"import java.util.*;\n/* public class No {} */\npublic final class Yes { }"
    assert list(renamed(java, {"solution.java": text})) == ["Yes.java"]
    assert list(renamed(java, {"solution.java": b"class X {}"})) == ["solution.java"]
    assert list(renamed(languages.get("kotlin"), {"solution.kt": text})) == ["solution.kt"]
