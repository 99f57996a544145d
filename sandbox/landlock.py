"""The Landlock room: what the program may do to files, ports and other processes, without any namespace's help.

With namespaces it is a second lock on what the mount, pid and network namespaces lock already: whatever a fault in
mounts leaves writable, or a shared network leaves in reach, is closed here as well. Where there are none
(``isolation="landlock"``) it is the first, together with a filter for what it has no right for
(native/confine_program.c). Every right of files that the kernel's ABI knows is handled, so what no rule below allows is
refused.

TCP ports are handled only where there is no network namespace and none was shared: inside of a namespace of its own a
program may listen on whatever port it likes, and with ``net="host"`` every port is what was asked for.
"""

from __future__ import annotations

import os

from .errors import HostError
from .result import Landlock
from .steps import LANDLOCK_FILES, Confine, LandlockPath, LandlockQueues, LandlockRuleset, Restrict, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import HostFacts
    from .spec import Spec

# Each with the ABI that brought it (linux/landlock.h), in the order of its bit.
FILESYSTEM = LANDLOCK_FILES
NETWORK = {"bind_tcp": 4, "connect_tcp": 4}
SCOPES = {"abstract_unix_socket": 6, "signal": 6}

# Below 2 no file can be moved or linked from one directory to another, not even where all is allowed.
ABI_NEEDED = 2
# Below 3 truncate(2) empties any file that the caller may write. With namespaces the mounts refuse that too.
ABI_ALONE = 3
_LINUX = {2: "5.19", 3: "6.2", 6: "6.12"}


def rights(*names: str) -> int:
    """The bits of rights of files."""
    order = list(FILESYSTEM)
    return sum(1 << order.index(name) for name in names)


READ = rights("execute", "read_file", "read_dir")
# No device nodes: nothing in a sandbox has a use for them, and no kernel lets it make them.
WRITE = READ | rights("write_file", "remove_dir", "remove_file", "make_dir", "make_reg", "make_sock", "make_fifo",
                      "make_sym", "refer", "truncate")  # fmt: skip
DEVICE = rights("read_file", "write_file", "ioctl_dev")
PROC = rights("write_file", "truncate")  # comm, oom_score_adj, coredump_filter, and mem for debuggers

# Of the devices that exist everywhere; without a mount namespace there is no terminal of the program's own.
DEVICES = ("null", "zero", "full", "random", "urandom")
# What the resolver reads, where the network is the host's.
_ETC_NET = ("gai.conf", "hosts", "nsswitch.conf", "resolv.conf")


def _known(table: dict[str, int], abi: int) -> tuple[str, ...]:
    return tuple(name for name, since in table.items() if since <= abi)


def _bits(table: dict[str, int], abi: int) -> int:
    return sum(1 << n for n, since in enumerate(table.values()) if since <= abi)


def _alone(spec: Spec) -> bool:
    return spec.isolation == "landlock"


def _files(spec: Spec) -> bool:
    """Are files handled? The host's root, with all that the caller may do, has nothing to lock."""
    return spec.has("mount") or _alone(spec)


def _scopes(spec: Spec) -> dict[str, int]:
    """For a program that joins a sandbox: its pid and network namespace keep it from all that is outside of that, and
    the domain of the sandbox's other programs is not its own, so a scope would keep it from them as well."""
    if not spec.joins:
        return SCOPES
    return {name: since for name, since in SCOPES.items() if name != "signal" and not spec.has("net")}


def _ports(spec: Spec) -> bool:
    return _alone(spec) and spec.net == "none"


def _why_not(spec: Spec, host: HostFacts) -> str:
    """Why no ruleset is made; empty if one is."""
    if spec.landlock == "off":
        return "switched off"
    if host.landlock <= 0:
        return f"this kernel does not offer it: {os.strerror(-host.landlock).lower()}" if host.landlock else "no ABI"
    if host.landlock < ABI_NEEDED:
        return f"ABI {host.landlock} forbids every move between directories; ABI {ABI_NEEDED} is Linux 5.19"
    if not _files(spec) and host.landlock < SCOPES["signal"]:
        return "nothing to handle: the files are the host's, and scopes begin with ABI 6"
    return ""


def used(spec: Spec, host: HostFacts) -> bool:
    """Is the program put into a Landlock domain?"""
    return not _why_not(spec, host)


def require(spec: Spec, host: HostFacts) -> None:
    """Raises HostError where it was asked for by name (or is the only lock) and this kernel cannot do all of that."""
    if spec.landlock != "on" and not _alone(spec):
        return
    asked = "--isolation landlock" if _alone(spec) else "--landlock on"
    fix = "boot a kernel with CONFIG_SECURITY_LANDLOCK=y and landlock in lsm="
    instead = "" if _alone(spec) else ", or --landlock auto"
    if why := _why_not(spec, host):
        raise HostError(f"{asked}: {why}", fix + instead)
    need = ABI_ALONE if _alone(spec) else ABI_NEEDED
    lost = "truncate(2) of any file of the caller's would not be refused"
    if not _alone(spec) and not (spec.has("net") and spec.has("pid")):
        need, lost = SCOPES["signal"], "signals to processes and abstract sockets outside would not be refused"
    if host.landlock < need:
        raise HostError(f"{asked}: this kernel has ABI {host.landlock}, with which {lost}",
                        f"use Linux {_LINUX[need]} or newer (ABI {need}){instead}")  # fmt: skip


