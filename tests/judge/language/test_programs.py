"""A real program in each language: compiled and run as a submission is, with 256 MiB, and right to the byte."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import pytest

from judge.build import Built, Cache
from judge.language import Found, Languages, Missing, load, probe
from sandbox import Result, Sandbox
from tests.judge.building import Build
from tests.slowness import SLOW

pytestmark = pytest.mark.timeout(180 * SLOW)  # Go's library and kotlinc on a busy machine

INPUT = b"3\n1 2\n10 20\n-5 7\n"
OUTPUT = b"3\n30\n2\ntotal 35\n"


class Text(NamedTuple):
    """A program that adds each pair of numbers and says the total."""

    name: str
    text: str


# What ./dev installs everywhere; the others are skipped where a distribution does not have them.
ALWAYS = ("asm", "bash", "c", "cpp", "go", "java", "javascript", "python3", "rust")
PROGRAMS = {
    "c": Text("main.c", r"""
#include <stdio.h>
int main(void) {
    int n;
    long total = 0, a, b;
    if (scanf("%d", &n) != 1) return 1;
    while (n-- && scanf("%ld %ld", &a, &b) == 2) {
        printf("%ld\n", a + b);
        total += a + b;
    }
    printf("total %ld\n", total);
}
"""),
    "cpp": Text("main.cpp", r"""
#include <iostream>
#include <numeric>
#include <vector>
int main() {
    int n;
    std::cin >> n;
    std::vector<long> sums;
    for (long a, b; n-- && std::cin >> a >> b;) sums.push_back(a + b);
    for (auto one : sums) std::cout << one << '\n';
    std::cout << "total " << std::accumulate(sums.begin(), sums.end(), 0L) << std::endl;
}
"""),
    "python3": Text("main.py", r"""
total = 0
for _ in range(int(input())):
    a, b = map(int, input().split())
    print(a + b)
    total += a + b
print("total", total)
"""),
    "pypy3": Text("main.py", r"""#!/usr/bin/env pypy3
total = 0
for _ in range(int(input())):
    a, b = map(int, input().split())
    print(a + b)
    total += a + b
print("total", total)
"""),
    "java": Text("solution.java", r"""
import java.util.*;
import java.util.stream.*;
public class Solution {
    static class Pair { long a, b; Pair(Scanner in) { a = in.nextLong(); b = in.nextLong(); } }
    public static void main(String[] args) {
        Scanner in = new Scanner(System.in);
        int n = in.nextInt();
        List<Long> sums = Stream.generate(() -> new Pair(in)).limit(n).map(p -> p.a + p.b).collect(Collectors.toList());
        sums.forEach(System.out::println);
        System.out.println("total " + sums.stream().mapToLong(x -> x).sum());
    }
}
"""),
    "kotlin": Text("adding.kt", r"""
fun main() {
    val n = readLine()!!.trim().toInt()
    val sums = (1..n).map { readLine()!!.split(" ").map { it.toLong() }.sum() }
    sums.forEach(::println)
    println("total ${sums.sum()}")
}
"""),
    "go": Text("main.go", r"""
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	var n, a, b, total int
	fmt.Fscan(in, &n)
	order := sort.IntSlice{}
	for i := 0; i < n; i++ {
		fmt.Fscan(in, &a, &b)
		order = append(order, a+b)
		total += a + b
	}
	for _, sum := range order {
		fmt.Println(sum)
	}
	fmt.Println("total", total)
}
"""),
    "rust": Text("main.rs", r"""
use std::io::{self, BufRead};
fn main() {
    let stdin = io::stdin();
    let mut lines = stdin.lock().lines().map(|line| line.unwrap());
    let n: usize = lines.next().unwrap().trim().parse().unwrap();
    let mut total = 0i64;
    for line in lines.take(n) {
        let sum: i64 = line.split_whitespace().map(|w| w.parse::<i64>().unwrap()).sum();
        println!("{}", sum);
        total += sum;
    }
    println!("total {}", total);
}
"""),
    "javascript": Text("main.js", r"""
const rl = require("readline").createInterface({ input: process.stdin });
const lines = [];
rl.on("line", (line) => lines.push(line)).on("close", () => {
  const sums = lines.slice(1, 1 + Number(lines[0])).map((line) => line.split(" ").map(Number).reduce((a, b) => a + b));
  sums.forEach((sum) => console.log(sum));
  console.log(`total ${sums.reduce((a, b) => a + b, 0)}`);
});
"""),
    "typescript": Text("main.ts", r"""
import * as fs from "fs";

interface Pair { a: number; b: number }

