"""COPY: files of the context, of another stage or of an image, as one more layer.

They travel as a tar into a helper sandbox that has the image's files before it, so the image's own links lead where
they lead in the image, and never out of it.
"""

from __future__ import annotations

import os
from posixpath import join

from ..containers.users import resolve
from ..errors import RequestError
from ..images.copying import Root, copy_in, copy_out
from .cache import find, keep, key
from .context import Context
from .run import MOUNT_POINTS, timestamp
from .variables import expand, words
from .workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..images.model import Image
    from .dockerfile import Instruction
    from .options import BuildOptions
    from .stage import Building


def copy(
    state: Building, instruction: Instruction, options: BuildOptions, context: Context,
    image_of: Callable[[str], Image | None], escape: str,
) -> bool:  # fmt: skip
    """Do it, or take what an earlier build made of it: was it that? ``image_of``: the image that --from names, None
    for an empty one. Raises RequestError."""
    given = instruction.items
    parts = list(given) if given is not None else list(words(expand(instruction.text, state.variables, escape), escape))
    parts = [expand(part, state.variables, escape) for part in parts] if given is not None else parts
    if len(parts) < 2:
        raise RequestError("COPY", instruction.text, "expected sources and a destination")
    *sources, dest = parts
    if len(sources) > 1 and not dest.endswith("/"):
        raise RequestError("COPY", dest, "with several sources the destination ends in '/'")
    target = join(state.workdir, dest)
    chown, mode = instruction.flag("chown") or "", instruction.flag("chmod") or ""
    if mode and not (mode.isdecimal() and len(mode) <= 4 and set(mode) <= set("01234567")):
        raise RequestError("--chmod", mode, "expected up to four octal digits")
    text = instruction.written
    tar = state.store.new_blob()
    try:
        origin = instruction.flag("from")
        if origin is None:
            inline = [(h.name, expand(h.content, state.variables, escape) if h.expand else h.content)
                      for h in instruction.heredocs]  # fmt: skip
            digest, rename = _from_context(context, [s for s in sources if not s.startswith("<<")], inline, tar)
        else:
            digest, rename = _from_image(state, options, image_of(origin), sources, tar)
        step = key({"word": "COPY", "layers": state.diff_ids, "digest": digest, "dest": target, "chown": chown,
                    "mode": mode, "user": state.config.get("User", ""), "ids": options.ids})  # fmt: skip
        if options.cache and (made := find(state.store, step, state.diff_ids)) is not None:
            state.take(made, text)
            return True
        with Workspace(state.store, options.ids) as place:
            layers = state.store.lowers(state.image, options.ids) if state.image is not None else ()
            layers = layers or (place.empty,)
            user = resolve(layers, expand(chown, state.variables, escape)) if chown else None
            os.lseek(tar, 0, os.SEEK_SET)
            copy_in(tar, Root(layers=layers, upper=place.path, ids=options.ids), target,
                    names="auto" if rename else "into", owner=(user.uid, user.gid) if user else None,
                    mode=int(mode, 8) if mode else None)  # fmt: skip
            blob, _files = place.layer(MOUNT_POINTS, layers, timestamp(), text)
    finally:
        os.close(tar)
    try:
        keep(state.store, step, state.add_layer(blob, text))
    finally:
        os.close(blob.fd)
    return False


def _from_context(
    context: Context, wanted: Sequence[str], inline: Sequence[tuple[str, str]], tar: int
) -> tuple[str, bool]:  # fmt: skip
    """Write the tar; (digest of what it holds, is it one file that may be renamed). ``inline``: here-documents."""
    found = [source for word in wanted for source in context.sources(word)]
    with os.fdopen(os.dup(tar), "wb") as file:
        context.write_tar(found, file, timestamp(), inline)
    digest = context.digest(found, "".join(f"{name}\0{content}\0" for name, content in inline))
    alone = len(wanted) + len(inline) == 1 and (bool(inline) or not context.is_directory(wanted[0]))
    return digest, alone


def _from_image(
    state: Building, options: BuildOptions, image: Image | None, wanted: Sequence[str], tar: int
) -> tuple[str, bool]:
    layers = state.store.lowers(image, options.ids) if image is not None else ()
    if not layers or image is None:
        raise RequestError("COPY --from", list(wanted), "the stage is empty")
    found = copy_out(Root(layers=layers, ids=options.ids), [join("/", word) for word in wanted], tar, follow=True)
    digest = " ".join((*(layer.diff_id for layer in image.layers), *wanted))
    return digest, found.kinds == ("file",)
