"""Lines of a Dockerfile that change a config: their forms, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import RequestError
from sandbox.images.changes import apply

BASE: dict[str, Any] = {"Env": ["PATH=/bin", "A=1"], "Cmd": ["old"], "WorkingDir": "/srv", "Labels": {"a": "1"}}


@pytest.mark.parametrize(("line", "key", "value"), [
    ('CMD ["a", "b c"]', "Cmd", ["a", "b c"]),
    ("cmd echo $HOME", "Cmd", ["/bin/sh", "-c", "echo $HOME"]),
    ("CMD [ -f /x ] && y", "Cmd", ["/bin/sh", "-c", "[ -f /x ] && y"]),
    ('ENTRYPOINT ["/init"]', "Entrypoint", ["/init"]),
    ('ENV A=2 "B=x y" C="z"', "Env", ["PATH=/bin", "A=2", "B=x y", "C=z"]),
    ("ENV A two words", "Env", ["PATH=/bin", "A=two words"]),
    ("LABEL b=2 c=", "Labels", {"a": "1", "b": "2", "c": ""}),
    ("EXPOSE 80 53/UDP 8000-8001", "ExposedPorts", {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}}),
    ('VOLUME ["/a b"]', "Volumes", {"/a b": {}}),
    ("VOLUME /a /b", "Volumes", {"/a": {}, "/b": {}}),
    ("WORKDIR sub/../x", "WorkingDir", "/srv/x"),
    ("WORKDIR /", "WorkingDir", "/"),
    ("USER 1000:33", "User", "1000:33"),
    ("STOPSIGNAL SIGQUIT", "StopSignal", "SIGQUIT"),
])  # fmt: skip
def test_lines(line: str, key: str, value: object) -> None:
    before = repr(BASE)
    assert apply(BASE, line)[key] == value
    assert repr(BASE) == before


def test_an_entrypoint_takes_the_words_of_the_old_one_along() -> None:
    assert "Cmd" not in apply(BASE, "ENTRYPOINT /init")


def test_a_shell_of_its_own() -> None:
    assert apply({"Shell": ["/bin/bash", "-ec"]}, "CMD x")["Cmd"] == ["/bin/bash", "-ec", "x"]


@pytest.mark.parametrize("line", [
    "", "RUN x", "CMD", "CMD [1]", "ENV A", "ENV A=1 B", "ENV =x", 'ENV A="', "EXPOSE http", "EXPOSE 80/icmp",
    "EXPOSE 0", "EXPOSE 70000", "VOLUME data", "USER a b", "LABEL x\0=y",
])  # fmt: skip
def test_refused(line: str) -> None:
    with pytest.raises(RequestError):
        apply(BASE, line)
