"""Makes the image of a guest with mmdebstrap: as root, or as a user with a range of subordinate ids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab import LabError, cache
from lab.guests import Guest
from lab.process import die_with_parent

FILES = ("root.img", "vmlinuz", "initrd", "id", "known_hosts")


def namespaces() -> list[str]:
    """What makes a command's mounts and processes end with it; and a user root, if need be."""
    own = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # The user itself is 0 there, so that the files made stay in a folder that is closed to others.
    return own if os.geteuid() == 0 else [*own, "--user", "--map-root-user", "--map-auto"]


def mirror() -> str | None:
    """The Debian archive of this machine's own apt; None where it has none: mmdebstrap has a default."""
    fields = "$(ORIGIN) $(LABEL) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise LabError(f"apt-get indextargets: {error}") from error
    for line in listed.splitlines():
        origin, label, uri = (line.split(" ") + ["", ""])[:3]
        if origin == label == "Debian" and uri:
            return uri
    return None


def discard(folder: Path) -> None:
    """Remove a folder in which a build may have left files of subordinate ids."""
    if folder.exists():
        subprocess.run([*namespaces(), "rm", "-rf", "--", str(folder)], check=True, preexec_fn=die_with_parent)


def build(guest: Guest, folder: Path) -> None:
    """Make the image in ``folder``, which exists; takes a minute."""
    recipe = str(cache.RECIPE / "build.sh")
    archive = mirror()
    command = [*namespaces(), "sh", recipe, str(folder), guest.suite, ",".join(guest.packages),
               " ".join(guest.delegate), *([archive] if archive else [])]  # fmt: skip
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, preexec_fn=die_with_parent, check=False)
    if done.returncode:
        raise LabError(f"the image of {guest.name} cannot be made: {recipe} ended with {done.returncode}, see above")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise LabError(f"the image of {guest.name} lacks {', '.join(missing)}")
