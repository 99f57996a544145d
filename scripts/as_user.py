#!/usr/bin/env python3
"""Run a command as another user, in a clean world, and let nothing of it survive.

    as_user.py [--user NAME] [--chdir DIR] [--set NAME=VALUE]... -- COMMAND ARG...

Two processes. The child leaves the caller's session (a hostile test must not find root's terminal,
CVE-2017-5226), takes the user's ids and groups, drops the environment but for what a build and a
package index need, resets its signals and becomes COMMAND. The parent is a subreaper: whatever the
command's processes orphan becomes the parent's child, so when the command has ended it knows exactly
which processes stayed behind. It ends those by pid, names them, and exits with 1.

su, runuser and sudo are no substitute: they need PAM, which a plain chroot may not have, and leave
orphans to pid 1.
"""

from __future__ import annotations

import argparse
import configparser
import ctypes
import os
import pwd
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KEEP = ("LANG", "TERM", "CI", "CC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
        "ALL_PROXY")  # fmt: skip
KEEP_PREFIX = ("PIP_", "PYSANDBOX_")
KEEP_OWN = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")  # only if the user stays the same
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GRACE_S = 3.0  # for processes that are on their way out when the command ends
WAITED = frozenset({signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
STOP_S = 20.0  # for the command itself after it was told to stop


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        errno = ctypes.get_errno()
        raise OSError(errno, f"prctl({option}, {value}): {os.strerror(errno)}")


def pip_settings() -> dict[str, str]:
    """The caller's own pip configuration as PIP_ variables: the other user cannot read the files.

    System-wide files are left out, pip reads those for everyone. Later files win, as in pip.
    """
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    files = [os.path.join(home, ".pip", "pip.conf"), os.path.join(config, "pip", "pip.conf")]
    if own := os.environ.get("PIP_CONFIG_FILE"):
        files.append(own)
    parser = configparser.RawConfigParser()
    parser.read(files, encoding="utf-8")
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            for key, value in parser.items(section):
                found["PIP_" + key.upper().replace("-", "_")] = " ".join(value.split())
    return found


def environment(user: pwd.struct_passwd, settings: list[str]) -> dict[str, str]:
    """What the command sees; nothing else of the caller's environment."""
    same = user.pw_uid == os.geteuid()
    env = {"PATH": PATH, "LANG": "C.UTF-8", **({} if same else pip_settings())}
    for name, value in os.environ.items():
        if name in KEEP or name.startswith(KEEP_PREFIX) or (same and name in KEEP_OWN):
            env[name] = value
    if not same:
        env.pop("PIP_CONFIG_FILE", None)  # read above; the user may not be able to
    env.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    for setting in settings:
        name, _, value = setting.partition("=")
        env[name] = value
    return env


def become(user: pwd.struct_passwd, directory: str, command: list[str], env: dict[str, str]) -> None:
    """In the child: everything between fork and exec. Does not return."""
    os.setsid()
    # Python ignores these two, and a shell's background jobs the first two; an ignored signal stays so over exec.
    for name in ("SIGINT", "SIGQUIT", "SIGPIPE", "SIGXFSZ", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.closerange(3, 1 << 16)
    if user.pw_uid != os.geteuid():
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    os.umask(0o022)
    os.chdir(directory)
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # after the ids: a change of ids clears it, prctl(2)
    os.execvpe(command[0], command, env)


def children(pid: int) -> list[int]:
    """Living children of ``pid``; zombies are not counted."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    state, parent = stat.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if int(parent) == pid and state not in "ZX":
                found.append(int(entry))
    return found


def reap() -> dict[int, int]:
    """Collect every child that has ended: pid -> wait status."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = status


def command_line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()[:200]
    except OSError:
        return "?"


def sweep(grace_s: float) -> list[str]:
    """Wait for the rest to end, then kill what stays, generation after generation; returns what had stayed."""
    end = time.monotonic() + grace_s
    while children(os.getpid()) and time.monotonic() < end:
        reap()
        time.sleep(0.02)
    stayed: list[str] = []
    while rest := children(os.getpid()):
        for pid in rest:
            stayed.append(f"{pid} ({command_line(pid)})")
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while set(rest) & set(children(os.getpid())) and time.monotonic() < deadline:
            reap()
            time.sleep(0.02)
        if time.monotonic() >= deadline:
            break
    reap()
    return stayed


def supervise(child: int) -> int:
    """Wait for the command; turn SIGINT, SIGTERM and SIGHUP into a SIGTERM for its session; then sweep."""
    asked, deadline, status = 0, float("inf"), None
    while status is None:
        # All of WAITED is blocked, so that nothing is lost between two calls and no handler is needed.
        got = signal.sigtimedwait(WAITED, 0.5)
        if got and got.si_signo != signal.SIGCHLD:
            asked, deadline = got.si_signo, min(deadline, time.monotonic() + STOP_S)
            try:
                os.killpg(child, signal.SIGTERM)
            except ProcessLookupError:
                pass
        # Orphans are reaped as they come: one that stays a zombie looks alive to a test that polls its pid.
        status = reap().get(child)
        if status is None and time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
    stayed = sweep(0.5 if asked else GRACE_S)
    if asked:
        return 128 + asked
    for line in stayed:
        print(f"as_user: left running by the command, now killed: {line}", file=sys.stderr)
    code = os.waitstatus_to_exitcode(status)
    return (128 - code if code < 0 else code) or (1 if stayed else 0)


def main() -> int:
    parser = argparse.ArgumentParser(description="run a command as another user and let nothing of it survive")
    parser.add_argument("--user", help="default: the caller")
    parser.add_argument("--chdir", default=".", metavar="DIR")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        user = pwd.getpwnam(options.user) if options.user else pwd.getpwuid(os.geteuid())
    except KeyError:
        parser.error(f"no such user: {options.user or os.geteuid()}")
    env = environment(user, options.set)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
    child = os.fork()
    if not child:
        try:
            become(user, options.chdir, options.command, env)
        except OSError as error:
            print(f"as_user: {options.command[0]} as {user.pw_name}: {error}", file=sys.stderr)
        finally:
            os._exit(127)
    return supervise(child)


if __name__ == "__main__":
    sys.exit(main())
