"""The text of a Dockerfile: instructions, lines, continuations, here-documents, stages, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.build.dockerfile import FLAGS, Instruction, parse
from sandbox.errors import RequestError


def one(text: str) -> Instruction:
    return parse(f"FROM x\n{text}").stages[0].instructions[0]


def test_a_whole_file() -> None:
    text = """# syntax=docker/dockerfile:1
ARG BASE=debian:12
FROM ${BASE} AS Build
# a comment
RUN apt-get update && \\
    # between

    apt-get install -y gcc
COPY --chown=1:2 --from=build a b /dst/
from scratch
COPY --from=build /x /y
CMD ["/y", "a b"]
"""
    file = parse(text, "D")
    assert [a.text for a in file.arguments] == ["BASE=debian:12"]
    first, second = file.stages
    assert (first.base, first.name, first.line, second.base) == ("${BASE}", "build", 3, "scratch")
    run, copy = first.instructions
    assert run.text.split() == "apt-get update && apt-get install -y gcc".split() and run.line == 5
    assert copy.flags == (("chown", "1:2"), ("from", "build")) and copy.text == "a b /dst/" and copy.items is None
    assert second.instructions[1].items == ("/y", "a b") and second.instructions[1].line == 12


def test_the_escape_character() -> None:
    assert one("RUN a \\\n  b").text == "a   b"
    assert parse("# escape=`\nFROM x\nRUN a `\n b\\\nRUN c").stages[0].instructions[0].text == "a  b\\"
    assert parse("FROM x\n# escape=`\nRUN a").stages[0].instructions[0].text == "a"


@pytest.mark.parametrize(("text", "items"), [
    ('CMD ["a", "b"]', ("a", "b")), ("CMD [a, b]", None), ('CMD ["a", 1]', None), ("CMD a b", None), ("CMD []", ()),
    ('ENTRYPOINT [ "x" ]', ("x",)), ('VOLUME ["/a"]', ("/a",)),
])  # fmt: skip
def test_the_exec_form(text: str, items: tuple[str, ...] | None) -> None:
    assert one(text).items == items


def test_here_documents() -> None:
    run = one("RUN <<EOF cat <<-'B'\n$x\nEOF\n\tb\n\tB\nCMD y")
    assert [(h.name, h.content, h.expand) for h in run.heredocs] == [("EOF", "$x\n", True), ("B", "b\n", False)]
    assert one("CMD a <<EOF").heredocs == ()


@pytest.mark.parametrize(("text", "line", "why"), [
    ("", 1, "no FROM"), ("RUN x", 1, "only ARG"), ("FROM x\nFOO y", 2, "no such instruction"),
    ("FROM x\n\nRUN --mount=type=cache x", 3, "no such flag"), ("FROM x y", 1, "expected FROM"),
    ("FROM x AS a\nFROM y AS A", 2, "two stages"), ("FROM x AS 1a", 1, "a stage's name"),
    ("FROM", 1, "nothing follows"),
    ("FROM x\nRUN", 2, "nothing follows"), ("FROM x\nONBUILD RUN y", 2, "triggers"), ("FROM x\nSHELL bash", 2, "JSON"),
    ("FROM x\nRUN <<E\nx", 2, "here-document"), ("# escape=x\nFROM y", 1, "escape"),
    ("FROM x\nCOPY --from a b", 2, "expected --from="), ("FROM x\nHEALTHCHECK NONE", 2, "health"),
])  # fmt: skip
def test_faults_have_their_place(text: str, line: int, why: str) -> None:
    with pytest.raises(RequestError, match=why) as raised:
        parse(text, "dir/Dockerfile")
    assert raised.value.field == f"dir/Dockerfile:{line}"


def test_it_has_a_limit() -> None:
    with pytest.raises(RequestError, match="larger than"):
        parse("FROM x\n#" + "x" * (1 << 20))
    with pytest.raises(RequestError, match="more than 2000"):
        parse("FROM x\n" + "RUN y\n" * 2001)


LINES = st.text(max_size=20) | st.sampled_from([*FLAGS, "\\", "FROM x", "<<E", "E", "#", '["a"]', "--from=x "])


@settings(max_examples=300, database=None, deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        file = parse(text)
    except RequestError:
        return
    assert file.stages and all(i.word in FLAGS for stage in file.stages for i in stage.instructions)
