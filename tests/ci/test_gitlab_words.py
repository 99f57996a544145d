"""What GitLab Runner's custom executor says of a job, as its documentation has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import HostError, RequestError
from sandbox.ci.gitlab import job
from sandbox.ci.gitlab.job import GitlabService


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    response = tmp_path / "response.json"
    response.write_text(json.dumps({"id": 123456, "token": "jobT0ken", "job_info": {}}))
    return {"JOB_RESPONSE_FILE": str(response), "CUSTOM_ENV_CI_JOB_IMAGE": "debian:12", "CUSTOM_ENV_CI_JOB_ID": "1"}


def test_a_job_is_known_by_what_its_variables_cannot_change(environ: dict[str, str], tmp_path: Path) -> None:
    first = job.read(environ)
    assert (first.id, first.image, first.services, first.timeout_s) == (123456, "debian:12", (), None)
    assert first.name.startswith("gitlab-123456-")
    # CUSTOM_ENV_ is the project's: another id in there changes nothing.
    assert job.read({**environ, "CUSTOM_ENV_CI_JOB_ID": "99"}).name == first.name
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"id": 123456, "token": "of another server"}))
    assert job.read({**environ, "JOB_RESPONSE_FILE": str(other)}).name != first.name


def test_services_of_the_documentation(environ: dict[str, str]) -> None:
    text = (
        '[{"name":"redis:latest","alias":"","entrypoint":null,"command":null},{"name":"my-postgres:9.4","alias":"pg",'
        '"entrypoint":["path","to","entrypoint"],"command":["path","to","cmd"],'
        '"variables":{"POSTGRES_DB":"mydb"}},{"name":"tutum/wordpress@sha256:ab","alias":"a,b"}]'
    )
    assert job.read({**environ, "CUSTOM_ENV_CI_JOB_SERVICES": text}).services == (
        GitlabService(image="redis:latest", names=("redis",)),
        GitlabService(
            image="my-postgres:9.4",
            names=("pg", "my-postgres"),
            entrypoint=("path", "to", "entrypoint"),
            command=("path", "to", "cmd"),
            env={"POSTGRES_DB": "mydb"},
        ),
        GitlabService(image="tutum/wordpress@sha256:ab", names=("a", "b", "tutum__wordpress", "tutum-wordpress")),
    )
    assert job.read({**environ, "CUSTOM_ENV_CI_JOB_SERVICES": ""}).services == ()
    assert job.read({**environ, "CUSTOM_ENV_CI_JOB_SERVICES": "null"}).services == ()


@pytest.mark.parametrize("text", ["{", "3", "[3]", '[{"alias":"x"}]', '[{"name":"a","command":"x"}]', "[" * 5000])
def test_services_that_are_none_are_the_jobs_fault(environ: dict[str, str], text: str) -> None:
    with pytest.raises(RequestError):
        job.read({**environ, "CUSTOM_ENV_CI_JOB_SERVICES": text})


def test_without_an_image(environ: dict[str, str]) -> None:
    environ = {**environ, "CUSTOM_ENV_CI_JOB_IMAGE": ""}
    assert job.read(environ, "fallback").image == "fallback"
    with pytest.raises(RequestError, match="--image NAME"):
        job.read(environ)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"id": "1", "token": "x"}', '{"id": 1, "token": ""}'])
def test_a_runner_that_says_not_which_job(environ: dict[str, str], tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "response.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(HostError, match="GitLab Runner"):
        job.read(environ)


def test_exit_codes_are_the_runners() -> None:
    words = {"BUILD_FAILURE_EXIT_CODE": "1", "SYSTEM_FAILURE_EXIT_CODE": "2"}
    assert job.codes(words) == job.Codes(build_failure=1, system_failure=2)
    for wrong in ("", "0", "x", "256", "-1"):
        with pytest.raises(HostError, match="BUILD_FAILURE_EXIT_CODE"):
            job.codes({**words, "BUILD_FAILURE_EXIT_CODE": wrong})


def test_timeouts(environ: dict[str, str]) -> None:
    for text, seconds in (("3600", 3600), ("", None), ("0", None), ("-3", None), ("9" * 30, None)):
        assert job.read({**environ, "CUSTOM_ENV_CI_JOB_TIMEOUT": text}).timeout_s == seconds
