"""The packages of examples/, judged by the command as a person would, each once in a session."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.slowness import SLOW

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"

# What a submission in a directory of this name is to get.
WORD_OF = {
    "accepted": "AC", "partially_accepted": "PAC", "wrong_answer": "WA", "presentation_error": "PE",
    "time_limit_exceeded": "TLE", "idleness_limit_exceeded": "ILE", "memory_limit_exceeded": "MLE",
    "output_limit_exceeded": "OLE", "run_time_error": "RTE", "security_violation": "SV", "compile_error": "CE",
    "judge_error": "JE",
}  # fmt: skip

# Extension -> the tool without which nothing in that language runs.
TOOLS = {
    ".c": "gcc", ".cpp": "g++", ".py": "python3", ".java": "javac", ".go": "go", ".rs": "rustc", ".js": "node",
}  # fmt: skip
# Where a sandbox sees tools; one in somebody's home is not there for it.
PLACES = "/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin:/usr/lib/go/bin"


def absent() -> dict[str, str]:
    """Extension -> tool, of those that this host lacks."""
    return {extension: tool for extension, tool in TOOLS.items() if shutil.which(tool, path=PLACES) is None}


@dataclass(frozen=True)
class Judged:
    """One call of ``pysandbox judge``. results: the submission's name -> its result, as in the JSON."""

    status: int
    stdout: str
    stderr: str
    results: dict[str, dict[str, Any]]

    @property
    def words(self) -> dict[str, str]:
        return {name: result["verdict"]["word"] for name, result in self.results.items()}

    @property
    def told(self) -> str:
        """For a failing assertion."""
        why = {name: result["verdict"] for name, result in self.results.items()}
        return f"exit status {self.status}\n{self.stdout}\n{self.stderr}\n{json.dumps(why, indent=1)}"


class Command:
    """``pysandbox judge`` with a cache, a journal and a directory for temporary files of its own."""

    def __init__(self, argv: list[str], env: dict[str, str], home: Path) -> None:
        self._argv, self._home = argv, home
        self.temporary = home / "tmp"
        self.temporary.mkdir()
        self._env = {
            **env, "XDG_CACHE_HOME": str(home / "cache"), "XDG_STATE_HOME": str(home / "state"),
            "TMPDIR": str(self.temporary),
        }  # fmt: skip
        self._judged: dict[str, Judged] = {}

    def run(self, *words: str | os.PathLike[str], timeout: float = 300 * SLOW) -> subprocess.CompletedProcess[str]:
        """``pysandbox judge WORDS``. The exit status is not looked at."""
        return subprocess.run(
            [*self._argv, "judge", *map(os.fspath, words)], env=self._env, cwd=self._home, timeout=timeout,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def judge(self, *words: str | os.PathLike[str]) -> Judged:
        """The same with --json."""
        target = self._home / "result.json"
        target.unlink(missing_ok=True)
        done = self.run("-j2", "--no-live", "--json", target, *words)
        # With nothing judged the file is there, and empty.
        document = json.loads(target.read_text()) if done.returncode in (0, 1) else {"results": []}
        results = {result["submission"]: result for result in document["results"]}
        return Judged(done.returncode, done.stdout, done.stderr, results)

    def all(self, package: str, *options: str) -> Judged:
        """``--all`` of an example, without what needs tools that are not here. Judged once, then remembered."""
        if package not in self._judged:
            self._judged[package] = self.judge("--all", *options, self.whole(package))
        return self._judged[package]

    def whole(self, package: str) -> Path:
        """The example's directory, or a copy without the submissions whose tools are absent."""
        lacking = absent()
        source = EXAMPLES / package
        if not any(path.suffix in lacking for path in source.glob("submissions/*/*")):
            return source
        copy = self._home / package
        if not copy.exists():
            left_out = shutil.ignore_patterns(*(f"*{extension}" for extension in lacking))
            shutil.copytree(source, copy, ignore=left_out)
        return copy
