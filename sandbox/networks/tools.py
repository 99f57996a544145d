"""The programs that make and configure networks, and how they are called: packages of every distribution."""

from __future__ import annotations

import os
import subprocess

from ..errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 60
PACKAGES = {"unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux", "cat": "coreutils",
            "tee": "coreutils", "ip": "iproute2", "tc": "iproute2", "nft": "nftables", "pasta": "passt",
            "slirp4netns": "slirp4netns"}  # fmt: skip
# Users have no sbin in their PATH on Debian; ip, tc and nft are there.
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def look_for(program: str) -> str:
    """Its path, "" if it is not installed."""
    for directory in (*os.environ.get("PATH", os.defpath).split(":"), *_SBIN):
        path = f"{directory}/{program}"
        if directory.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def find(program: str, purpose: str) -> str:
    """Its path. Raises HostError."""
    path = look_for(program)
    if not path:
        raise HostError(f"{program} is not installed, and {purpose} needs it", f"apt install {PACKAGES[program]}")
    return path


def environment() -> dict[str, str]:
    """What the tools get: messages in English, which we pass on, and nothing of the caller's."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def entering(*, user: int, net: int | None = None, pid: int | None = None, as_root: bool) -> list[str]:
    """The start of a command line that acts in namespaces, given as fds.

    A caller who is 0 in the user namespace already stays who it is, as setgroups(2) may be denied there; root becomes
    who is 0 there.
    """
    words = [find("nsenter", "a network"), f"--user=/proc/self/fd/{user}"]
    if not as_root:
        words.append("--preserve-credentials")
    if net is not None:
        words.append(f"--net=/proc/self/fd/{net}")
    if pid is not None:
        words.append(f"--pid=/proc/self/fd/{pid}")
    return words


def call(command: Sequence[str], *, what: str, text: str = "", fds: Sequence[int] = (), fix: str = "") -> str:
    """Run a tool to its end; its output. Raises HostError with the last line of what it said about ``what``."""
    try:
        done = subprocess.run(list(command), input=text, capture_output=True, text=True, errors="replace", check=False,
                              pass_fds=tuple(fds), timeout=TIMEOUT_S, env=environment(), cwd="/",
                              start_new_session=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise HostError(f"{what} cannot be done: {command[0]} did not end within {TIMEOUT_S} s", fix) from None
    except OSError as error:
        raise HostError(f"{command[0]} cannot be run: {(error.strerror or '').lower()}", fix) from error
    if done.returncode != 0:
        raise HostError(f"{what} cannot be done: {said(done.stderr or done.stdout)}", fix)
    return done.stdout


def said(text: str) -> str:
    """The line of a tool's messages that tells most: the first that is an error, without noise."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and "to syslog" not in line and not line.startswith("Usage")]
    errors = [line for line in lines if "rror" in line or "ailed" in line or "annot" in line or "answers" in line
              or "ouldn't" in line]  # fmt: skip
    return (errors or lines or ["no reason given"])[0][:300]
