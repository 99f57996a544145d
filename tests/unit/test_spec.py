"""validate(): what a request means, and that nothing but a RequestError ever comes out of a wrong one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import RequestError
from sandbox.request import Request
from sandbox.spec import NAMESPACES, Rootfs, Spec, Stack, Tmpfs, Volume
from sandbox.units import UNLIMITED, Rate
from sandbox.validate import validate


def spec(argv: Any = ("true",), **options: Any) -> Spec:
    return validate(Request(argv=argv, **options))


def refused(field: str, why: str, argv: Any = ("true",), **options: Any) -> None:
    with pytest.raises(RequestError, match=why) as caught:
        spec(argv, **options)
    assert caught.value.field == field, caught.value
    assert "\n" not in str(caught.value)


def test_defaults() -> None:
    one = spec()
    assert one.argv == (b"true",) and one.program is None and one.workdir == "/work" and one.hostname == "sandbox"
    assert one.absent == frozenset() and (one.uid, one.gid) == (1000, 1000)
    limits = one.limits
    assert (
        limits.asked == frozenset() and limits.mem_bytes is None and limits.swap_bytes == 0 and limits.core_bytes == 0
    )
    assert limits.pids <= 128  # a dying tree of 2,000 took 94 s to go
    assert dict(one.env)[b"HOME"] == b"/work" and b"TERM" not in dict(one.env)


def test_limits() -> None:
    limits = spec(
        mem="64M",
        swap=0,
        time="1.5s",
        wall=2,
        idle="10ms",
        pids="7",
        cpus=1.5,
        cpuset="1,0",
        output="1K",
        disk="1M",
        inodes=16,
        fsize="unlimited",
        stack=UNLIMITED,
        nofile=3,
        core=0,
        io_read="10M",
        io_write="500iops,1M",
    ).limits
    assert (limits.mem_bytes, limits.swap_bytes, limits.time_ns, limits.wall_ns) == (
        64 << 20,
        0,
        1_500_000_000,
        2 * 10**9,
    )
    assert (limits.idle_ns, limits.pids, limits.cpu_milli, limits.cpuset) == (10**7, 7, 1500, "0-1")
    assert (limits.output_bytes, limits.disk_bytes, limits.inodes) == (1024, 1 << 20, 16)
    assert (limits.fsize_bytes, limits.stack_bytes, limits.nofile, limits.core_bytes) == (UNLIMITED, UNLIMITED, 3, 0)
    assert limits.asked == {
        "mem",
        "swap",
        "time",
        "wall",
        "idle",
        "pids",
        "cpus",
        "cpuset",
        "output",
        "disk",
        "inodes",
        "fsize",
        "stack",
        "nofile",
        "core",
        "io_read",
        "io_write",
    }
    assert limits.io_read == Rate(bytes_per_s=10 << 20)
    assert limits.io_write == Rate(bytes_per_s=1 << 20, ops_per_s=500)


@pytest.mark.parametrize(
    ("options", "field", "why"),
    [
        ({"mem": "1K"}, "mem", "too small"),
        ({"mem": "unlimited"}, "mem", "expected a number"),
        ({"mem": "-1"}, "mem", "expected a number"),
        ({"mem": "64Q"}, "mem", "unknown size unit"),
        ({"swap": "1M"}, "swap", "nothing without mem"),
        ({"pids": 0}, "pids", "out of range"),
        ({"nofile": 2}, "nofile", "out of range"),
        ({"disk": 1}, "disk", "too small"),
        ({"time": 0}, "time", "out of range"),
        ({"cpuset": "x"}, "cpuset", "whole number"),
        ({"io_read": "1K"}, "io_read", "too small"),
        ({"io_write": "1M,1M"}, "io_write", "one number of bytes"),
        ({"grace": "x"}, "grace", "expected a number"),
        ({"net": "bridge"}, "net", "none, host or join"),
        ({"ids": "all"}, "ids", "single or range"),
        ({"without": ["nothing"]}, "without", "no such namespace"),
        ({"without": ["user"]}, "without", "leave out pid, mount, net, ipc, uts, cgroup as well"),
        ({"without": ["mount"], "workdir": "/tmp"}, "without", "need the mount namespace"),
        ({"without": ["mount"], "tty": True}, "without", "need the mount namespace"),
        ({"without": "net"}, "without", "expected a list"),
        ({"without": [["net"]]}, "without", "no such namespace"),
        ({"without": [1, "a", None]}, "without", "no such namespace"),
        ({"hostname": ""}, "hostname", "1 to 64"),
        ({"hostname": "a" * 65}, "hostname", "1 to 64"),
        ({"hostname": "-a"}, "hostname", "1 to 64"),
        ({"hostname": "a\nb"}, "hostname", "1 to 64"),
        ({"hostname": "ü"}, "hostname", "1 to 64"),
        ({"policy": ""}, "policy", "expected a text"),
        ({"policy": "a\0b"}, "policy", "expected a text"),
        ({"user": "root"}, "user", "whole number"),
        ({"user": "1:2:3"}, "user", "whole number"),
        ({"user": "-1"}, "user", "whole number"),
        ({"user": 2**32 - 1}, "user", "out of range"),
        ({"user": 70000, "ids": "range"}, "user", "out of range"),
        ({"tty": 1}, "tty", "True or False"),
        ({"best_effort": "yes"}, "best_effort", "True or False"),
        ({"pass_fds": [2]}, "pass_fds", "out of range"),
        ({"pass_fds": [1000]}, "pass_fds", "out of range"),
        ({"pass_fds": 3}, "pass_fds", "expected a list"),
        ({"env": ["A=b"]}, "env", "mapping"),
        ({"env": {"A=B": "c"}}, "env", "without '='"),
        ({"env": {"": "c"}}, "env", "without '='"),
        ({"env": {1: "c"}}, "env", "without '='"),
        ({"env": {"A": "b\0c"}}, "env", "NUL"),
        ({"env": {"A": 1}}, "env", "text or bytes"),
        ({"env": {"A": "x" * 131_072}}, "env", "longer than"),
        ({"env": {"A": "\ud800"}}, "env", "surrogate"),
        ({"workdir": "work"}, "workdir", "absolute"),
        ({"workdir": "/a/../b"}, "workdir", r"'\.\.'"),
        ({"workdir": "/" + "x" * 5000}, "workdir", "longer"),
        ({"workdir": "/\ud800"}, "workdir", "surrogate"),
        ({"rootfs": "/nonexistent"}, "rootfs", "no such file"),
        ({"rootfs": "/etc/passwd"}, "rootfs", "not a directory"),
        ({"rootfs": "/usr:rw"}, "rootfs", "DIR:scratch"),
        ({"rootfs": "/usr:"}, "rootfs", "DIR:scratch"),
        ({"rootfs": "/proc/1/root"}, "rootfs", "cannot be"),
        ({"volumes": ["/usr"]}, "volume", "SRC:DST"),
        ({"volumes": ["/usr:/a:b:c"]}, "volume", "SRC:DST"),
        ({"volumes": ["/usr:/a:wr"]}, "volume", "SRC:DST"),
        ({"volumes": [":/a"]}, "volume", "SRC:DST"),
        ({"volumes": ["/usr:"]}, "volume", "expected a text"),
        ({"volumes": ["/usr:a"]}, "volume", "absolute"),
        ({"volumes": ["/usr:/"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/usr:/proc"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/usr:/proc/x"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/usr:/dev/shm"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/usr:/a/../proc"]}, "volume", r"'\.\.'"),
        ({"volumes": ["/usr://proc"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/usr:/./proc"]}, "volume", "belongs to the sandbox"),
        ({"volumes": ["/nonexistent:/a"]}, "volume", "no such file"),
        ({"volumes": ["/dev/null:/a"]}, "volume", "only directories"),
        ({"volumes": ["/proc/1/root:/a"]}, "volume", "cannot be"),
        ({"volumes": "/usr:/a"}, "volumes", "expected a list"),
        ({"volumes": ["/usr:/a"] * 201}, "volumes", "more than 200"),
        ({"volumes": ["/\ud800:/a"]}, "volume", "surrogate"),
        ({"volumes": [b"/usr:/a"]}, "volume", "expected a text"),
        ({"tmpfs": ["a"]}, "tmpfs", "absolute"),
        ({"tmpfs": ["/proc:1M"]}, "tmpfs", "belongs to the sandbox"),
        ({"tmpfs": ["/a:x"]}, "tmpfs", "expected a number"),
    ],
)
def test_wrong_options(options: dict[str, Any], field: str, why: str) -> None:
    refused(field, why, **options)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "no program"),
        ([""], "no program"),
        ("true", "expected a list"),
        (b"true", "expected a list"),
        (None, "expected a list"),
        (["a\0"], "NUL"),
        ([1], "text or bytes"),
        (["x", "y" * 131_072], "longer than"),
        (["x", *["y" * 100_000] * 70], "more than"),
        (["\ud800"], "surrogate"),
        (["./\ud800"], "surrogate"),
        (["/proc/1/exe"], "cannot be"),
    ],
)
def test_wrong_programs(argv: Any, why: str) -> None:
    refused("argv", why, argv)


def test_arguments_up_to_the_limit() -> None:
    assert len(spec(["true", "y" * 131_071]).argv[1]) == 131_071
    assert spec(["true", "\udcff", b"\xfe", Path("/x")]).argv == (b"true", b"\xff", b"\xfe", b"/x")


def test_namespaces() -> None:
    assert spec(without=["net", "ipc"]).absent == {"net", "ipc"}
    assert spec(net="host").absent == {"net"}
    assert spec(without=["time"]).absent == {"time"} and spec().has("time")
    everything = spec(without=[n for n in NAMESPACES if n != "time"])
    assert not any(everything.has(n) for n in NAMESPACES)


def test_ids() -> None:
    assert [(spec(user=u).uid, spec(user=u).gid) for u in (0, "5", "5:6")] == [(0, 0), (5, 5), (5, 6)]
    assert spec(user=33).init_uid == 33 and spec(user=33, ids="range").init_uid == 0


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("dir")
    one = spec(
        volumes=[f"{tmp_path}/link:/a/./b//c/", f"{tmp_path}/file:/f:rw"], tmpfs=["/t", "/u:1K"], workdir="/a//b/."
    )
    inodes = [((tmp_path / name).stat().st_dev, (tmp_path / name).stat().st_ino) for name in ("dir", "file")]
    assert one.volumes == (
        Volume(source=f"{tmp_path}/dir", target="/a/b/c", writable=False, is_dir=True, inode=inodes[0]),
        Volume(source=f"{tmp_path}/file", target="/f", writable=True, is_dir=False, inode=inodes[1]),
    )
    assert one.tmpfs == (Tmpfs(target="/t", size_bytes=64 << 20), Tmpfs(target="/u", size_bytes=1024))
    assert one.workdir == "/a/b" and dict(one.env)[b"HOME"] == b"/a/b"
    expected = Rootfs(stack=Stack(layers=(f"{tmp_path}/dir",), inodes=(inodes[0],)), writable=True)
    assert spec(rootfs=f"{tmp_path}/link:scratch").rootfs == expected


def test_which_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert spec(["sh"]).program is None  # the system's, whatever the caller's PATH says
    assert spec(["mine"]).program == str(mine) and spec(["mine"]).argv == (b"mine",)
    for name in ("./mine", str(mine), "../" + tmp_path.name + "/mine"):
        one = spec([name, "x"])
        assert one.program == str(mine) and one.argv == (b"/app/mine", b"x")
    shared = spec([str(mine)], volumes=[f"{tmp_path}:/a"])
    assert shared.program is None and shared.argv == (b"/a/mine",)
    as_named = spec(["/a/mine"], volumes=[f"{tmp_path}:/a"])
    assert as_named.program is None and as_named.argv == (b"/a/mine",)
    assert spec(["nothing"]).program is None and spec([str(mine)], rootfs="/usr").program is None
    assert spec(["/usr/bin/env"]).program is None


def test_a_spec_is_a_value() -> None:
    import pickle

    one = spec(["true"], mem="64M", volumes=["/usr:/a"], tmpfs=["/t"], env={"A": "b"})
    assert one == spec(["true"], mem="64M", volumes=["/usr:/a"], tmpfs=["/t"], env={"A": "b"})
    assert hash(one) == hash(pickle.loads(pickle.dumps(one))) and one != spec(["true"])


# ---- whatever is thrown at it ----


class Unhelpful:
    """An object that is no use as any field."""


ANYTHING = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=30),
        st.binary(max_size=10),
        st.builds(Unhelpful),
        st.text(st.characters(categories=["Cs"]), max_size=3),
        st.sampled_from([10**400, -(10**400), 1e308, "\0", "/\0", "..", "/", "~"]),
        st.from_regex(r"/[a-z./:]{0,20}(:(ro|rw|scratch|1M))?", fullmatch=True),
        st.from_regex(r"-?[0-9.]{1,20}(K|M|G|ms|s|h)?", fullmatch=True),
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers(), max_size=3)
    ),
    max_leaves=6,
)
FIELDS = sorted(Request._fields)
EXAMPLES = settings(max_examples=100, database=None, derandomize=True, deadline=None)


@pytest.mark.parametrize("field", FIELDS)
def test_only_request_errors(field: str) -> None:
    """One field at a time, the others as they should be."""

    @EXAMPLES
    @given(ANYTHING)
    def fuzz(value: Any) -> None:
        try:
            one = validate(Request(**{"argv": ["true"], field: value}))
        except RequestError as error:
            assert str(error) and error.why
        else:
            hash(one)  # and what is taken is frozen all the way down

    fuzz()


@settings(max_examples=400, database=None, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6),
    st.lists(st.text(max_size=20), min_size=1, max_size=3),
)
def test_only_request_errors_together(values: dict[str, Any], argv: list[str]) -> None:
    try:
        validate(Request(**{"argv": argv, **values}))
    except RequestError as error:
        assert str(error)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for volume in ("/usr:/a", "/nonexistent:/a", f"{tmp_path}:/a:rw"):
        try:
            spec(volumes=[volume])
        except RequestError:
            pass
    assert os.listdir("/proc/self/fd") == before and os.listdir(tmp_path) == []
