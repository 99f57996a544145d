"""Real programs under the policies that are meant for them: each is built in one sandbox and run in others."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox import Result, policy, run
from tests.slowness import SLOW

# /usr/local/go: where Go's own archive puts it, which few PATHs have
PATH = f"{os.environ['PATH']}:/usr/local/go/bin"
EVERYWHERE = [name for name in ("default", "ci", "network", "docker", "none") if name in policy.names()]


class Language(NamedTuple):
    """Built in /src by ``build`` and run there by ``command``, with "20 22" on its standard input: prints 42."""

    needs: str
    source: str
    text: str
    build: str
    command: str


C = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
static int sum;
static void *add(void *value) { sum += *(int *)value; return NULL; }
int main(void) {
    int a[2];
    if (scanf("%d %d", a, a + 1) != 2) return 1;
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, add, a + i) || pthread_join(thread, NULL)) return 2;
    }
    void *large = malloc(50 << 20);
    FILE *file = fopen("/tmp/sum", "w+");
    struct rlimit limit = {1 << 20, 1 << 20};
    if (!large || !file || fprintf(file, "%d", sum) < 1 || fflush(file) || setrlimit(RLIMIT_STACK, &limit)) return 3;
    rewind(file);
    if (fscanf(file, "%d", &sum) != 1 || remove("/tmp/sum")) return 4;
    printf("%d\n", sum);
    return 0;
}
"""
ONE_THREAD = r"""
#include <stdio.h>
int main(void) { int a, b; if (scanf("%d %d", &a, &b) != 2) return 1; printf("%d\n", a + b); return 0; }
"""
CXX = r"""
#include <fstream>
#include <future>
#include <iostream>
#include <random>
#include <thread>
#include <vector>
int main() {
    std::ios::sync_with_stdio(false);
    std::vector<int> all(2);
    for (int &one : all) std::cin >> one;
    std::random_device seed;
    std::vector<unsigned> numbers(1000000, seed());
    auto later = std::async(std::launch::async, [&] { return all[0] + all[1]; });
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    { std::ofstream("/tmp/sum") << later.get(); }
    int sum;
    std::ifstream("/tmp/sum") >> sum;
    try { throw 1; } catch (int) { std::cout << sum << std::endl; }
}
"""
JAVA = r"""
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
public class Main {
    public static void main(String[] args) throws Exception {
        Scanner in = new Scanner(System.in);
        int a = in.nextInt(), b = in.nextInt();
        ExecutorService pool = Executors.newFixedThreadPool(4);
        Future<Integer> sum = pool.submit(() -> IntStream.of(a, b).parallel().sum());
        Path file = Files.createTempFile("sum", null);
        Files.writeString(file, "" + sum.get());
        pool.shutdown();
        System.gc();
        System.out.println(Files.readString(file));
        Files.delete(file);
    }
}
"""
GO = r"""
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func main() {
	var a, b, sum int
	fmt.Fscan(bufio.NewReader(os.Stdin), &a, &b)
	var all sync.WaitGroup
	var lock sync.Mutex
	for _, n := range []int{a, b} {
		all.Add(1)
		go func() { defer all.Done(); lock.Lock(); sum += n; lock.Unlock(); time.Sleep(time.Millisecond) }()
	}
	all.Wait()
	runtime.GC()
	if err := os.WriteFile("/tmp/sum", []byte(fmt.Sprint(sum)), 0600); err != nil {
		panic(err)
	}
	text, err := os.ReadFile("/tmp/sum")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
"""
RUST = r"""
use std::io::Read;
fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let numbers: Vec<i32> = text.split_whitespace().map(|w| w.parse().unwrap()).collect();
    let sum = std::thread::spawn(move || numbers.iter().sum::<i32>()).join().unwrap();
    std::fs::write("/tmp/sum", sum.to_string()).unwrap();
    println!("{}", std::fs::read_to_string("/tmp/sum").unwrap());
}
"""
PYTHON = r"""
import collections, concurrent.futures, ctypes, multiprocessing, os, random, subprocess, sys, tempfile, threading, time
numbers = [int(word) for word in sys.stdin.read().split()]
with concurrent.futures.ThreadPoolExecutor() as pool:
    total = sum(pool.map(int, numbers))
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, 2]) == [1, 2]
assert subprocess.run(["true"]).returncode == 0
with tempfile.TemporaryFile("w+") as file:
    file.write(str(total)); file.seek(0); print(file.read())
"""
NODE = r"""
const fs = require("fs"), { Worker } = require("worker_threads");
let text = "";
process.stdin.on("data", (data) => (text += data)).on("end", () => {
  const worker = new Worker(
    "const { parentPort, workerData } = require('worker_threads');" +
    "parentPort.postMessage(workerData[0] + workerData[1]);",
    { eval: true, workerData: text.trim().split(" ").map(Number) });
  worker.on("message", async (sum) => {
    await fs.promises.writeFile("/tmp/sum", String(sum));
    console.log((await fs.promises.readFile("/tmp/sum")).toString());
  });
});
"""
BASH = r"""
read a b
x=$(echo "$a $b" | tr ' ' '\n' | sort | paste -sd+)
diff <(echo 1) <(echo 1) || exit 1
(trap 'exit 0' TERM; kill $BASHPID; exit 1) || exit 1
echo $((x)) >/tmp/sum
cat /tmp/sum
"""
_JAVA = "java -Xmx128m -XX:+UseSerialGC"
LANGUAGES = {
    "c": Language("gcc", "main.c", C, "gcc -O2 -Wall -Werror -pthread -o c main.c", "./c"),
    "c, one thread": Language("gcc", "one.c", ONE_THREAD, "gcc -O2 -static -o one one.c", "./one"),
    "c, sanitized": Language("gcc", "main.c", C, "gcc -fsanitize=undefined -pthread -o san main.c", "./san"),
    "c++": Language("g++", "main.cc", CXX, "g++ -std=c++17 -O1 -pthread -o cc main.cc", "./cc"),
    "java": Language("javac", "Main.java", JAVA, "javac -J-Xmx256m Main.java", f"{_JAVA} Main"),
    "java, its own collector": Language("javac", "Main.java", JAVA, "javac -J-Xmx256m Main.java", "java -Xmx128m Main"),
    "go": Language("go", "main.go", GO, "go build -o go_main main.go", "./go_main"),
    "rust": Language("rustc", "main.rs", RUST, "rustc -o rs main.rs", "./rs"),
    "python": Language("python3", "main.py", PYTHON, "python3 -m py_compile main.py", "python3 main.py"),
    "node": Language("node", "main.js", NODE, "node --check main.js", "node main.js"),
    "bash": Language("bash", "main.sh", BASH, "bash -n main.sh", "bash main.sh"),
}
pytestmark = pytest.mark.timeout(300 * SLOW)  # javac, rustc and Go's first build on a busy machine
STRICT = ["c, one thread"]  # and Python, of which test_seccomp has more


