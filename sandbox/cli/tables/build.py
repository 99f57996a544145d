"""Flags and help of ``build``; see the package."""

from __future__ import annotations

from ..options import OPTIONS, Option

_LIMITS = ("mem", "time", "wall", "pids", "cpus", "cpuset", "disk", "nofile", "best-effort", "policy", "cgroup")
_OWN = (
    Option("tag", "names", "list", "NAME[:TAG]", "", "name of the image; may be repeated", "t"),
    Option("file", "file", "value", "FILE", "", "the Dockerfile (default: Dockerfile in the context)", "f"),
    Option("build-arg", "arguments", "pair", "K=V", "", "value of an ARG; may be repeated"),
    Option("target", "target", "value", "STAGE", "", "the stage to end with (default: the last)"),
    Option("no-cache", "no_cache", "flag", "", "", "take nothing of an earlier build"),
    Option("label", "labels", "pair", "K=V", "", "add a label; may be repeated"),
    Option("ids", "ids", "value", "single|range", "", "ids of RUN and of files, as of run",
           choices=("single", "range")),
    Option("net", "net", "value", "none|host|user", "", "network of RUN (default none)",
           choices=("none", "host", "user")),
    Option("quiet", "quiet", "flag", "", "", "only the id of the image, nothing of the steps", "q"),
)  # fmt: skip

FLAGS: dict[str, tuple[Option, ...]] = {
    "build": (*_OWN, *(option for option in OPTIONS if option.name in _LIMITS)),
}
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {}
PROGRAMS: tuple[str, ...] = ()
USAGE = {"build": "[OPTIONS] CONTEXT"}
ABOUT = {"build": """\
Each RUN is a sandbox under the policy ci, on the layers so far, and what it changed becomes a layer. Steps that an
earlier build has made of the same are taken from there. Limits are those of run and hold for each RUN. The id of
the image goes to stdout, the rest to stderr. Ends with 0, or with 1 if a RUN failed; 125 is for what cannot be
built."""}
EXAMPLES = {"build": """\
    pysandbox build -t tools .
    pysandbox build -t app:1 --build-arg VERSION=1 --target test --mem 1G .
    pysandbox build -f ci/Dockerfile --net user --ids range -t ci ."""}
