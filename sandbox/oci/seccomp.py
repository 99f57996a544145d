"""``linux.seccomp``: the profile becomes a policy file, as ``pysandbox policy import`` makes one.

The file is called by its content and kept below the runtime's root, so that the compiled filter of a profile that comes
again is found in the cache.
"""

from __future__ import annotations

import os

from ..errors import PolicyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reader import Node


def profile(linux: Node) -> str | None:
    """The profile as JSON, None if the bundle has none. Raises RequestError for what asks for an agent."""
    if not linux.has("seccomp"):
        return None
    import json

    node = linux.node("seccomp")
    if node.text("listenerPath"):
        node.fail("listenerPath", "the listener of a sandbox is its own; an agent of the engine's cannot have it")
    return json.dumps({"linux": {"seccomp": node.data}})


def policy(text: str, directory: str, capabilities: tuple[str, ...]) -> tuple[str, list[str]]:
    """The path of the policy that a profile amounts to here, made if it is not there yet, and notes.

    Raises PolicyError whose key is the profile's JSON path.
    """
    import hashlib

    from ..policy import oci
    from ..policy.write import to_toml

    machine, kernel = os.uname().machine, os.uname().release.split(".")
    minor = "".join(c for c in kernel[1] if c.isdigit())
    found, notes = oci.read(text.encode(), arch=machine, kernel=(int(kernel[0]), int(minor)),
                            caps=frozenset(capabilities), name="bundle", path="config.json")  # fmt: skip
    written = to_toml(found)
    path = os.path.join(directory, f"{hashlib.sha256(written.encode()).hexdigest()[:32]}.toml")
    if not os.path.exists(path):
        temporary = f"{path}.{os.getpid()}"
        try:
            with open(temporary, "x", encoding="utf-8") as file:
                file.write(written)
            os.rename(temporary, path)
        except OSError as error:
            raise PolicyError(path, 0, "", f"cannot be written: {(error.strerror or '').lower()}") from None
    return path, [f"linux.seccomp: {note}" for note in notes]