const lines: string[] = fs.readFileSync(0, "utf8").split("\n");
const pairs: Pair[] = lines.slice(1, 1 + Number(lines[0])).map((line) => {
  const [a, b] = line.split(" ").map(Number);
  return { a, b };
});
let total: number = 0;
for (const { a, b } of pairs) {
  console.log(a + b);
  total += a + b;
}
console.log(`total ${total}`);
"""),
    "csharp": Text("main.cs", r"""
using System;
using System.Linq;
using System.Numerics;
class Adding {
    static void Main() {
        int n = int.Parse(Console.ReadLine());
        BigInteger total = 0;
        for (int i = 0; i < n; i++) {
            long sum = Console.ReadLine().Split().Select(long.Parse).Sum();
            Console.WriteLine(sum);
            total += sum;
        }
        Console.WriteLine("total " + total);
    }
}
"""),
    "ruby": Text("main.rb", r"""
total = 0
gets.to_i.times do
  sum = gets.split.sum(&:to_i)
  puts sum
  total += sum
end
puts "total #{total}"
"""),
    "php": Text("main.php", r"""<?php
fscanf(STDIN, "%d", $n);
$total = 0;
for ($i = 0; $i < $n; $i++) {
    fscanf(STDIN, "%d %d", $a, $b);
    echo $a + $b, "\n";
    $total += $a + $b;
}
echo "total $total\n";
"""),
    "perl": Text("main.pl", r"""
use strict;
my $n = <STDIN>;
my $total = 0;
for (1 .. $n) {
    my ($a, $b) = split ' ', <STDIN>;
    print $a + $b, "\n";
    $total += $a + $b;
}
print "total $total\n";
"""),
    "lua": Text("main.lua", r"""
local n, total = io.read("n"), 0
for _ = 1, n do
  local a, b = io.read("n", "n")
  print(a + b)
  total = total + a + b
end
print("total " .. total)
"""),
    "haskell": Text("main.hs", r"""
import qualified Data.Map as Map
pairs :: [Int] -> [Int]
pairs (a : b : rest) = (a + b) : pairs rest
pairs _ = []
main :: IO ()
main = do
  (n : numbers) <- map read . words <$> getContents
  let sums = Map.elems (Map.fromList (zip [1 .. n] (pairs numbers)))
  mapM_ print sums
  putStrLn ("total " ++ show (sum sums))
"""),
    "ocaml": Text("main.ml", r"""
let () =
  Scanf.scanf " %d" (fun n ->
    let total = ref 0 in
    for _ = 1 to n do
      Scanf.scanf " %d %d" (fun a b -> total := !total + a + b; Printf.printf "%d\n" (a + b))
    done;
    Printf.printf "total %d\n" !total)
"""),
    "pascal": Text("main.pas", r"""
program adding;
var n, i, a, b: longint; total: int64;
begin
  readln(n);
  total := 0;
  for i := 1 to n do begin
    readln(a, b);
    writeln(a + b);
    total := total + a + b
  end;
  writeln('total ', total)
end.
"""),
    "bash": Text("main.sh", r"""
read n
total=0
for ((i = 0; i < n; i++)); do
    read a b
    echo $((a + b))
    total=$((total + a + b))
done
echo "total $total"
"""),
    "awk": Text("main.awk", r"""
NR > 1 { print $1 + $2; total += $1 + $2 }
END { print "total " total }
"""),
    "tcl": Text("main.tcl", r"""
gets stdin n
set total 0
for {set i 0} {$i < $n} {incr i} {
    lassign [gets stdin] a b
    puts [expr {$a + $b}]
    incr total [expr {$a + $b}]
}
puts "total $total"
"""),
    "asm": Text("main.S", r"""
    .globl main
main:
    push %rbx
    push %r12
    sub $40, %rsp
    lea count(%rip), %rdi
    lea (%rsp), %rsi
    xor %eax, %eax
    call scanf
    mov (%rsp), %ebx
    xor %r12, %r12
1:  test %ebx, %ebx
    jz 2f
    lea pair(%rip), %rdi
    lea 8(%rsp), %rsi
    lea 16(%rsp), %rdx
    xor %eax, %eax
    call scanf
    mov 8(%rsp), %rsi
    add 16(%rsp), %rsi
    add %rsi, %r12
    lea line(%rip), %rdi
    xor %eax, %eax
    call printf
    dec %ebx
    jmp 1b
2:  lea last(%rip), %rdi
    mov %r12, %rsi
    xor %eax, %eax
    call printf
    xor %eax, %eax
    add $40, %rsp
    pop %r12
    pop %rbx
    ret
    .section .rodata
