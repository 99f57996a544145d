"""The language: what a file says of a call, what it leaves to the one that it extends, and sets of calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import policy, syscalls
from sandbox.errors import PolicyError
from sandbox.policy import Policy, parser
from sandbox.policy.answer import Answer, answer, answer_number
from sandbox.policy.sets import set_of, sets
from sandbox.policy.write import to_toml
from sandbox.seccomp import compile as compiler

HEAD = 'version = 1\ndefault = "errno:ENOSYS"\n'
CHILD = 'version = 1\nextends = "%s"\n'
GROUP = '[groups.%s]\naction = "%s"\ncalls = ["%s"]\n'
RULE = '[[rules]]\ncall = "%s"\naction = "%s"\nargs = [{index = %d, op = "==", value = %d}]\n'


def parse(text: str, path: str = "/t.toml") -> Policy:
    return policy.parse("t", path, text.encode())


def refusal(text: str, path: str = "/t.toml") -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        parse(text, path)
    return caught.value


@pytest.fixture
def family(tmp_path: Path) -> Policy:
    """child -> parent -> grandparent; each has its way with another part of the calls."""
    (tmp_path / "old.toml").write_text(
        HEAD + 'foreign_abi = "errno:EPERM"\ncapabilities = ["chown", "CAP_KILL"]\n'
        + 'architectures = ["x86_64", "aarch64"]\n'
        + GROUP % ("all", "allow", "@file_read") + GROUP % ("deadly", "kill", "ptrace")
        + RULE % ("write", "errno:EIO", 2, 7)
    )  # fmt: skip
    (tmp_path / "middle.toml").write_text(
        CHILD % "./old.toml" + GROUP % ("closed", "errno:EACCES", "read") + GROUP % ("w", "log", "write")
        + RULE % ("read", "allow", 0, 5) + RULE % ("stat", "trap", 0, 5)
    )  # fmt: skip
    child = tmp_path / "young.toml"
    child.write_text(
        CHILD % "middle.toml" + 'default = "kill"\ncapabilities = []\n' + GROUP % ("mine", "errno:EXDEV", "stat")
        + RULE % ("read", "errno:EBUSY", 1, 9) + RULE % ("lseek", "allow", 0, 1)
    )  # fmt: skip
    return policy.load(str(child))


def said(found: Answer) -> tuple[str, str, str]:
    return found.action, found.why, found.policy.name


def test_order_of_answers(family: Policy) -> None:
    """Of each file rules that refuse, rules that allow, groups; then the next file; the default last."""
    assert [level.name for level in family.levels()] == ["young", "middle", "old"]
    assert said(answer(family, "read", (5, 9))) == ("errno:EBUSY", "rule", "young")  # before middle's rule
    assert said(answer(family, "read", (5, 0))) == ("allow", "rule", "middle")  # before middle's group
    assert said(answer(family, "read", (4, 0))) == ("errno:EACCES", "group", "middle")  # before old's group
    assert said(answer(family, "stat", (5,))) == ("errno:EXDEV", "group", "young")  # before middle's rule
    assert said(answer(family, "write", (0, 0, 7))) == ("log", "group", "middle")  # before old's rule
    assert said(answer(family, "lseek", (1,))) == ("allow", "rule", "young")
    assert said(answer(family, "lseek", (2,))) == ("allow", "group", "old")
    assert said(answer(family, "ptrace")) == ("kill", "group", "old")
    assert said(answer(family, "nothing")) == ("kill", "default", "young")


def test_keys_that_are_the_parents(family: Policy) -> None:
    middle = family.parent
    assert middle is not None
    assert (family.foreign_abi, family.architectures) == ("errno:EPERM", ("x86_64", "aarch64"))
    assert (family.capabilities, middle.capabilities) == ((), ("CHOWN", "KILL"))
    assert (family.default, middle.default) == ("kill", "errno:ENOSYS")
    assert said(answer_number(family, "i386", 3, arch="x86_64")) == ("errno:EPERM", "foreign_abi", "old")
    assert said(answer(middle, "nothing")) == ("errno:ENOSYS", "default", "old")


def test_refusing_rules_come_before_allowing_ones() -> None:
    both = parse(HEAD + RULE % ("read", "allow", 0, 1) + RULE % ("read", "kill", 1, 2))
    assert [answer(both, "read", args).action for args in ((1, 2), (1, 3), (0, 2), (0, 0))] == [
        "kill", "allow", "kill", "errno:ENOSYS"]  # fmt: skip


def test_numbers_that_are_none_of_this_abi() -> None:
    p = parse(HEAD + GROUP % ("a", "allow", "read"))
    for number, why in ((0, "group"), (9999, "default"), (0x3FFFFFFF, "default"), (0xFFFFFFFF, "default"),
                        (-1, "default"), (1 << 30, "foreign_abi"), (0x7FFFFFFF, "foreign_abi"),
                        (1 << 31, "foreign_abi"), (0xFFFFFFFE, "foreign_abi")):  # fmt: skip
        assert answer_number(p, "x86_64", number, arch="x86_64").why == why, hex(number)
    assert answer_number(p, "aarch64", 63, arch="aarch64").why == "group"
    assert answer_number(p, "x86_64", 0, arch="aarch64").why == "foreign_abi"
    assert answer_number(policy.load("none"), "i386", 3).action == "allow"


def test_extends_names_a_shipped_one_or_a_file(tmp_path: Path) -> None:
    assert [p.name for p in parse(CHILD % "default").levels()] == ["t", "default"]
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.toml").write_text(HEAD)
    for word in ("../base.toml", f"{tmp_path}/base.toml", "./../base.toml"):
        assert parse(CHILD % word, f"{tmp_path}/sub/t.toml").parent is not None
    # A name is never a file that lies about: what a policy means does not hang on the current directory.
    assert "did you mean default" in str(refusal(CHILD % "defualt", f"{tmp_path}/t.toml"))
    assert refusal(CHILD % "defualt").line == 2
    assert refusal(CHILD % "gone.toml", f"{tmp_path}/t.toml").file == f"{tmp_path}/gone.toml"
    assert "names nothing" in str(refusal(CHILD % ""))
    assert "sets" in str(refusal(CHILD % "sets"))


@pytest.mark.parametrize("text", [
    'version = 1\n"extends" = "default"\n',
    "version = 1\nextends = 'default'\n",
    'version = 1\nextends = """default"""\n',
    'version = 1\nextends = "def\\u0061ult"\n',
])  # fmt: skip
def test_extends_is_written_in_one_way(text: str) -> None:
    """A warm start looks for it without a TOML parser: what it would not see is refused."""
    assert "on a line of its own" in str(refusal(text))


def test_circles_and_depth(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHILD % "b.toml")
    (tmp_path / "b.toml").write_text(CHILD % "./a.toml")
    with pytest.raises(PolicyError, match="in its turn"):
        policy.load(f"{tmp_path}/a.toml")
    (tmp_path / "self.toml").write_text(CHILD % "self.toml")
    with pytest.raises(PolicyError, match="in its turn"):
        policy.load(f"{tmp_path}/self.toml")
    (tmp_path / "0.toml").write_text(HEAD)
    for n in range(1, parser.MAX_PARENTS + 2):
        (tmp_path / f"{n}.toml").write_text(CHILD % f"{n - 1}.toml")
    assert len(list(policy.load(f"{tmp_path}/{parser.MAX_PARENTS}.toml").levels())) == parser.MAX_PARENTS + 1
    with pytest.raises(PolicyError, match="more than 8"):
        policy.load(f"{tmp_path}/{parser.MAX_PARENTS + 1}.toml")


def test_a_mistake_of_the_parent_is_told_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(HEAD + "\n\nnonsense = 1\n")
    error = refusal(CHILD % "base.toml", f"{tmp_path}/t.toml")
    assert (error.file, error.line) == (f"{tmp_path}/base.toml", 5)


def test_sets_and_calls() -> None:
    p = parse(HEAD + GROUP % ("a", "allow", '@time", "mount') + GROUP % ("b", "kill", "alarm"))
    assert answer(p, "alarm").action == "kill"  # by its own name in the same file
    assert {answer(p, call).action for call in sets()["time"] if call != "alarm"} == {"allow"}
    assert answer(p, "mount").action == "allow"
    assert "alarm" not in p.groups[0].calls
    # In one group, a name and the set that has it.
    assert parse(HEAD + GROUP % ("a", "allow", '@time", "alarm')).groups[0].calls.count("alarm") == 1


def test_except(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(HEAD + GROUP % ("a", "log", "@time"))
    left_out = CHILD % "base.toml" + GROUP % ("a", "kill", "@time") + 'except = ["alarm", "time"]\n'
    p = parse(left_out, f"{tmp_path}/t.toml")
    assert [answer(p, call).action for call in ("alarm", "time", "nanosleep")] == ["log", "log", "kill"]
    for words in ('"mount"', '"@time"', '"alarmm"', "5", "{}", "[]"):
        assert "in none of the sets" in str(refusal(HEAD + GROUP % ("a", "kill", "@time") + f"except = [{words}]\n"))
    assert "in none of the sets" in str(refusal(HEAD + GROUP % ("a", "kill", "alarm") + 'except = ["alarm"]\n'))
    assert "expected a list" in str(refusal(HEAD + GROUP % ("a", "kill", "@time") + 'except = "alarm"\n'))


def test_mistakes_with_sets() -> None:
    error = refusal(HEAD + '[groups.a]\naction = "kill"\ncalls = [\n  "@memory",\n  "@file_raed",\n]\n')
    assert error.line == 7 and "did you mean file_read" in str(error)
    twice = refusal(HEAD + GROUP % ("a", "kill", "@time") + GROUP % ("b", "allow", "@time"))
    assert twice.line == 6 and "already in group a" in str(twice)
    assert parse(HEAD + GROUP % ("a", "kill", "@time") + 'except = ["alarm"]\n' + GROUP % ("b", "allow", "alarm"))


def test_report() -> None:
    quiet = "report = false\n"
    p = parse(HEAD + GROUP % ("a", "kill", "read") + quiet + GROUP % ("b", "kill", "write")
              + RULE % ("read", "errno:EPERM", 0, 1) + RULE % ("write", "errno:EPERM", 0, 1) + quiet)  # fmt: skip
    assert [answer(p, *call).report for call in (("read", (0,)), ("read", (1,)), ("write", (0,)), ("write", (1,)))] == [
        False, True, True, False]  # fmt: skip
    assert answer(p, "open").report  # the default
    assert "true or false" in str(refusal(HEAD + GROUP % ("a", "kill", "read") + "report = 0\n"))


def test_notify() -> None:
    assert not parse(HEAD).asks
    for text in ('version = 1\ndefault = "notify"\n', HEAD + GROUP % ("a", "notify", "read"),
                 HEAD + RULE % ("read", "notify", 0, 1)):  # fmt: skip
        p = parse(text)
        assert p.asks and p.filters
    assert not any(policy.load(name).asks for name in policy.names())
    # A refusal comes before a question, a question before an allowance.
    p = parse(HEAD + RULE % ("read", "notify", 0, 1) + RULE % ("read", "allow", 1, 1))
    assert answer(p, "read", (1, 1)).action == "notify"


def same(one: Policy, other: Policy) -> None:
    """Every level means the same: all keys, every group's calls, every condition."""
    levels, others = list(one.levels()), list(other.levels())
    assert len(levels) == len(others)
    for a, b in zip(levels, others, strict=True):
        for key in ("default", "foreign_abi", "description", "architectures", "capabilities"):
            assert getattr(a, key) == getattr(b, key), key
        assert [r.replace(line=0) for r in a.rules] == [r.replace(line=0) for r in b.rules]
        assert [(g.name, g.action, g.report, g.description, set(g.calls)) for g in a.groups] == [
            (g.name, g.action, g.report, g.description, set(g.calls)) for g in b.groups]  # fmt: skip


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("name", policy.names())
def test_written_and_read_again(name: str, fold: bool) -> None:
    loaded = policy.load(name)
    text = to_toml(loaded, fold=fold, comment="two\nlines")
    assert text.startswith("# two\n# lines\n")
    same(loaded, policy.parse(name, "/t.toml", text.encode()))
    assert fold or '"@' not in text


