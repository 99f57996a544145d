"""In the user namespace of an engine, as rootless podman makes one: ids one to one, and the engine's network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TREE
from tests.oci import bundles
from tests.slowness import SLOW

ENGINE = ["unshare", "--user", "--map-root-user", "--map-auto", "--mount", "sh", "-ec"]


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A bundle for whom is root of such a namespace; what its root holds belongs to you."""
    tried = subprocess.run([*ENGINE, "true"], check=False, capture_output=True)
    if shutil.which("newuidmap") is None or tried.returncode:
        pytest.skip("unshare --map-auto does not work here")
    for name in ("shared", "shm"):
        (tmp_path / name).mkdir()
    (tmp_path / "hosts").write_text("127.0.0.1 here\n")
    bundles.rootfs(tmp_path / "rootfs")
    return tmp_path


def inside(bundle: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A shell script as root of the namespace, with ``oci`` as a command in it."""
    oci = f'oci() {{ {sys.executable} -P -m sandbox.cli oci --root "{bundle}/state" "$@"; }}; cd "{bundle}"; '
    return subprocess.run([*ENGINE, oci + script], env={**os.environ, "PYTHONPATH": str(TREE)}, text=True, check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * SLOW)  # fmt: skip


def config(script: str, **places: object) -> dict[str, object]:
    return bundles.changed(bundles.podman(), process__args=["/bin/sh", "-c", script], root__readonly=False, **places)


def test_ids_are_those_of_the_engine(engine: Path) -> None:
    script = "id -u; cat /proc/self/uid_map; touch /root/mine; touch /mnt/other; chown 5:6 /mnt/other"
    bundles.write(engine, config(script))
    done = inside(engine, "oci run x; stat -c '%u %g' shared/other rootfs/root/mine; rm shared/other")
    assert done.returncode == 0, done
    first, *rest = done.stdout.splitlines()
    assert first == "0" and [line.split() for line in rest[:-2]] == [["0", "0", "1"], ["1", "1", "65535"]], done
    assert rest[-2:] == ["5 6", "0 0"]
    assert (engine / "rootfs/root/mine").stat().st_uid == os.geteuid(), "root inside is who started the engine"


def test_a_network_of_the_engine_is_entered(engine: Path) -> None:
    names = [{"type": name} for name in ("pid", "ipc", "uts", "mount")]
    script = ("unshare --net sleep 100 & trap 'kill $!' EXIT; sleep 0.5; readlink /proc/$!/ns/net; "
              "ln -s /proc/$!/ns/net net; oci run x")  # fmt: skip
    places = {"linux__namespaces": [*names, {"type": "network", "path": str(engine / "net")}]}
    hook = [{"path": "/bin/sh", "args": ["sh", "-c", f"readlink /proc/self/ns/net > {engine}/looked"], "env": []}]
    bundles.write(engine, config("ls -l /proc/self/ns/net", hooks={"prestart": hook}, **places))
    done = inside(engine, script)
    entered, shown = done.stdout.splitlines()
    assert entered.startswith("net:[") and shown.endswith(entered), done
    assert (engine / "looked").read_text().strip() == os.readlink("/proc/self/ns/net"), "hooks run in the engine's own"
    places = {"linux__namespaces": [*names, {"type": "network", "path": "/nowhere"}]}
    bundles.write(engine, config("true", **places))
    failed = inside(engine, "oci run x")
    assert failed.returncode == 125 and "network namespace /nowhere cannot be entered: no such file" in failed.stderr


def test_a_user_of_the_image(engine: Path) -> None:
    user = {"uid": 33, "gid": 44}
    bundles.write(engine, config("id -u; id -g; chown 0 /mnt 2>&1 || echo refused", process__user=user))
    assert inside(engine, "oci run x").stdout.splitlines()[::3] == ["33", "refused"]


def test_root_of_the_host_is_refused(engine: Path) -> None:
    """It is told by a namespace in which 0 is 0 outside: here outside is the engine's, for no test is root."""
    bundles.write(engine, config("true"))
    maps = "printf '0 0 1\\n1 1 65535\\n'"
    done = inside(engine, f"unshare --user sleep 20 & sleep 0.3; {maps} > /proc/$!/uid_map; {maps} > /proc/$!/gid_map; "
                          f"nsenter -t $! -U -S 0 -G 0 {sys.executable} -P -m sandbox.cli oci --root $PWD/s run x || "
                          "kill $!")  # fmt: skip
    assert "engines without root, and this is root" in done.stderr, done