count: .string "%d"
pair:  .string "%ld %ld"
line:  .string "%ld\n"
last:  .string "total %ld\n"
    .section .note.GNU-stack,"",@progbits
"""),
}  # fmt: skip
MACHINE = {"asm": "x86_64"}


def needs(language: str, languages: Languages, box: Sandbox, cache: Cache) -> Found:
    found = probe(languages.get(language), box, cache.versions)
    if isinstance(found, Missing):
        said = f"{language}: no {found.what}: {found.fix}"
        if language in ALWAYS:
            pytest.fail(said)
        pytest.skip(said)
    return found


@pytest.mark.parametrize("language", PROGRAMS)
def test_a_real_program(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    """Which language it is, is found out: by the extension, or by what the text says."""
    if os.uname().machine != MACHINE.get(language, os.uname().machine):
        pytest.skip(f"written for {MACHINE[language]}")
    needs(language, languages, box, cache)
    name, text = PROGRAMS[language]
    made = built({name: text})
    assert made.program is not None, made.facts
    assert made.program.language == language
    result = judged(made.program, stdin=INPUT)
    assert (result.outcome, result.stdout, result.stderr) == ("ok", OUTPUT, b""), result
    assert made.facts.run is not None and made.facts.compiler


@pytest.mark.parametrize("language", [name for name in PROGRAMS if name not in ("asm", "awk", "tcl")])
def test_what_is_no_program_is_a_compile_error(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build
) -> None:
    """Interpreted ones are looked through as well. The message names the submission's file and no path of the host."""
    needs(language, languages, box, cache)
    name, text = PROGRAMS[language]
    first = text.split("\n", 1)[0] if text.startswith(("#!", "<?php")) else ""
    made = built({name: first + "\nthis is ) not ( a { program \" of ' any kind\n"}, language=language)
    assert made.program is None and not made.facts.fault
    assert made.facts.message
    assert "/tmp" not in made.facts.message and str(cache.directory) not in made.facts.message


MEMORY = {
    "c": ("a.c", """#include <stdlib.h>
#include <string.h>
int main(void) { for (;;) { char *p = malloc(1 << 20); if (!p) return 1; memset(p, 1, 1 << 20); } }"""),
    "java": ("A.java", """import java.util.*;
class A { public static void main(String[] a) { var l = new ArrayList<long[]>(); for (;;) l.add(new long[99]); } }"""),
    "javascript": ("a.js", "const l = []; for (let i = 0; ; i++) l.push({ a: i, b: [i] });"),
    "go": ("a.go", """package main
func main() { var l [][]byte; for { b := make([]byte, 1<<20); for j := range b { b[j] = 1 }; l = append(l, b) } }"""),
    "python3": ("a.py", "l = []\nwhile True: l.append(bytearray(b'x' * (1 << 20)))"),
    "csharp": ("a.cs", """using System.Collections.Generic;
class P { static void Main() { var l = new List<byte[]>(); for (;;) { var b = new byte[1 << 20];
for (int j = 0; j < b.Length; j += 512) b[j] = 1; l.Add(b); } } }"""),
}  # fmt: skip


