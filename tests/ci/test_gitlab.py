"""The driver for GitLab Runner, played against what the runner's documentation says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci import runner
from tests.ci.conftest import Ci, left_in
from tests.ci.runner import Runner
from tests.slowness import SLOW

Play = Callable[..., Runner]
NET = ("--net", "none")


@pytest.fixture
def job(pysandbox_argv: list[str], pysandbox_env: dict[str, str], ci_env: dict[str, str], tmp_path: Path) -> Play:
    """``job(id, image="box", services=[…], variables={…})``."""

    def make(job_id: int, image: str = "box", **options: object) -> Runner:
        variables = {"CI_JOB_IMAGE": image, "CI_JOB_TIMEOUT": "300", **dict(options.pop("variables", {}))}  # type: ignore[call-overload]
        options.setdefault("prepare_args", NET)
        return Runner([*pysandbox_argv, "ci", "gitlab"], {**pysandbox_env, **ci_env}, tmp_path / f"job{job_id}",
                      job_id=job_id, variables=variables, **options)  # type: ignore[arg-type] # fmt: skip

    return make


def test_a_job_that_passes(job: Play, box_data: Path) -> None:
    one = job(1)
    verdict = one.play(
        {
            "prepare_script": "echo running on $(hostname)",
            "get_sources": "mkdir -p /builds/group/project; cd /builds/group/project; echo source > file",
            "build_script": "cd /builds/group/project; cat file; echo built >> file; cat",  # stdin is empty
            "after_script": "cat /builds/group/project/file",
            **dict.fromkeys(
                (
                    "restore_cache",
                    "download_artifacts",
                    "archive_cache",
                    "upload_artifacts_on_success",
                    "cleanup_file_variables",
                ),
                "true",
            ),
        }
    )
    assert verdict == runner.SUCCESS, one.log
    assert one.config["builds_dir"] == "/builds"
    assert one.config["builds_dir_is_shared"] is False
    assert one.config["driver"]["name"] == "pysandbox"
    assert "source\nsource\nbuilt\n" in one.log
    assert [stage for stage, status in one.said] == [
        "config", "prepare", "prepare_script", "get_sources", "restore_cache", "download_artifacts", "build_script",
        "after_script", "archive_cache", "upload_artifacts_on_success", "cleanup_file_variables", "cleanup",
    ]  # fmt: skip
    assert {status for _stage, status in one.said} == {0}
    assert left_in(box_data) == []


def test_a_script_that_fails_is_a_build_failure_with_its_exit_code(job: Play, box_data: Path) -> None:
    one = job(2)
    assert (
        one.play(
            {
                "build_script": "echo before; exit 7; echo after",
                "after_script": "echo tidied",
                "upload_artifacts_on_failure": "true",
            }
        )
        == runner.BUILD_FAILED
    )
    assert one.exit_code_file.read_text() == "7"
    assert "before\n" in one.log
    assert "after\n" not in one.log
    assert "tidied\n" in one.log
    assert ("upload_artifacts_on_failure", 0) in one.said
    assert left_in(box_data) == []


def test_an_exit_code_of_ours_is_the_scripts_own(job: Play) -> None:
    """125 and 127 are the script's here, and no fault of the driver."""
    one = job(3)
    assert one.play({"build_script": "exit 125"}) == runner.BUILD_FAILED
    assert one.exit_code_file.read_text() == "125"


def test_what_the_host_lacks_is_a_system_failure_and_tried_again(job: Play, box_data: Path) -> None:
    one = job(4, image="nothere")
    assert one.play({}) == runner.SYSTEM_FAILED
    assert [stage for stage, _status in one.said] == ["config", "prepare", "prepare", "prepare", "cleanup"]
    assert "nothere" in one.log
    assert left_in(box_data) == []


def test_an_image_that_the_runner_does_not_allow(job: Play) -> None:
    one = job(5, prepare_args=(*NET, "--allow-image", "trusted/*"))
    assert one.play({}) == runner.BUILD_FAILED
    assert "this runner allows trusted/*" in one.log


