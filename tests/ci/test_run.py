"""``pysandbox ci run``: steps in one container, what goes in and out, and that nothing stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree as xml

import pytest

from tests.ci.conftest import Ci, left_in
from tests.slowness import SLOW


def steps_of(tmp_path: Path, job: int = 0) -> list[tuple[str, str, int | None]]:
    words = json.loads((tmp_path / "r.json").read_text())
    return [(step["name"], step["status"], step["exit_status"]) for step in words["jobs"][job]["steps"]]


def test_all_steps_of_a_job_share_one_container(ci: Ci, tmp_path: Path, box_data: Path) -> None:
    done = ci(
        "image: box\nenv: {A: from the job}\nsteps:\n- {name: write, run: 'echo $A > file; pwd; id -u'}\n"
        "- {name: read, run: 'cat file; echo $B', env: {B: from the step}, workdir: /tmp/..//work}\n",
        "--json", "r.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "/work\n0\n" in done.stdout
    assert "from the job\nfrom the step\n" in done.stdout
    assert steps_of(tmp_path) == [("write", "passed", 0), ("read", "passed", 0)]
    assert left_in(box_data) == []


def test_what_fails_and_what_is_run_after_it(ci: Ci, tmp_path: Path) -> None:
    done = ci(
        "image: box\nsteps:\n- {name: ignored, run: exit 3, continue_on_error: true}\n"
        "- {name: bad, run: 'false; echo no'}\n"
        "- {name: next, run: echo no}\n- {name: on failure, run: echo yes, if: failure}\n"
        "- {name: always, run: echo yes, if: always}\n",
        "--json", "r.json", "--junit", "r.xml",
    )  # fmt: skip
    assert done.returncode == 1
    assert steps_of(tmp_path) == [
        ("ignored", "ignored", 3),
        ("bad", "failed", 1),
        ("next", "skipped", None),
        ("on failure", "passed", 0),
        ("always", "passed", 0),
    ]
    assert "no\n" not in done.stdout
    root = xml.parse(tmp_path / "r.xml").getroot()
    assert [root.get(name) for name in ("tests", "failures", "skipped")] == ["5", "1", "1"]


def test_timeouts_of_a_step_and_of_a_job(ci: Ci, tmp_path: Path) -> None:
    began = time.monotonic()
    done = ci("image: box\nsteps:\n- {run: sleep 60, timeout: 300ms}\n"
        "- {run: sleep 60, if: always, limits: {wall: 300ms}}\n",
              "--json", "r.json")  # fmt: skip
    assert done.returncode == 1
    assert steps_of(tmp_path) == [("sleep 60", "failed", 124)] * 2
    done = ci("image: box\ntimeout: 1s\nsteps:\n- sleep 60\n- {run: echo no, if: always}\n", "--json", "r.json")
    assert done.returncode == 1
    assert "the job's timeout of 1s" in done.stdout
    assert steps_of(tmp_path) == [("sleep 60", "failed", 124), ("echo no", "failed", None)]
    assert time.monotonic() - began < 30 * SLOW


@pytest.mark.v2
def test_cpu_time_of_a_step(ci: Ci, tmp_path: Path) -> None:
    done = ci(
        "image: box\nlimits: {mem: 64M}\nsteps:\n- {name: spin, run: 'while :; do :; done', limits: {time: 200ms}}\n"
        "- {name: next, run: 'true', if: always}\n",
        "--json", "r.json",
    )  # fmt: skip
    assert done.returncode == 1
    assert steps_of(tmp_path) == [("spin", "failed", 124), ("next", "passed", 0)]
    assert "its limit of CPU time" in done.stdout


@pytest.mark.v2
def test_memory_and_processes_of_a_step(ci: Ci, tmp_path: Path) -> None:
    """A step's own limits hold for it alone. With cgroup v2 memory ends the whole container, with v1 the step."""
    fill = "dd if=/dev/zero of=/dev/null bs=48M count=1"
    done = ci(
        "image: box\nlimits: {mem: 128M, pids: 40}\njobs:\n"
        f"  m:\n    steps:\n    - {fill}\n    - {{name: low, run: {fill}, limits: {{mem: 16M}}}}\n"
        f"    - {{name: again, run: {fill}, if: always}}\n"
        "  p:\n    steps:\n    - {name: few, run: '(sleep 0.1 & sleep 0.1 & wait)', limits: {pids: 3}}\n"
        "    - {name: many, run: '(sleep 0.1 & sleep 0.1 & wait)', if: always}\n",
        "--json", "r.json",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    first, low, again = steps_of(tmp_path)
    assert first[1:] == ("passed", 0)
    assert low[1] == "failed", done.stdout
    assert again[1:] in (("passed", 0), ("skipped", None)), done.stdout
    few, many = steps_of(tmp_path, 1)
    assert few[1] == "failed", done.stdout
    assert many[1:] == ("passed", 0), done.stdout


def test_the_containers_own_limit_is_the_jobs_failure(ci: Ci, tmp_path: Path) -> None:
    done = ci(
        "image: box\nlimits: {time: 300ms}\nsteps:\n- 'while :; do :; done'\n- {run: echo no, if: always}\n",
        "--json",
        "r.json",
    )
    assert done.returncode == 1, done.stdout
    assert [(status, code) for _name, status, code in steps_of(tmp_path)][1] == ("skipped", None)
    assert "CPU time, which has ended the container" in done.stdout


def test_jobs_wait_for_what_they_need_and_get_its_artifacts(ci: Ci, tmp_path: Path) -> None:
    done = ci(
        "image: box\njobs:\n  make:\n    matrix: {v: [a, b]}\n"
        "    steps: ['mkdir out; echo ${{ matrix.v }} > out/$MATRIX_V.txt']\n"
        "    artifacts: ['out/*.txt']\n  use:\n    needs: [{job: make, artifacts: true}]\n"
        "    steps: [cat out/a.txt out/b.txt]\n"
        "  bad: {steps: ['false']}\n  after: {needs: bad, steps: [echo never]}\n",
        "-j", "2", "--json", "r.json",
    )  # fmt: skip
    assert done.returncode == 1
    assert "use | a\nuse | b\n" in done.stdout
    assert "never\n" not in done.stdout
    jobs = json.loads((tmp_path / "r.json").read_text())["jobs"]
    assert [job["status"] for job in jobs] == ["passed", "passed", "passed", "failed", "skipped"]


def test_artifacts_are_files_of_the_container_and_never_of_the_host(ci: Ci, tmp_path: Path) -> None:
    (tmp_path / "out/ci").mkdir(parents=True)
    (tmp_path / "out/ci/old").touch()
    done = ci(
        "image: box\nsteps:\n- mkdir -p o/d; echo x > o/d/f; ln -s /etc/hostname o/link; ln -s / o/root; "
        "mkfifo o/pipe; echo y > /abs\nartifacts: [o/**, o/root/etc/passwd, /abs]\n",
        "--artifacts", "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == ["ci/abs", "ci/o/d/f"]
    assert "left out, no regular files: o/link, o/pipe, o/root" in done.stdout


def test_too_many_artifacts_are_none(ci: Ci, tmp_path: Path) -> None:
    done = ci(
        "image: box\nsteps:\n- dd if=/dev/zero of=f bs=1M count=2\nartifacts: {paths: [f], limit: 1M}\n",
        "--artifacts",
        "out",
    )
    assert done.returncode == 125
    assert "more than 1048576 bytes" in done.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_a_cache_is_restored_until_its_key_changes(ci: Ci, tmp_path: Path) -> None:
    text = (
        "image: box\ncache: {key: k-" + tmp_path.name + ", files: [lock], paths: [c, /opt/c]}\n"
        "steps:\n- cat c/a /opt/c/b 2>/dev/null || echo none; "
        "mkdir -p /opt/c c/sub; echo one > c/a; echo two > /opt/c/b; "
        "ln -sf /etc/passwd c/sub/l; readlink c/sub/l\n"
    )
    (tmp_path / "lock").write_text("1")
    for content, said in (("1", "none\n"), ("1", "one\ntwo\n"), ("2", "none\n")):
        (tmp_path / "lock").write_text(content)
        done = ci(text)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{said}/etc/passwd\n" in done.stdout
    failing = ci(text.replace("- cat", "- 'false'\n- cat").replace("key: k", "key: f"), "--json", "r.json")
    assert failing.returncode == 1
    assert json.loads((tmp_path / "r.json").read_text())["jobs"][0]["caches"][0]["saved"] is False


def test_copies_and_volumes(ci: Ci, tmp_path: Path) -> None:
    (tmp_path / "src/d").mkdir(parents=True)
    (tmp_path / "src/d/f").write_text("content\n")
    (tmp_path / "one[1]").write_text("single\n")
    done = ci(
        "image: box\nvolumes: ['./src:/ro']\ncopy: [{from: src, to: /work/s}, {from: 'one[1]', to: /work}]\n"
        "steps:\n- cat s/d/f one*; echo changed > s/d/f; touch /ro/x 2>/dev/null || echo read-only\n"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "content\nsingle\nread-only\n" in done.stdout
    assert (tmp_path / "src/d/f").read_text() == "content\n"


def test_a_job_is_tried_again(ci: Ci, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    done = ci(
        "image: box\nretry: 2\nvolumes: ['./state:/state:rw']\nsteps: ['ls /state; touch /state/$(ls /state | wc -l); "
        "test $(ls /state | wc -l) = 2']\n",
        "--json", "r.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["jobs"][0]["attempts"] == 2


def test_an_image_that_is_not_there(ci: Ci, tmp_path: Path) -> None:
    done = ci("image: nothere\nsteps: [x]\n", "--junit", "r.xml")
    assert done.returncode == 125
    assert "nothere" in done.stdout
    assert xml.parse(tmp_path / "r.xml").getroot().get("errors") == "1"


def test_json_on_stdout_is_alone_there(ci: Ci) -> None:
    done = ci("image: box\nsteps: [echo out]\n", "--json", "-")
    assert json.loads(done.stdout)["jobs"][0]["steps"][0]["output"] == "out\n"
    assert "out\n" in done.stderr


def test_kept_containers_are_there_to_look_into(ci: Ci, pysandbox: Ci, ci_env: dict[str, str], box_data: Path) -> None:
    done = ci("image: box\nsteps: ['echo left > /work/f; false']\n", "--keep")
    assert done.returncode == 1
    (name,) = (word for word in done.stdout.split() if word.startswith("ci-"))
    try:
        assert pysandbox("exec", name, "cat", "/work/f", env=ci_env).stdout == "left\n"
    finally:
        assert pysandbox("rm", "-f", name, env=ci_env).returncode == 0
    assert left_in(box_data) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(
    ci_env: dict[str, str], pysandbox_argv: list[str], pysandbox_env: dict[str, str], tmp_path: Path, box_data: Path,
    number: int,
) -> None:  # fmt: skip
    """Also when it is killed: its guard cleans up."""
    (tmp_path / "ci.yml").write_text(
        "image: box\njobs:\n  a: {steps: [echo up, sleep 600, echo no]}\n  b: {steps: [sleep 600]}\n"
        "  c: {needs: a, steps: [x]}\n"
    )
    argv = [*pysandbox_argv, "ci", "run", "-j", "2", "--json", "r.json", "ci.yml"]
    with subprocess.Popen(
        argv, env={**pysandbox_env, **ci_env}, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "[2/3] sleep 600" in line:
                break
        os.kill(run.pid, number)
        rest = run.stdout.read() if number != signal.SIGKILL else ""
        assert run.wait(30 * SLOW) == (-9 if number == signal.SIGKILL else 130)
    end = time.monotonic() + 15 * SLOW
    while left_in(box_data) and time.monotonic() < end:
        time.sleep(0.05)
    assert left_in(box_data) == []
    if number != signal.SIGKILL:
        words = json.loads((tmp_path / "r.json").read_text())
        assert words["status"] == "interrupted"
        assert [step["status"] for step in words["jobs"][0]["steps"]] == ["passed", "interrupted", "interrupted"]
        assert "no\n" not in rest


def test_mistakes_are_shown_with_their_lines(ci: Ci) -> None:
    done = ci("image: box\nstep: [x]\njobs:\n  a: {steps: 3}\n", command="check")
    assert done.returncode == 1
    assert [line.split(": ")[0] for line in done.stderr.splitlines()] == ["ci.yml:2", "ci.yml:4", "ci.yml:4"]
    done = ci("image: box\njobs: {a: {steps: [x]}}\n", command="check")
    assert (done.returncode, done.stdout) == (0, "a: box, 1 step\n")
    done = ci("image: box\nstep: [x]\nsteps: [y]\n")
    assert done.returncode == 125
    assert "ci.yml:2: jobs.ci: there is no key 'step'; did you mean steps?" in done.stderr


def test_services_are_found_by_their_names_when_they_are_ready(ci: Ci, box_data: Path) -> None:
    """Two jobs at once, each with its own ``web``."""
    text = (
        "image: box\njobs:\n  t:\n    matrix: {v: [one, two]}\n    services:\n"
        "    - {image: box, name: web, env: {SAY: '${{ matrix.v }}'}, command: [sh, -c, 'mkdir /w; sleep 0.3; "
        "echo $SAY > /w/i; exec httpd -f -p 8080 -h /w'], ready: wget -qO- http://127.0.0.1:8080/i}\n"
        "    - {image: box, name: copy, command: [sh, -c, 'mkdir /w; wget -qO /w/j http://web:8080/i; "
        "exec httpd -f -p 80 -h /w'], ready: wget -qO- http://copy/j}\n"
        "    steps: ['wget -qO- http://web:8080/i', 'wget -qO- http://copy/j', "
        "'ip route | grep -q default && echo outside || true']\n"
    )
    done = ci(text, "-j", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    for said in ("one", "two"):
        assert done.stdout.count(f"t (v={said}) | {said}\n") == 2
    assert "| outside" not in done.stdout
    assert left_in(box_data) == []


def test_a_service_that_never_is_ready(ci: Ci, tmp_path: Path, box_data: Path) -> None:
    text = "image: box\nsteps: [echo no]\nservices: [{image: box, name: s, "
    text += "command: [%s], ready: {run: 'false', timeout: 300ms}}]\n"
    done = ci(text % "sleep, '100'")
    assert done.returncode == 125
    assert "the service s is not ready within 300ms" in done.stdout
    done = ci(text % "sh, -c, 'echo why; exit 3'")
    assert done.returncode == 125
    assert "the service s has ended: it said 'why'" in done.stdout
    assert left_in(box_data) == []
