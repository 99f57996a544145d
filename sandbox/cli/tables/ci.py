"""Flags and help of one family of commands; see the package."""

from __future__ import annotations

from ..options import OPTIONS, Option

FLAGS: dict[str, tuple[Option, ...]] = {}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "ci": {
        "run": ("FILE", "run the jobs of a job file; 0 if all passed, 1 if one failed, 125 if one could not be run"),
        "check": (
            "FILE",
            "every mistake of a job file, with its line, or its jobs; 1 if there is a mistake",
        ),
        "cache": ("", "the caches that jobs have left, and how large they are"),
        "gitlab": ("config|prepare|run|cleanup", "a stage of GitLab Runner's custom executor; for config.toml"),
    }
}
_JSON = Option(
    "json", "json", "value", "FILE|-", "", "write the result as JSON; with - the output of the jobs goes to stderr"
)
# As they are for run; a job's container gets them.
_LIMITS = tuple(
    option
    for option in OPTIONS
    if option.name in ("mem", "swap", "pids", "cpus", "cpuset", "disk", "time", "policy", "ids")
)
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {
    "ci": {
        "run": (
            Option("job", "job", "list", "NAME", "", "run this job, and those that it needs"),
            Option("jobs", "jobs", "value", "N", "", "jobs at once (default 1)", "j"),
            Option("matrix", "matrix", "list", "AXIS=VALUE", "", "only combinations with this value"),
            Option("artifacts", "artifacts", "value", "DIR", "", "where artifacts go, a directory for each job"),
            Option("junit", "junit", "value", "FILE", "", "write a JUnit report"),
            _JSON,
            Option("keep", "keep", "flag", "", "", "leave the containers, to look into; pysandbox rm -f removes them"),
            Option("no-cache", "no_cache", "flag", "", "", "restore and save no caches"),
        ),
        "check": (),
        "cache": (
            Option(
                "prune", "prune", "value", "SIZE", "", "remove those not used for longest, until SIZE is left (0: all)"
            ),
        ),
        "gitlab": (
            Option("image", "image", "value", "NAME", "", "prepare: for jobs that name none"),
            Option(
                "allow-image",
                "allow_image",
                "list",
                "PATTERN",
                "",
                "prepare: the images that jobs may use (default all)",
            ),
            Option(
                "pull",
                "pull",
                "value",
                "never|missing|always",
                "",
                "prepare: fetch images (default never)",
                choices=("never", "missing", "always"),
            ),
            Option(
                "net",
                "net",
                "value",
                "none|user",
                "",
                "prepare: network of the job (default user)",
                choices=("none", "user"),
            ),
            Option("volume", "volumes", "list", "SRC:DST[:ro|rw]", "", "prepare: show it in each job", "v"),
            *_LIMITS,
            Option("builds-dir", "builds_dir", "value", "DIR", "", "config: inside (default /builds)"),
            Option("cache-dir", "cache_dir", "value", "DIR", "", "config: inside (default /cache)"),
            Option(
                "shell",
                "shell",
                "value",
                "bash|sh",
                "",
                "config: what scripts are made for (default bash)",
                choices=("bash", "sh"),
            ),
        ),
    }
}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {"ci": "run FILE | check FILE | cache | gitlab STAGE ..."}
ABOUT: dict[str, str] = {
    "ci": """\
A job file is YAML: jobs with an image, steps, services, a matrix, artifacts and caches (docs/ci.md). All steps of a job
run in one container of its own, which is gone when the job has ended. Ctrl-C ends all jobs. The stages of gitlab take
their job from the environment that the runner makes, and end with the exit codes that it asks for.""",
}
EXAMPLES: dict[str, str] = {
    "ci": """\
    pysandbox ci run ci.yml
    pysandbox ci run -j 4 --job test --matrix python=3.11 --junit report.xml ci.yml
    pysandbox ci run --artifacts out --json result.json ci.yml
    pysandbox ci check ci.yml
    pysandbox ci cache --prune 1G
    pysandbox ci gitlab config""",
}
