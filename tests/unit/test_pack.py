"""Steps to the bytes of plan.h, read back by hand."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from sandbox.native._core import ffi, lib

from sandbox import RequestError, plan, steps
from sandbox.host import HostFacts
from sandbox.native import pack
from sandbox.request import Request
from sandbox.validate import validate

HEAD = struct.Struct("=8I")
ROW = struct.Struct("=4IiI3Q")
HOST = HostFacts(uid=1, gid=1, groups=(), system=(), etc=(), proc_masked=(), proc_readonly=(), cpus=1, machine="x86_64")


class Read:
    """A packed plan, taken apart."""

    def __init__(self, packed: bytes) -> None:
        self.magic, self.bytes, n_init, n_program, self.argv_at, argc, self.envp_at, envc = HEAD.unpack_from(packed)
        rows = [ROW.unpack_from(packed, HEAD.size + i * ROW.size) for i in range(n_init + n_program)]
        names = ("op", "flags", "text", "text2", "fd", "mode", "a", "b", "c")
        table = [dict(zip(names, row, strict=True)) for row in rows]
        self.init, self.program = table[:n_init], table[n_init:]
        self.blob = packed[HEAD.size + len(rows) * ROW.size :]
        self.argv, self.env = self.texts(self.argv_at, argc), self.texts(self.envp_at, envc)

    def text(self, offset: int) -> bytes:
        return self.blob[offset : self.blob.index(b"\0", offset)]

    def texts(self, offset: int, count: int) -> list[bytes]:
        return [self.text(at) for at in struct.unpack_from(f"={count}I", self.blob, offset)]


def setup(*some: steps.Step, **fds: int) -> Read:
    return Read(pack.pack_setup(some, {name.replace("_", ":"): fd for name, fd in fds.items()}))


def test_layout() -> None:
    for struct_name, mine in (("pysb_plan", HEAD), ("pysb_step", ROW)):
        assert ffi.sizeof(f"struct {struct_name}") == mine.size
    assert ffi.sizeof("struct pysb_event") == 64  # spawn.py reads what follows it as the baseline
    offsets = [
        ffi.offsetof("struct pysb_step", n) for n in ("op", "flags", "text", "text2", "fd", "mode", "a", "b", "c")
    ]
    assert offsets == [0, 4, 8, 12, 16, 20, 24, 32, 40]


def test_head() -> None:
    packed = pack.pack_setup((steps.PrivateMounts(),), {})
    read = Read(packed)
    assert (read.magic, read.bytes) == (lib.PYSB_MAGIC, len(packed)) and packed[-1] == 0
    assert [row["op"] for row in read.init] == [lib.PYSB_PRIVATE] and read.program == [] and read.argv == []


def test_bind() -> None:
    read = setup(
        steps.Bind(source="/usr", path="/usr"),
        steps.Bind(source="tmp", path="/tmp", origin="scratch", recursive=False, attributes=6),
        steps.Bind(source="sys", path="/proc/sys", origin="proc", make=""),
        steps.Bind(source="/dev/null", path="/dev/null", chardev=True, make="file", recursive=False, attributes=0),
        steps.Bind(source="x", path="/x", origin="fd:volume:0"),
        volume_0=3,
    )
    expected = [
        (lib.PYSB_BIND_MAKE_DIR | lib.PYSB_BIND_RECURSIVE, b"/usr", b"/usr", -1, 7),
        (lib.PYSB_BIND_MAKE_DIR | lib.PYSB_BIND_SCRATCH, b"/tmp", b"tmp", -1, 6),
        (lib.PYSB_BIND_PROC | lib.PYSB_BIND_RECURSIVE, b"/proc/sys", b"sys", -1, 7),
        (lib.PYSB_BIND_MAKE_FILE | lib.PYSB_BIND_CHARDEV, b"/dev/null", b"/dev/null", -1, 0),
        (lib.PYSB_BIND_MAKE_DIR | lib.PYSB_BIND_RECURSIVE | lib.PYSB_BIND_FD, b"/x", b"x", 3, 7),
    ]
    found = [(r["flags"], read.text(r["text"]), read.text(r["text2"]), r["fd"], r["a"]) for r in read.init]
    assert found == expected and {r["op"] for r in read.init} == {lib.PYSB_BIND}


def test_mounts_and_files() -> None:
    read = setup(
        steps.MountFs(path="/proc", fstype="proc", options=(("hidepid", "2"), ("ro", "")), attributes=14),
        steps.WriteFile(path="/etc/x", content=b"a\0b", mode=0o640),
        steps.WriteFile(path="/etc/empty", content=b""),
        steps.Mkdir(path="/tmp", mode=0o1777, uid=5, gid=6, in_scratch=True),
        steps.Symlink(target="/t", path="/l"),
        steps.MountOverlay(layers=("a", "b"), upper="scratch"),
        steps.Scratch(size_bytes=4096, inodes=16),
    )
    mount, file, empty, directory, link, overlay, scratch = read.init
    assert read.blob[mount["text2"] :].startswith(b"proc\0hidepid\0002\0ro\0\0\0") and mount["a"] == 14
    assert read.blob[file["text2"] :][: file["a"]] == b"a\0b" and (file["a"], file["mode"]) == (3, 0o640)
    assert empty["a"] == 0 and empty["text2"] <= len(read.blob)
    assert (directory["flags"], directory["mode"], directory["a"], directory["b"]) == (1, 0o1777, 5, 6)
    assert (read.text(link["text"]), read.text(link["text2"])) == (b"/t", b"/l")
    assert b"lowerdir\0a:b\0" in read.blob[overlay["text"] :] and overlay["flags"] == 3
    assert read.blob[scratch["text"] :].startswith(b"tmpfs\0size\x004096\0nr_inodes\x0016\0")


def test_equal_texts_are_stored_once() -> None:
    read = setup(*[steps.Bind(source="/usr", path="/usr") for _ in range(5)])
    assert read.blob.count(b"/usr\0") == 1 and len({r["text"] for r in read.init}) == 1


def launch(argv: list[Any], **options: Any) -> plan.LaunchPlan:
    spec = validate(Request(argv=argv, **options))
    return plan.build(
        spec, HOST, seccomp=bytes(24), attach=("cgroup:0",), baseline=True, cpus=(0, 65),
        clocks_ns=(1_500_000_000, 2_000_000_000),
    )  # fmt: skip


def test_a_run() -> None:
    packed = pack.pack_run(launch(["prog", "", "\udcff", "ü"], env={"A": "b=c"}, stack="unlimited"),
                           {"stdout": 2, "stderr": 2, "cgroup:0": 4, "baseline": 5})  # fmt: skip
    read = Read(packed)
    assert read.argv == [b"prog", b"", b"\xff", "ü".encode()] and b"A=b=c" in read.env
    assert [(r["op"], r["fd"]) for r in read.init if r["op"] == lib.PYSB_ATTACH] == [(lib.PYSB_ATTACH, 4)]
    offsets = next(r for r in read.init if r["op"] == lib.PYSB_TIME_OFFSETS)
    assert read.text(offsets["text"]) == b"monotonic -2 500000000\nboottime -2 0\n"
    by_op: dict[int, list[dict[str, int]]] = {}
    for row in read.program:
        by_op.setdefault(row["op"], []).append(row)
    assert [(r["fd"], r["a"]) for r in by_op[lib.PYSB_STREAM]] == [(-1, 0), (2, 1), (2, 2)]
    stack = next(r for r in by_op[lib.PYSB_RLIMIT] if r["a"] == 3)
    assert stack["b"] == stack["c"] == 2**64 - 1
    affinity = by_op[lib.PYSB_AFFINITY][0]
    assert read.blob[affinity["text"] :][: affinity["a"]] == b"\x01" + bytes(7) + b"\x02" + bytes(7)
    execute = by_op[lib.PYSB_EXEC][0]
    candidates = read.blob[execute["text"] :].split(b"\0")[: execute["a"]]
    assert candidates[0] == b"/usr/local/bin/prog" and len(candidates) == execute["a"] == 6
    assert by_op[lib.PYSB_STARTED][0]["fd"] == 5 and by_op[lib.PYSB_SECCOMP][0]["a"] == 24


def test_a_role_without_an_fd_is_an_error() -> None:
    """A passed fd must never become /dev/null or the terminal in silence."""
    with pytest.raises(KeyError):
        pack.pack_run(launch(["prog"]), {"stdout": 2})
    with pytest.raises(KeyError):
        pack.pack_setup((steps.Bind(source="x", path="/x", origin="fd:volume:0"),), {})
    with pytest.raises(KeyError):
        pack.pack_run(launch(["prog"], pass_fds=[5]), {"cgroup:0": 4, "baseline": 5})


@pytest.mark.parametrize("step", [
    steps.Bind(source="/a\0b", path="/x"), steps.Symlink(target="a\0", path="/x"), steps.SetHostname(name="\0"),
    steps.ProcWrite(path="a", text="1\0"),
])  # fmt: skip
def test_nul_bytes_are_refused(step: steps.Step) -> None:
    """A path that ends at a NUL byte is another path (and so are mount options)."""
    with pytest.raises(RequestError, match="NUL"):
        pack.pack_setup((step,), {})


def test_nul_bytes_in_mount_options_are_refused() -> None:
    with pytest.raises(RequestError, match="NUL"):
        pack.pack_setup((steps.MountFs(path="/a", fstype="tmpfs", options=(("size", "1\0mode\x000777"),)),), {})
    with pytest.raises(RequestError, match="NUL"):
        pack.pack_setup((steps.MountOverlay(layers=("a\0upperdir",)),), {})


def test_too_large() -> None:
    one = launch(["prog"])
    with pytest.raises(RequestError, match="too large"):
        pack.pack_run(one.replace(argv=(b"x" * (lib.PYSB_MAX_PLAN_BYTES + 1),)), {"cgroup:0": 4, "baseline": 5})


def test_steps_by_index() -> None:
    """The child counts rows; two of them are one step where a time namespace is made."""
    one = launch(["prog"])
    kinds = [type(pack.step_at(one, lib.PYSB_PHASE_ENTER, index)).__name__ for index in range(5)]
    assert kinds == ["Attach", "UnshareCgroup", "UnshareTime", "UnshareTime", "NoneType"]
    assert pack.step_at(one, lib.PYSB_PHASE_SETUP, 0) is one.setup[0]
    assert pack.step_at(one, lib.PYSB_PHASE_PROGRAM, len(one.program) - 1) is one.program[-1]
    assert pack.step_at(one, lib.PYSB_PHASE_PROGRAM, len(one.program)) is None


def test_every_step_can_be_packed() -> None:
    assert set(pack._WRITERS) == {
        cls
        for cls in vars(steps).values()
        if isinstance(cls, type) and issubclass(cls, steps.Step) and cls is not steps.Step
    }


def test_roles_of_a_setup() -> None:
    some = (steps.Bind(source="a", path="/a", origin="fd:volume:1"), steps.Bind(source="b", path="/b"),
            steps.Bind(source="c", path="/c", origin="fd:program"))  # fmt: skip
    assert pack.setup_roles(some) == ["volume:1", "program"]