def needs(program: str) -> None:
    if shutil.which(program, path=PATH) is None:
        pytest.skip(f"needs {program}")


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for sources and what is built; Go's cache is in it, which takes half a minute to fill."""
    folder = tmp_path_factory.mktemp("src")
    (folder / "cache").mkdir()
    return folder


@pytest.fixture(scope="session")
def inside(source: Path) -> Callable[..., Result]:
    """``inside("judge", "gcc main.c", mode="rw")`` -> Result of a shell in /src."""

    def shell(name: str, script: str, mode: str = "ro", **options: object) -> Result:
        env = {"PATH": PATH, "HOME": "/tmp", "GOCACHE": "/src/cache", "GOTOOLCHAIN": "local", "GOFLAGS": "-p=2"}
        kept: dict[str, object] = {"volumes": [f"{source}:/src:{mode}"], "workdir": "/src", "env": env,
                                   "disk": "512M", "wall": 250 * SLOW, "pids": 256}  # fmt: skip
        return run(["sh", "-c", script], policy=name, **{**kept, **options})

    return shell


@pytest.fixture(scope="session")
def built(source: Path, inside: Callable[..., Result]) -> Callable[..., Language]:
    """A language whose program is there, built under ``compiler`` unless told otherwise."""
    done: dict[tuple[str, str], None] = {}

    def build(name: str, under: str = "compiler") -> Language:
        language = LANGUAGES[name]
        needs(language.needs)
        if (name, under) not in done:
            (source / language.source).write_text(language.text)
            result = inside(under, language.build, mode="rw")
            assert result.ok, (result, result.stderr[-2000:])
            assert not result.stderr, result.stderr[-2000:]
            done[name, under] = None
        return language

    return build


