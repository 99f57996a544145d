"""Job files: what they may say, and that every mistake is found with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import RequestError
from sandbox.ci import runner, schema
from sandbox.ci.faults import JobFileError
from sandbox.ci.model import Need, Ready, Step


def faults_of(text: str) -> list[tuple[int, str]]:
    with pytest.raises(JobFileError) as caught:
        schema.build(text, "ci.yml")
    return [(fault.line, fault.message) for fault in caught.value.faults]


def test_one_job_without_the_word_jobs() -> None:
    file = schema.build("image: i\nsteps:\n- echo 1\n", "dir/build.yml")
    assert [(job.name, job.image, job.title) for job in file.jobs] == [("build", "i", "build")]
    assert file.jobs[0].steps == (Step(name="echo 1", run="echo 1", line=3),)
    assert file.name == "build"


def test_what_the_file_says_is_for_every_job() -> None:
    file = schema.build(
        "image: i\nenv: {A: 1, B: 2}\nlimits: {mem: 64M, pids: 9}\ntimeout: 5m\n"
        "jobs:\n  a: {steps: [x]}\n  b: {image: j, env: {B: 3}, limits: {mem: 1G}, timeout: 1s, steps: [x]}\n",
        "ci.yml",
    )
    a, b = file.jobs
    assert (a.image, dict(a.env), dict(a.limits), a.timeout_ns) == (
        "i",
        {"A": "1", "B": "2"},
        {"mem": "64M", "pids": "9"},
        300_000_000_000,
    )
    assert (b.image, dict(b.env), dict(b.limits), b.timeout_ns) == (
        "j",
        {"A": "1", "B": "3"},
        {"mem": "1G", "pids": "9"},
        1_000_000_000,
    )


def test_a_matrix() -> None:
    file = schema.build(
        "jobs:\n  t:\n    matrix:\n      py: [3.10, '3.11']\n      cc: [gcc, tcc]\n"
        "      exclude: [{py: '3.10', cc: tcc}]\n      include: [{py: 4, cc: icc}]\n"
        "    image: py:${{matrix.py}}\n    steps: ['echo ${{ matrix.cc }} ${{ matrix.py }}']\n",
        "ci.yml",
    )
    assert [(job.title, job.image, job.steps[0].run) for job in file.jobs] == [
        ("t (py=3.10, cc=gcc)", "py:3.10", "echo gcc 3.10"),  # as it is written, not the number 3.1
        ("t (py=3.11, cc=gcc)", "py:3.11", "echo gcc 3.11"),
        ("t (py=3.11, cc=tcc)", "py:3.11", "echo tcc 3.11"),
        ("t (py=4, cc=icc)", "py:4", "echo icc 4"),
    ]
    assert dict(file.jobs[0].env) == {"MATRIX_PY": "3.10", "MATRIX_CC": "gcc"}
    assert [job.directory for job in file.jobs] == ["t-3.10-gcc", "t-3.11-gcc", "t-3.11-tcc", "t-4-icc"]


def test_services_and_what_is_ready() -> None:
    job = schema.build(
        "image: i\nsteps: [x]\nservices:\n- image: example.org/team/my_db:12\n  ready: {run: ping, timeout: 5s}\n"
        "- {image: q, name: mq, ready: 'true', command: [a, b]}\n",
        "ci.yml",
    ).jobs[0]
    assert [(one.name, one.ready, one.command) for one in job.services] == [
        ("my-db", Ready(run="ping", timeout_ns=5_000_000_000), ()),
        ("mq", Ready(run="true"), ("a", "b")),
    ]


def test_needs_in_every_form() -> None:
    file = schema.build(
        "image: i\njobs:\n  a: {steps: [x], artifacts: [o]}\n  b: {steps: [x], needs: a}\n"
        "  c: {steps: [x], needs: [b, {job: a, artifacts: true}]}\n",
        "ci.yml",
    )
    assert [tuple(need.replace(line=0) for need in job.needs) for job in file.jobs] == [
        (),
        (Need(job="a"),),
        (Need(job="b"), Need(job="a", artifacts=True)),
    ]


def test_steps() -> None:
    step = (
        schema.build(
            "image: i\nsteps:\n- name: s\n  run: x\n  shell: bash\n  if: always\n  continue_on_error: true\n"
            "  timeout: 2m\n  limits: {mem: 64M, wall: 1s, output: 1M}\n  env: {A: b, E: }\n  workdir: sub\n",
            "ci.yml",
        )
        .jobs[0]
        .steps[0]
    )
    assert step == Step(
        name="s", run="x", shell=("bash", "-e", "-o", "pipefail", "-c"), condition="always", continue_on_error=True,
        timeout_ns=120_000_000_000, limits={"mem": "64M", "wall": "1s", "output": "1M"}, env={"A": "b", "E": ""},
        workdir="sub", line=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("image: i\nsteps: [x]\nimgae: j\n", 3, "there is no key 'imgae'"),
        ("image: i\njobs:\n  a:\n    steps:\n    - run: x\n      limits: {mem: 64Q}\n", 6, "unknown size unit"),
        ("image: i\njobs:\n  a:\n    steps:\n    - run: x\n      limits: {memory: 1}\n", 6, "no key 'memory'"),
        ("image: i\nsteps:\n- {run: x, if: never}\n", 3, "expected one of always, success, failure"),
        ("image: i\nsteps:\n- {name: x}\n", 3, "no run: script"),
        ("image: i\nsteps: [x]\ntimeout: soon\n", 3, "expected a number"),
        ("steps: [x]\n", 1, "no image"),
        ("image: i\nsteps: []\n", 1, "no steps"),
        ("image: [i]\nsteps: [x]\n", 1, "expected a text, found a list"),
        ("image: i\nsteps: [x]\nworkdir: here\n", 3, "expected an absolute path"),
        ("image: i\njobs:\n  a b: {steps: [x]}\n", 3, "a job is named by"),
        ("image: i\njobs:\n  a: {steps: [x]}\n  a: {steps: [y]}\n", 4, "the key 'a' is there twice"),
        ("image: i\njobs:\n  a: {steps: [x], needs: [b]}\n", 3, "there is no job 'b'"),
        ("image: i\njobs:\n  a: {steps: [x], needs: b}\n  b: {steps: [x], needs: a}\n", 3, "wait for itself"),
        ("image: i\njobs:\n  a: {steps: [x]}\n  b: {steps: [x], needs: [{job: a, artifacts: on}]}\n", 4, "no artifact"),
        ("image: i\nsteps:\n- echo ${{ matrix.x }}\n", 3, "no value for ${{ matrix.x }}"),
        ("image: i\njobs:\n  a:\n    matrix: {x: 3}\n    steps: [x]\n", 4, "expected a list of values"),
        ("image: i\njobs:\n  a:\n    matrix: {x: [1], exclude: [{y: 1}]}\n    steps: [x]\n", 4, "there is no axis 'y'"),
        ("image: i\njobs:\n  a:\n    matrix: {x: [1, 1]}\n    steps: [x]\n", 4, "a value is there twice"),
        ("image: i\nsteps: [x]\nartifacts: [../../etc]\n", 3, "without .."),
        ("image: i\nsteps: [x]\ncache: {paths: [a]}\n", 3, "expected a key and paths"),
        ("image: i\nsteps: [x]\ncopy: [{from: a}]\n", 3, "expected from"),
        ("image: i\nsteps: [x]\nservices: [{image: a}, {image: a}]\n", 3, "two services are called a"),
        ("image: i\nsteps: [x]\nnet: host\nservices: [{image: a}]\n", 3, "a network of its own"),
        ("image: !!python/object:os.system x\nsteps: [x]\n", 1, "the tag"),
        ("image: i\nsteps: [x\n", 3, "not YAML"),
        ("image: i\nsteps: [x]\n---\nimage: j\n", 3, "a second document"),
        ("image: *x\nsteps: [x]\n", 1, "has no anchor"),
        ("[" * 40 + "]" * 40, 1, "nested more than"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n", 4, "more than 10000 values"),
        ("image: i\nsteps: ['" + "x" * 140_000 + "']\n", 2, "longer than 128 KiB"),
        ("", 1, "expected a mapping"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line(text: str, line: int, message: str) -> None:
    found = faults_of(text)
    assert any(at == line and message in said for at, said in found), found


def test_all_mistakes_at_once() -> None:
    found = faults_of("image: i\nsteps:\n- {run: x, if: never}\n- {runs: x}\nnet: [3]\n")
    assert [line for line, _said in found] == [3, 4, 4, 5]


def test_jobs_whose_files_would_mix() -> None:
    text = "image: i\njobs:\n  a: {matrix: {x: ['1 2', '1_2']}, steps: [x]}\n"
    assert [said for _line, said in faults_of(text)] == ["a (x=1_2) and a (x=1 2) cannot be told apart by a file name"]


def test_selected_jobs_bring_what_they_need() -> None:
    file = schema.build(
        "image: i\njobs:\n  a: {steps: [x]}\n  b: {needs: a, matrix: {v: [1, 2]}, steps: [x]}\n  c: {steps: [x]}\n",
        "ci.yml",
    )
    assert [job.title for job in runner.selected(file, ["b"], {})] == ["a", "b (v=1)", "b (v=2)"]
    assert [job.title for job in runner.selected(file, [], {"v": "2"})] == ["a", "b (v=2)", "c"]
    with pytest.raises(RequestError, match="there is no such job; there are a, b, c"):
        runner.selected(file, ["d"], {})
    with pytest.raises(RequestError, match="the axis has 1, 2"):
        runner.selected(file, [], {"v": "3"})
    with pytest.raises(RequestError, match="no matrix of the file has this axis"):
        runner.selected(file, [], {"w": "3"})


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read: No such file"):
        schema.load(str(tmp_path / "none.yml"))
    (tmp_path / "x.yml").write_bytes(b"a: \n\xff")
    with pytest.raises(RequestError, match="line 2 is not UTF-8"):
        schema.load(str(tmp_path / "x.yml"))
    (tmp_path / "x.yml").write_bytes(b"#" * 300_000)
    with pytest.raises(RequestError, match="larger than 256 KiB"):
        schema.load(str(tmp_path / "x.yml"))
