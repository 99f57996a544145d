"""parse.c under the address and undefined behaviour sanitizers, with many thousand spoilt plans."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.host import probe
from sandbox.joining import KINDS
from sandbox.listening import Listening
from sandbox.lxcfs import FILES, root_steps
from sandbox.native.pack import pack_lxcfs, pack_run, pack_setup
from sandbox.steps import Export
from tests.unit.test_joining import planned

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent.parent / "sandbox" / "native"

# A refusal maps and drops 4 MiB of pointers; the sanitizer would keep them all in its quarantine.
ENV = {"ASAN_OPTIONS": "quarantine_size_mb=1:abort_on_error=1:detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
ROUNDS = {"setup": 20000, "run": 4000}


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("parse") / "harness"
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fno-omit-frame-pointer",
               "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{NATIVE}", "-o", str(target),
               str(HERE / "parse_harness.c")]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "range": {"ids": "range", "hostname": "other"},
    "terminal": {"tty": True, "fsize": "1M", "cpuset": "0", "tmpfs": ["/mnt:1M"], "env": {"A": "b" * 3000}},
    "sysinfo": {"mem": "64M", "swap": "1M", "gauges": {"memory": False, "swap": True, "tasks": False},
                "listening": Listening(number=1536, sysinfo=True, denials=True)},
    "notify": {"listening": Listening(number=1536, notify=True, required=True)},
    "unfiltered": {"policy": "none", "rootfs": "/usr:scratch"},
}


@pytest.mark.parametrize("name", sorted(OPTIONS))
@pytest.mark.parametrize("kind", ["setup", "run"])
def test_spoilt_plans(kind: str, name: str, harness: Path, pack: Any, tmp_path: Path) -> None:
    packed = pack(["/usr/bin/env", "printf", "%s", ""], **OPTIONS[name])
    plan = tmp_path / "plan"
    plan.write_bytes(packed.setup if kind == "setup" else packed.run)
    rounds = ROUNDS[kind]
    command = [str(harness), str(1 + sorted(OPTIONS).index(name)), str(rounds), "0" if kind == "setup" else "1", "1"]
    done = subprocess.run([*command, str(plan)], capture_output=True, text=True, check=False, env=ENV, timeout=100)
    assert done.returncode == 0, done.stderr[-4000:]
    taken, refused = map(int, done.stdout.split())
    assert taken + refused == rounds
    # a generator that only made plans of one kind would test nothing
    assert taken > rounds // 50 and refused > rounds // 50


@pytest.mark.parametrize("kind", ["setup", "run"])
def test_spoilt_plans_of_a_joiner(kind: str, harness: Path, tmp_path: Path) -> None:
    made = planned()
    roles = {f"ns:{name}": number for number, name in enumerate(KINDS)}
    run_roles = {**roles, "cgroup:0": 9, "gauge:memory": 10, "stdin": 11, "stdout": 12, "stderr": 13}
    plan = tmp_path / "plan"
    plan.write_bytes(pack_setup(made.setup, roles) if kind == "setup" else pack_run(made, run_roles))
    rounds = ROUNDS[kind] // 4
    command = [str(harness), "7", str(rounds), "0" if kind == "setup" else "1", "14", str(plan)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENV, timeout=100)
    assert done.returncode == 0, done.stderr[-4000:]
    taken, refused = map(int, done.stdout.split())
    assert taken > rounds // 50 and refused > rounds // 50


def test_spoilt_plans_of_lxcfs(harness: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    exports = tuple(Export(path=f"/lx/{name}") for name in FILES)
    root = root_steps(probe(), ("cgroup:0",))
    plan.write_bytes(pack_lxcfs(root, exports, {"cgroup:0": 1}, (b"/lxcfs", b"/lx"), (b"A=b",)))
    rounds = ROUNDS["run"]
    done = subprocess.run([str(harness), "9", str(rounds), "2", "2", str(plan)], capture_output=True, text=True,
                          check=False, env=ENV, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    taken, refused = map(int, done.stdout.split())
    assert taken > rounds // 50 and refused > rounds // 50


def test_the_harness_notices(harness: Path, tmp_path: Path) -> None:
    """The first plan is the real one and must be taken: a harness that reads nothing would say so too."""
    plan = tmp_path / "plan"
    plan.write_bytes(bytes(64))
    done = subprocess.run([str(harness), "1", "1", "0", "0", str(plan)], capture_output=True, check=False, env=ENV)
    assert done.returncode == -6
