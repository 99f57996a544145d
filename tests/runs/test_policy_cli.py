"""``pysandbox policy ...``: through the command line, as a person would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import policy
from sandbox.policy.answer import answer
from sandbox.policy.partition import by_action, named

from .test_cli_faces import Run

BAD = """\
version = 1
default = "errno:EPREM"
foo = 1
[groups.a]
action = "alow"
calls = ["read"]
[groups.b]
action = "allow"
calls = ["write", "opnat", "@filez", "pread"]
[groups.c]
action = "allow"
calls = ["write"]
[[rules]]
call = "ioctl"
action = "kill"
args = [{index = 1, value = 5}]
[[rules]]
call = "ioctl"
action = "kill"
args = [{index = 9, value = 5}]
"""
ODD = """\
version = 1
extends = "default"
foreign_abi = "errno:ENOSYS"
[groups.a]
action = "allow"
calls = ["read", "mount_setattr", "listns"]
[groups.b]
action = "allow"
calls = ["write"]
[[rules]]
call = "mmap"
action = "kill"
args = [{index = 2, op = "<", value = 5}]
[[rules]]
call = "mmap"
action = "allow"
args = [{index = 2, op = "<", value = 3}]
[groups.c]
action = "kill"
calls = ["execve", "execveat"]
"""


def test_list_and_show(pysandbox: Run) -> None:
    done = pysandbox("policy", "list")
    assert done.returncode == 0 and [line.split()[0] for line in done.stdout.splitlines()] == policy.names()
    assert policy.load("strict").description.splitlines()[0] in done.stdout
    assert pysandbox("policy", "show", "strict").stdout == Path(policy.locate("strict")[1]).read_text()
    assert json.loads(pysandbox("policy", "schema").stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("name", [*policy.names(), "odd"])
def test_what_is_resolved_means_the_same(pysandbox: Run, tmp_path: Path, name: str) -> None:
    if name == "odd":
        (tmp_path / "odd.toml").write_text(ODD)
        name = str(tmp_path / "odd.toml")
    done = pysandbox("policy", "show", name, "--resolved")
    assert done.returncode == 0 and '"@' not in done.stdout
    assert "extends" not in done.stdout.replace("which extends", "")
    (tmp_path / "resolved.toml").write_text(done.stdout)
    again = pysandbox("policy", "diff", name, str(tmp_path / "resolved.toml"))
    assert (again.returncode, again.stdout) == (0, "both mean the same\n")
    assert policy.load(str(tmp_path / "resolved.toml")).parent is None


def test_a_parents_rule_is_cut_by_its_childs(pysandbox: Run, tmp_path: Path) -> None:
    """In one level, what refuses would be asked before what the child allows."""
    child = tmp_path / "child.toml"
    child.write_text('version = 1\nextends = "default"\n[[rules]]\ncall = "ioctl"\naction = "allow"\n'
                     'args = [{index = 1, mask = "INT", value = "TIOCSETD"}, {index = 0, mask = "INT", value = 0}]\n'
                     '[[rules]]\ncall = "clone"\naction = "kill"\n'
                     'args = [{index = 0, mask = "CLONE_NEWUSER", value = 0}]\n')  # fmt: skip
    (tmp_path / "flat.toml").write_text(pysandbox("policy", "show", str(child), "--resolved").stdout)
    flat = policy.load(str(tmp_path / "flat.toml"))
    assert answer(flat, "ioctl", (0, 0x5423)).action == "allow"
    assert answer(flat, "ioctl", (1, 0x5423)).action == "errno:EPERM"
    done = pysandbox("policy", "diff", str(child), str(tmp_path / "flat.toml"))
    assert (done.returncode, done.stdout) == (0, "both mean the same\n")


def test_check_tells_every_mistake(pysandbox: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(BAD)
    done = pysandbox("policy", "check", "default", str(path))
    assert done.returncode == 1
    lines = [line.removeprefix(str(path)) for line in done.stdout.splitlines() if line.startswith(str(path))]
    wanted = [(":2: default: ", "did you mean EPERM"), (":3: foo: ", "unknown key"), (":5: groups.a.action: ", "allow"),
              (":9: groups.b.calls: ", "no set @filez"), (":9: groups.b.calls: ", "did you mean openat"),
              (":9: groups.b.calls: ", "the call is pread64"), (":12: groups.c.calls: ", "already in group b"),
              (":13: rules[0].args[0]: ", "32-bit int"), (":17: rules[1].args[0].index: ", "0 to 5")]  # fmt: skip
    assert len(lines) == len(wanted)
    for (start, words), line in zip(wanted, lines, strict=True):
        assert line.startswith(start) and words in line


def test_check_warns(pysandbox: Run, tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(ODD)
    done = pysandbox("policy", "check", str(path))
    assert done.returncode == 0
    for text in (":14: warning: this rule never decides", ":7: warning: group b changes nothing",
                 ": warning: execve is refused", ":3: warning: foreign_abi is errno:ENOSYS, that of default is kill",
                 "newer than this libseccomp, filtered by number: listns", ": no mistakes"):  # fmt: skip
        assert f"{path}{text}" in done.stdout or text in done.stdout, text
    assert "group a changes" not in done.stdout and ":10: warning" not in done.stdout


def test_the_shipped_ones_have_no_mistake(pysandbox: Run) -> None:
    done = pysandbox("policy", "check", *policy.names())
    assert done.returncode == 0
    assert done.stdout.count(": good\n") + done.stdout.count(": no mistakes\n") == len(policy.names())


@pytest.mark.parametrize("text", ["", "version = ", "\xff", "a = [" * 5000])
def test_check_of_no_policy(pysandbox: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_bytes(text.encode("latin-1"))
    done = pysandbox("policy", "check", str(tmp_path / "x.toml"), "nonesuch")
    assert done.returncode == 1 and "nonesuch: no such policy" in done.stdout and done.stderr == ""


def test_diff(pysandbox: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('version = 1\nextends = "default"\ndefault = "kill"\n'
                    '[groups.a]\naction = "allow"\ncalls = ["mount"]\n'
                    '[[rules]]\ncall = "socket"\naction = "errno:EACCES"\n'
                    'args = [{index = 0, mask = "INT", value = "AF_INET"}]\n')  # fmt: skip
    done = pysandbox("policy", "diff", "default", str(mine), "--arch", "x86_64")
    assert done.returncode == 1
    assert "default: errno:ENOSYS -> kill" in done.stdout
    assert "@mounts: errno:EPERM -> allow\n    mount\n" in done.stdout
    assert "allow -> errno:EACCES  where domain == 2" in done.stdout
    told = json.loads(pysandbox("policy", "diff", "default", str(mine), "--json", "-").stdout)
    assert {"key": "default", "before": "errno:ENOSYS", "after": "kill"} in told["policy"]
    assert {"call": "mount", "set": "mounts", "when": "", "before": "errno:EPERM", "after": "allow"} in told["calls"]
    same = pysandbox("policy", "diff", "default", "default")
    assert (same.returncode, same.stdout) == (0, "both mean the same\n")


def test_there_and_back(pysandbox: Run, tmp_path: Path) -> None:
    profile, back = tmp_path / "p.json", tmp_path / "back.toml"
    done = pysandbox("policy", "export", "default", "-o", str(profile))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(profile.read_text())["defaultErrnoRet"] == 38
    done = pysandbox("policy", "import", str(profile), "--out", str(back), "--kernel", "5.10")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Linux 5.10" in back.read_text().splitlines()[0]
    done = pysandbox("policy", "diff", "default", str(back))
    assert (done.returncode, done.stdout) == (0, "both mean the same\n")
    p, q = policy.load("default"), policy.load(str(back))
    assert all(set(by_action(p, call)) == set(by_action(q, call)) for call in named(q))


def test_import_takes_kernel_and_capabilities(pysandbox: Run, tmp_path: Path) -> None:
    entries = [{"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
               {"names": ["mount", "nosuchcall"], "action": "SCMP_ACT_KILL",
                "includes": {"caps": ["CAP_SYS_ADMIN"]}}]  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": entries}))
    done = pysandbox("policy", "import", str(tmp_path / "p.json"), "--kernel", "4.4", "--cap-add", "sys_admin,CHOWN")
    assert '"ptrace"' not in done.stdout and '"mount"' in done.stdout and "# - " in done.stdout
    assert done.stderr.count("pysandbox: note: ") == 2 and "nosuchcall" in done.stderr
    done = pysandbox("policy", "import", str(tmp_path / "p.json"), "--kernel", "4.8")
    assert '"ptrace"' in done.stdout and '"mount"' not in done.stdout


EXPLAINED = [
    (["unshare"], ["errno:EPERM", "group no_namespaces (", "default.toml:", "@namespaces", 'calls = ["unshare"]']),
    (["ioctl", "0", "TIOCSTI"], ["TIOCSTI", "a rule (", "because    request == 0x5412", "allow otherwise"]),
    (["ioctl", "0", "0x5401"], ["allow: the kernel makes the call", "errno:EPERM where request == 0x5412"]),
    (["strict", "socket"], ["under policy strict", "errno:ENOSYS", "default (", ".toml:", "do not matter"]),
    (["--policy", "strict", "socket", "AF_UNIX"], ["socket(AF_UNIX", "strict"]),
    (["--abi", "i386", "11"], ["execve", "kill", "foreign_abi", "i386"]),
    (["0x3fff"], ["call 16383", "errno:ENOSYS"]),
    (["none", "reboot"], ["under policy none", "allow"]),
    (["personality", "-1"], ["allow"]),
]


@pytest.mark.parametrize(("words", "said"), EXPLAINED, ids=[" ".join(words) for words, _ in EXPLAINED])
def test_explain(pysandbox: Run, words: list[str], said: list[str]) -> None:
    done = pysandbox("policy", "explain", *words)
    assert (done.returncode, done.stderr) == (0, "")
    for text in said:
        assert text in done.stdout, done.stdout


def test_explain_as_data(pysandbox: Run) -> None:
    told = json.loads(pysandbox("policy", "explain", "clone", "CLONE_NEWUSER", "--json", "-").stdout)
    assert (told["action"], told["why"], told["set"]) == ("errno:EPERM", "rule", "process_start")
    assert told["line"] > 0 and told["otherwise"][0]["action"] == "allow"
    assert 'extends = "default"' in told["change"]


def test_the_change_that_it_names_changes_it(pysandbox: Run, tmp_path: Path) -> None:
    for call in (["unshare"], ["clone", "CLONE_NEWUSER"], ["ioctl", "0", "TIOCSTI"]):
        told = json.loads(pysandbox("policy", "explain", *call, "--json", "-").stdout)
        (tmp_path / "mine.toml").write_text("\n".join(told["change"]) + "\n")
        assert json.loads(pysandbox("policy", "explain", str(tmp_path / "mine.toml"), *call, "--json", "-").stdout)[
            "action"] == "allow"  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one of list"), (["lsit"], "name one of list"), (["show"], "takes one NAME or FILE"),
        (["show", "nonesuch"], "no such policy"), (["diff", "default"], "takes two policies"),
        (["diff", "a", "b", "--arch", "mips"], "use one of x86_64"), (["explain", "opnat"], "did you mean openat"),
        (["explain", "umount"], "umount2"), (["explain", "openat", "x"], "no number"),
        (["list", "x"], "takes no words"),
        (["explain", "--abi", "aarch64", "stat"], "x86_64"), (["import", "/nonexistent.json"], "cannot read"),
        (["import", "/dev/null"], "not JSON"), (["import", "a", "--kernel", "new"], "such as 5.10"),
        (["export", "default", "-o", "/nonexistent/x"], "--out"), (["explain", "0x1ffffffff"], "32 bits"),
        (["show", "default", "--resolvd"], "no such option"),
    ],
)  # fmt: skip
def test_wrong_words(pysandbox: Run, words: list[str], said: str) -> None:
    done = pysandbox("policy", *words)
    assert done.returncode == 125 and done.stdout == "" and said in done.stderr and done.stderr.count("\n") == 1
