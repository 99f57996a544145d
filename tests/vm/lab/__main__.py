"""The command line: see ``./dev lab help``."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from lab import LabError, cache, machine, snapshot, suite, tree
from lab.guests import GUESTS
from lab.remote import Remote
from lab.snapshot import say

TREE = Path(__file__).resolve().parents[3]
USERS = ("alice", "bob", "root")
FAILED = 125
# Of the tests marked v2; PYSANDBOX_LAB collects the guest's own.
TESTS = ("tests/runs", "tests/escape", "tests/judge/execute", "tests/containers", "tests/networks", "tests/oci",
         "tests/vm/guest")  # fmt: skip
TEST_SECONDS = 600
REPORTS = Path(".dev", "reports")
# What a scope of the user's manager is for: cgroups of one's own.
SCOPE = "systemd-run --user --scope --quiet --collect -p Delegate=yes --"
WITH_VALUE = {"--guest", "--user", "--before", "--env", "--timeout", "--tree"}
ALONE = {"--no-scope", "--net", "-h", "--help"}

HELP = """\
  build               make the images and the saved states that are not there yet
  run -- COMMAND...   the command as alice, in a delegated scope of her user manager, in a copy of this tree
  shell               a login shell in such a guest
  pytest [ARGS...]    the tests marked v2, or those of ARGS; report in .dev/reports/lab-GUEST.xml
  suite               pytest in all guests at once, as ./dev test does
  key                 print the folders of images and states
  clean               remove all of them

The exit status is the command's; 124: it took longer than --timeout; 125: the lab failed.
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="./dev lab", description="tests in virtual machines", epilog=HELP,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = top.add_subparsers(dest="what", required=True, metavar="COMMAND")
    for name in ("build", "suite", "key", "clean"):
        some = commands.add_parser(name, allow_abbrev=False)
        some.add_argument("--guest", choices=[*GUESTS], action="append", help="default: all")
    for name in ("run", "shell", "pytest"):
        one = commands.add_parser(name, allow_abbrev=False)
        one.add_argument("--guest", choices=[*GUESTS], default="debian12", help="default: debian12")
        one.add_argument("--user", choices=USERS, default="alice", help="bob has no user manager and no range of ids")
        one.add_argument("--no-scope", action="store_true", help="in the login session itself")
        one.add_argument("--before", metavar="LINE", action="append", default=[], help="a shell line, as root, first")
        one.add_argument("--env", metavar="NAME=VALUE", action="append", default=[])
        one.add_argument("--net", action="store_true", help="let the guest reach the network")
        one.add_argument("--timeout", metavar="SECONDS", type=float, help="for the command")
        one.add_argument("--tree", metavar="DIR", type=Path, default=TREE, help="another tree than this one")
    return top


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and the command or pytest's arguments: what follows "--" or is no option of ours."""
    at = 1
    while at < len(argv):
        name, equals, _value = argv[at].partition("=")
        if name in WITH_VALUE:
            at += 1 if equals else 2
        elif name in ALONE:
            at += 1
        else:
            break
    return argv[:at], argv[at + 1 :] if argv[at : at + 1] == ["--"] else argv[at:]


def parse(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options, and the words that are for the guest."""
    top = parser()
    ours, theirs = split(argv) if argv[:1] in (["run"], ["pytest"]) else (argv, [])
    options = top.parse_args(ours)
    if options.what == "run" and not theirs:
        top.error("run: which command?")
    return options, theirs


def shell_line(options: argparse.Namespace, command: list[str]) -> str:
    """What the guest's shell gets: the environment, ~/src, and the scope unless there is to be none."""
    env = {"PYSANDBOX_LAB": "1", "PYSANDBOX_LAB_GUEST": options.guest, "PYTHONDONTWRITEBYTECODE": "1"}
    for setting in options.env:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise LabError(f"--env {setting}: not NAME=VALUE")
        env[name] = value
    exports = "".join(f"export {name}={shlex.quote(value)}; " for name, value in env.items())
    scope = "" if options.no_scope or options.user != "alice" else f"{SCOPE} "
    return f"{exports}export PYTHONPATH=$HOME/src; cd src && exec {scope}{shlex.join(command)}"


def in_guest(options: argparse.Namespace, command: list[str], report: str | None = None) -> int:
    """``command`` in a fresh clone; ``report`` is brought back, whatever its exit status."""
    guest = GUESTS[options.guest]
    line = shell_line(options, command)
    tree.built(options.tree)
    begin = time.monotonic()
    with snapshot.resumed(guest, net=options.net) as remote:
        archive = tree.archive(options.tree)
        remote.send(options.user, archive)
        for before in options.before:
            remote.root(before)
        ready = time.monotonic()
        status = remote.run(options.user, line, tty=sys.stdin.isatty(), seconds=options.timeout)
        done = time.monotonic()
        if report:
            bring(remote, options, report)
        say(f"{guest.name}: ready after {ready - begin:.1f} s, command {done - ready:.1f} s, exit status {status}")
    return status


def bring(remote: Remote, options: argparse.Namespace, report: str) -> None:
    """Write the guest's report into .dev/reports; no report is a failure of the lab."""
    data = remote.fetch(options.user, report)
    if not data:
        raise LabError(f"{options.guest} brought no report back: pytest did not come to its end")
    (options.tree / REPORTS / report).write_bytes(data)


def pytest(options: argparse.Namespace, chosen: list[str]) -> int:
    """No test at all is pytest's exit status 5, so a failure too."""
    report = f"lab-{options.guest}.xml"
    folder = options.tree / REPORTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / report).unlink(missing_ok=True)
    command = ["python3", "-m", "pytest", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}", f"--junitxml={report}",
               "-o", f"junit_suite_name={options.guest}", *(chosen or ["-m", "v2", *TESTS])]  # fmt: skip
    return in_guest(options, command, report)


def main(argv: list[str]) -> int:
    options, theirs = parse(argv)
    # A SystemExit runs the clean-up of everything that is under way.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
    try:
        match options.what:
            case "run":
                return in_guest(options, theirs)
            case "shell":
                return in_guest(options, ["bash", "-l"])
            case "pytest":
                return pytest(options, theirs)
            case "suite":
                return suite.run(TREE, options.guest or list(GUESTS))
        for name in options.guest or GUESTS:
            guest = GUESTS[name]
            match options.what:
                case "build":
                    snapshot.build(guest)
                case "key":
                    print(cache.image_dir(guest), cache.snapshot_dir(guest, machine.identity()), sep="\n")
                case "clean":
                    snapshot.clean(guest)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (LabError, OSError, subprocess.CalledProcessError) as error:
        say(str(error))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
