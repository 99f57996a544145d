"""Which servers of names a sandbox is given."""

from __future__ import annotations

from pathlib import Path

from sandbox.networks.resolver import FORWARD, read


def test_servers(tmp_path: Path) -> None:
    """Those that others reach too; systemd-resolved's own instead of its stub; else one that is forwarded."""
    file, upstream = tmp_path / "resolv.conf", tmp_path / "upstream"
    file.write_text("# by hand\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver x\nsearch a.test b.test\n")
    found = read((), str(file), str(upstream))
    assert found.servers == ("192.0.2.1",) and not found.forward_to
    assert found.text() == b"nameserver 192.0.2.1\nsearch a.test b.test\n"
    file.write_text("nameserver 127.0.0.53\n")
    assert (read((), str(file), str(upstream)).servers, read((), str(file), str(upstream)).forward_to) == (
        (FORWARD,), "127.0.0.53")  # fmt: skip
    upstream.write_text("nameserver 192.0.2.2\n")
    assert read((), str(file), str(upstream)).servers == ("192.0.2.2",)
    file.write_text("nameserver 192.0.2.9\n")
    assert read(("192.0.2.9",), str(file), str(tmp_path / "none")).forward_to == "192.0.2.9"
    assert read((), str(tmp_path / "none")).servers == ()
