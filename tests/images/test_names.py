"""Names of images: what is one, and what it means."""

from __future__ import annotations

import pytest

from sandbox import RequestError
from sandbox.images.names import parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "host"),
    [
        ("busybox", "busybox:latest", ""),
        ("busybox:1.36", "busybox:1.36", ""),
        ("a/b_c/d__e/f--g.h", "a/b_c/d__e/f--g.h:latest", ""),
        ("localhost/app", "localhost/app:latest", "localhost"),
        ("localhost:5000/app:V_1.x-y", "localhost:5000/app:V_1.x-y", "localhost:5000"),
        ("registry.example.org/team/app", "registry.example.org/team/app:latest", "registry.example.org"),
        ("Host/app", "Host/app:latest", "Host"),
        (f"app@{DIGEST}", "app:latest", ""),
    ],
)
def test_a_name(text: str, full: str, host: str) -> None:
    name = parse(text)
    assert (str(name), name.host) == (full, host)
    assert name.digest == (DIGEST if "@" in text else "")


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "a:", ":tag", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/.", ".a", "a.", "a..b", "a___b",
        "-a", "a_.b", "A", "a b", "a\n", "a\0b", "ä", "a:\n", "a:" + "x" * 129, "a:.x", "x" * 256, "a@", "a@sha256:12",
        f"a@{DIGEST.upper()}", f"a@{DIGEST}0", "host.:80/a", "h_st.x/a", "host:port/a", "host:99999999/a", ":5000/a",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(RequestError, match="^(image|name):"):
        parse(text)
