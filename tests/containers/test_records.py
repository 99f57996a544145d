"""Records: names and ids, states, the log's format, what is written when."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import locks
from sandbox.containers import find, list_containers, names, record, start
from sandbox.containers.logs import Log, entries
from sandbox.containers.model import ContainerConfig, VolumeMount
from sandbox.containers.options import configure
from sandbox.errors import RequestError
from sandbox.lightjson import dumps, loads


@pytest.fixture
def held(data: Path) -> record.Held:
    volume = VolumeMount(kind="bind", source="/a", target="/b")
    config = ContainerConfig(argv=("a", "\udcff"), name="n", env={"A": "é"}, volumes=(volume,), options={"mem": "1M"})
    return record.create(config)


def test_a_config_comes_back_equal(held: record.Held) -> None:
    assert record.read_config(held.directory) == held.config
    assert record.read_state(held.directory) == held.state
    held.end(remove=True)


def test_found_by_name_id_and_prefix(held: record.Held) -> None:
    for word in ("n", held.id, held.id[:12], held.id[:4]):
        assert find(word).id == held.id
    for word in ("", "m", held.id[:3], "../" + held.id, ".lock", "zzzz"):
        with pytest.raises(RequestError, match="no such container"):
            find(word)
    assert [c.id for c in list_containers()] == [held.id]
    held.end(remove=True)
    assert list_containers() == []


def test_a_name_is_free_again(held: record.Held) -> None:
    with pytest.raises(RequestError, match="is the name of container"):
        record.create(ContainerConfig(argv=("a",), name="n"))
    held.rename("other")
    again = record.create(ContainerConfig(argv=("a",), name="n"))
    assert find("other").id == held.id and find("n").id == again.id
    with pytest.raises(RequestError):
        again.rename("other")
    for one in (held, again):
        one.end(remove=True)
    base = Path(held.directory).parent
    assert not any(os.listdir(base / name) for name in (".names", ".live", ".gone"))


def test_names_and_records_change_under_the_lock_of_all(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at each time that a name is given or taken, for a race would show it by luck alone."""
    free = []
    for step in ("_claim", "_disclaim", "_remove_under_lock"):
        real = getattr(record, step)

        def looked(*words: str, real: Callable[..., Any] = real, **options: bool) -> Any:
            lock = locks.take(f"{data}/containers/.lock")
            if lock >= 0:
                os.close(lock)
            free.append(lock >= 0)
            return real(*words, **options)

        monkeypatch.setattr(record, step, looked)
    held = record.create(ContainerConfig(argv=("a",), name="n"))
    held.rename("other")
    held.end(remove=True)
    half = record.create(ContainerConfig(argv=("a",), name="n"))
    os.unlink(f"{half.directory}/state.json")
    os.close(half.lock)
    record.sweep()
    assert len(free) >= 8 and not any(free)


def test_lost_if_nobody_holds_it(held: record.Held) -> None:
    held.update(state="running")
    assert find("n").running
    os.close(held.lock)  # as the kernel does for a holder that was killed
    state = find("n").state
    assert (state.state, state.exit_status, state.outcome) == ("lost", 125, "lost")
    assert record.read_state(held.directory).state == "lost"
    find("n").remove()


def test_a_half_made_one_is_swept(held: record.Held) -> None:
    os.unlink(f"{held.directory}/state.json")  # killed before it was whole
    os.close(held.lock)
    record.sweep()
    assert not os.path.exists(held.directory)
    record.create(ContainerConfig(argv=("a",), name="n")).end(remove=True)


def test_a_damaged_record_is_named(held: record.Held) -> None:
    Path(held.directory, "state.json").write_text("{")
    with pytest.raises(Exception, match="state.json cannot be read"):
        find("n").state  # noqa: B018
    Path(held.directory, "state.json").write_text(dumps(held.state.asdict()))
    held.end(remove=True)


@pytest.mark.parametrize("name", ["", "-a", "a/b", "..", "a b", "a" * 64, "é", "_a"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(RequestError):
        names.check("--name", name)


def test_json_without_the_package() -> None:
    for value in ({"a": [1, -2.5, None, True, "é\udcff\n"]}, [], "x", {"n": {"m": []}}, 10**20):
        assert loads(dumps(value)) == value == json.loads(dumps(value))
    assert loads(' \n{"a": 1}\n') == {"a": 1}
    for bad in ("", "{", "{}x", "nul", '{"a" 1}'):
        with pytest.raises(ValueError):
            loads(bad)
    with pytest.raises(TypeError):
        dumps({"a": b""})


def test_the_log_is_bounded_and_whole(data: Path, held: record.Held) -> None:
    log = Log(held.directory, max_bytes=20_000)
    for number in range(1000):
        log.write(b"stdout", f"line {number}\n".encode())
    log.write(b"stderr", b"a\nb")
    log.close()
    assert sum(os.path.getsize(f"{held.directory}/{name}") for name in ("log", "log.1")) <= 20_000
    found = list(entries(find("n")))
    assert [e.data for e in found[-2:]] == [b"a\n", b"b"] and found[0].data.startswith(b"line ")
    numbers = [int(e.data.split()[1]) for e in found[:-2]]
    assert numbers == list(range(numbers[0], 1000))
    assert [e.data for e in entries(find("n"), tail=2)] == [b"a\n", b"b"]
    assert not list(entries(find("n"), since_ns=found[-1].time_ns + 1))
    held.end(remove=True)


def test_control_is_for_our_own_processes_and_goes_with_it(data: Path) -> None:
    container = start(configure(["sleep", "60"], name="c"))
    assert container.call("state")["name"] == "c"
    assert os.stat(f"{container.directory}/..").st_mode & 0o077 == 0
    container.kill()
    assert container.wait() == 137
    assert not os.path.exists(f"{container.directory}/control")
    container.remove()
