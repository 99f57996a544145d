"""The public face: these names, and each of them is there."""

from __future__ import annotations

import inspect
import pickle

import pytest

import sandbox

NAMES = [
    "CAPTURE", "DEVNULL", "INHERIT", "STDOUT", "Allow", "Cause", "Denial", "HandOver", "HostError", "Kill",
    "Notification", "PolicyError", "Refuse", "RequestError", "Result", "Return", "Sandbox", "SandboxError",
    "SetupError", "SupervisorError", "Usage", "arun", "run",
]  # fmt: skip
ERRORS = {
    "RequestError": ("mem", "1Q", "unknown unit"), "PolicyError": ("file.toml", 3, "rules", "no such key"),
    "HostError": ("no cgroup", "run setup"), "SetupError": ("Bind", 4, "show /usr", 13, "share it"),
    "SupervisorError": ("lost",), "SandboxError": ("any",),
}  # fmt: skip


def test_names() -> None:
    assert sorted(sandbox.__all__) == sorted(NAMES)
    assert dir(sandbox) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there_and_documented(name: str) -> None:
    value = getattr(sandbox, name)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_others_are_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sandbox.nothing


def test_version() -> None:
    assert [part.isdigit() for part in sandbox.__version__.split(".")[:3]] == [True] * 3


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    """One tree, one line each, and picklable: a pool of processes passes them on."""
    error = getattr(sandbox, name)(*ERRORS[name])
    assert isinstance(error, sandbox.SandboxError)
    text = str(error)
    assert text and "\n" not in text and not text.endswith(".")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == text and again.__dict__ == error.__dict__


def test_a_request_error_is_a_value_error() -> None:
    assert issubclass(sandbox.RequestError, ValueError)
    assert len(str(sandbox.RequestError("argv", "x" * 10**6, "too long"))) < 300