# Those that make what the others use come first: Go's cache is filled once.
BUILT = [("compiler", name) for name in LANGUAGES]
BUILT += [("default", name) for name in ("c++", "java", "go", "rust", "node")]
RUN = [(name, "judge") for name in LANGUAGES] + [(name, "default") for name in LANGUAGES]
RUN += [(name, under) for under in EVERYWHERE[1:] for name in ("c", "java", "python", "bash")]


@pytest.mark.parametrize(("under", "language"), BUILT)
def test_compilers(language: str, under: str, built: Callable[..., Language]) -> None:
    built(language, under)


@pytest.mark.parametrize(("language", "under"), [*RUN, *((name, "strict") for name in STRICT)])
def test_programs(under: str, language: str, built: Callable[..., Language], inside: Callable[..., Result]) -> None:
    """To the byte: a runtime that warns of what it was refused spoils a contest's answer."""
    result = inside(under, f"exec {built(language).command}", stdin=b"20 22\n")
    assert (result.outcome, result.stdout, result.stderr) == ("ok", b"42\n", b""), result


@pytest.mark.parametrize("under", EVERYWHERE)
@pytest.mark.parametrize("tool", ["make", "git", "pip", "gdb", "strace", "sqlite", "sockets"])
def test_tools(tool: str, under: str, source: Path, inside: Callable[..., Result]) -> None:
    if tool == "pip":
        _wheel(source / "thing-1.0-py3-none-any.whl")
        if not inside("none", "/usr/bin/python3 -m pip --version").ok:
            pytest.skip("needs pip")
    elif tool not in ("sqlite", "sockets"):
        needs(tool)
    result = inside(under, f"cp /src/*.whl /tmp/ 2>/dev/null; cd /tmp && {TOOLS[tool]}", workdir="/tmp")
    assert result.ok, (result, result.stdout[-2000:], result.stderr[-2000:])


TOOLS = {
    "make": "printf 'all: x y z\\nx y z:\\n\\t@echo $@ >$@; sleep 0.01\\n' >Makefile && make -j3 && test -s z",
    "git": "git init -q r && cd r && echo a >a && git add a && git -c user.name=a -c user.email=a@b commit -qm m && "
           "git log --oneline | grep -q m && git clone -q . ../s && git gc -q && git fsck && cd ../s && git status",
    "pip": "/usr/bin/python3 -m pip install -q --no-index --target t thing-1.0-py3-none-any.whl && "
           "PYTHONPATH=t /usr/bin/python3 -c 'import thing; assert thing.x == 42'",
    "gdb": "gdb -q -batch -ex run -ex 'info registers rip' --args true >o 2>&1; grep -q 'exited normally' o",
    "strace": "strace -f -o s sh -c 'true; ls >/dev/null' && grep -q execve s",
    "sqlite": "python3 -c 'import sqlite3; c = sqlite3.connect(\"d\"); c.execute(\"pragma journal_mode=wal\");"
              "c.execute(\"create table t(a)\"); c.commit(); c.execute(\"insert into t values(1)\"); c.commit()'",
    "sockets": "python3 -c 'import asyncio, socket\n"
               "async def main():\n"
               "    s = await asyncio.start_server(lambda r, w: (w.write(b\"x\"), w.close()), \"127.0.0.1\", 0)\n"
               "    r, w = await asyncio.open_connection(*s.sockets[0].getsockname())\n"
               "    assert await r.read() == b\"x\"\n"
               "asyncio.run(main())\n"
               "socket.if_nameindex(); socket.getaddrinfo(\"127.0.0.1\", 80)'",
}  # fmt: skip


def _wheel(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("thing.py", "x = 42\n")
        info = "thing-1.0.dist-info"
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"thing.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
