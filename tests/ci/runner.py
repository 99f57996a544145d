"""GitLab Runner's side of the custom executor, as its documentation has it (docs.gitlab.com/runner/executors/custom).

What is used of it: "Stages", "Config", "Run" with its stages in their order, "Terminating and killing executables",
"Error handling" with both exit codes, "Build failure exit code", "Job response", "Services".
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# The runner's own values; a driver that has them built in is found out.
BUILD_FAILURE, SYSTEM_FAILURE = 41, 42
SUCCESS, BUILD_FAILED, SYSTEM_FAILED, UNKNOWN = "success", "build failure", "system failure", "unknown failure"
PREPARE_ATTEMPTS = 3


class Runner:
    """One job. ``log`` is what the job log would show; ``said`` what each stage's executable ended with."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], directory: Path, *, job_id: int,
                 variables: Mapping[str, str], services: Sequence[Mapping[str, Any]] | None = None,
                 prepare_args: Sequence[str] = (), graceful_kill_timeout: float = 10.0) -> None:  # fmt: skip
        self._argv, self._directory, self._prepare_args = list(argv), directory, list(prepare_args)
        self._graceful_kill_timeout = graceful_kill_timeout
        directory.mkdir()
        response = directory / "response.json"
        response.write_text(json.dumps({"id": job_id, "token": f"token-{job_id}-{directory.name}", "steps": []}))
        self.exit_code_file = directory / "exit_code"
        self._env = {
            **env,
            "TMPDIR": str(directory),
            "BUILD_FAILURE_EXIT_CODE": str(BUILD_FAILURE),
            "SYSTEM_FAILURE_EXIT_CODE": str(SYSTEM_FAILURE),
            "BUILD_EXIT_CODE_FILE": str(self.exit_code_file),
            "JOB_RESPONSE_FILE": str(response),
            "CUSTOM_ENV_CI_JOB_ID": str(job_id),
            "CUSTOM_ENV_CI_JOB_SERVICES": json.dumps(services) if services else "",
            **{f"CUSTOM_ENV_{name}": value for name, value in variables.items()},
        }
        self.config: dict[str, Any] = {}
        self.log = ""
        self.said: list[tuple[str, int]] = []
        self._cancelled = threading.Event()
        self._scripts = 0

    def cancel(self) -> None:
        """The job is cancelled in the user interface, or times out."""
        self._cancelled.set()

    def play(self, scripts: Mapping[str, str], until: Callable[[str], bool] | None = None) -> str:
        """All stages that have something to do: ``scripts``, by stage. ``until``: cancel at this line of the log."""
        try:
            return self._play(scripts, until)
        finally:
            self._cancelled.clear()
            self._executable("cleanup", [], None)

    def _play(self, scripts: Mapping[str, str], until: Callable[[str], bool] | None) -> str:
        status, out = self._executable("config", [], None, separate=True)
        if status:
            return self._verdict(status)
        self.config = json.loads(out)
        # "job_env": for the driver's calls in all later stages; variables of the job come after them.
        self._env = {**self.config.get("job_env", {}), **self._env}
        for _attempt in range(PREPARE_ATTEMPTS):
            status, _out = self._executable("prepare", self._prepare_args, None)
            if status != SYSTEM_FAILURE:
                break
        if status:
            return self._verdict(status)
        verdict = SUCCESS
        for stage in ("prepare_script", "get_sources", "restore_cache", "download_artifacts"):
            verdict = self._run(stage, scripts, until)
            if verdict != SUCCESS:
                return verdict
        verdict = self._run("build_script", scripts, until)
        self._run("after_script", scripts, until)
        good = verdict == SUCCESS
        for stage in (
            "archive_cache" if good else "archive_cache_on_failure",
            "upload_artifacts_on_success" if good else "upload_artifacts_on_failure",
            "cleanup_file_variables",
        ):
            self._run(stage, scripts, until)
        return verdict

    def _run(self, stage: str, scripts: Mapping[str, str], until: Callable[[str], bool] | None) -> str:
        if self._cancelled.is_set():
            return UNKNOWN
        if stage not in scripts and stage != "build_script":  # the runner does not send what it has nothing to do in
            return SUCCESS
        self._scripts += 1
        directory = self._directory / f"script{self._scripts}"
        directory.mkdir()
        script = directory / "script."  # BuildShell.Extension of bash is empty
        # As the runner's bash shell writes it: the commands in an eval with nothing on its stdin.
        text = scripts.get(stage, "true").replace("'", "'\\''")
        script.write_text("#!/usr/bin/env bash\n\ntrap exit 1 TERM\n\nset -eo pipefail\nset +o noclobber\n"
                          f": | eval '{text}'\nexit 0\n")  # fmt: skip
        script.chmod(0o700)
        return self._verdict(self._executable("run", [str(script), stage], until, name=stage)[0])

    def _executable(self, stage: str, words: list[str], until: Callable[[str], bool] | None, *, separate: bool = False,
                    name: str = "") -> tuple[int, str]:  # fmt: skip
        """One executable of the driver; when the job is cancelled it gets SIGTERM, and after the timeout SIGKILL.

        "any child process that is spawned by the driver will also receive" them: a process group of its own.
        """
        process = subprocess.Popen([*self._argv, stage, *words], env=self._env, cwd=self._directory, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0,
                                   stderr=subprocess.PIPE if separate else subprocess.STDOUT)  # fmt: skip
        if separate:
            out, err = process.communicate(timeout=60)
            self.log += err
            self.said.append((name or stage, process.returncode))
            return process.returncode, out
        reader = threading.Thread(target=self._read, args=(process, until))
        reader.start()
        killer = None
        while process.poll() is None:
            if self._cancelled.is_set() and killer is None:
                os.killpg(process.pid, signal.SIGTERM)
                killer = threading.Timer(self._graceful_kill_timeout, os.killpg, (process.pid, signal.SIGKILL))
                killer.start()
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        if killer is not None:
            killer.cancel()
        reader.join()
        self.said.append((name or stage, process.returncode))
        return process.returncode, ""

    def _read(self, process: subprocess.Popen[str], until: Callable[[str], bool] | None) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log += line
            if until is not None and until(line):
                self.cancel()
        process.stdout.close()

    @staticmethod
    def _verdict(status: int) -> str:
        return {0: SUCCESS, BUILD_FAILURE: BUILD_FAILED, SYSTEM_FAILURE: SYSTEM_FAILED}.get(status, UNKNOWN)
