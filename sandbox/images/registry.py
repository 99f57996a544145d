"""Pull and push: skopeo(1) speaks to the registry, and everything that it brings is checked as any image is.

Why skopeo: it is what podman's users have, kept up with the registries (tokens, credential files, manifest lists, zstd,
TLS), and a program apart, which gets nothing of ours but a directory. It copies from and to an image layout.
"""

from __future__ import annotations

import os

from ..errors import HostError, RequestError
from .names import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .model import Image
    from .names import Name
    from .store import Store


def pull(
    store: Store, name: str, *, insecure: bool = False, authfile: str = "", unpack: str | None = "single"
) -> Image:  # fmt: skip
    """Fetch an image by its full name, which it keeps. ``insecure``: plain HTTP, or a certificate that nobody vouches
    for, will do. Raises RequestError for a name without a registry and for what the registry says; HostError without
    skopeo."""
    found = _full(name)
    from .formats import import_image

    with store.staging() as stage:
        place = f"{stage.path}/layout"
        wanted = f"{found.repository}@{found.digest}" if found.digest else str(found)
        tls = [f"--src-tls-verify={'false' if insecure else 'true'}"]
        auth = ["--src-authfile", authfile] if authfile else []
        _skopeo(stage.path, ["copy", *tls, *auth, f"docker://{wanted}", f"oci:{place}"], name)
        # By digest it has no tag: it is named by it alone, unless a tag was said too.
        return import_image(store, place, str(found), unpack=unpack)


def push(store: Store, ref: str, to: str = "", *, insecure: bool = False, authfile: str = "") -> str:
    """Send an image to ``to`` (default: its own name); the digest that the registry knows it by. Raises as ``pull``."""
    image = store.open(ref)
    found = _full(to or ref)
    if found.digest:
        raise RequestError("to", to or ref, "a name with a digest cannot be pushed to; name a tag")
    from .formats import export_image

    with store.staging() as stage:
        place = f"{stage.path}/layout"
        export_image(store, image.digest, place, "oci-dir")
        tls = [f"--dest-tls-verify={'false' if insecure else 'true'}"]
        auth = ["--dest-authfile", authfile] if authfile else []
        written = f"{stage.path}/digest"
        words = ["copy", *tls, *auth, "--digestfile", written, f"oci:{place}", f"docker://{found}"]
        _skopeo(stage.path, words, str(found))
        with open(written, encoding="ascii") as file:
            return file.read().strip()


def _full(name: str) -> Name:
    found = parse(name)
    if not found.host:
        raise RequestError("image", name, "name the registry too: HOST/NAME[:TAG]; there is no default one")
    return found


def _skopeo(directory: str, words: Sequence[str], subject: str) -> None:
    """Run it; it dies with us (setpriv(1): PR_SET_PDEATHSIG), and its files lie in our directory."""
    import shutil
    import subprocess

    program, setpriv = shutil.which("skopeo"), shutil.which("setpriv")
    if program is None:
        raise HostError("skopeo is not installed, which speaks to registries", "apt install skopeo")
    if setpriv is None:
        raise HostError("setpriv is not installed", "apt install util-linux")
    command = [setpriv, "--pdeathsig", "KILL", program, "--tmpdir", directory, *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          check=False, env={**os.environ, "TMPDIR": directory})  # fmt: skip
    if done.returncode:
        raise RequestError("image", subject, f"skopeo: {_said(done.stderr.decode('utf-8', 'replace'))}")


def _said(text: str) -> str:
    """Its last line, without the frame of its log: ``time="…" level=fatal msg="…"``."""
    lines = text.strip().splitlines() or ["no reason given"]
    _, found, message = lines[-1].partition("msg=")
    return (message.strip('"').replace('\\"', '"') if found else lines[-1])[:500]
