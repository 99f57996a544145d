"""The guests. A change here makes a new image."""

from __future__ import annotations

from typing import NamedTuple

# What a guest is made of, and what the tests want to find in it. Names are the same in both releases.
PACKAGES = (
    # the machine
    "linux-image-cloud-amd64", "systemd", "systemd-sysv", "udev", "kmod", "dbus", "dbus-user-session", "libpam-systemd",
    "openssh-server", "passwd", "sudo", "mount", "procps", "iproute2", "apparmor", "strace", "busybox-static",
    # pysandbox
    "python3", "python3-cffi-backend", "python3-seccomp", "libseccomp2", "python3-jeepney", "uidmap",
    "python3-yaml", "python3-rich", "python3-jinja2",
    "fuse3", "lxcfs", "fuse-overlayfs",
    # its tests
    "python3-pytest", "python3-pytest-timeout", "python3-hypothesis", "python3-jsonschema", "python3-venv",
    "gcc", "libc6-dev",
    # its neighbours
    "podman", "crun", "runc", "netavark", "skopeo", "umoci", "passt", "slirp4netns", "nftables", "zstd",
)  # fmt: skip


class Guest(NamedTuple):
    name: str
    suite: str  # the release's code name
    packages: tuple[str, ...]
    # Controllers for the manager of alice's, beyond what the distribution gives (cpu, memory, pids).
    delegate: tuple[str, ...] = ()


GUESTS = {
    guest.name: guest
    for guest in (
        Guest("debian12", "bookworm", PACKAGES),
        Guest("debian13", "trixie", PACKAGES, ("cpu", "cpuset", "io", "memory", "pids")),
    )
}
