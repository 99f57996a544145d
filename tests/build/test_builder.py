"""Images from Dockerfiles: each instruction, the cache, stages, contexts, and what fails."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.build.builder import build
from sandbox.build.context import Context
from sandbox.build.options import BuildFailed, BuildOptions
from sandbox.errors import RequestError
from sandbox.images.model import Image
from sandbox.images.store import Store
from tests.image_helper import busybox_image

Make = Callable[..., Image]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    made = Store()
    busybox_image(made, tmp_path)
    return made


@pytest.fixture
def context(tmp_path: Path) -> Path:
    path = tmp_path / "context"
    (path / "src" / "deep").mkdir(parents=True)
    (path / "a.txt").write_text("a\n")
    (path / "src" / "b.txt").write_text("b\n")
    (path / "src" / "deep" / "run.sh").write_text("#!/bin/sh\necho deep\n")
    (path / "src" / "deep" / "run.sh").chmod(0o755)
    (path / "src" / "link").symlink_to("b.txt")
    return path


@pytest.fixture
def make(store: Store, context: Path) -> Make:
    def made(text: str, **options: Any) -> Image:
        (context / "Dockerfile").write_text(text)
        said: list[str] = options.pop("said", [])
        return build(BuildOptions(context=str(context), tell=said.append, **options), store)

    return made


def files(store: Store, image: Image, *paths: str) -> list[str | None]:
    """Contents of files, from the topmost layer that has them."""
    lowers = [Path(path) for path in store.lowers(image)]
    return [next(((lower / p).read_text() for lower in lowers if (lower / p).is_file()), None) for p in paths]


def config(store: Store, image: Image) -> dict[str, Any]:
    return json.loads(store.config(image))["config"]  # type: ignore[no-any-return]


BASE = "FROM busybox\n"


def test_run_changes_files(make: Make, store: Store) -> None:
    image = make(f"{BASE}RUN echo one > /one && rm /etc/os-release\n"
                 'RUN ["/bin/sh", "-c", "cat /one /one > /two"]\n')  # fmt: skip
    assert files(store, image, "one", "two") == ["one\n", "one\none\n"]
    base = store.open("busybox")
    assert [layer.diff_id for layer in image.layers[:1]] == [base.layers[0].diff_id] and len(image.layers) == 3
    document = json.loads(store.config(image))
    assert [h.get("created_by", "") for h in document["history"]][-2].startswith("RUN echo one")
    made = [h for h in document["history"] if not h.get("empty_layer")]
    assert len(made) == len(document["rootfs"]["diff_ids"])


def test_only_changes_are_in_a_layer(make: Make, store: Store) -> None:
    image = make(f"{BASE}RUN echo x > /x\n")
    layer = store.layer_path(image.layers[-1].diff_id)
    store.lowers(image)
    assert [str(p.relative_to(layer)) for p in sorted(Path(layer).rglob("*"))] == ["x"]


def test_variables_and_metadata(make: Make, store: Store) -> None:
    image = make(
        "ARG TAG=latest\nFROM busybox:${TAG}\nARG who=you\nENV HELLO=hi $who=none A=\"x y\"\nWORKDIR /srv\n"
        'WORKDIR app\nLABEL k="v $A"\nUSER 12:34\nEXPOSE 80 53/udp\nVOLUME /data\nSTOPSIGNAL SIGINT\n'
        'ENTRYPOINT ["/bin/echo"]\nCMD $HELLO\n'
        "USER 0\nRUN echo $who $HELLO $(pwd) > /out\n", arguments={"who": "me"}, labels={"more": "1"},
    )  # fmt: skip
    found = config(store, image)
    assert files(store, image, "out") == ["me hi /srv/app\n"]
    assert found["WorkingDir"] == "/srv/app" and found["Labels"] == {"k": "v x y", "more": "1"}
    assert found["Entrypoint"] == ["/bin/echo"] and found["Cmd"] == ["/bin/sh", "-c", "$HELLO"]
    assert set(found["ExposedPorts"]) == {"80/tcp", "53/udp"}
    assert (found["StopSignal"], found["User"], set(found["Volumes"])) == ("SIGINT", "0", {"/data"})
    assert "HELLO=hi" in found["Env"] and "A=x y" in found["Env"] and not any("who" in e for e in found["Env"])


def test_an_entrypoint_takes_the_bases_cmd_away(make: Make, store: Store) -> None:
    make(f'{BASE}CMD ["a"]\n', names=("base",))
    assert "Cmd" not in config(store, make('FROM base\nENTRYPOINT ["b"]\n'))
    assert config(store, make('FROM base\nCMD ["c"]\nENTRYPOINT ["b"]\n'))["Cmd"] == ["c"]


def test_copy(make: Make, store: Store) -> None:
    image = make(f"{BASE}WORKDIR /w\nCOPY a.txt /\nCOPY a.txt named\nCOPY src /s/\nCOPY src/*.txt a.txt many/\n"
                 "COPY a.txt /tmp\nCOPY <<E /made\nhi $HOME\nE\n")  # fmt: skip
    assert files(store, image, "a.txt", "w/named", "s/b.txt", "made") == ["a\n", "a\n", "b\n", "hi \n"]
    assert files(store, image, "w/many/b.txt", "w/many/a.txt", "tmp/a.txt") == ["b\n", "a\n", "a\n"]
    assert files(store, image, "s/deep/run.sh") == ["#!/bin/sh\necho deep\n"]
    lower = next(p for p in store.lowers(image) if os.path.isdir(f"{p}/s/deep"))
    assert os.readlink(f"{lower}/s/link") == "b.txt" and os.access(f"{lower}/s/deep/run.sh", os.X_OK)


def test_copy_goes_through_links_of_the_image_and_not_out(make: Make, store: Store, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    out = f"{tmp_path}/outside"
    start = f"{BASE}RUN mkdir -p /real {out} && ln -s /real /link && ln -s {out} /out\n"
    image = make(f"{start}COPY a.txt /link/\nCOPY a.txt /out/\n")
    assert files(store, image, "real/a.txt", f"{out[1:]}/a.txt") == ["a\n", "a\n"]
    assert not list((tmp_path / "outside").iterdir())
    with pytest.raises(RequestError, match="link to what is not there"):
        make(f"{BASE}RUN ln -s {out} /out\nCOPY a.txt /out/\n")


def test_dockerignore(make: Make, store: Store, context: Path) -> None:
    (context / ".dockerignore").write_text("**/*.txt\n!src/b.txt\nsrc/deep\n")
    image = make(f"{BASE}COPY . /all/\n")
    assert files(store, image, "all/a.txt", "all/src/b.txt", "all/src/deep/run.sh") == [None, "b\n", None]
    with pytest.raises(RequestError, match="no such file"):
        make(f"{BASE}COPY a.txt /\n")


@pytest.mark.parametrize(("source", "why"), [
    ("../x", "'..' leads out"), ("/../x", "'..' leads out"), ("src/../../x", "'..' leads out"),
    ("leads-out", "leads out of the context, to "), ("directory-out/x", "leads out of the context, to "),
    ("directory-out/*", "leads out of the context, to "), ("beside", "leads out of the context, to "),
    ("nothing", "no such file in the context"),
])  # fmt: skip
def test_sources_stay_in_the_context(make: Make, context: Path, source: str, why: str) -> None:
    """What is outside is there, so nothing but the rule keeps it from being copied."""
    (context.parent / "x").write_text("outside")
    (context.parent / "context-2").mkdir()
    (context / "leads-out").symlink_to("/etc/passwd")
    (context / "directory-out").symlink_to(context.parent)
    (context / "beside").symlink_to("../context-2")  # a name that begins as the context's does
    with pytest.raises(RequestError, match=rf"Dockerfile:2: COPY.*{re.escape(why)}"):
        make(f"{BASE}COPY {source} /x\n")


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
def test_what_a_build_reads_itself_stays_in_the_context(make: Make, store: Store, context: Path, name: str) -> None:
    """Its errors would show the lines of a file that a stranger's checkout has a link to."""
    (context.parent / "secret").write_text("password\n")
    (context / name).symlink_to("../secret")
    with pytest.raises(RequestError, match="leads out of the context") as caught:
        build(BuildOptions(context=str(context)), store)
    assert "password" not in str(caught.value)


