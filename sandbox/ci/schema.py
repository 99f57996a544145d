"""From the nodes of a job file to its model: every key known, every value of its kind, each mistake with its line."""

from __future__ import annotations

import os

from ..errors import RequestError
from ..units import parse_count, parse_cpus, parse_cpuset, parse_duration, parse_rate, parse_size
from . import matrix
from .faults import Faults
from .model import (
    ALWAYS,
    CHANGEABLE,
    CONTAINER_LIMITS,
    OF_A_PROGRAM,
    ON_FAILURE,
    ON_SUCCESS,
    Artifacts,
    Cache,
    Copy,
    Job,
    JobFile,
    Need,
    Ready,
    Service,
    Step,
)
from .yamlfile import Node, parse, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_DEFAULTS = ("image", "env", "volumes", "workdir", "user", "policy", "ids", "net", "limits", "timeout", "retry")
JOB_KEYS = (*_DEFAULTS, "services", "matrix", "copy", "steps", "needs", "artifacts", "cache")
FILE_KEYS = ("name", "jobs", *_DEFAULTS)
STEP_KEYS = ("name", "run", "shell", "env", "workdir", "limits", "timeout", "continue_on_error", "if")
SHELLS = {"sh": ("sh", "-e", "-c"), "bash": ("bash", "-e", "-o", "pipefail", "-c"), "python3": ("python3", "-c")}

# What a script may be long: an argument of execve(2) ends at MAX_ARG_STRLEN, 32 pages.
LIMIT_SCRIPT = 128 << 10
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


def load(path: str) -> JobFile:
    """The checked job file. Raises JobFileError with every mistake, RequestError if there is no such file."""
    return build(read(path), path)


def build(text: str, path: str) -> JobFile:
    """As ``load``, of a text; ``path`` is what mistakes call it."""
    faults = Faults(path)
    root = parse(text, faults)
    file = _Reader(faults).file(root, path)
    faults.check()
    return file


