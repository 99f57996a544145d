"""A Dockerfile and a context -> an image in the store: the stages that the target needs, one instruction after the
other."""

from __future__ import annotations

from ..errors import RequestError
from ..images.store import Store
from ..pipeline import Sandbox
from . import copy, run
from .context import Context
from .dockerfile import Dockerfile, Instruction, Stage, fault, parse
from .metadata import PREDEFINED, apply, declare
from .stage import Building
from .variables import expand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from ..images.model import Image
    from ..networks.network import Network
    from .options import BuildOptions

SCRATCH = "scratch"
HOSTS = b"127.0.0.1 localhost build\n::1 localhost\n"


def build(options: BuildOptions, store: Store | None = None) -> Image:
    """Build it; every name of ``options`` moves to the image.

    Raises BuildFailed if a RUN fails; RequestError for what the Dockerfile or the context has wrong, with file and
    line; HostError, SetupError, SupervisorError.
    """
    context = Context(options.context)
    path = options.file or f"{options.context.rstrip('/')}/Dockerfile"
    found = options.file or context.inside("Dockerfile", "build")
    try:
        with open(found, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read((1 << 20) + 1)
    except OSError as error:
        raise RequestError("build", path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    parsed = parse(text, path)
    with Sandbox() as box:
        building = _Build(options, store or Store(), parsed, context, box)
        try:
            return building.build()
        finally:
            building.close()


class _Build:
    def __init__(self, options: BuildOptions, store: Store, file: Dockerfile, context: Context, box: Sandbox) -> None:
        self._options, self._store, self._file, self._context, self._box = options, store, file, context, box
        self._made: dict[int, Building] = {}
        self._globals: dict[str, str] = {}
        self._used: set[str] = set()
        self._done = 0
        self._net: Network | None = None

    def close(self) -> None:
        """End the network of RUN."""
        if self._net is not None:
            self._net.close()
            self._net = None

    def build(self) -> Image:
        for argument in self._file.arguments:
            self._globals.update(declare(argument.text, self._globals, dict(self._options.arguments),
            self._file.escape))
        last = self._target()
        wanted = self._needed(last)
        self._total = sum(1 + len(self._file.stages[number].instructions) for number in wanted)
        for number in sorted(wanted):
            self._made[number] = self._stage(self._file.stages[number])
        self._refuse_unknown_arguments()
        state = self._made[last]
        state.config["Labels"] = {**(state.config.get("Labels") or {}), **self._options.labels} or None
        if not state.config["Labels"]:
            del state.config["Labels"]
        return self._store.add(state.document(), state.layers, self._options.names)

    # ---- which stages -------------------------------------------------------------------------------

    def _target(self) -> int:
        stages, target = self._file.stages, self._options.target
        if not target:
            return len(stages) - 1
        found = self._number(target)
        if found is None:
            names = ", ".join(stage.name for stage in stages if stage.name) or "none has a name"
            raise RequestError("--target", target, f"{self._file.path} has no such stage; there are: {names}")
        return found

    def _number(self, word: str, before: int | None = None) -> int | None:
        """The stage that a name or a number means, of those before ``before``."""
        for number, stage in enumerate(self._file.stages[:before]):
            if word.lower() == stage.name or word == str(number):
                return number
        return None

    def _needed(self, last: int) -> set[int]:
        needed, todo = set(), [last]
        while todo:
            number = todo.pop()
            if number in needed:
                continue
            needed.add(number)
            stage = self._file.stages[number]
            words = [stage.base, *(i.flag("from") or "" for i in stage.instructions)]
            todo += [n for word in words if (n := self._number(word, number)) is not None]
        return needed

    # ---- one stage ----------------------------------------------------------------------------------

    def _stage(self, stage: Stage) -> Building:
        number = self._file.stages.index(stage)
        base = expand(stage.base, self._globals, self._file.escape)
        self._say(f"FROM {base}" + f" AS {stage.name}" * bool(stage.name))
        try:
            image = self._image_of(base, number)
        except RequestError as error:
            raise fault(self._file.path, stage.line, base, error.why) from None
        given = {**self._globals, **self._options.arguments}
        state = Building(image, self._store, given)
        if stage.platform and expand(stage.platform, given).partition("/")[2] != state.value["architecture"]:
            raise fault(self._file.path, stage.line, stage.platform,
                        f"this machine builds linux/{state.value['architecture']} only")  # fmt: skip
        if image is not None and (parent := self._number(base, number)) is not None:
            state.config.update(self._made[parent].config)
        for instruction in stage.instructions:
            self._instruction(state, instruction, number)
        return state

    def _image_of(self, word: str, before: int) -> Image | None:
        number = self._number(word, before)
        if number is not None:
            return self._finished(self._made[number])
        return None if word == SCRATCH else self._store.open(word)

    def _finished(self, state: Building) -> Image | None:
        """A stage as an image without a name, for another one to begin with."""
        if not state.layers:
            return None
        return self._store.add(state.document(), state.layers)

    def _instruction(self, state: Building, instruction: Instruction, number: int) -> None:
        where = f"{self._file.path}:{instruction.line}"
        self._say(instruction.written)
        if instruction.word == "ARG":
            self._used |= {word.partition("=")[0] for word in instruction.text.split()}
        if apply(state, instruction, self._file.path, self._file.escape):
            return
        try:
            if instruction.word == "RUN":
                cached = run.run(state, instruction, self._options, self._box, where, self._network)
            else:
                cached = copy.copy(state, instruction, self._options, self._context,
                                   lambda word: self._image_of(word, number), self._file.escape)  # fmt: skip
        except RequestError as error:
            raise fault(self._file.path, instruction.line, error.value, f"{error.field}: {error.why}") from None
        if cached and self._options.tell is not None:
            self._options.tell("    from an earlier build")

    def _network(self) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        files = {"/etc/hosts": HOSTS, "/etc/hostname": b"build\n", "/etc/resolv.conf": b""}
        if self._options.net == "host":
            try:
                with open("/etc/resolv.conf", "rb") as file:
                    files["/etc/resolv.conf"] = file.read(1 << 16)
            except OSError:
                pass
        if self._options.net != "user":
            return {"net": self._options.net}, files
        if self._net is None:
            from ..networks import open_network
            from ..networks.spec import NetworkSpec

            self._net = open_network(NetworkSpec.parse("user"), self._options.ids, name="build")
        files |= {"/etc/resolv.conf": self._net.resolv, "/etc/hosts": self._net.hosts_text("build")}
        return {"net": "join", "network": self._net.place}, files

    def _refuse_unknown_arguments(self) -> None:
        known = {*self._globals, *self._used, *PREDEFINED}
        for argument in self._file.arguments:
            known |= {word.partition("=")[0] for word in argument.text.split()}
        if unknown := sorted(set(self._options.arguments) - known):
            raise RequestError("--build-arg", unknown[0], f"{self._file.path} declares no such ARG")

    def _say(self, text: str) -> None:
        self._done += 1
        if self._options.tell is not None:
            line = " ".join(text.split())
            self._options.tell(f"[{self._done}/{self._total}] {line[:200]}")


