"""Checks that start a sandbox: what came out is the answer, not what a file in /proc promises.

One Sandbox (so one spawner for each kind of id map) serves them all. Once the sandbox itself does not
start, the rest is not tried, and says so instead of repeating the reason.
"""

from __future__ import annotations

import os

from .check import MISSING, Check, limited, missing, ok, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Self

    from ..pipeline import Sandbox
    from ..result import Result

# Longer than a machine under heavy load needs for /bin/true; a trial that hangs ends here.
WALL_S = 20


class Trials:
    """The sandbox that all trials share."""

    def __init__(self) -> None:
        self._box: Sandbox | None = None
        self._status: dict[str, str] | None = None
        self.blocked = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._box is not None:
            self._box.close()

    def run(self, argv: Sequence[str], **options: Any) -> Result:
        """One run with nothing but the given options."""
        if self._box is None:
            from ..pipeline import Sandbox

            self._box = Sandbox(wall=WALL_S)
        return self._box.run(argv, **options)

    def guarded(self, question: Callable[[str], Check], blocks: str = "") -> Callable[[str], Check]:
        """A question that is not asked once something before it failed; ``blocks`` names what its own failure means."""

        def ask(name: str) -> Check:
            if self.blocked:
                return missing(name, f"not tried: {self.blocked}", "see above")
            if not blocks:
                return question(name)
            self.blocked = blocks
            check = question(name)
            if check.state != MISSING:
                self.blocked = ""
            return check

        return ask

    def questions(self) -> tuple[tuple[str, Callable[[str], Check]], ...]:
        """In the order of what needs what."""
        from . import ids

        return (
            ("native core", self.guarded(native_core, "the native core is missing")),
            ("user namespace", self.guarded(user_namespace, "no user namespace can be made")),
            ("isolation landlock", self.isolation_landlock),
            ("seccomp binding", seccomp_binding),
            ("seccomp cache", seccomp_cache),
            ("sandbox", self.guarded(self.sandbox, "the sandbox does not start")),
            ("seccomp filter", self.guarded(self.seccomp_filter)),
            ("fresh /proc", self.guarded(self.fresh_proc)),
            ("overlay root", self.guarded(self.overlay_root)),
            ("id range", self.guarded(lambda name: ids.check(name, self))),
            ("time namespace", self.guarded(self.time_namespace)),
        )

    def sandbox(self, name: str) -> Check:
        """/bin/true with everything that a run has by default."""
        result = self.run(["true"])
        if not result.ok:
            return self.refused(name, result)
        if result.absent:
            return limited(name, f"starts without the namespaces {', '.join(result.absent)}",
                         report("pysandbox plan true"))  # fmt: skip
        return ok(name, "user, pid, mount, net, ipc, uts and cgroup namespaces, own root")

    def isolation_landlock(self, name: str) -> Check:
        """The mode without namespaces: it starts, and hides a file that the user may read."""
        result = self.run(["cat", "/etc/passwd"], isolation="landlock", stderr="capture")
        if result.outcome != "exited" or result.stdout:
            return self.refused(name, result)
        lacks = result.landlock.missing
        if lacks:
            return limited(name, f"works without {', '.join(lacks)}", "use Linux 6.12 or newer")
        return ok(name, "works, also where no user namespace can be made; it isolates less: docs/landlock.md")

    def seccomp_filter(self, name: str) -> Check:
        """What the kernel says of a process inside: filter, privileges, capabilities."""
        status = self._inside()
        wanted = {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapBnd": "0" * 16}
        wrong = [f"{key} is {status.get(key)}" for key, value in wanted.items() if status.get(key) != value]
        if wrong:
            return missing(name, f"in a sandbox {', '.join(wrong)}", report("pysandbox plan true"))
        return ok(name, "the default policy is loaded, no capabilities, no_new_privs")

    def fresh_proc(self, name: str) -> Check:
        """/proc of the sandbox's own pid namespace, in which no further user namespace may be made."""
        status = self._inside()
        pid, nested = status.get("Pid", "0"), status.get("nested")
        if not pid.isdigit() or not 1 < int(pid) < 64:
            return missing(name, f"a program in a new pid namespace sees itself as pid {pid}",
                         report("pysandbox plan true"))  # fmt: skip
        if nested != "0":
            return limited(name, f"user.max_user_namespaces is {nested} inside, not 0",
                         "start the container with an unmasked /proc")  # fmt: skip
        return ok(name, "shows the sandbox's processes only")

    def _inside(self) -> dict[str, str]:
        if self._status is None:
            result = self.run(["cat", "/proc/self/status", "/proc/sys/user/max_user_namespaces"])
            *lines, nested = result.stdout.decode("ascii", "replace").splitlines() or [""]
            status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
            self._status = {**status, "nested": nested}
        return self._status

    def overlay_root(self, name: str) -> Check:
        """A root of our own with a scratch layer: what is written in it must work and must not arrive."""
        import tempfile

        try:
            with Unbroken() as guard:
                root = guard.remove_at_end(tempfile.mkdtemp(prefix="pysandbox-doctor-"))
                volumes = make_root(root)
                guard.allow_signals()
                script = "cd /room && cat file && echo new > new && echo changed > file && cat new file"
                result = self.run(["/bin/sh", "-c", script], rootfs=f"{root}:scratch", volumes=volumes)
                with open(f"{root}/room/file", encoding="ascii") as file:
                    kept = file.read() == "kept\n" and not os.path.exists(f"{root}/room/new")
        except OSError as error:
            return limited(name, f"no directory to try it with: {error.strerror or error}".lower(),
                           "set TMPDIR to a directory that this user may write to")  # fmt: skip
        if not result.stdout.startswith(b"kept\n"):
            return self.refused(name, result)
        if not kept:
            return missing(name, "a sandbox changed the lower layer of its root",
                         report("pysandbox plan --rootfs DIR:scratch /bin/true"))  # fmt: skip
        if result.stdout != b"kept\nnew\nchanged\n":  # EOVERFLOW: overlayfs cannot copy up what has no id inside
            return limited(name, "a scratch root starts, but what belongs to root cannot be changed in it",
                           "own the root directory, and start the sandbox, as another user than root")  # fmt: skip
        return ok(name, "--rootfs DIR:scratch works, changes are thrown away")

    def time_namespace(self, name: str) -> Check:
        """Does the uptime begin with the run?"""
        result = self.run(["cat", "/proc/uptime"])
        text = result.stdout.split()
        if not text:
            return self.refused(name, result)
        if float(text[0]) > WALL_S:
            return missing(name, f"the uptime in one is {text[0].decode()}s",
                         "use a kernel with CONFIG_TIME_NS=y")  # fmt: skip
        return ok(name, "uptime and monotonic clocks start at zero in a sandbox")

    def refused(self, name: str, result: Result) -> Check:
        """A run that did not do what it was to do."""
        said = result.error or (result.causes[0].detail if result.causes else "")
        stderr = result.stderr.decode("utf-8", "replace").strip()[:200]
        said = f"{said}: {stderr}" if stderr else said
        fix = result.hints[0] if result.hints else report("pysandbox plan true")
        return missing(name, f"a trial ended as {result.outcome}: {said}".rstrip(": "), fix)


class Unbroken:
    """A temporary directory that goes even if a signal, whose handler raises, comes at the worst moment."""

    def __enter__(self) -> Self:
        import signal

        self._root = ""
        self._mask, self._ending = signal.pthread_sigmask, {signal.SIGHUP, signal.SIGINT, signal.SIGTERM}
        self._block, self._restore = signal.SIG_BLOCK, signal.SIG_SETMASK
        self._before = self._mask(self._block, self._ending)
        return self

    def remove_at_end(self, root: str) -> str:
        """Called while signals are still blocked."""
        self._root = root
        return root

    def allow_signals(self) -> None:
        """For the long part."""
        self._mask(self._restore, self._before)

    def __exit__(self, *_exc: object) -> None:
        try:
            self._mask(self._block, self._ending)  # raises what came until now
        finally:
            import shutil

            if self._root:
                shutil.rmtree(self._root, ignore_errors=True)
            self._mask(self._restore, self._before)


def native_core(name: str) -> Check:
    """The extension module and the spawner's file."""
    fix = "./dev build in a checkout, else pip install pysandbox again"
    try:
        from ..native import _core  # noqa: F401
    except ImportError as error:
        return missing(name, f"the extension module cannot be imported: {error}", fix)
    from ..executable import executable

    executable()
    return ok(name, "built")


def user_namespace(name: str) -> Check:
    """A spawner in a user namespace of its own, and whose ids it has."""
    from ..userns import start_spawner

    spawner = start_spawner(ids="single", user=True, net=True)
    try:
        spawner.wait_ready()
        with open(f"/proc/{spawner.pid}/uid_map", encoding="ascii") as file:
            _inside, outside, _count = file.read().split()[:3]
    finally:
        spawner.close()
    return ok(name, f"programs run as uid {outside} of this host")


def seccomp_binding(name: str) -> Check:
    """Which one compiles a filter that is in no cache."""
    from ..seccomp.compile import binding

    return ok(name, f"the module {binding().__name__}")


def seccomp_cache(name: str) -> Check:
    """Where compiled filters are kept."""
    from .. import cache

    fd = cache.open_directory("seccomp")
    if fd < 0:
        return limited(name, "no directory for it, so every start compiles its filter",
                     "set HOME or XDG_CACHE_HOME to a directory that belongs to you")  # fmt: skip
    os.close(fd)
    return ok(name, "compiled filters are kept")


def make_root(root: str) -> list[str]:
    """Fill a directory with the mount points and links of this host's system; the volumes that complete it."""
    from ..host import SYSTEM

    os.chmod(root, 0o755)  # root's sandbox is another user, and enters it by path
    volumes = []
    for path in SYSTEM:
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        elif os.path.isdir(path):
            os.makedirs(root + path, 0o755)
            volumes.append(f"{path}:{path}:ro")
    for name in ("work", "tmp"):
        os.mkdir(f"{root}/{name}", 0o755)
    os.mkdir(f"{root}/room")
    # For everyone, as the ids of the host's root mean nobody inside.
    os.chmod(f"{root}/room", 0o777)
    with open(f"{root}/room/file", "w", encoding="ascii") as file:
        file.write("kept\n")
    os.chmod(f"{root}/room/file", 0o666)
    return volumes
