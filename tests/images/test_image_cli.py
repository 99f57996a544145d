"""``pysandbox image``: what it prints, and how it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.layout_helper import HERE, Layout, tar_of

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def image(pysandbox: Run, tmp_path: Path) -> Run:
    """``pysandbox image`` with a store of the test's own."""

    def run(*words: str, **options: object) -> CompletedProcess[str]:
        return pysandbox("image", *words, env={"PYSANDBOX_DATA": str(tmp_path / "data")}, **options)

    return run


@pytest.fixture
def path(layout: Layout) -> str:
    return layout.write(layout.image(tar_of({"etc/name": b"x"}), tar_of({"a": bytes(3000)})), name="team/app:1")


def test_a_life(image: Run, path: str, tmp_path: Path) -> None:
    assert json.loads(image("import", path, "--json", "-").stdout)["names"] == ["team/app:1"]
    assert image("import", path).stdout == "team/app:1\n"
    assert image("tag", "team/app:1", "app").returncode == 0
    lines = image("ls").stdout.splitlines()
    identity = lines[1].split()[1]
    assert lines[0].split() == ["NAME", "ID", "CREATED", "LAYERS", "SIZE"]
    assert [line.split()[0] for line in lines[1:]] == ["team/app:1", "app:latest"]
    assert image("ls", "-q").stdout == f"{identity}\n"
    (listed,) = json.loads(image("ls", "--json", "-").stdout)
    (known,) = json.loads(image("inspect", identity).stdout)
    assert listed["id"] == known["id"] and listed["names"] == ["team/app:1", "app:latest"]
    assert known["architecture"] == HERE and len(known["layers"]) == 2 and known["notes"] == []
    assert all(Path(layer["unpacked"]["single"]).is_dir() for layer in known["layers"])
    out = str(tmp_path / "out.tar")
    assert image("export", "app", "--format", "docker", "-o", out).stdout == ""
    assert image("rm", "app", "team/app:1").stdout.splitlines()[:2] == ["untagged: app:latest", "untagged: team/app:1"]
    assert image("ls", "-q").stdout == ""
    assert image("import", out, "again:2", "--ids", "none").stdout == "again:2\n"
    assert json.loads(image("prune", "--all", "--json", "-").stdout)["images"] == 1


def test_through_pipes(image: Run, path: str, tmp_path: Path) -> None:
    image("import", path)
    with open(tmp_path / "out", "wb") as file:
        assert image("export", "team/app:1", stdout=file).returncode == 0
    with open(tmp_path / "out", "rb") as file:
        assert image("import", "-", "piped", stdin=file).stdout == "piped:latest\n"


def test_history(image: Run, tmp_path: Path, layout: Layout) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    assert image("import", str(tmp_path / "root"), "--name", "root").stdout == "root:latest\n"
    (step,) = json.loads(image("history", "root", "--json", "-").stdout)
    assert step["created_by"] == "pysandbox image import" and step["size_bytes"] > 0
    image("import", layout.write(layout.image(tar_of({"a": b""}))))
    assert len(image("history", "test:1").stdout.splitlines()) == 2, "a layer that nobody speaks of is a line, too"


def test_what_is_noted(image: Run, layout: Layout) -> None:
    done = image("import", layout.write(layout.image(tar_of({"a": b""}), architecture="vax")))
    assert (
        done.returncode == 0 and done.stderr == f"pysandbox: note: it is for linux/vax, this machine is linux/{HERE}\n"
    )
    assert len(image("import", str(layout.path), "-q").stdout) == 13


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "name one of import, ls"),
        (("shrink",), "name one of import, ls"),
        (("import",), "takes PATH"),
        (("import", "a", "b", "--name", "c"), "the name is given twice"),
        (("import", "/nowhere"), "cannot be read: no such file or directory"),
        (("import", "/etc/hostname", "UPPER"), "lower-case"),
        (("import", "/etc/hostname", "--limit", "many"), "--limit"),
        (("import", "/etc/hostname", "--ids", "both"), "use one of single, range, none"),
        (("inspect",), "takes one NAME or ID"),
        (("inspect", "nothing"), "no such image"),
        (("export", "nothing", "--format", "zip"), "use one of oci, oci-dir, docker, rootfs"),
        (("export", "nothing", "--format", "oci-dir"), "name a directory"),
        (("export", "nothing", "--ids", "range"), "only --format rootfs"),
        (("rm", "nothing"), "no such image"),
        (("tag", "nothing"), "takes NAME|ID and the new name"),
        (("pull", "debian"), "there is no default one"),
        (("ls", "--sort"), "no such option"),
    ],
)
def test_mistakes(image: Run, words: tuple[str, ...], why: str) -> None:
    done = image(*words)
    assert done.returncode == 125 and done.stdout == ""
    assert done.stderr.startswith("pysandbox: ") and why in done.stderr and done.stderr.count("\n") == 1


def test_what_cannot_be_removed_keeps_nothing_else(image: Run, path: str) -> None:
    image("import", path)
    done = image("rm", "nothing", "team/app:1")
    assert done.returncode == 125 and "no such image" in done.stderr and "untagged: team/app:1" in done.stdout


def test_an_image_of_a_container(image: Run, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record is enough: the container need not run."""
    from sandbox.containers import record
    from sandbox.containers.model import ContainerConfig
    from sandbox.images.store import Store

    image("import", path)
    monkeypatch.setenv("PYSANDBOX_DATA", str(tmp_path / "data"))
    identity = Store().open("team/app:1").id
    held = record.create(ContainerConfig(argv=("true",), image=identity, name="web"))
    done = image("rm", "team/app:1")
    assert done.returncode == 125 and "the container web has it" in done.stderr
    assert json.loads(image("prune", "-a", "--json", "-").stdout)["images"] == 0
    assert "kept without a name, the container web has it" in image("rm", "-f", "team/app:1").stdout
    held.end(remove=True)
    assert json.loads(image("prune", "--json", "-").stdout)["images"] == 1
