"""What a seccomp policy costs: compiling, finding it compiled, loading, and for each system call.

    python3 bench/seccomp.py [-n CALLS] [--rounds N] [--docker-profile FILE]

Four tables: what a policy costs before the program; each call under each policy, and under bubblewrap with Docker's
default profile; the same without the kernel's bitmap of constant answers (Linux 5.11), as on an older kernel; and a
list of comparisons against libseccomp's binary tree, in both ways.

The calls are made by a small C program (seccomp_calls.c): Python's own noise is larger than the effect. Docker's
profile is not part of this project; it is read from where a package has put it (Debian's
golang-github-docker-docker-dev, or golang-github-containers-common with Podman's copy), or from FILE.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

from common import TREE, machine, median, require_user, table

from sandbox import seccomp as room

POLICIES = ("default", "strict", "judge", "compiler", "network", "ci", "docker")
ORDERED = ("default", "judge")  # those of which both orders are tried
CALLS = ("getppid", "openat", "personality", "socket", "ioctl", "clone", "prlimit64", "io_uring_setup")
LIST, TREE_ORDER = 1, 2  # seccomp_attr_set(3), SCMP_FLTATR_CTL_OPTIMIZE
DOCKER_PROFILES = (
    "/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json",
    "/usr/share/containers/seccomp.json",
)
# What a container has by default, which decides about conditional parts of the profile.
DOCKER_CAPABILITIES = {
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}  # fmt: skip


def code_of(policy: str) -> bytes:
    """The program of a policy."""
    return room.filter_for(policy).program


def compiled(policy: str, order: int) -> bytes:
    """The program of a policy in a certain order of libseccomp, by a process that has it in no cache."""
    text = ("import sys, os; sys.path.insert(0, sys.argv[1])\n"
            "from sandbox import seccomp; from sandbox.seccomp import compile as c\n"
            "assert hasattr(c, '_OPTIMIZE_BINARY_TREE')\nc._OPTIMIZE_BINARY_TREE = int(sys.argv[3])\n"
            "os.write(1, seccomp.filter_for(sys.argv[2]).program)")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="bench-") as cache:
        environ = {**os.environ, "XDG_CACHE_HOME": cache}
        command = [sys.executable, "-P", "-c", text, str(TREE), policy, str(order)]
        return subprocess.run(command, env=environ, capture_output=True, check=True).stdout


def docker_filter(profile: Path) -> bytes:
    """Docker's default profile for a container without privileges, as libseccomp compiles it by itself."""
    from sandbox.seccomp.compile import binding

    lib = binding()
    data = json.loads(profile.read_text())
    errno = data.get("defaultErrnoRet", 1)
    maker = lib.SyscallFilter(lib.ERRNO(errno))
    if os.uname().machine == "x86_64":
        maker.add_arch(lib.Arch.X86)
        maker.add_arch(lib.Arch.X32)
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    operators = {"SCMP_CMP_EQ": lib.EQ, "SCMP_CMP_NE": lib.NE, "SCMP_CMP_LT": lib.LT, "SCMP_CMP_LE": lib.LE,
                 "SCMP_CMP_GT": lib.GT, "SCMP_CMP_GE": lib.GE}  # fmt: skip
    for rule in data["syscalls"]:
        wanted, unwanted = rule.get("includes", {}), rule.get("excludes", {})
        if not DOCKER_CAPABILITIES.issuperset(wanted.get("caps") or ()) or arch not in (wanted.get("arches") or [arch]):
            continue
        if DOCKER_CAPABILITIES.intersection(unwanted.get("caps") or ()) or arch in (unwanted.get("arches") or ()):
            continue
        action = lib.ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else lib.ERRNO(rule.get("errnoRet", errno))
        args = [
            lib.Arg(a["index"], lib.MASKED_EQ, a["value"], a.get("valueTwo", 0)) if a["op"] == "SCMP_CMP_MASKED_EQ"
            else lib.Arg(a["index"], operators[a["op"]], a["value"])
            for a in rule.get("args") or ()
        ]  # fmt: skip
        for name in rule.get("names") or [rule["name"]]:
            try:
                maker.add_rule(action, name, *args)
            except (OSError, RuntimeError, ValueError):  # a call that this libseccomp is too old for, or the default
                continue
    with tempfile.TemporaryFile() as file:
        maker.export_bpf(file)
        file.seek(0)
        return file.read()


class Loop:
    """The C program, and what it finds under a filter: [load in us, ns of each of CALLS]."""

    def __init__(self, folder: Path, calls: int, rounds: int) -> None:
        self.folder, self.words = folder, [str(rounds), str(calls)]
        self.program = folder / "calls"
        source = Path(__file__).with_name("seccomp_calls.c")
        subprocess.run(["cc", "-O2", "-static", "-o", self.program, source], check=True)

    def file(self, code: bytes) -> Path:
        path = self.folder / f"{hash(code) & 0xFFFFFFFF:x}"
        path.write_bytes(code)
        return path

    def own(self, code: bytes | None, defeat: bool = False) -> list[float]:
        """In a process of its own that loads the filter."""
        words = [str(self.program), *self.words, str(int(defeat)), *([str(self.file(code))] if code else [])]
        return self._figures(words)

    def bubblewrap(self, code: bytes | None) -> list[float]:
        """As the program of a bubblewrap that loads it."""
        words = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        inner = [str(self.program), *self.words, "0"]
        if code is None:
            return self._figures([*words, *inner])
        with self.file(code).open("rb") as file:
            return self._figures([*words, "--seccomp", str(file.fileno()), *inner], (file.fileno(),))

    @staticmethod
    def _figures(words: list[str], fds: tuple[int, ...] = ()) -> list[float]:
        done = subprocess.run(words, capture_output=True, text=True, check=False, pass_fds=fds)
        if done.returncode:
            raise RuntimeError(f"{words[0]}: {done.stderr}")
        return [float(word) for word in done.stdout.split()]


