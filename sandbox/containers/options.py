"""What was asked and what the image says, put together to a ContainerConfig (image-spec, config.md, and its conversion
to a runtime configuration, conversion.md).

The words of the command line and of Python are the same; those that are no matter of containers go on to the run as
they are.
"""

from __future__ import annotations

from posixpath import isabs

from ..errors import RequestError
from .model import ContainerConfig, VolumeMount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..images.model import Image, ImageConfig

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Options of a run that an image has no use for, or that have another meaning with one.
_NOT_WITH_IMAGE = ("rootfs", "without", "isolation")
# Fields of ContainerConfig that go through as they are.
_PLAIN = ("upper", "read_only", "bandwidth")


def configure(argv: Sequence[str], *, image: str = "", name: str = "", entrypoint: str | None = None,
              env: Mapping[str, str] | None = None, env_file: Sequence[str] = (), volumes: Sequence[str] = (),
              user: str | int | None = None, workdir: str | None = None, hostname: str | None = None,
              net: str | None = None,
              publish: Sequence[str] = (), publish_all: bool = False, allow: Sequence[str] = (),
              labels: Mapping[str, str] | None = None, stop_signal: str | int | None = None, remove: bool = False,
              tty: bool = False, interactive: bool = False, detach: bool = False, found: Image | None = None,
              **others: Any) -> ContainerConfig:  # fmt: skip
    """The config of a container of ``image`` (a name, an id; "": the host's system) that runs ``argv``.

    ``others``: upper, read_only, bandwidth, and any other field of Request. ``found``: the image, if it was looked up.
    Raises RequestError.
    """
    if image and found is None:
        from ..images.store import Store

        found = Store().open(image)
    says = found.config if found is not None else None
    if says is not None and (wrong := [field for field in _NOT_WITH_IMAGE if others.get(field)]):
        raise RequestError(wrong[0], others[wrong[0]], "cannot be had together with an image")
    upper = others.get("upper", "disk")
    if upper not in ("disk", "tmpfs", "fuse"):
        raise RequestError("--upper", upper, "expected disk, tmpfs or fuse")
    if says is None and (wrong := [field for field in ("upper", "read_only", "entrypoint") if others.get(field)]):
        raise RequestError(f"--{wrong[0].replace('_', '-')}", others[wrong[0]], "needs an image")
    if says is None and entrypoint is not None:
        raise RequestError("--entrypoint", entrypoint, "needs an image")
    final_env = _env(says, env or {}, env_file, tty)
    signal = stop_signal if stop_signal is not None else (says.stop_signal if says is not None else "") or "TERM"
    if signal != "TERM":
        from .signals import signal_number

        signal_number("--stop-signal", signal)
    options = {field: value for field, value in others.items() if field not in _PLAIN and value is not None}
    if interactive:
        options["interactive"] = True
    if tty:
        options["tty"] = True
    if net is None:
        net = "user" if publish or publish_all or allow or others.get("bandwidth") else "none"
    return ContainerConfig(
        argv=_argv(says, argv, entrypoint), image=found.id if found is not None else "",
        image_name=_image_name(found, image), name=name, env=final_env,
        user=str(user) if user is not None else says.user if says is not None else "",
        workdir=workdir or (says.workdir if says is not None else "") or "", hostname=hostname or "",
        volumes=_volumes(says, volumes), net=net, publish=(*publish, *(_exposed(says) if publish_all else ())),
        allow=tuple(allow), labels={**(says.labels if says is not None else {}), **(labels or {})},
        stop_signal=str(signal), remove=remove, tty=tty, detached=detach, options=options,
        **{field: others[field] for field in _PLAIN if others.get(field) is not None},
    )  # fmt: skip


def _argv(says: ImageConfig | None, words: Sequence[str], entrypoint: str | None) -> tuple[str, ...]:
    """Words replace Cmd and follow Entrypoint; an entrypoint of the caller's replaces both (conversion.md)."""
    if says is None:
        argv = tuple(words)
    elif entrypoint is not None:
        argv = ((entrypoint,) if entrypoint else ()) + tuple(words)
    else:
        argv = (*says.entrypoint, *(words or says.cmd))
    if not argv or not argv[0]:
        why = "no program was named" + ("" if says is None else ", and the image has neither Entrypoint nor Cmd")
        raise RequestError("run", "", f"{why}; see pysandbox help run")
    return argv


def _image_name(found: Image | None, asked: str) -> str:
    if found is None:
        return ""
    return next((name for name in found.names if asked in name), found.names[0] if found.names else asked)


def _env(says: ImageConfig | None, own: Mapping[str, str], files: Sequence[str], tty: bool) -> dict[str, str]:
    merged: dict[str, str] = {}
    if says is not None:
        merged = {"PATH": PATH, **({"TERM": "xterm"} if tty else {}), **dict(says.env)}
    for path in files:
        merged |= read_env_file(path)
    return {**merged, **own}


def read_env_file(path: str) -> dict[str, str]:
    """Lines of NAME=VALUE; empty ones and those with # in front do not count. Raises RequestError."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(1 << 20).splitlines()
    except (OSError, ValueError) as error:
        raise RequestError("--env-file", path, f"cannot be read: {getattr(error, 'strerror', error)}") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            name, equals, value = line.partition("=")
            if not equals or not name.strip():
                raise RequestError("--env-file", f"{path}:{number}", "expected NAME=VALUE")
            found[name.strip()] = value
    return found


def _volumes(says: ImageConfig | None, words: Sequence[str]) -> tuple[VolumeMount, ...]:
    """Those that were asked for, and a new one without a name for each place that the image declares and nobody has."""
    if not words and not (says is not None and says.volumes):
        return ()
    from . import volumes as volume_words
    from .names import new_id

    asked = [volume_words.parse(word) for word in words]
    targets = [mount.target.rstrip("/") for mount in asked]
    for target in targets:
        if targets.count(target) > 1:
            raise RequestError("--volume", target, "two volumes have this place")
    for place in says.volumes if says is not None else ():
        if not isabs(place):
            raise RequestError("image", place, "declares a volume whose path is not absolute")
        if place.rstrip("/") not in targets:
            asked.append(VolumeMount(kind=volume_words.ANONYMOUS, source="", target=place))
    return tuple(m.replace(source=new_id()[:63]) if m.kind == volume_words.ANONYMOUS else m for m in asked)


def _exposed(says: ImageConfig | None) -> tuple[str, ...]:
    """PORT or PORT/PROTOCOL (config.md): to which address and port of the host it leads is not for an image to say."""
    found = tuple(says.exposed_ports) if says is not None else ()
    for port in found:
        if ":" in port:
            raise RequestError("image", port, "exposes what is no port; use -p in place of -P")
    return found
