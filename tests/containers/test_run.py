"""``run`` with an image: what the image says, what the command line says over it, where changes go, who the program
is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.containers import start
from sandbox.containers.options import configure
from sandbox.errors import RequestError
from sandbox.images.model import Image, ImageConfig
from tests.containers.started import Containers
from tests.runs.test_layers_root import MEMORY
from tests.slowness import SLOW


def said(boxes: Containers, script: str, *options: str) -> str:
    return boxes.ok("run", "--rm", "--image", "busybox", *options, "--", "sh", "-c", script)


def image(**config: Any) -> Image:
    return Image(id="sha256:" + "0" * 64, digest="", names=("a:latest",), config=ImageConfig(**config), layers=())


@pytest.mark.v2
def test_a_container_of_an_image(boxes: Containers) -> None:
    script = "id -u; pwd; echo $HOME $HOSTNAME; cat /etc/hostname; cat /etc/os-release; touch /made && ls -d /made"
    lines = said(boxes, script, "--hostname", "inner").splitlines()
    assert lines[:4] == ["0", "/", "/root inner", "inner"] and "ID=busybox" in lines and lines[-1] == "/made"


def test_containers_of_an_image_do_not_see_each_other(boxes: Containers, image_data: Path) -> None:
    layers = list(image_data.glob("images/layers/single/*/fs"))
    before = sorted(str(path) for path in layers[0].rglob("*"))
    for name in ("one", "two"):
        script = f"ls /; echo {name} > /{name}"
        done = boxes.words("run", "--image", "busybox", "--name", name, "--", "sh", "-c", script)
        assert done.returncode == 0 and "one" not in done.stdout.split()
    assert sorted(str(path) for path in layers[0].rglob("*")) == before
    found = list(Path(boxes.env["PYSANDBOX_DATA"]).glob("containers/*/upper/one"))
    assert len(found) == 1 and found[0].read_text() == "one\n"
    assert boxes.ok("logs", "one").startswith("bin\n")


def test_streams_signals_and_status_are_those_of_a_run(boxes: Containers) -> None:
    done = boxes.words("run", "--rm", "--image", "busybox", "sh", "-c", "cat; echo err >&2; exit 3", input="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\n", "err\n")
    assert boxes.words("run", "--rm", "--image", "busybox", "/nosuch").returncode == 127
    done = boxes.words("run", "--rm", "--image", "busybox", "--json", "-", "sh", "-c", "echo out; kill -9 $$")
    result = json.loads(done.stdout)
    assert (result["outcome"], result["signal"], result["stdout"]) == ("signaled", 9, "out\n")
    assert boxes.words("run", "--rm", "--image", "busybox", "--wall", "200ms", "sleep", "60").returncode == 124


def test_what_is_left(boxes: Containers) -> None:
    said(boxes, "true")
    boxes.ok("run", "--name", "kept", "--image", "busybox", "true")
    folders = [p for p in Path(boxes.env["PYSANDBOX_DATA"], "containers").iterdir() if not p.name.startswith(".")]
    assert [json.loads((p / "state.json").read_text())["name"] for p in folders] == ["kept"]
    assert boxes.ok("rm", "kept") == "kept\n"
    assert not list(folders[0].parent.glob("[!.]*"))
    assert boxes.words("rm", "kept").returncode == 125


def test_users(boxes: Containers, image_data: Path) -> None:
    assert said(boxes, "id -u; id -g; echo $HOME", "-u", "user") == "1000\n1000\n/home/user\n"
    assert said(boxes, "id -g", "-u", "user:users") == "100\n"
    # an id that the image does not know has a name all the same, and the image's other users are there
    assert said(boxes, "id -un; grep -c : /etc/passwd", "-u", "77:78") == "sandbox\n3\n"
    done = boxes.words("run", "--rm", "--image", "busybox", "-u", "nosuch", "true")
    assert done.returncode == 125 and "no user 'nosuch'" in done.stderr


@pytest.mark.v2
def test_a_range_of_ids(boxes: Containers) -> None:
    script = "id -u; touch /tmp/a; stat -c %u /tmp/a /bin/busybox; chmod 0 /tmp"
    done = boxes.words("run", "--name", "r", "--image", "busybox", "--ids", "range", "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, "0\n0\n0\n"), done.stderr
    assert boxes.ok("rm", "r") == "r\n"
    assert not list(Path(boxes.env["PYSANDBOX_DATA"], "containers").glob("[!.]*"))


def test_read_only_and_in_memory(boxes: Containers) -> None:
    assert "Read-only" in said(boxes, "touch /x 2>&1; touch /t/x && echo ok", "--read-only", "--tmpfs", "/t")
    if not MEMORY:
        pytest.skip("an upper in memory needs Linux 6.6")
    done = boxes.words("run", "--image", "busybox", "--name", "m", "--upper", "tmpfs", "--disk", "1M", "--", "sh", "-c",
                       "dd if=/dev/zero of=/big bs=1M count=4; ls /big")  # fmt: skip
    assert "No space left" in done.stderr and done.stdout == "/big\n"
    assert not list(Path(boxes.env["PYSANDBOX_DATA"]).glob("containers/*/upper/big"))


def test_the_cap_on_an_upper_on_disk(boxes: Containers) -> None:
    script = "mkdir /d; for i in 1 2 3 4; do dd if=/dev/zero of=/d/$i bs=1M count=4 2>/dev/null; done; sleep 60"
    done = boxes.words("run", "--rm", "--image", "busybox", "--disk", "8M", "--json", "-", "sh", "-c", script,
                       timeout=30 * SLOW)  # fmt: skip
    result = json.loads(done.stdout)
    assert result["outcome"] == "disk" and "8M are allowed" in result["causes"][0]["detail"]
    done = boxes.words("run", "--rm", "--image", "busybox", "--inodes", "20", "--json", "-", "sh", "-c",
                       "mkdir /d; for i in $(seq 50); do touch /d/$i; done; sleep 60")  # fmt: skip
    result = json.loads(done.stdout)
    assert result["outcome"] == "disk" and "20 are allowed" in result["causes"][0]["detail"]
    assert result["enforced"]["inodes"] == "the monitor, by looking"
    hidden = "mkdir /d; cd /d; chmod 0 /d; sleep 60"
    done = boxes.words("run", "--rm", "--image", "busybox", "--disk", "8M", "--json", "-", "sh", "-c", hidden)
    assert json.loads(done.stdout)["outcome"] == "disk"
    done = boxes.words("run", "--rm", "--image", "busybox", "--disk", "8M", "--ids", "range", "true")
    assert done.returncode == 125 and "--upper tmpfs" in done.stderr


def test_variables(boxes: Containers, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# comment\n\nA=file\nB=b c\n")
    assert said(boxes, "echo $A/$B/$USER", "--env-file", "env", "-e", "A=own") == "own/b c/\n"
    (tmp_path / "env").write_text("A=1\nBROKEN\n")
    assert "env:2" in boxes.words("run", "--rm", "--image", "busybox", "--env-file", "env", "true").stderr


def test_a_terminal(boxes: Containers) -> None:
    done = boxes.words("run", "--rm", "-it", "--image", "busybox", "sh", "-c", "tty; echo $TERM")
    assert done.stdout.split() == ["/dev/pts/0", "xterm"]
    boxes.ok("run", "-dt", "--name", "t", "--image", "busybox", "sh", "-c", "tty; echo $TERM")
    assert boxes.ok("wait", "t") == "0\n"
    assert boxes.ok("logs", "t").split() == ["/dev/pts/0", "xterm"]


def test_files_of_ours_do_not_end_up_in_the_upper(boxes: Containers) -> None:
    boxes.ok("run", "--image", "busybox", "--name", "f", "-u", "5", "sh", "-c", "cat /etc/hosts /etc/passwd")
    (upper,) = Path(boxes.env["PYSANDBOX_DATA"]).glob("containers/*/upper")
    assert not [path for path in upper.rglob("*") if path.is_file() and path.stat().st_size]


def test_nothing_slow_is_imported(boxes: Containers, pysandbox_env: dict[str, str]) -> None:
    """What it costs beside a plain run is bounded, and imports are the most of it."""
    code = ("import sys; before = set(sys.modules); from sandbox.cli.main import main; "
            "assert main(['run', '--rm', '--image', 'busybox', 'true']) == 0; print(*(set(sys.modules) - before))")
    environ = {**pysandbox_env, **boxes.env}

    def loaded() -> set[str]:
        done = subprocess.run([sys.executable, "-P", "-c", code], env=environ, capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL)  # fmt: skip
        return set(done.stdout.split())

    loaded()  # fills the caches
    assert "sandbox.containers.monitor" in (found := loaded())
    slow = {"json", "re", "enum", "typing", "dataclasses", "socket", "array", "subprocess", "pathlib", "shutil",
            "hashlib", "functools", "collections", "tempfile", "threading", "ctypes", "signal"}  # fmt: skip
    slow |= {"sandbox.containers.control", "sandbox.cgroup.v1", "sandbox.containers.logs"}
    assert not found & slow


@pytest.mark.parametrize(("says", "words", "entrypoint", "argv"), [
    ({"cmd": ("a", "b")}, [], None, ("a", "b")),
    ({"cmd": ("a", "b")}, ["x"], None, ("x",)),
    ({"entrypoint": ("e",), "cmd": ("a",)}, [], None, ("e", "a")),
    ({"entrypoint": ("e",), "cmd": ("a",)}, ["x", "y"], None, ("e", "x", "y")),
    ({"entrypoint": ("e",), "cmd": ("a",)}, [], "o", ("o",)),
    ({"entrypoint": ("e",), "cmd": ("a",)}, ["x"], "o", ("o", "x")),
    ({"entrypoint": ("e",), "cmd": ("a",)}, ["x"], "", ("x",)),
    ({"entrypoint": ("/bin/sh", "-c", "echo"), "cmd": ()}, [], None, ("/bin/sh", "-c", "echo")),
])  # fmt: skip
def test_entrypoint_and_cmd(
    says: dict[str, Any], words: list[str], entrypoint: str | None, argv: tuple[str, ...]
) -> None:
    assert configure(words, image="a", entrypoint=entrypoint, found=image(**says)).argv == argv


def test_what_the_image_says() -> None:
    found = image(cmd=("a",), env=(("PATH", "/p"), ("A", "1")), workdir="/w", user="u:g", stop_signal="SIGUSR1",
                  volumes=("/data", "/other"), exposed_ports=("80/tcp",), labels={"l": "1"})  # fmt: skip
    config = configure([], image="a", found=found, env={"A": "2"}, volumes=["v:/data/"], labels={"m": "2"},
                       publish_all=True)  # fmt: skip
    assert config.env == {"PATH": "/p", "A": "2"}
    assert (config.workdir, config.user, config.stop_signal) == ("/w", "u:g", "SIGUSR1")
    assert [(v.kind, v.target) for v in config.volumes] == [("volume", "/data/"), ("anonymous", "/other")]
    assert config.labels == {"l": "1", "m": "2"} and config.publish == ("80/tcp",) and config.net == "user"
    over = configure([], image="a", found=found, workdir="/x", user=0, stop_signal="INT", net="none")
    assert (over.workdir, over.user, over.stop_signal, over.net) == ("/x", "0", "INT", "none")


@pytest.mark.parametrize(("options", "field"), [
    ({"rootfs": "/"}, "rootfs"), ({"isolation": "landlock"}, "isolation"), ({"upper": "x"}, "--upper"),
    ({"volumes": ["a:b"]}, "--volume"), ({"volumes": ["v:/a", "w:/a"]}, "--volume"),
    ({"volumes": ["a/b:/c"]}, "--volume"),
    ({"stop_signal": "NOSUCH"}, "--stop-signal"), ({"env_file": ["/nosuch"]}, "--env-file"),
])  # fmt: skip
def test_what_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        configure(["x"], image="a", found=image(), **options)
    assert caught.value.field == field


def test_no_program_at_all() -> None:
    with pytest.raises(RequestError, match="neither Entrypoint nor Cmd"):
        configure([], image="a", found=image())


def test_a_detached_fault_is_told_and_leaves_nothing(boxes: Containers) -> None:
    done = boxes.words("run", "-d", "--name", "x", "--image", "busybox", "-u", "nosuch", "true")
    assert done.returncode == 125 and "no user" in done.stderr and done.stdout == ""
    done = boxes.words("run", "-d", "--name", "x", "--cgroup", "none", "--mem", "64M", "true")
    assert done.returncode == 125 and "mem cannot be enforced" in done.stderr
    assert not list(Path(boxes.env["PYSANDBOX_DATA"], "containers").glob("[!.]*"))


def test_from_python(data: Path) -> None:
    container = start(configure(["sh", "-c", "echo a; printf b; exit 5"], image="busybox", name="p"))
    assert container.wait() == 5 and container.name == "p"
    assert [(e.stream, e.data) for e in container.logs()] == [("stdout", b"a\n"), ("stdout", b"b")]
    container.remove()
    with pytest.raises(RequestError, match="has been removed"):
        _ = container.state
