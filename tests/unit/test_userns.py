"""Maps of a user namespace, written from outside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sandbox import HostError
from sandbox.userns import map_writer, write_map


def test_the_maps_of_a_process_of_ours() -> None:
    with subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; exec cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdin and process.stdout
        if not process.stdout.readline():
            pytest.skip("no user namespace can be made here")
        map_writer("single")(process.pid)
        for name in ("uid_map", "gid_map"):
            assert Path(f"/proc/{process.pid}/{name}").read_text().split()[::2] == ["0", "1"]
        with pytest.raises(HostError, match="gid_map '0 0 1': operation not permitted") as caught:
            write_map(process.pid, "gid_map", "0 0 1", "a second time is none")
        assert caught.value.fix == "a second time is none"
        process.stdin.close()


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(HostError, match=f"the uid_map '0 {os.getuid()} 1': no such file") as caught:
        write_map(process.pid, "uid_map", f"0 {os.getuid()} 1", "start it")
    assert caught.value.fix == "start it"