def test_who_swaps_a_directory_of_the_context_leads_nowhere(context: Path, tmp_path: Path) -> None:
    """Between the look and the reading, where a program writes to the context."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.txt").write_text("secret")
    found = Context(str(context)).sources("src")
    shutil.move(context / "src", tmp_path / "moved")
    (context / "src").symlink_to(tmp_path / "outside")
    tar = io.BytesIO()
    with pytest.raises(RequestError, match="cannot be read"):
        Context(str(context)).write_tar(found, tar)
    with pytest.raises(RequestError, match="cannot be read"):
        Context(str(context)).digest(found)
    assert b"secret" not in tar.getvalue()


def test_stages(make: Make, store: Store) -> None:
    said: list[str] = []
    text = (f"{BASE[:-1]} AS one\nRUN echo built > /result\nFROM busybox AS unused\nRUN exit 1\nFROM one AS two\n"
            "RUN echo two >> /result\nFROM scratch\nCOPY --from=one /result /first\nCOPY --from=2 /result /second\n"
            "COPY --from=busybox /etc/passwd /passwd\n")  # fmt: skip
    image = make(text, said=said)
    assert files(store, image, "first", "second") == ["built\n", "built\ntwo\n"] and len(image.layers) == 3
    assert not any("exit 1" in line for line in said)
    assert any(line.endswith("] COPY --from=one /result /first") for line in said)
    assert files(store, make(text, target="one"), "result") == ["built\n"]
    with pytest.raises(RequestError, match="no such stage"):
        make(text, target="three")


def test_the_cache(make: Make, store: Store, context: Path) -> None:
    text = f"{BASE}RUN head -c 8 /dev/urandom > /r\nCOPY a.txt /\nRUN cat /a.txt > /b\n"
    first, said = make(text), []  # type: tuple[Image, list[str]]
    again = make(text, said=said)
    assert first.id == again.id and sum("earlier build" in line for line in said) == 3
    os.utime(context / "a.txt", (1, 1))
    assert make(text).id == first.id
    (context / "a.txt").write_text("other\n")
    said.clear()
    other = make(text, said=said)
    assert other.layers[1] == first.layers[1] and other.layers[2] != first.layers[2]
    assert sum("earlier build" in line for line in said) == 1 and files(store, other, "b") == ["other\n"]
    assert make(text, cache=False).layers[1] != first.layers[1]
    store.prune()
    assert files(store, make(text), "b") == ["other\n"]


def test_an_argument_is_part_of_the_cache(make: Make, store: Store) -> None:
    text = f"{BASE}ARG v\nRUN echo $v > /v\n"
    assert files(store, make(text, arguments={"v": "1"}), "v") == ["1\n"]
    assert files(store, make(text, arguments={"v": "2"}), "v") == ["2\n"]
    with pytest.raises(RequestError, match="declares no such ARG"):
        make(text, arguments={"w": "1"})


def test_a_step_that_fails(make: Make, store: Store) -> None:
    with pytest.raises(BuildFailed, match=r"Dockerfile:3: RUN exit 7: exit code 7") as raised:
        make(f"{BASE}RUN true\nRUN exit 7\n", names=("never",))
    assert raised.value.result.exit_code == 7
    with pytest.raises(RequestError, match="no such image"):
        store.open("never")
    with pytest.raises(BuildFailed, match="wall time"):
        make(f"{BASE}RUN while :; do :; done\n", options={"wall": 0.3})
    assert not [name for name in os.listdir(f"{store.root}/tmp") if not name.startswith(".")]


@pytest.mark.parametrize(("text", "why"), [
    ("FROM nothing-here\n", "Dockerfile:1: no such image"), (f"{BASE}USER nobody-here\nRUN true\n", "Dockerfile:3"),
    (f"{BASE}COPY a.txt src /x\n", "Dockerfile:2: COPY: with several"),
    (f"{BASE}EXPOSE 99999\n", "Dockerfile:2: no port"),
    (f"{BASE}COPY --chmod=9 a.txt /\n", "octal"), ("FROM scratch\nRUN true\n", "exec failed"),
    (f"FROM --platform=linux/s390x {BASE[5:]}", "this machine builds"), (f"{BASE}ENV A\n", "expected NAME=VALUE"),
])  # fmt: skip
def test_faults(make: Make, text: str, why: str) -> None:
    with pytest.raises((RequestError, BuildFailed), match=why):
        make(text)


def test_the_sandbox_of_a_step(make: Make, store: Store) -> None:
    """No network, no host, the policy of builds; and nothing of ours in the layer."""
    image = make(f"{BASE}RUN cat /etc/hosts > /hosts; tail -n +3 /proc/net/dev | cut -d: -f1 > /net\n")
    assert files(store, image, "hosts") == ["127.0.0.1 localhost build\n::1 localhost\n"]
    assert str(files(store, image, "net")[0]).split() == ["lo"]
    layer = store.layer_path(image.layers[-1].diff_id)
    assert {p.name for p in Path(layer).iterdir()} == {"hosts", "net"}


def test_the_same_again_is_the_same(make: Make, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    text = f"{BASE}COPY src /s/\nRUN echo x > /x\n"
    first = make(text)
    assert make(text, cache=False).id == first.id


def test_ids_of_a_range(make: Make, store: Store) -> None:
    image = make(f"{BASE}RUN echo x > /x && chown 12:34 /x\nCOPY --chown=5:6 a.txt /a\nRUN stat -c %u:%g /x /a > /o\n",
                 ids="range")  # fmt: skip
    lowers = store.lowers(image, "range")
    assert next(Path(p, "o").read_text() for p in lowers if os.path.exists(f"{p}/o")) == "12:34\n5:6\n"