def test_a_container_that_has_gone_is_a_system_failure(job: Play, pysandbox: Ci, ci_env: dict[str, str]) -> None:
    one = job(6)

    def gone(line: str) -> bool:
        if line.startswith("up"):
            (name,) = (word for word in one.log.split() if word.startswith("gitlab-6-"))
            assert pysandbox("rm", "-f", name, env=ci_env).returncode == 0
        return False

    assert one.play({"build_script": "echo up; sleep 100"}, until=gone) == runner.SYSTEM_FAILED, one.log
    assert "gitlab-6-" in one.log


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_cancelled_job_leaves_nothing(job: Play, box_data: Path, trap: str) -> None:
    """SIGTERM ends the stage in time; a script that ignores it is killed after its grace."""
    one = job(7 + bool(trap))
    began = time.monotonic()
    one.play({"build_script": f"{trap}echo up; while :; do sleep 1; done"}, until=lambda line: line == "up\n")
    assert time.monotonic() - began < 30 * SLOW
    assert dict(one.said)["build_script"] != -9  # it ended by itself, before graceful_kill_timeout
    assert one.said[-1] == ("cleanup", 0)
    assert left_in(box_data) == []


def test_a_driver_that_is_killed_takes_its_script_along(job: Play, box_data: Path, tmp_path: Path) -> None:
    """SIGKILL after a graceful_kill_timeout of nothing; the script's next line would be seen outside."""
    (tmp_path / "out").mkdir()
    one = job(9, graceful_kill_timeout=0.0, prepare_args=(*NET, "-v", f"{tmp_path}/out:/out:rw"))
    script = "trap '' TERM; echo up; while :; do touch /out/$(ls /out | wc -l); sleep 0.1; done"
    one.play({"build_script": script}, until=lambda line: line == "up\n")
    assert dict(one.said)["build_script"] == -9
    count = len(list((tmp_path / "out").iterdir()))
    time.sleep(0.5)
    assert len(list((tmp_path / "out").iterdir())) == count
    assert left_in(box_data) == []


def test_two_jobs_at_once_with_services(job: Play, box_data: Path) -> None:
    services = [
        {"name": "box", "alias": "web", "entrypoint": ["sh", "-c"], "variables": {"SAY": "hello"},
         "command": ["mkdir /w; echo $SAY > /w/i; exec httpd -f -p 80 -h /w"]},
    ]  # fmt: skip
    jobs = [job(number, services=services) for number in (10, 11)]
    verdicts: dict[int, str] = {}

    def play(number: int, one: Runner) -> None:
        fetch = "for i in 1 2 3 4 5 6 7 8 9; do wget -qO- http://$1/i && break; sleep 0.2; done"
        script = f"f() {{ {fetch}; }}; f web; f box; echo {number} > /builds/n; sleep 0.3; cat /builds/n"
        verdicts[number] = one.play({"build_script": script})

    threads = [threading.Thread(target=play, args=(number, one)) for number, one in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, one in enumerate(jobs):
        assert verdicts[number] == runner.SUCCESS, one.log
        assert f"hello\nhello\n{number}\n" in one.log
    assert left_in(box_data) == []


def test_limits_are_the_runners(job: Play) -> None:
    one = job(12, prepare_args=(*NET, "--mem", "32M"))
    fill = "dd if=/dev/zero of=/dev/null count=1 bs"
    script = f"set -e; {fill}=8M; echo little is allowed; {fill}=64M; echo much is allowed"
    assert one.play({"build_script": script}) == runner.BUILD_FAILED
    assert "little is allowed\n" in one.log and "much is allowed\n" not in one.log, one.log


def test_the_driver_alone(pysandbox: Ci) -> None:
    done = pysandbox("ci", "gitlab", "prepare")
    assert done.returncode == 125
    assert "BUILD_FAILURE_EXIT_CODE" in done.stderr
    assert "GitLab Runner" in done.stderr
    assert pysandbox("ci", "gitlab", "prepared").returncode == 125
    assert pysandbox("ci", "gitlab", "run", "x").returncode == 125
