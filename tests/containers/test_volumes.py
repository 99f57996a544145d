"""Volumes: paths of the host, volumes with a name and without, filled from the image at their first use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.containers import volumes
from sandbox.containers.model import VolumeMount
from sandbox.errors import RequestError
from tests.containers.started import Containers


def said(boxes: Containers, script: str, *options: str) -> str:
    return boxes.ok("run", "--rm", "--image", "busybox", *options, "--", "sh", "-c", script)


def test_a_volume_is_filled_once_and_stays(boxes: Containers) -> None:
    script = "ls /etc/os-release; stat -c %a /etc; echo own > /etc/own"
    assert said(boxes, script, "-v", "v:/etc") == "/etc/os-release\n755\n"
    assert said(boxes, "cat /etc/own; rm /etc/os-release", "-v", "v:/etc") == "own\n"
    assert said(boxes, "ls /etc/os-release 2>&1 || true", "-v", "v:/etc").count("No such file") == 1
    assert said(boxes, "ls /d; touch /d/x 2>&1 || echo ro", "-v", "v:/d:ro").endswith("ro\n")
    assert said(boxes, "ls /etc/os-release") == "/etc/os-release\n"  # the image is as it was


def test_a_link_in_the_image_leads_nowhere_else(boxes: Containers) -> None:
    """A volume at a path that leads through a link of the image: followed below the image, never in the helper's own
    root."""
    boxes.ok("run", "--name", "l", "--image", "busybox", "sh", "-c", "mkdir /real; touch /real/f; ln -s /real /link")
    upper = next(Path(boxes.env["PYSANDBOX_DATA"]).glob("containers/*/upper"))
    layers = tuple(str(p) for p in Path(boxes.env["PYSANDBOX_DATA"]).glob("images/layers/single/*/fs"))
    (upper / "way-out").symlink_to("/usr/lib")
    (upper / "up").symlink_to("../../../real")
    (upper / "round").symlink_to("round")
    for target, found in (("/link", ["f"]), ("/up", ["f"]), ("/way-out", []), ("/real/f", []), ("/nosuch", [])):
        data = upper.parent / f"data{target.replace('/', '-')}"
        data.mkdir()
        volumes.copy_up(target, (str(upper), *layers), str(data), "single")
        assert sorted(path.name for path in data.iterdir()) == found, target
    with pytest.raises(Exception, match="too many links"):
        volumes.copy_up("/round", (str(upper), *layers), str(upper.parent / "data-nosuch"), "single")


def test_paths_of_the_host_are_read_only_unless_it_is_said(boxes: Containers, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    assert said(boxes, "touch /d/x || echo ro", "-v", f"{tmp_path}/d:/d").endswith("ro\n")
    assert said(boxes, "touch /d/x || echo ro", "-v", "./d:/d:rw") == ""
    assert (tmp_path / "d/x").exists()
    done = boxes.words("run", "--rm", "--image", "busybox", "-v", "/nosuch:/d", "true")
    assert done.returncode == 125 and "/nosuch" in done.stderr


def test_the_command(boxes: Containers) -> None:
    assert boxes.ok("volume", "create", "a", "b", "-l", "k=v") == "a\nb\n"
    assert "there already" in boxes.words("volume", "create", "a").stderr
    boxes.ok("run", "--name", "c", "--image", "busybox", "-v", "a:/a", "-v", "/anon", "touch", "/a/x", "/anon/y")
    found = {v["name"]: v for v in json.loads(boxes.ok("volume", "ls", "--json"))}
    assert found["a"]["containers"] == ["c"] and found["b"]["labels"] == {"k": "v"} and len(found) == 3
    lines = [line.split() for line in boxes.ok("volume", "ls").splitlines()]
    assert ["a", "c"] in lines and ["b", "-"] in lines and len(lines) == 4, lines
    assert "remove that first" in boxes.words("volume", "rm", "a").stderr
    assert boxes.ok("volume", "prune") == "b\n"
    boxes.ok("rm", "c")
    assert [v["name"] for v in json.loads(boxes.ok("volume", "ls", "--json"))] == ["a"]  # what had no name went with it
    assert boxes.ok("volume", "rm", "a") == "a\n" and boxes.ok("volume", "ls") == "NAME  CONTAINERS\n"
    for name in ("nosuch", "..", ".lock"):
        assert boxes.words("volume", "rm", name).returncode == 125


def test_a_filling_that_was_killed_is_done_again(boxes: Containers) -> None:
    boxes.ok("volume", "create", "v")
    place = Path(boxes.env["PYSANDBOX_DATA"], "volumes/v")
    (place / "data/half").write_text("x")  # and nobody has noted that it is in use
    assert said(boxes, "ls /etc/half 2>&1; ls /etc/group", "-v", "v:/etc").endswith("/etc/group\n")
    assert not (place / "data/half").exists()


@pytest.mark.v2
def test_a_filling_by_a_range_of_ids_that_was_killed_is_done_again(boxes: Containers) -> None:
    script = "mkdir -m 700 /v/closed; touch /v/closed/x; chown -R 7:7 /v/closed"
    said(boxes, script, "-v", "v:/v", "--ids", "range", "--cap-add", "CHOWN")
    place = Path(boxes.env["PYSANDBOX_DATA"], "volumes/v")
    (place / "used").unlink()
    assert "closed" not in said(boxes, "ls /v", "-v", "v:/v", "--ids", "range")
    boxes.ok("volume", "rm", "v")


def test_a_removal_that_was_killed_ends_with_the_next(boxes: Containers) -> None:
    boxes.ok("volume", "create", "v", "w")
    place = Path(boxes.env["PYSANDBOX_DATA"], "volumes")
    (place / "v").rename(place / ".gone-0123")
    boxes.ok("volume", "rm", "w")
    assert not [path for path in place.iterdir() if path.name != ".lock"]


@pytest.mark.parametrize(("text", "found"), [
    ("/a:/b", ("bind", "/a", "/b", False)), ("/a:/b:rw", ("bind", "/a", "/b", True)),
    ("v:/b", ("volume", "v", "/b", True)),
    ("v:/b:ro", ("volume", "v", "/b", False)), ("/b", ("anonymous", "", "/b", True)),
])  # fmt: skip
def test_words(text: str, found: tuple[str, str, str, bool]) -> None:
    kind, source, target, writable = found
    assert volumes.parse(text) == VolumeMount(kind=kind, source=source, target=target, writable=writable)


@pytest.mark.parametrize("text", ["", "a", "a:b", ":/b", "a:/b:xx", "a/b:/c", "a:/b:/c", "-a:/b"])
def test_what_is_no_volume(text: str) -> None:
    with pytest.raises(RequestError):
        volumes.parse(text)