def in_child(measure: Callable[[], list[float]]) -> list[float]:
    """The figures that a forked child finds, which has nothing in memory that we have not."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, " ".join(map(str, measure())).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        text = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not text:
        raise RuntimeError(f"the measuring child ended with {status}")
    return [float(word) for word in text.split()]


def finding(policy: str) -> list[float]:
    """[compile in ms, from the user's cache in us, from memory in us]"""
    with tempfile.TemporaryDirectory(prefix="bench-") as cache:

        def measure() -> list[float]:
            os.environ["XDG_CACHE_HOME"] = cache
            start = perf_counter_ns()
            room.filter_for(policy)
            middle = perf_counter_ns()
            room.filter_for(policy)
            return [(middle - start) / 1e3, (perf_counter_ns() - middle) / 1e3]

        def cold() -> list[float]:
            found = measure()
            shutil.rmtree(f"{cache}/pysandbox", ignore_errors=True)
            return found

        first = median([in_child(cold)[0] for _ in range(5)])
        in_child(measure)
        warm = [in_child(measure) for _ in range(15)]
    return [first / 1e3, median([w[0] for w in warm]), median([w[1] for w in warm])]


def least(measure: Callable[[], list[float]], times: int = 5) -> list[float]:
    """The least of each figure; of the first, the loading, the middle one."""
    samples = [measure() for _ in range(times)]
    return [median([s[0] for s in samples]), *(min(s[i] for s in samples) for i in range(1, len(samples[0])))]


def row(name: str, figures: list[float]) -> list[str]:
    return [name, *(f"{v:.0f}" for v in figures[1:])]


def docker_profile(path: str | None) -> Path | None:
    """Where Docker's profile is, None if it is nowhere."""
    return next((Path(p) for p in ((path,) if path else DOCKER_PROFILES) if os.path.exists(p)), None)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="The cost of seccomp policies.")
    parser.add_argument("-n", type=int, default=20_000, metavar="CALLS", help="calls in one loop")
    parser.add_argument("--rounds", type=int, default=15, help="loops, of which the fastest counts")
    parser.add_argument("--docker-profile", metavar="FILE", help="default.json of Docker's seccomp profile")
    options = parser.parse_args()
    require_user()
    print(machine(), "\n")
    # before anything here has a filter in memory, or has imported libseccomp
    costs = {policy: finding(policy) for policy in POLICIES}
    profile = docker_profile(options.docker_profile)
    docker = docker_filter(profile) if profile else b""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        loop = Loop(Path(folder), options.n, options.rounds)
        codes = {policy: code_of(policy) for policy in POLICIES}
        found = {policy: least(lambda code=code: loop.own(code)) for policy, code in codes.items()}  # type: ignore[misc]
        rows = [[p, str(len(codes[p]) // 8), *(f"{v:.1f}" for v in costs[p]), f"{found[p][0]:.1f}"] for p in POLICIES]
        print(table(("policy", "instructions", "compile ms", "from cache us", "from memory us", "load us"), rows), "\n")

        rows = [row("no filter", least(lambda: loop.own(None))), *(row(p, found[p]) for p in POLICIES)]
        if shutil.which("bwrap"):
            rows.append(row("bubblewrap, no filter", least(lambda: loop.bubblewrap(None))))
            if docker:
                name = f"bubblewrap, Docker's ({len(docker) // 8} instructions)"
                rows.append(row(name, least(lambda: loop.bubblewrap(docker))))
        print(table(("ns a call", *CALLS), rows), "\n")

        rows = [row("no filter", least(lambda: loop.own(None, True)))]
        rows += [row(p, least(lambda code=codes[p]: loop.own(code, True))) for p in POLICIES]  # type: ignore[misc]
        if docker:
            rows.append(row("Docker's", least(lambda: loop.own(docker, True))))
        print(table(("ns a call, no bitmap", *CALLS), rows), "\n")

        rows = []
        for policy in ORDERED:
            for name, order in (("list", LIST), ("tree", TREE_ORDER)):
                code = compiled(policy, order)
                for bitmap in (True, False):
                    figures = least(lambda code=code, bitmap=bitmap: loop.own(code, not bitmap))  # type: ignore[misc]
                    label = f"{policy}, {name}{'' if bitmap else ', no bitmap'}"
                    rows.append([label, str(len(code) // 8), f"{figures[0]:.0f}", *(f"{v:.0f}" for v in figures[1:])])
        print(table(("ns a call", "instructions", "load us", *CALLS), rows))
    if not docker:
        print("\nno Docker profile here: install golang-github-docker-docker-dev, or say --docker-profile FILE")
    return 0


if __name__ == "__main__":
    sys.exit(main())
