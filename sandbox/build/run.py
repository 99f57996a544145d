"""RUN: a sandbox on the layers so far, and its changes as one more layer."""

from __future__ import annotations

import os

from ..containers.users import files_for, resolve
from ..request import DEVNULL, LayeredRoot
from .cache import find, keep, key
from .metadata import PREDEFINED
from .options import BuildFailed
from .stage import PATH
from .workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ..pipeline import Sandbox
    from .dockerfile import Instruction
    from .options import BuildOptions
    from .stage import Building

HOSTNAME = "build"
# Places that the sandbox mounts over and that no layer is to hold, unless there is something in them.
MOUNT_POINTS = ("/proc", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
DEFAULTS = {"policy": "ci", "pids": 512, "nofile": 4096}


def timestamp() -> int | None:
    """SOURCE_DATE_EPOCH: no file of a layer is newer."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(text) if text.isdecimal() and len(text) < 12 else None


def argv_of(state: Building, instruction: Instruction) -> list[str]:
    """The program: the exec form as it is, else by the shell, here-documents behind it as the shell reads them."""
    if instruction.items is not None:
        return list(instruction.items)
    text = instruction.text
    if len(instruction.heredocs) == 1 and text.split() == [text] and text.startswith("<<"):
        return [*state.shell, instruction.heredocs[0].content]  # all of it is the script
    for heredoc in instruction.heredocs:
        text += f"\n{heredoc.content}{heredoc.name}"
    return [*state.shell, text]


def run(
    state: Building, instruction: Instruction, options: BuildOptions, box: Sandbox, where: str,
    network: Callable[[], tuple[Mapping[str, Any], Mapping[str, bytes]]],
) -> bool:  # fmt: skip
    """Do it, or take what an earlier build made of it: was it that? ``network`` gives fields of Request, and
    /etc/hosts and the like. Raises BuildFailed, and what ``Sandbox.run`` raises."""
    argv = argv_of(state, instruction)
    arguments = {n: v for n, v in {**state.given, **state.args}.items() if n in state.args or n in PREDEFINED}
    step = key({"word": "RUN", "layers": state.diff_ids, "argv": argv, "env": state.env, "args": arguments,
                "user": state.config.get("User", ""), "workdir": state.workdir, "ids": options.ids})  # fmt: skip
    text = instruction.written
    if options.cache and (made := find(state.store, step, state.diff_ids)) is not None:
        state.take(made, text)
        return True
    with Workspace(state.store, options.ids) as place:
        layers = _lowers(state, options.ids) or (place.empty,)
        user = resolve(layers, str(state.config.get("User") or ""))
        fields, files = network()
        root = LayeredRoot(layers=layers, upper=place.path, files={**files, **files_for(user, layers)})
        output: Any = DEVNULL if options.output is None else options.output
        env = {"PATH": PATH, "HOME": user.home, **arguments, **state.env}
        result = box.run(argv, **{
            **DEFAULTS, **options.options, **fields, "rootfs": root, "env": env, "workdir": state.workdir,
            "user": f"{user.uid}:{user.gid}", "ids": options.ids, "hostname": HOSTNAME, "stdin": DEVNULL,
            "stdout": output, "stderr": output,
        })  # fmt: skip
        if not result.ok:
            raise BuildFailed(where, text, result)
        blob, _files = place.layer((*MOUNT_POINTS, *files), layers, timestamp(), text)
    try:
        keep(state.store, step, state.add_layer(blob, text))
    finally:
        os.close(blob.fd)
    return False


def _lowers(state: Building, ids: str) -> tuple[str, ...]:
    """The directories of the layers so far, topmost first; unpacked if they are not."""
    image = state.image
    return state.store.lowers(image, ids) if image is not None else ()
