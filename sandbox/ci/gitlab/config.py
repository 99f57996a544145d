"""The config stage: JSON on stdout, for the runner."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BUILDS, CACHE = "/builds", "/cache"


def answer(*, version: str, builds_dir: str = BUILDS, cache_dir: str = CACHE, shell: str = "bash") -> str:
    """Each job has a container of its own, so its builds are shared with nobody."""
    words: dict[str, Any] = {
        "builds_dir": builds_dir,
        "cache_dir": cache_dir,
        "builds_dir_is_shared": False,
        "driver": {"name": "pysandbox", "version": version},
        "shell": shell,
        # Back to us in every later stage, under these names: the job cannot change them.
        "job_env": {
            "PYSANDBOX_CI_BUILDS_DIR": builds_dir,
            "PYSANDBOX_CI_CACHE_DIR": cache_dir,
            "PYSANDBOX_CI_SHELL": shell,
        },
    }
    return json.dumps(words, indent=2) + "\n"
