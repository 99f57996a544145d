"""``linux`` of config.json, but for namespaces, resources and seccomp. config-linux.md.

What a sandbox always does is accepted, what it cannot do is refused, and what it does in another way goes to the notes.
"""

from __future__ import annotations

from ..host import PROC_MASKED, PROC_READONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reader import Node

# What every sandbox has in /dev.
_DEVICES = {"/dev/null": (1, 3), "/dev/zero": (1, 5), "/dev/full": (1, 7), "/dev/random": (1, 8),
            "/dev/urandom": (1, 9), "/dev/tty": (5, 0)}  # fmt: skip
# Those that may be asked for by name (roots.DEVICES).
_BY_NAME = {"/dev/fuse": (10, 229), "/dev/net/tun": (10, 200), "/dev/kvm": (10, 232)}

# Nothing of these is in a sandbox's /sys; and of /proc they belong to the host's root, who nobody is there (host.py,
# PROC_MASKED), or are masked.
_ROOTS_OWN = ("/proc/kcore", "/proc/kmsg", "/proc/timer_list", "/proc/sysrq-trigger", "/proc/bus", "/proc/fs",
              "/proc/irq", "/proc/interrupts")  # fmt: skip


def check(linux: Node, notes: list[str]) -> tuple[str, ...]:
    """The devices to ask for. Raises RequestError for what cannot be had."""
    masked = (*(f"/proc/{name}" for name in PROC_MASKED), *_ROOTS_OWN)
    _paths(linux, "maskedPaths", masked)
    _paths(linux, "readonlyPaths", (*masked, *(f"/proc/{name}" for name in PROC_READONLY)))
    _sysctl(linux, notes)
    propagation = linux.text("rootfsPropagation")
    if propagation in ("shared", "rshared", "unbindable", "runbindable"):
        linux.fail("rootfsPropagation", "mounts of a sandbox are private; use private or slave", propagation)
    if propagation not in ("", "private", "rprivate", "slave", "rslave"):
        linux.fail("rootfsPropagation", "expected private, slave, shared or unbindable", propagation)
    if propagation.endswith("slave"):
        notes.append("linux.rootfsPropagation: private, mounts of the host do not come in later")
    for key, why in (("mountLabel", "this runtime sets no SELinux label"), ("intelRdt", "needs root"),
                     ("timeOffsets", "the clocks of a time namespace begin at zero"),
                     ("memoryPolicy", "a sandbox keeps the caller's"),
                     ("netDevices", "devices of the host's network cannot be moved without root")):  # fmt: skip
        if linux.data.get(key) not in (None, "", {}):
            linux.fail(key, f"cannot be had: {why}; leave it out")
    if linux.has("personality"):
        node = linux.node("personality")
        if node.text("domain") != "LINUX" or node.data.get("flags"):
            node.fail("domain", "only LINUX without flags can be had")
    if linux.text("cgroupsPath"):
        notes.append("linux.cgroupsPath: not used, a cgroup is made where one has been delegated, if limits need it")
    return _devices(linux)


def _paths(linux: Node, key: str, done: tuple[str, ...]) -> None:
    for i, path in enumerate(linux.texts(key)):
        if not path.startswith("/"):
            linux.fail(f"{key}[{i}]", "expected an absolute path", path)
        inside = path.startswith("/sys/") or path == "/sys"
        if not inside and not any(path == known or path.startswith(known + "/") for known in done):
            linux.fail(f"{key}[{i}]", "only what a sandbox hides anyway can be asked for; leave it out, or show "
                       "another file there by a mount", path)  # fmt: skip


def _sysctl(linux: Node, notes: list[str]) -> None:
    for name, value in linux.pairs("sysctl").items():
        if name != "net.ipv4.ping_group_range":
            linux.fail(f"sysctl.{name}", "kernel parameters of a sandbox cannot be set; leave it out", value)
        # podman asks for it always
        notes.append(f"linux.sysctl.{name}: not set, so ping(8) needs CAP_NET_RAW")


def _devices(linux: Node) -> tuple[str, ...]:
    wanted = []
    for node in linux.nodes("devices"):
        path, numbers = node.text("path"), (node.number("major"), node.number("minor"))
        known = _DEVICES.get(path) or _BY_NAME.get(path)
        if known is None or node.text("type") not in ("c", "u") or numbers != known:
            node.fail("", f"cannot be made without root; there are {', '.join((*_DEVICES, *_BY_NAME))}",
                      f"{path} {node.text('type')} {numbers[0]}:{numbers[1]}")  # fmt: skip
        if path in _BY_NAME:
            wanted.append(path)
    return tuple(wanted)
