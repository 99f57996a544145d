"""Flags and help of the commands on containers that are there; ``run`` has those of ``run``, ``exec`` and ``rm``."""

from __future__ import annotations

from ..options import Option

_JSON = Option("json", "json", "value", "FILE|-", "", "write it as JSON; with - instead of the table")

FLAGS: dict[str, tuple[Option, ...]] = {
    "ps": (
        Option("all", "all", "flag", "", "", "also those that have ended", "a"),
        Option("quiet", "quiet", "flag", "", "", "ids only", "q"),
        Option("filter", "filter", "list", "KEY=VALUE", "",
               "only where name, id, image (a part of it), state, or label (KEY or KEY=VALUE) is so"),
        Option("no-trunc", "no_trunc", "flag", "", "", "whole ids and commands"),
        _JSON,
    ),
    "logs": (
        Option("follow", "follow", "flag", "", "", "go on until the container ends", "f"),
        Option("since", "since", "value", "WHEN", "", "not what is older: a TIME ago, or 2026-01-31T12:00:00[Z]"),
        Option("tail", "tail", "value", "N", "", "the last N lines only", "n"),
        Option("timestamps", "timestamps", "flag", "", "", "begin each line with its time", "t"),
    ),
    "attach": (
        Option("no-stdin", "no_stdin", "flag", "", "", "only look: pass no input and no signals"),
        Option("detach-keys", "detach_keys", "value", "KEYS", "",
               "what leaves a terminal (default ctrl-p,ctrl-q), or none"),
        Option("no-signals", "no_signals", "flag", "", "", "a signal ends attach, and is not passed on"),
    ),
    "stop": (
        Option("time", "time", "value", "TIME", "",
               "until the kill (default 10s, or --grace of run); 0 for at once", "t"),
    ),
    "kill": (Option("signal", "signal", "value", "SIGNAL", "", "name or number (default KILL)", "s"),),
    "pause": (),
    "unpause": (),
    "stats": (
        Option("no-stream", "no_stream", "flag", "", "", "one table, no updates"),
        Option("interval", "interval", "value", "TIME", "", "between two updates (default 1s)"),
        Option("json", "json", "value", "FILE|-", "",
               "a line of JSON for each container and update; with - instead of the table"),
    ),
    "top": (_JSON,),
    "inspect": (Option("json", "json", "value", "FILE|-", "", "write to a file instead of stdout"),),
    "wait": (),
    "cp": (
        Option("archive", "archive", "flag", "", "", "into a container with --ids range: keep owners, by number", "a"),
        Option("follow-link", "follow_link", "flag", "", "", "copy what a symbolic link SRC points to", "L"),
        Option("limit", "limit", "value", "SIZE", "", "copy out no more than this (default 16G)"),
    ),
    "update": (
        Option("mem", "mem", "value", "SIZE", "", "memory"),
        Option("swap", "swap", "value", "SIZE", "", "swap beside it"),
        Option("pids", "pids", "value", "N", "", "processes and threads at once"),
        Option("cpus", "cpus", "value", "N", "", "share of CPUs"),
        Option("cpuset", "cpuset", "value", "LIST", "", "CPUs it may run on"),
        Option("io-read", "io_read", "value", "RATE", "", "reading from disks"),
        Option("io-write", "io_write", "value", "RATE", "", "writing to disks"),
    ),
    "port": (),
    "commit": (
        Option("change", "change", "list", "LINE", "", 'as in a Dockerfile: CMD ["sh"], ENV A=b, USER …', "c"),
        Option("author", "author", "value", "NAME", "", "who made it", "a"),
        Option("message", "message", "value", "TEXT", "", "for the image's history", "m"),
        Option("no-pause", "no_pause", "flag", "", "", "read a running container while it runs"),
        Option("timestamp", "timestamp", "value", "SECONDS", "",
               "no file and not the image is newer (default $SOURCE_DATE_EPOCH)"),
        Option("compress", "compress", "value", "none|gzip", "", "the layer (default none)"),
    ),
}  # fmt: skip
SUBCOMMANDS: dict[str, dict[str, tuple[str, str]]] = {}
SUBFLAGS: dict[str, dict[str, tuple[Option, ...]]] = {}
PROGRAMS: tuple[str, ...] = ()
USAGE: dict[str, str] = {
    "ps": "[OPTIONS]",
    "logs": "[OPTIONS] CONTAINER",
    "attach": "[OPTIONS] CONTAINER",
    "stop": "[--time TIME] CONTAINER...",
    "kill": "[--signal SIGNAL] CONTAINER...",
    "pause": "CONTAINER...",
    "unpause": "CONTAINER...",
    "stats": "[OPTIONS] [CONTAINER...]",
    "top": "[OPTIONS] CONTAINER",
    "inspect": "[OPTIONS] CONTAINER...",
    "wait": "CONTAINER...",
    "cp": "[OPTIONS] CONTAINER:SRC DST|-\n       pysandbox cp [OPTIONS] SRC|- CONTAINER:DST",
    "update": "OPTIONS CONTAINER...",
    "port": "CONTAINER [PORT[/tcp|/udp]]",
    "commit": "[OPTIONS] CONTAINER [IMAGE]",
}
_NAMES = (
    "A CONTAINER is a name, an id, or the first digits of an id. Several are done one after another; one that fails "
    "does not keep the others from it, and makes the exit code 125."
)
ABOUT: dict[str, str] = {
    "ps": "What has been killed from outside is noted, and cleaned, as with every command.",
    "logs": "What was written to stdout goes to stdout, what was written to stderr to stderr.",
    "attach": "Shows what the container writes from now on, and passes input to it if it was started with -i. The exit "
    "code is the program's. A signal is passed on; with a terminal the detach keys leave it running.",
    "stop": f"Sends the stop signal of the image, or SIGTERM, and kills what is left after the grace. {_NAMES}",
    "kill": _NAMES,
    "pause": f"Needs a cgroup: no process of the container runs until it is unpaused. {_NAMES}",
    "unpause": _NAMES,
    "stats": "Without names: all that run.",
    "inspect": "An array with one object a container: what was asked, how it is doing, and while it runs its limits, "
    "what it uses, and its namespaces.",
    "wait": _NAMES,
    "cp": "- is a tar: from stdin, or to stdout. A directory SRC becomes DST, or goes into DST if that is a directory; "
    "of SRC/. the content does. Nothing outside of DST is touched, whatever the container does meanwhile: symbolic "
    "links are copied and not followed, devices, fifos and sockets left out and named, setuid bits taken off.",
    "update": f"Takes effect at once and is written down. {_NAMES}",
    "commit": "Packs what the container has changed over its image as one more layer, and prints the new image's id. "
    "Volumes, other mounts and the files that are ours (/etc/hosts, …) are not in it. How the image is run stays the "
    "same but for --change. Files get the owner 0:0, with --ids range they keep theirs.",
    "port": "A line for each published port: PORT/PROTOCOL -> ADDRESS:PORT of the host.",
}
EXAMPLES: dict[str, str] = {
    "ps": """\
    pysandbox ps -a
    pysandbox ps -q --filter state=running --filter label=job=42""",
    "logs": "    pysandbox logs -f --tail 20 web",
    "stop": "    pysandbox stop --time 3s web db",
    "kill": "    pysandbox kill -s HUP web",
    "stats": "    pysandbox stats --no-stream --json - web",
    "cp": """\
    pysandbox cp web:/var/log ./logs
    pysandbox cp ./site/. web:/srv
    tar c . | pysandbox cp - web:/srv""",
    "commit": """\
    pysandbox commit web web:patched
    pysandbox commit --timestamp 0 -c 'CMD ["/bin/server"]' web web:reproducible""",
    "update": "    pysandbox update --mem 512M --cpus 2 web",
    "attach": "    pysandbox attach web",
    "pause": "    pysandbox pause web",
    "unpause": "    pysandbox unpause web",
    "top": "    pysandbox top web",
    "inspect": "    pysandbox inspect web",
    "wait": "    pysandbox wait web db",
    "port": "    pysandbox port web",
}