@pytest.mark.parametrize("language", MEMORY)
def test_memory_without_end_is_told_by_the_cgroup(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    """Not by an abort or an exception of the runtime's own, which look like a crash."""
    needs(language, languages, box, cache)
    name, text = MEMORY[language]
    made = built({name: text})
    assert made.program is not None, made.facts
    result = judged(made.program, memory=128 << 20)
    assert result.outcome == "memory", result


MOST = {
    "java": ("A.java", """import java.util.*;
class A { public static void main(String[] a) { List<long[]> l = new ArrayList<>(); long s = 0;
for (int i = 0; i < 96; i++) l.add(new long[1 << 17]);
for (int i = 0; i < 20000; i++) { long[] q = new long[1 << 10]; q[5] = i; s += q[5]; }
System.out.print(l.size()); } }"""),
    "go": ("a.go", """package main
import "fmt"
func main() { var l [][]byte; s := 0
for i := 0; i < 96; i++ { b := make([]byte, 1<<20); for j := range b { b[j] = 1 }; l = append(l, b) }
for i := 0; i < 500; i++ { b := make([]byte, 1<<20); b[i] = 1; s += int(b[i]) }
fmt.Print(len(l)) }"""),
}  # fmt: skip


@pytest.mark.parametrize("language", MOST)
def test_three_quarters_of_the_memory_are_the_programs(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    """A collector must not let garbage, nor a runtime itself, take what the problem promises."""
    needs(language, languages, box, cache)
    name, text = MOST[language]
    made = built({name: text})
    assert made.program is not None, made.facts
    result = judged(made.program, memory=128 << 20)
    assert (result.outcome, result.stdout) == ("ok", b"96"), result


DEEP = {
    "c": ("a.c", """#include <stdio.h>
int f(volatile int n) { volatile char a[64]; a[0] = 1; return n == 0 ? 0 : a[0] + f(n - 1); }
int main(void) { printf("%d", f(200000)); }"""),
    "java": ("A.java", """class A { static int f(int n) { return n == 0 ? 0 : 1 + f(n - 1); }
public static void main(String[] a) { System.out.print(f(200000)); } }"""),
    "javascript": ("a.js", "const f = (n) => (n === 0 ? 0 : 1 + f(n - 1));\nprocess.stdout.write(`${f(200000)}`)"),
    "python3": ("a.py", """import sys
sys.setrecursionlimit(10**6)
def f(n): return 0 if n == 0 else 1 + f(n - 1)
print(f(200000), end="")"""),
    "ruby": ("a.rb", "def f(n) n == 0 ? 0 : 1 + f(n - 1) end\nprint f(200000)"),
}  # fmt: skip


@pytest.mark.parametrize("language", DEEP)
def test_deep_recursion(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    needs(language, languages, box, cache)
    name, text = DEEP[language]
    made = built({name: text})
    assert made.program is not None, made.facts
    result = judged(made.program)
    assert (result.outcome, result.stdout) == ("ok", b"200000"), result


SEVERAL = {
    "c": {"main.c": '#include "add.h"\n#include <stdio.h>\nint main(void) { printf("%d", add(20, 22)); }',
          "add.h": "int add(int, int);", "add.c": '#include "add.h"\nint add(int a, int b) { return a + b; }'},
    "cpp": {"a.cpp": '#include <cstdio>\nint add(int, int);\nint main() { printf("%d", add(20, 22)); }',
            "b.c": "int add(int a, int b) { return a + b; }"},
    "python3": {"main.py": "from lib.adding import add\nprint(add(20, 22), end='')", "lib/__init__.py": "",
                "lib/adding.py": "def add(a, b): return a + b"},
    "java": {"zz/Main.java": "package zz; public class Main { public static void main(String[] a) { Other.say(); } }",
             "zz/Other.java": "package zz; class Other { static void say() { System.out.print(42); } }"},
    "go": {"main.go": 'package main\nimport "fmt"\nfunc main() { fmt.Print(add(20, 22)) }',
           "add.go": "package main\nfunc add(a, b int) int { return a + b }"},
    "rust": {"main.rs": 'mod adding;\nfn main() { print!("{}", adding::add(20, 22)); }',
             "adding.rs": "pub fn add(a: i32, b: i32) -> i32 { a + b }"},
    "javascript": {"main.js": 'process.stdout.write(String(require("./add")(20, 22)))',
                   "add.js": "module.exports = (a, b) => a + b"},
    "typescript": {"main.ts": 'import { add } from "./add";\nprocess.stdout.write(String(add(20, 22)))',
                   "add.ts": "export const add = (a: number, b: number): number => a + b;"},
    "ocaml": {"main.ml": "let () = print_int (Z.add 20 22)", "z.ml": "let add a b = a + b"},
    "haskell": {"main.hs": "import Adding\nmain :: IO ()\nmain = putStr (show (add 20 22))",
                "Adding.hs": "module Adding where\nadd :: Int -> Int -> Int\nadd a b = a + b"},
    "perl": {"main.pl": "use Adding; print Adding::add(20, 22);",
             "Adding.pm": "package Adding; sub add { my ($a, $b) = @_; return $a + $b } 1;"},
}  # fmt: skip


@pytest.mark.parametrize("language", SEVERAL)
def test_several_files(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build, judged: Callable[..., Result]
) -> None:
    needs(language, languages, box, cache)
    made: Built = built(SEVERAL[language])
    assert made.program is not None, made.facts
    assert made.program.language == language
    result = judged(made.program)
    assert (result.outcome, result.stdout, result.stderr) == ("ok", b"42", b""), result


@pytest.mark.parametrize("language", [language.id for language in load().all if language.hello])
def test_the_languages_own_hello(
    language: str, languages: Languages, box: Sandbox, cache: Cache, built: Build
) -> None:
    """It must compile: by it a host's fault is told from a submission's."""
    needs(language, languages, box, cache)
    made = built(languages.get(language).hello, language=language)
    assert made.program is not None, made.facts