class _Reader:
    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    # --- values of one kind ---------------------------------------------------------------------------------------

    def _mapping(self, node: Node, where: str, keys: tuple[str, ...]) -> Mapping[str, Node]:
        if node.kind != "mapping":
            self._faults.add(node.line, f"{where}: expected a mapping, found {node.words}")
            return {}
        for key in node.pairs:
            if key not in keys:
                import difflib

                near = difflib.get_close_matches(key, keys, 1)
                self._faults.add(
                    node.keys[key],
                    f"{where}: there is no key {key[:60]!r}",
                    f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}",
                )
        return node.pairs

    def _text(self, node: Node | None, where: str, default: str = "") -> str:
        if node is None:
            return default
        if node.kind in ("list", "mapping", "null"):
            self._faults.add(node.line, f"{where}: expected a text, found {node.words}")
            return default
        if "\0" in node.text:
            self._faults.add(node.line, f"{where}: a text with a NUL in it")
            return default
        return node.text

    def _list(self, node: Node | None, where: str) -> tuple[Node, ...]:
        if node is None:
            return ()
        if node.kind != "list":
            self._faults.add(node.line, f"{where}: expected a list, found {node.words}")
            return ()
        return node.items

    def _texts(self, node: Node | None, where: str) -> tuple[str, ...]:
        return tuple(self._text(item, f"{where}[{at}]") for at, item in enumerate(self._list(node, where)))

    def _flag(self, node: Node | None, where: str) -> bool:
        if node is None:
            return False
        if node.kind != "boolean":
            self._faults.add(node.line, f"{where}: expected true or false, found {node.words}")
            return False
        return node.text.lower() in ("true", "yes", "on")

    def _parsed(self, node: Node | None, where: str, parser: Callable[..., Any], default: Any, *more: int) -> Any:
        if node is None:
            return default
        text = self._text(node, where)
        try:
            return parser(where, text, *more)
        except RequestError as error:
            self._faults.add(node.line, f"{where}: {error.why}, found {node.words}")
            return default

    def _env(self, node: Node | None, where: str) -> dict[str, str]:
        if node is None:
            return {}
        if node.kind != "mapping":
            self._faults.add(node.line, f"{where}: expected NAME: value, found {node.words}")
            return {}
        for name in node.pairs:
            if not name or "=" in name or "\0" in name:
                self._faults.add(node.keys[name], f"{where}: {name[:60]!r} cannot be the name of a variable")
        return {
            name: "" if value.kind == "null" else self._text(value, f"{where}.{name}")
            for name, value in node.pairs.items()
        }

    def _limits(self, node: Node | None, where: str, known: tuple[str, ...]) -> dict[str, str]:
        if node is None:
            return {}
        pairs = self._mapping(node, where, known)
        found = {}
        for name, value in pairs.items():
            if name in known:
                text = self._text(value, f"{where}.{name}")
                try:
                    _check_limit(name, text)
                except RequestError as error:
                    self._faults.add(value.line, f"{where}.{name}: {error.why}, found {value.words}")
                found[name] = text
        return found

    def _absolute(self, node: Node | None, where: str, default: str) -> str:
        text = self._text(node, where, default)
        if node is not None and not text.startswith("/"):
            self._faults.add(node.line, f"{where}: expected an absolute path, found {node.words}")
        return text

    def _one_of(self, node: Node | None, where: str, words: tuple[str, ...], default: str) -> str:
        text = self._text(node, where, default)
        if node is not None and text not in words:
            self._faults.add(node.line, f"{where}: expected one of {', '.join(words)}, found {node.words}")
            return default
        return text

    # --- the parts of a file ----------------------------------------------------------------------------------------

    def file(self, root: Node, path: str) -> JobFile:
        """All of it; what is wrong is in the faults."""
        stem = os.path.basename(path).partition(".")[0] or "ci"
        if root.kind == "mapping" and "jobs" not in root.pairs and "steps" in root.pairs:
            # One job, without the word jobs.
            name = self._text(root.pairs.get("name"), "name", stem)
            pairs = {key: value for key, value in root.pairs.items() if key != "name"}
            jobs = self._jobs({name: root.replace(pairs=pairs)}, {name: root.line}, {})
            return JobFile(path=path, name=name, jobs=jobs)
        pairs = dict(self._mapping(root, "file", FILE_KEYS))
        jobs_node = pairs.pop("jobs", None)
        name = self._text(pairs.pop("name", None), "name", stem)
        found: tuple[Job, ...] = ()
        if jobs_node is None or jobs_node.kind != "mapping" or not jobs_node.pairs:
            line = (jobs_node or root).line
            self._faults.add(
                line,
                "jobs: expected jobs by name, found " + (jobs_node.words if jobs_node else "none"),
                "or steps: for one job",
            )
        else:
            found = self._jobs(jobs_node.pairs, jobs_node.keys, pairs)
        return JobFile(path=path, name=name, jobs=found)

    def _jobs(self, nodes: Mapping[str, Node], lines: Mapping[str, int], shared: Mapping[str, Node]) -> tuple[Job, ...]:
        jobs: list[Job] = []
        for name, node in nodes.items():
            if not name or len(name) > 60 or not set(name) <= _NAME or name[0] in ".-":
                self._faults.add(
                    lines[name],
                    f"jobs: a job is named by letters, digits, and _.- inside, at most 60, not {name[:60]!r}",
                )
            axes_of = matrix.combinations(node.pairs.get("matrix"), self._faults)
            body = node.replace(pairs={key: value for key, value in node.pairs.items() if key != "matrix"})
            for axes in axes_of:
                jobs.append(self._job(name, lines[name], matrix.filled(body, axes, self._faults), axes, shared))
        self._needs(jobs)
        directories: dict[str, Job] = {}
        for job in jobs:
            other = directories.setdefault(job.directory, job)
            if other is not job:
                self._faults.add(
                    job.line,
                    f"{job.title} and {other.title} cannot be told apart by a file name",
                    f"both would be {job.directory}",
                )
        return tuple(jobs)

    def _needs(self, jobs: list[Job]) -> None:
        """Every need is a job of the file, and no job needs itself, not even by others."""
        wanted = {job.name: {need.job for need in job.needs} for job in jobs}
        for job in jobs:
            for need in job.needs:
                if need.job not in wanted:
                    self._faults.add(
                        need.line, f"needs: there is no job {need.job[:60]!r}", f"there are {', '.join(wanted)}"
                    )
                elif need.artifacts and not any(one.artifacts for one in jobs if one.name == need.job):
                    self._faults.add(need.line, f"needs: the job {need.job} has no artifacts")
            behind, front = set[str](), {need.job for need in job.needs}
            while front:
                behind |= front
                front = {inner for name in front for inner in wanted.get(name, ())} - behind
            if job.name in behind:
                self._faults.add(job.line, f"needs: the job {job.name} would have to wait for itself")

    def _job(self, name: str, line: int, node: Node, axes: Mapping[str, str], shared: Mapping[str, Node]) -> Job:
        where = f"jobs.{name}"
        own = self._mapping(node, where, JOB_KEYS)
        both = {**shared, **own}
        image = self._text(both.get("image"), f"{where}.image")
        if not image:
            self._faults.add(line, f"{where}: no image", "give the job, or the file, image: NAME")
        steps = tuple(
            self._step(item, f"{where}.steps[{at}]", at)
            for at, item in enumerate(self._list(own.get("steps"), f"{where}.steps"))
        )
        if not steps:
            self._faults.add(line, f"{where}: no steps")
        env = {**self._env(shared.get("env"), "env"), **self._env(own.get("env"), f"{where}.env")}
        limits = {
            **self._limits(shared.get("limits"), "limits", (*CONTAINER_LIMITS, "time")),
            **self._limits(own.get("limits"), f"{where}.limits", (*CONTAINER_LIMITS, "time")),
        }
        services = self._services(own.get("services"), f"{where}.services")
        net = self._text(both.get("net"), f"{where}.net")
        if services and net not in ("", "none", "user"):
            self._faults.add(
                both["net"].line, f"{where}.net: a job with services has a network of its own: none or user"
            )
        return Job(
            name=name,
            image=image,
            steps=steps,
            axes=axes,
            line=line,
            services=services,
            limits=limits,
            net=net,
            env={**env, **{f"MATRIX_{axis.upper()}": value for axis, value in axes.items()}},
            volumes=self._texts(both.get("volumes"), f"{where}.volumes"),
            copies=self._copies(own.get("copy"), f"{where}.copy"),
            workdir=self._absolute(both.get("workdir"), f"{where}.workdir", "/work"),
            user=self._text(both.get("user"), f"{where}.user"),
            policy=self._text(both.get("policy"), f"{where}.policy", "ci"),
            ids=self._one_of(both.get("ids"), f"{where}.ids", ("single", "range"), "single"),
            timeout_ns=self._parsed(both.get("timeout"), f"{where}.timeout", parse_duration, Job.timeout_ns),
            retry=self._parsed(both.get("retry"), f"{where}.retry", parse_count, 0, 0, 10),
            needs=self._job_needs(own.get("needs"), f"{where}.needs"),
            artifacts=self._artifacts(own.get("artifacts"), f"{where}.artifacts"),
            caches=self._caches(own.get("cache"), f"{where}.cache"),
        )

    def _step(self, node: Node, where: str, at: int) -> Step:
        if node.kind in ("text", "number"):
            run = self._script(node, where)
            return Step(name=_first_line(run) or f"step {at + 1}", run=run, line=node.line)
        pairs = self._mapping(node, where, STEP_KEYS)
        run = self._script(pairs.get("run"), f"{where}.run")
        if node.kind == "mapping" and "run" not in pairs:
            self._faults.add(node.line, f"{where}: no run: script")
        shell = pairs.get("shell")
        words = SHELLS["sh"]
        if shell is not None and shell.kind == "list":
            words = self._texts(shell, f"{where}.shell")
            if not words:
                self._faults.add(shell.line, f"{where}.shell: expected words, found none")
        elif shell is not None:
            words = SHELLS.get(self._one_of(shell, f"{where}.shell", tuple(SHELLS), "sh"), words)
        return Step(
            name=self._text(pairs.get("name"), f"{where}.name") or _first_line(run) or f"step {at + 1}",
            run=run,
            shell=words,
            line=node.line,
            env=self._env(pairs.get("env"), f"{where}.env"),
            workdir=self._text(pairs.get("workdir"), f"{where}.workdir"),
            limits=self._limits(pairs.get("limits"), f"{where}.limits", (*CHANGEABLE, *OF_A_PROGRAM)),
            timeout_ns=self._parsed(pairs.get("timeout"), f"{where}.timeout", parse_duration, None),
            continue_on_error=self._flag(pairs.get("continue_on_error"), f"{where}.continue_on_error"),
            condition=self._one_of(pairs.get("if"), f"{where}.if", (ALWAYS, ON_SUCCESS, ON_FAILURE), ON_SUCCESS),
        )

    def _script(self, node: Node | None, where: str) -> str:
        text = self._text(node, where)
        if node is not None and len(text.encode(errors="surrogateescape")) >= LIMIT_SCRIPT:
            self._faults.add(node.line, f"{where}: longer than {LIMIT_SCRIPT >> 10} KiB", "put it into a file")
        return text

    def _services(self, node: Node | None, where: str) -> tuple[Service, ...]:
        services: list[Service] = []
        for at, item in enumerate(self._list(node, where)):
            inner = f"{where}[{at}]"
            pairs = self._mapping(item, inner, ("image", "name", "env", "command", "ready", "limits"))
            image = self._text(pairs.get("image"), f"{inner}.image")
            if item.kind == "mapping" and not image:
                self._faults.add(item.line, f"{inner}: no image")
            name = self._text(pairs.get("name"), f"{inner}.name") or _service_name(image)
            labels = set(name) <= _NAME - {"_", "."} and 0 < len(name) <= 63 and name[0] != "-"
            if image and not labels:
                self._faults.add(
                    item.line, f"{inner}.name: expected a host name of letters, digits and -, not {name[:70]!r}"
                )
            if any(other.name == name for other in services):
                self._faults.add(item.line, f"{inner}.name: two services are called {name}")
            services.append(
                Service(
                    image=image,
                    name=name,
                    env=self._env(pairs.get("env"), f"{inner}.env"),
                    command=self._texts(pairs.get("command"), f"{inner}.command"),
                    line=item.line,
                    ready=self._ready(pairs.get("ready"), f"{inner}.ready"),
                    limits=self._limits(pairs.get("limits"), f"{inner}.limits", CONTAINER_LIMITS),
                )
            )
        return tuple(services)

    def _ready(self, node: Node | None, where: str) -> Ready | None:
        if node is None:
            return None
        if node.kind == "text":
            return Ready(run=node.text)
        pairs = self._mapping(node, where, ("run", "timeout", "interval"))
        run = self._script(pairs.get("run"), f"{where}.run")
        if node.kind == "mapping" and not run:
            self._faults.add(node.line, f"{where}: no run: script")
        return Ready(
            run=run,
            timeout_ns=self._parsed(pairs.get("timeout"), f"{where}.timeout", parse_duration, Ready.timeout_ns),
            interval_ns=self._parsed(pairs.get("interval"), f"{where}.interval", parse_duration, Ready.interval_ns),
        )

    def _job_needs(self, node: Node | None, where: str) -> tuple[Need, ...]:
        needs = []
        if node is not None and node.kind == "text":
            return (Need(job=node.text, line=node.line),)
        for at, item in enumerate(self._list(node, where)):
            if item.kind == "text":
                needs.append(Need(job=item.text, line=item.line))
                continue
            pairs = self._mapping(item, f"{where}[{at}]", ("job", "artifacts"))
            needs.append(
                Need(
                    job=self._text(pairs.get("job"), f"{where}[{at}].job"),
                    line=item.line,
                    artifacts=self._flag(pairs.get("artifacts"), f"{where}[{at}].artifacts"),
                )
            )
        return tuple(needs)

    def _copies(self, node: Node | None, where: str) -> tuple[Copy, ...]:
        copies = []
        for at, item in enumerate(self._list(node, where)):
            pairs = self._mapping(item, f"{where}[{at}]", ("from", "to"))
            if item.kind == "mapping" and not {"from", "to"} <= pairs.keys():
                self._faults.add(item.line, f"{where}[{at}]: expected from: a path here, and to: a path inside")
            copies.append(
                Copy(
                    source=self._text(pairs.get("from"), f"{where}[{at}].from"),
                    line=item.line,
                    target=self._absolute(pairs.get("to"), f"{where}[{at}].to", "/"),
                )
            )
        return tuple(copies)

    def _artifacts(self, node: Node | None, where: str) -> Artifacts | None:
        if node is None:
            return None
        if node.kind == "list":
            return Artifacts(paths=self._patterns(node, where), line=node.line)
        pairs = self._mapping(node, where, ("paths", "when", "limit"))
        paths = self._patterns(pairs.get("paths"), f"{where}.paths")
        if node.kind == "mapping" and not paths:
            self._faults.add(node.line, f"{where}: no paths")
        return Artifacts(
            paths=paths,
            line=node.line,
            when=self._one_of(pairs.get("when"), f"{where}.when", (ALWAYS, ON_SUCCESS, ON_FAILURE), ON_SUCCESS),
            limit_bytes=self._parsed(pairs.get("limit"), f"{where}.limit", parse_size, Artifacts.limit_bytes),
        )

    def _caches(self, node: Node | None, where: str) -> tuple[Cache, ...]:
        caches = []
        items = (node,) if node is not None and node.kind == "mapping" else self._list(node, where)
        for at, item in enumerate(items):
            inner = f"{where}[{at}]" if len(items) > 1 else where
            pairs = self._mapping(item, inner, ("key", "paths", "files", "limit"))
            paths = self._patterns(pairs.get("paths"), f"{inner}.paths")
            key = self._text(pairs.get("key"), f"{inner}.key")
            if item.kind == "mapping" and not (paths and key):
                self._faults.add(item.line, f"{inner}: expected a key and paths")
            caches.append(
                Cache(
                    key=key,
                    paths=paths,
                    files=self._texts(pairs.get("files"), f"{inner}.files"),
                    line=item.line,
                    limit_bytes=self._parsed(pairs.get("limit"), f"{inner}.limit", parse_size, Cache.limit_bytes),
                )
            )
        return tuple(caches)

    def _patterns(self, node: Node | None, where: str) -> tuple[str, ...]:
        for at, item in enumerate(self._list(node, where)):
            if ".." in item.text.split("/") or not item.text.strip("/"):
                self._faults.add(item.line, f"{where}[{at}]: expected a path or pattern without .., found {item.words}")
        return self._texts(node, where)


def _check_limit(name: str, text: str) -> None:
    """Raise RequestError unless the text can be this limit."""
    if name in ("pids", "inodes", "nofile"):
        parse_count(name, text, 1)
    elif name in ("time", "wall"):
        parse_duration(name, text)
    elif name == "cpus":
        parse_cpus(name, text)
    elif name == "cpuset":
        parse_cpuset(name, text)
    elif name in ("io_read", "io_write"):
        parse_rate(name, text)
    elif text != "unlimited" or name not in ("fsize", "stack", "core"):
        parse_size(name, text)


def _first_line(script: str) -> str:
    for line in script.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return line.strip() if len(line.strip()) <= 60 else line.strip()[:59] + "…"
    return ""


def _service_name(image: str) -> str:
    """``registry.example/team/db:12`` -> ``db``, as Docker's executor of the GitLab Runner has it (short form)."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0].replace("_", "-").replace(".", "-")
