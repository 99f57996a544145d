"""Why something failed, and the one thing to do: looked at only after a failure, and by doctor."""

from __future__ import annotations

import errno
import os

from .errors import HostError

_SYSCTLS = "/proc/sys"
_BY_FILTER = "a seccomp filter on this process (a container's profile) forbids it"
_OTHER_PROFILE = ("start the container with --security-opt seccomp=PROFILE, one that allows what docs/hosts.md lists, "
                  "or =unconfined")  # fmt: skip


def read(path: str) -> str | None:
    """A small file of /proc or /sys, stripped; None if it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(65536).strip()
    except OSError:
        return None


def no_new_privs() -> bool:
    """Is no_new_privs set for this process (then setuid helpers such as newuidmap do nothing)?"""
    return "NoNewPrivs:\t1" in (read("/proc/self/status") or "")


def userns_obstacles() -> list[HostError]:
    """Everything known that keeps this user from making user namespaces, worst first."""
    found = []
    limit = read(f"{_SYSCTLS}/user/max_user_namespaces")
    if limit is None:
        found.append(HostError("the kernel has no user namespaces", "use a kernel with CONFIG_USER_NS=y"))
    elif limit == "0":
        fix = "an administrator: sysctl -w user.max_user_namespaces=15000"
        found.append(HostError("user.max_user_namespaces is 0", fix))
    if read(f"{_SYSCTLS}/kernel/unprivileged_userns_clone") == "0" and os.geteuid() != 0:
        found.append(HostError("kernel.unprivileged_userns_clone is 0",
                               "an administrator: sysctl -w kernel.unprivileged_userns_clone=1"))  # fmt: skip
    if read(f"{_SYSCTLS}/kernel/apparmor_restrict_unprivileged_userns") == "1" and os.geteuid() != 0:
        found.append(HostError(
            "AppArmor restricts unprivileged user namespaces (Ubuntu 23.10 and later)",
            "an administrator: install the profile of docs/hosts.md for this python, "
            "or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ))  # fmt: skip
    return found


def spawner_failed(step: str, number: int, status: int | None = None) -> HostError:
    """The spawner could not start: ``step`` as in spawner.c's hello, ``number`` errno, 0 if it died wordless;
    ``status`` is what wait(2) said of it."""
    if not step:
        how = "without a status" if status is None else f"with wait status {status:#x}"
        fix = "if it was killed, see why (the kernel's log tells of an OOM kill), and try again"
        return HostError(f"the spawner ended at its start {how}", fix)
    if step == "S":
        return HostError(f"the spawner cannot run from a sealed copy of itself: {os.strerror(number).lower()}",
                         "mount /proc, and allow executable memfds (sysctl vm.memfd_noexec below 2)")  # fmt: skip
    if step == "K":
        return HostError(f"the keeper cannot give a spawner what this process has (limits, priority, CPUs): "
                         f"{os.strerror(number).lower()}",
                         "run it under `systemd-run --user --scope -p Delegate=yes`")  # fmt: skip
    obstacles = userns_obstacles()
    said = os.strerror(number).lower() if number else "it died at its start"
    if obstacles:
        return HostError(f"cannot make a user namespace ({said}): {obstacles[0].missing}", obstacles[0].fix)
    if number == errno.ENOSPC:
        return HostError(
            "cannot make a user namespace: the number allowed to this user, or the depth of 32, is used up",
            "end other sandboxes, or raise user.max_user_namespaces",
        )
    if number == errno.EPERM and in_chroot():
        return HostError(
            "cannot make a user namespace: this process is in a chroot, where the kernel forbids it",
            "enter the tree with pivot_root, as containers do, or run outside of it",
        )
    if filtered():
        return HostError(f"cannot make a user namespace ({said}): {_BY_FILTER}", _OTHER_PROFILE)
    return HostError(f"cannot make a user namespace: {said}",
                     "inside a container, allow it there (its AppArmor or SELinux profile says no)")  # fmt: skip


def container() -> str:
    """What kind of container this process says that it is in (podman, docker, lxc, ...); "" if none does."""
    if os.path.exists("/run/.containerenv"):
        return "podman"
    if os.path.exists("/.dockerenv"):
        return "docker"
    return os.environ.get("container", "")  # set by systemd-nspawn, LXC and others for pid 1 and who inherits it


def filtered() -> bool:
    """Is this process under a seccomp filter that somebody else made?"""
    return "Seccomp:\t2" in (read("/proc/self/status") or "")


def in_chroot() -> bool:
    """Is our root directory no mount's root? create_user_ns() refuses such a process (EPERM)."""
    lines = (read("/proc/self/mountinfo") or "").splitlines()
    return bool(lines) and not any(line.split()[4] == "/" for line in lines)