def setup(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """Steps of the init, after the new root is entered: paths are the sandbox's."""
    if not used(spec, host):
        return ()
    abi = host.landlock
    ruleset = LandlockRuleset(
        abi=abi, filesystem=_bits(FILESYSTEM, abi) if _files(spec) else 0,
        network=_bits(NETWORK, abi) if _ports(spec) else 0, scoped=_scope_bits(spec, abi),
    )  # fmt: skip
    if not ruleset.filesystem:
        return (ruleset,)
    places = _of_the_host(spec, host) if _alone(spec) else _of_the_sandbox(spec)
    return (ruleset, *places)


def _scope_bits(spec: Spec, abi: int) -> int:
    wanted = _scopes(spec)
    return sum(1 << n for n, (name, since) in enumerate(SCOPES.items()) if name in wanted and since <= abi)


def enter(spec: Spec) -> tuple[Step, ...]:
    """Steps of the init for its run: the directory that is this run's alone."""
    return (LandlockPath(path=spec.scratch or "", rights=WRITE, fd="scratch"),
            ) if _alone(spec) else ()  # fmt: skip


def program(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """Steps of the program's process, once it cannot gain privileges any more."""
    steps: list[Step] = [Restrict()] if used(spec, host) else []
    if _alone(spec):
        steps.append(Confine(net=spec.net == "host"))
    return tuple(steps)


def _of_the_sandbox(spec: Spec) -> tuple[Step, ...]:
    everything = WRITE if spec.rootfs is not None and spec.rootfs.writable else READ
    whole = spec.rootfs is not None and spec.rootfs.whole
    trees = ["/dev/shm"] if whole else ["/tmp", "/dev/shm"]
    if not whole and not any(v.target == "/work" for v in spec.volumes):
        trees.append("/work")
    trees += [t.target for t in spec.tmpfs]
    trees += [v.target for v in spec.volumes if v.writable]
    trees += [o.target for o in spec.overlays if o.stack.upper is not None]
    if whole and spec.rootfs is not None:
        trees += [path for path, _content in spec.rootfs.files]
    return (
        LandlockPath(path="/", rights=everything),
        LandlockPath(path="/dev", rights=DEVICE),
        LandlockPath(path="/proc", rights=PROC),
        # Only the owner of an ipc namespace may mount its queues: the host's stay closed with --without ipc.
        *((LandlockQueues(rights=rights("read_file", "write_file")),) if spec.has("ipc") else ()),
        *(LandlockPath(path=path, rights=WRITE) for path in dict.fromkeys(trees)),
    )


def _of_the_host(spec: Spec, host: HostFacts) -> tuple[Step, ...]:
    """The default view of ``fs``, by the host's own names. A link is read by anybody; its target has its own rule."""
    steps = [LandlockPath(path=e.path, rights=READ) for e in host.system if e.kind != "link"]
    steps += [LandlockPath(path=e.path, rights=READ) for e in host.etc if e.kind != "link"]
    if spec.net == "host":
        steps += [LandlockPath(path=f"/etc/{name}", rights=READ, optional=True) for name in _ETC_NET]
    steps.append(LandlockPath(path="/proc", rights=rights("read_file", "read_dir")))
    steps += [LandlockPath(path=f"/dev/{name}", rights=DEVICE) for name in DEVICES]
    steps += [LandlockPath(path=v.source, rights=WRITE if v.writable else READ) for v in spec.volumes]
    if spec.program:
        steps.append(LandlockPath(path=spec.program, rights=READ))
    return tuple(steps)


_reports: dict[tuple[object, ...], Landlock] = {}


def report(spec: Spec, host: HostFacts) -> Landlock:
    """What holds in this run and what this kernel's ABI lacks of it, for the Result."""
    key = (spec.landlock, spec.isolation, spec.net, spec.has("mount"), host.landlock, spec.joins)
    if key not in _reports:
        _reports[key] = _report(spec, host)
    return _reports[key]


def lacking(abi: int, network: bool = True) -> tuple[str, ...]:
    """What this ABI does not know of all that we would handle."""
    tables = {**FILESYSTEM, **(NETWORK if network else {}), **SCOPES}
    return tuple(name for name, since in tables.items() if since > abi)


def _report(spec: Spec, host: HostFacts) -> Landlock:
    if why := _why_not(spec, host):
        return Landlock(why=why)
    abi, ports = host.landlock, _ports(spec)
    missing = lacking(abi, ports)
    if not _files(spec):
        missing = tuple(name for name in missing if name not in FILESYSTEM)
    return Landlock(
        abi=abi, filesystem=_known(FILESYSTEM, abi) if _files(spec) else (),
        network=_known(NETWORK, abi) if ports else (), scoped=_known(_scopes(spec), abi), missing=missing,
    )  # fmt: skip


def notes(spec: Spec, host: HostFacts, limits_processes: bool) -> tuple[str, ...]:
    """For the Result of a run without namespaces: what is not isolated."""
    if not _alone(spec):
        return ()
    seen = "isolation landlock: the program sees names, sizes and owners of the host's files, its processes and ports"
    more = []
    if host.landlock < SCOPES["signal"]:
        more.append("may send signals to the caller's other processes (Landlock ABI 6 refuses that)")
    more.append("may fill the disk of its directory")
    if not limits_processes:
        more.append("may start any number of processes (no cgroup here)")
    return (", ".join([seen, *more[:-1]]) + f" and {more[-1]}",)
