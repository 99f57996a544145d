"""Every exception that pysandbox raises.

    SandboxError
      RequestError (ValueError)   the caller asked for something that cannot be: field, value, why
      PolicyError                 a seccomp policy file is wrong: file, line, key, hint
      HostError                   the host lacks something: what, and how to get it
      SetupError                  a step between clone and exec failed: step, subject, errno
      SupervisorError             we lost a child, or could not clean up after one

A program that fails is not an exception: it is a Result. Whatever is raised here is
the caller's, the host's or our own fault and never looks like a fault of the program.
Messages are lower case, have no full stop, and name the value that was tried.
"""

from __future__ import annotations


class SandboxError(Exception):
    """Root of the tree; ``str()`` is one line that a person can act on."""


class RequestError(SandboxError, ValueError):
    """A field of the request is unusable.

    ``field`` is the name as the caller wrote it (``--mem`` or ``mem``), ``value`` what was given.
    """

    def __init__(self, field: str, value: object, why: str) -> None:
        super().__init__(field, value, why)
        self.field, self.value, self.why = field, value, why

    def __str__(self) -> str:
        shown = repr(self.value)
        if len(shown) > 120:
            shown = f"{shown[:100]}… ({len(shown)} characters)"
        return f"{self.field}: {self.why} (got {shown})"


class PolicyError(SandboxError):
    """A policy file cannot be used; ``line`` is 0 where the fault has no line of its own."""

    def __init__(self, file: str, line: int, key: str, hint: str) -> None:
        super().__init__(file, line, key, hint)
        self.file, self.line, self.key, self.hint = file, line, key, hint

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.hint}" if self.key else f"{where}: {self.hint}"


class HostError(SandboxError):
    """The host cannot do what was asked; ``fix`` is the one thing to do about it."""

    def __init__(self, missing: str, fix: str) -> None:
        super().__init__(missing, fix)
        self.missing, self.fix = missing, fix

    def __str__(self) -> str:
        return f"{self.missing}; {self.fix}" if self.fix else self.missing


class SetupError(SandboxError):
    """A step of the launch failed in the child.

    ``step`` is the name of the operation, ``index`` its place in the plan, ``subject`` what it
    acted on and ``errno`` what the kernel said.
    """

    def __init__(self, step: str, index: int, subject: str, errno: int, hint: str = "") -> None:
        super().__init__(step, index, subject, errno, hint)
        self.step, self.index, self.subject, self.errno, self.hint = step, index, subject, errno, hint

    def __str__(self) -> str:
        from os import strerror

        text = f"step {self.index} failed: {self.subject}: {strerror(self.errno)}"
        return f"{text}; {self.hint}" if self.hint else text


class SupervisorError(SandboxError):
    """A process of ours vanished, or something of a run could not be removed."""