def spawn_hint(number: int) -> str:
    """What to do when the spawner could not clone an init."""
    return {
        errno.ENOSPC: "a limit of namespaces is reached; see /proc/sys/user/max_*_namespaces",
        errno.EAGAIN: "too many runs at once, or RLIMIT_NPROC of this user is reached",
        errno.ENOMEM: "out of memory, or the pid limit of this cgroup is reached",
        errno.EACCES: "the cgroup is not below a directory that this user owns",
        errno.EBUSY: "the cgroup has children with controllers and takes no processes",
    }.get(number, "run `pysandbox doctor`")


def explain_setup(step: str, subject: str, number: int) -> str:
    """A hint for a step of the setup that failed; empty if there is nothing better than errno."""
    if step == "MountFs" and "proc" in subject and number == errno.EPERM:
        return ("a fresh /proc is refused because parts of the one here are masked (a container); start the container "
                "with --security-opt unmask=ALL (Podman) or systempaths=unconfined (Docker), or run --without pid, "
                "which shows the container's processes")  # fmt: skip
    if step == "Bind" and number == errno.EACCES:
        return "the caller may not reach the source; check the permissions of the directories above it"
    if step == "Bind" and number == errno.ENOTCONN:
        return "the file server behind it (lxcfs, or another FUSE) has died; start it again"
    if step == "Bind" and number == errno.ENOENT:
        return "the source is gone, or the target cannot be made in a read-only share; share its parent directory"
    if step == "Rlimit" and number == errno.EPERM:
        return "the caller's own hard limit is lower and only root can raise it; ask for less (ulimit -H shows it)"
    if step == "MountOverlay" and number == errno.ENODEV:
        return "this kernel has no overlayfs; an administrator: modprobe overlay, or use one with CONFIG_OVERLAY_FS"
    if step == "MountOverlay":
        return ("overlayfs refuses one of these directories: what is changed must lie on a plain local file system "
                "with user attributes (ext4, xfs, btrfs; not NFS, not an overlay as a container has it), or else "
                "a container needs --upper fuse; changes in memory need Linux 6.6")  # fmt: skip
    if step == "Attach":
        return "the cgroup is not ours to enter; see `pysandbox doctor`"
    if step == "ProcWrite" and number == errno.EROFS:
        return "/proc/sys is read-only here; start the container with an unmasked /proc"
    if step == "Seccomp" and number == errno.EBUSY:
        return ("this process is under a seccomp listener already (a container manager's?) and the kernel allows one; "
                "use --sysinfo and --denials off or auto")  # fmt: skip
    if step == "Restrict" and number == errno.E2BIG:
        return "this process is in 16 Landlock domains already, and the kernel allows no more; use --landlock off"
    if step == "Chdir" and number == errno.EXDEV:
        return "the work directory leads out of the sandbox"
    if step == "Chdir":
        return "the work directory does not exist in the sandbox; share it, or name another"
    if number == errno.EPERM and filtered():
        return f"{_BY_FILTER}; {_OTHER_PROFILE}"
    return ""