def test_whole_sets_are_written_by_name() -> None:
    assert '"@io_uring"' in to_toml(policy.load("default"))


def test_family_is_written_and_read_again(family: Policy) -> None:
    same(family, parse(to_toml(family)))
    words = 'description = "a \\"quoted\\" \\\\ line\\nand \\u0001 ü"\n'
    awkward = parse(HEAD + words + GROUP % ("a", "errno:0", "read"))
    same(awkward, parse(to_toml(awkward)))


def test_shipped_pages() -> None:
    """Each begins with who it is for, and is a page: what it extends is shipped as well."""
    for name in policy.names():
        loaded = policy.load(name)
        lines = loaded.text.decode().split("\n")
        head = next(n for n, line in enumerate(lines) if not line.startswith("#"))
        assert 2 <= head <= 8 and lines[0].startswith("# For "), name
        assert len(lines) < 250 and max(map(len, lines)) <= 240, name
        assert loaded.description
        for level in loaded.levels():
            assert level.name in policy.names()


@pytest.mark.parametrize("name", [name for name in policy.names() if name not in ("none", "docker")])
def test_what_no_shipped_policy_allows(name: str) -> None:
    """An allow list, ENOSYS, other ABIs killed, no namespaces, nothing of the kernel's surface."""
    loaded = policy.load(name)
    assert (loaded.default, loaded.foreign_abi) == ("errno:ENOSYS", "kill")
    closed = [*sets()["io_uring"], *sets()["keyrings"], *sets()["kernel_surface"], *sets()["modules"],
              *sets()["administration"], "unshare", "setns", "clone3", "mount", "pivot_root", "open_by_handle_at",
              "move_mount", "fsopen", "open_tree", "mount_setattr"]  # fmt: skip
    for call in closed:
        assert answer(loaded, call).action not in ("allow", "log", "notify"), call
    assert answer(loaded, "clone3").action == "errno:ENOSYS"
    high = 0xDEADBEEF << 32
    for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert answer(loaded, "clone", (flag | 17 | high,)).action != "allow"
    for request in (0x5412, 0x541C, 0x5423):
        assert answer(loaded, "ioctl", (0, request | high)).action != "allow"
    families = {family for family in range(64) if answer(loaded, "socket", (family | high, 3, 5)).action == "allow"}
    assert families <= {1, 2, 10}
    links = {protocol for protocol in range(64) if answer(loaded, "socket", (16, 3, protocol)).action == "allow"}
    assert links <= ({0, 4} if name == "network" else {0})
    for call, args in (("setrlimit", (4, 1)), ("prlimit64", (0, 4, 1))):  # RLIMIT_CORE
        assert answer(loaded, call, args).action in ("errno:0", "errno:ENOSYS")


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_every_set_can_be_named(arch: str) -> None:
    """Also where libseccomp ends before a call of it, or has none of that architecture (uprobe on aarch64)."""
    for name in sets():
        p = parse(HEAD + GROUP % ("a", "kill", f"@{name}"))
        assert compiler.compile_policy(p, arch).program
    with pytest.raises(PolicyError, match="did you mean ptrace"):
        compiler.compile_policy(parse(HEAD + GROUP % ("a", "kill", "ptrac")), arch)


def test_every_call_is_in_one_set() -> None:
    for abi in ("x86_64", "aarch64"):
        assert [call for call in syscalls.names(abi) if not set_of(call)] == []
