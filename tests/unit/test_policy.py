"""Policy files: what is accepted, and that every mistake is refused with its line and a hint."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from sandbox import policy, seccomp
from sandbox.errors import PolicyError
from sandbox.policy import parser

HEAD = 'version = 1\ndefault = "errno:ENOSYS"\n'
GOOD = HEAD + '[groups.a]\naction = "allow"\ncalls = ["read", "write"]\n'


def parse(text: str) -> policy.Policy:
    return policy.parse("t", "/t.toml", text.encode())


def test_good() -> None:
    p = parse(GOOD + '[[rules]]\ncall = "socket"\naction = "allow"\n'
              'args = [{index = 0, mask = "INT", value = "AF_UNIX"}]\n')  # fmt: skip
    assert p.groups == (policy.Group(name="a", action="allow", calls=("read", "write"), line=3),)
    assert p.rules[0].args == (policy.Arg(index=0, op="==", value=1, mask=0xFFFFFFFF),)
    assert (p.rules[0].line, p.foreign_abi, p.filters) == (6, "kill", True)
    assert pickle.loads(pickle.dumps(p)) == p


RULE = '[[rules]]\ncall = "ioctl"\naction = "errno:EPERM"\nargs = [{%s}]\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version = 1\ndefault = ", 2, "not TOML"),
        ('version = 2\ndefault = "kill"\n', 1, "expected 1"),
        ('version = true\ndefault = "kill"\n', 1, "expected 1"),
        ('default = "kill"\n', 0, "expected 1"),
        ("version = 1\n", 0, "default: missing"),
        (HEAD + 'defualt = "kill"\n', 3, "did you mean default"),
        ('version = 1\n# default\ndefault = "alow"\n', 3, "did you mean allow"),
        ('version = 1\ndefault = "errno:EPREM"\n', 2, "did you mean EPERM"),
        ('version = 1\ndefault = "errno:00"\n', 2, "unknown errno"),
        ('version = 1\ndefault = "errno:4096"\n', 2, "unknown errno"),
        ('version = 1\ndefault = "errno:errorcode"\n', 2, "unknown errno"),
        ("version = 1\ndefault = 5\n", 2, "expected a text"),
        (HEAD + "groups = 3\n", 3, "expected a table"),
        (HEAD + '[groups.a]\ncalls = ["read"]\n', 3, "action: missing"),
        (HEAD + '[groups.a]\naction = "allow"\ncall = ["read"]\n', 5, "did you mean calls"),
        (HEAD + '[groups.a]\naction = "allow"\ncalls = [1]\n', 3, "expected names"),
        (GOOD + '[groups.b]\naction = "kill"\ncalls = [\n "open",\n "read",\n]\n', 10, "already in group a"),
        (HEAD + '[groups.a]\naction = "allow"\ncalls = ["read", "read"]\n', 5, "already in group a"),
        (HEAD + '[[rules]]\ncall = "read"\naction = "kill"\nargs = []\n', 3, "no conditions"),
        (HEAD + RULE % 'index = 6, mask = "INT", value = 1', 3, "0 to 5"),
        (HEAD + RULE % 'index = 1, value = "TIOCSTI"', 3, "32-bit int"),
        (HEAD + RULE % "index = 1, mask = 0x1ffffffff, value = 1", 3, "only 32 bits"),
        (HEAD + RULE % "index = 2, mask = 0xf, value = 0x10", 3, "can never be"),
        (HEAD + RULE % 'index = 2, mask = 0xf, op = "<", value = 1', 3, "== and != only"),
        (HEAD + RULE % 'index = 2, op = "=", value = 1', 3, "unknown comparison"),
        (HEAD + RULE % "index = 2, value = -1", 3, "expected 0 to 2^64-1"),
        (HEAD + RULE % "index = 2, value = 0x1" + "0" * 16, 0, "not TOML"),
        (HEAD + RULE % 'index = 1, mask = "INT", value = "TIOCSIT"', 6, "did you mean TIOCSTI"),
        (HEAD + RULE % "index = 2, value = 1}, {index = 2, value = 2", 3, "same index twice"),
        (HEAD + RULE % "index = 2, values = 1", 6, "did you mean value"),
        (HEAD + (RULE % "index = 2, value = 1") + (RULE % "index = 2, value = 1").replace("EPERM", "EACCES"),
         7, "contradicts errno:EPERM of rules[0] (line 3)"),
        (HEAD + (RULE % "index = 2, value = 1") + (RULE % "index = 3, value = 1").replace("errno:EPERM", "kill"),
         7, "contradicts"),
        (HEAD + (RULE % "index = 2, value = 1") + (RULE % "index = 2, value = 1").replace("errno:EPERM", "allow"),
         7, "contradicts"),
        (GOOD.replace("read", "ioctl") + (RULE % "index = 2, value = 1").replace("errno:EPERM", "allow"),
         6, "already allows every ioctl"),
        (HEAD + 'foreign_abi = "allow"\n[groups.a]\naction = "allow"\ncalls = ["read"]\n', 3, "filters nothing"),
    ],
)  # fmt: skip
def test_refused(text: str, line: int, words: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(text)
    assert words in str(caught.value)
    if line:
        assert caught.value.line == line, str(caught.value)
    assert "\n" not in str(caught.value)


def test_rules_that_exclude_each_other_may_differ() -> None:
    other = (RULE % "index = 2, value = 2").replace("EPERM", "EACCES")
    assert len(parse(HEAD + RULE % "index = 2, value = 1" + other).rules) == 2


@pytest.mark.parametrize("text", [b"\xff", b"a=" * 9, b"[" * 100_000, b"a = " + b"[" * 50_000])
def test_not_toml(text: bytes) -> None:
    with pytest.raises(PolicyError, match="not"):
        policy.parse("t", "/t.toml", text)


def test_names_stay_in_the_folder() -> None:
    assert {"ci", "compiler", "default", "judge", "network", "none", "strict"} <= set(policy.names())
    assert "sets" not in policy.names()
    for name in ("..", ".", "....", "defualt", "~"):
        with pytest.raises(PolicyError, match="no such policy"):
            policy.load(name)
    with pytest.raises(PolicyError, match="did you mean default"):
        policy.load("defualt")
    for name in ("", "a\0b", "/a\0b"):
        with pytest.raises(PolicyError, match="not a policy"):
            policy.load(name)


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(GOOD)
    assert policy.load(str(file)).name == "mine"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "big.toml").write_bytes(b"#" * (policy.MAX_TEXT_BYTES + 1))
    for name, words in (("fifo", "regular"), ("", "regular"), ("big.toml", "at most"), ("gone", "No such file")):
        with pytest.raises(PolicyError, match=words):
            policy.load(f"{tmp_path}/{name}")


def test_warm_path_is_locate() -> None:
    for name in ("default", "x", "..", "a.toml", "./a", "/a/../b.toml", "a/b", "ü"):
        assert seccomp._path(name) == policy.locate(name)[1]
    assert seccomp.NONE == policy.NONE


@pytest.mark.parametrize("text", [
    b"version = 1\n", b'extends = "default"\n', b'version = 1\nextends = "x/../y.toml" # why\n', b'extends = "/a.toml"',
    b'[groups.a]\nextends = "default"\n', b'extends = "mine.toml"\n', b"extends = default\n", b' extends = "default"\n',
    b'extends="\xff"\n', b'extended = 1\nextends = "a"\n',
])  # fmt: skip
def test_warm_path_follows_extends_as_the_parser_does(text: bytes) -> None:
    """Or a filter would be had from the cache whose parent has changed."""
    word = parser.extended("/folder/p.toml", text)
    assert seccomp._extended("/folder/p.toml", text) == (policy.locate(word)[1] if word else "")


def test_schema_has_the_keys_of_the_parser() -> None:
    with open(f"{policy.FOLDER}/policy.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    parts = schema["$defs"]
    assert set(schema["properties"]) == set(parser.TOP_KEYS)
    assert set(parts["group"]["properties"]) == set(parser.GROUP_KEYS)
    assert set(parts["rule"]["properties"]) == set(parser.RULE_KEYS)
    assert set(parts["arg"]["properties"]) == set(parser.ARG_KEYS)
    assert set(parts["arg"]["properties"]["op"]["enum"]) == set(parser.OPS)
    for part in (schema, parts["group"], parts["rule"], parts["arg"]):
        assert part["additionalProperties"] is False


@pytest.mark.parametrize("name", policy.names())
def test_shipped_policies_follow_the_schema(name: str) -> None:
    import tomllib

    jsonschema = pytest.importorskip("jsonschema")
    with open(f"{policy.FOLDER}/policy.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.validate(tomllib.loads(policy.load(name).text.decode()), schema)
