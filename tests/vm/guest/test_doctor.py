"""doctor where its users are: a login, a login without a lingering manager, root, and inside of containers.

In every place its word is compared with what runs do there. The containers are real ones: rootless
Podman as it comes, with less of /proc masked, and with another seccomp profile; and one as Docker makes
them, with runc, root's ids, a masked /proc and a profile that keeps namespaces and mounts for CAP_SYS_ADMIN.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.guests("debian13")

TREE = Path(__file__).resolve().parents[3]
HOG = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
TIMEOUT_S = 300
SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What Docker's default profile allows with CAP_SYS_ADMIN only (moby, profiles/seccomp/default.json); clone is
# allowed there without namespace flags, and clone3 answers ENOSYS.
FOR_ADMINS = {
    "bpf", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick", "lookup_dcookie", "mount", "mount_setattr",
    "move_mount", "open_tree", "perf_event_open", "pivot_root", "quotactl", "setdomainname", "sethostname", "setns",
    "syslog", "umount", "umount2", "unshare",
}  # fmt: skip
NAMESPACES = 0x7E020000
PROFILE = "/usr/share/containers/seccomp.json"


class Place:
    """Somewhere to run pysandbox: ``prefix`` is what stands before its own words."""

    def __init__(self, prefix: list[str]) -> None:
        self.prefix = prefix

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.prefix, *words], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=TIMEOUT_S)  # fmt: skip

    def doctor(self) -> dict[str, dict[str, Any]]:
        """The checks by name; its verdict agrees with what runs do, and each fault has a fix."""
        done = self("doctor", "--json", "-")
        assert done.stderr == "" and done.stdout, done
        report = json.loads(done.stdout)
        checks = {check["name"]: check for check in report["checks"]}
        for check in report["checks"]:
            assert bool(check["fix"]) == (check["state"] != "ok"), check
        plain = self("run", "--", "true")
        assert (plain.returncode == 0) == (checks["sandbox"]["state"] != "missing"), (checks["sandbox"], plain)
        limited = self("run", "--mem", "16M", "--", *HOG)
        assert (limited.returncode == 137) == report["works"], (checks["run --mem"], limited)
        assert limited.returncode in (137, 125), limited
        assert done.returncode == (0 if report["works"] else 1)
        return checks


def pysandbox(tree: str = str(TREE)) -> list[str]:
    return ["env", f"PYTHONPATH={tree}", "/usr/bin/python3", "-P", "-B", f"{tree}/bin/pysandbox"]


def states(checks: dict[str, dict[str, Any]], *names: str) -> list[str]:
    return [checks[name]["state"] for name in names]


@pytest.fixture(scope="module")
def shared_tree() -> Iterator[str]:
    """The tree where every user can read it."""
    copy = Path("/var/tmp/pysandbox-tree")
    shutil.copytree(TREE, copy, ignore=shutil.ignore_patterns(".git", ".dev", ".tox", "__pycache__", ".pytest_cache"))
    subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
    yield str(copy)
    shutil.rmtree(copy)


# ---- logins


def test_a_delegated_scope() -> None:
    place = Place(["systemd-run", "--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", *pysandbox()])
    checks = place.doctor()
    names = ("sandbox", "seccomp filter", "fresh /proc", "overlay root", "cgroups", "run --mem")
    assert states(checks, *names) == ["ok"] * len(names), checks
    assert "own cgroup" in checks["cgroups"]["detail"]


def test_a_session_with_a_user_manager() -> None:
    """Not delegated, but the user's systemd is at hand."""
    checks = Place(["systemd-run", "--user", "--quiet", "--pipe", "--wait", "--collect", *pysandbox()]).doctor()
    assert states(checks, "sandbox", "cgroups", "run --mem") == ["ok", "ok", "ok"], checks


def test_a_login_without_linger(shared_tree: str) -> None:
    """bob's manager lives as long as his login; PAM starts it."""
    login = ["-p", "User=bob", "-p", "PAMName=login"]
    command = ["sudo", "-n", "systemd-run", "--quiet", "--pipe", "--wait", "--collect", *login]
    checks = Place([*command, *pysandbox(shared_tree)]).doctor()
    assert states(checks, "sandbox", "cgroups", "run --mem") == ["ok", "ok", "ok"], checks


@pytest.fixture
def carol() -> Iterator[None]:
    """A user who has never logged in."""
    subprocess.run(["sudo", "-n", "useradd", "--create-home", "carol"], check=True)
    yield
    subprocess.run(["sudo", "-n", "userdel", "--remove", "carol"], check=True, stderr=subprocess.DEVNULL)


@pytest.mark.usefixtures("carol")
def test_no_login_at_all(shared_tree: str) -> None:
    """A user switched to by root, for whom no manager runs: named, with the one thing to do."""
    checks = Place(["sudo", "-n", "setpriv", "--reuid=carol", "--regid=carol", "--clear-groups", "env", "-i",
                    f"PATH={SBIN}", *pysandbox(shared_tree)]).doctor()  # fmt: skip
    assert states(checks, "sandbox", "cgroups", "run --mem") == ["ok", "missing", "missing"]
    assert "loginctl enable-linger carol" in checks["cgroups"]["fix"], checks["cgroups"]


def test_root(shared_tree: str) -> None:
    checks = Place(["sudo", "-n", *pysandbox(shared_tree)]).doctor()
    assert states(checks, "sandbox", "cgroups", "run --mem") == ["ok", "ok", "ok"], checks
    assert "uid 0 " not in checks["user namespace"]["detail"]


# ---- containers


@pytest.fixture(scope="module")
def rootfs(shared_tree: str) -> Iterator[Path]:
    """An image's root: the system's /usr, links and a little /etc."""
    root = Path("/var/tmp/pysandbox-rootfs")
    for name in ("usr", "src", "tmp", "proc", "sys", "dev", "etc", "root", "home", "run", "var/tmp", "work"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("passwd", "group", "ld.so.cache"):
        shutil.copy(f"/etc/{name}", root / "etc")
    shutil.copytree("/etc/alternatives", root / "etc/alternatives", symlinks=True)
    yield root
    subprocess.run(["sudo", "-n", "rm", "-rf", str(root)], check=True)


def container(rootfs: Path, tree: str, *options: str, root: bool = False) -> Place:
    command = ["sudo", "-n", "podman", "--runtime", "/usr/sbin/runc"] if root else ["podman"]
    command += ["run", "--rm", "--quiet", "--net", "none", *options]
    command += ["-v", "/usr:/usr:ro", "-v", f"{tree}:/src:ro", "-e", "PYTHONPATH=/src", "--rootfs", str(rootfs)]
    return Place(["env", f"PATH={SBIN}", *command, "/usr/bin/python3", "-P", "-B", "/src/bin/pysandbox"])


def test_rootless_podman_as_it_comes(rootfs: Path, shared_tree: str) -> None:
    """/proc is masked, so the kernel refuses another: said, with the fix, and what works without it works."""
    place = container(rootfs, shared_tree)
    checks = place.doctor()
    assert states(checks, "user namespace", "sandbox", "run --mem") == ["ok", "missing", "missing"]
    assert "unmask=ALL" in checks["sandbox"]["fix"] and "--without pid" in checks["sandbox"]["fix"]
    assert "unmask=ALL" in checks["cgroups"]["fix"], checks["cgroups"]
    inside = place("run", "--without", "pid", "--", "sh", "-c", "id -u; hostname")
    assert inside.returncode == 0 and inside.stdout.startswith("1000\n"), inside
    assert "the host name is the caller's" in inside.stderr
    asked = place("run", "--without", "pid", "--hostname", "box", "--", "true")
    assert asked.returncode == 125 and "seccomp=" in asked.stderr, asked


def test_rootless_podman_unmasked(rootfs: Path, shared_tree: str, tmp_path: Path) -> None:
    """One option and all of it works, limits too: the container's cgroup is its own."""
    checks = container(rootfs, shared_tree, "--security-opt", "unmask=ALL").doctor()
    assert states(checks, "sandbox", "seccomp filter", "fresh /proc", "cgroups", "run --mem") == ["ok"] * 5, checks


def test_a_monitor_in_the_containers_cgroup(rootfs: Path, shared_tree: str) -> None:
    """It is in nobody's sight and in the way of every limit: said, and not a busy device."""
    place = container(rootfs, shared_tree, "--security-opt", "unmask=ALL")
    place.prefix.insert(place.prefix.index("run"), "--cgroup-manager=cgroupfs")
    done = place("run", "--mem", "16M", "--", "true")
    if done.returncode:  # it depends on the version of Podman where that puts its monitor
        assert "that this pid namespace does not show" in done.stderr and "cgroup-manager=systemd" in done.stderr, done


def test_rootless_podman_shares_a_directory(rootfs: Path, shared_tree: str, tmp_path: Path) -> None:
    """Root of a container has no right to clone mounts, and shares by path."""
    (tmp_path / "file").write_text("seen\n")
    os.chmod(tmp_path, 0o755)
    place = container(rootfs, shared_tree, "--security-opt", "unmask=ALL", "-v", f"{tmp_path}:/data")
    done = place("run", "-v", "/data:/in", "--", "cat", "/in/file")
    assert (done.returncode, done.stdout) == (0, "seen\n"), done


def docker_profile(path: Path) -> Path:
    """Podman's profile, made as strict as Docker's: see FOR_ADMINS."""
    profile = json.loads(Path(PROFILE).read_text())
    for rule in profile["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW" and not rule.get("includes", {}).get("caps"):
            rule["names"] = [n for n in rule["names"] if n not in FOR_ADMINS | {"clone", "clone3"}]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["syscalls"] += [
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ]  # fmt: skip
    path.write_text(json.dumps(profile))
    return path


@pytest.mark.parametrize("user", ["0", "1000"])
def test_like_docker(rootfs: Path, shared_tree: str, tmp_path: Path, user: str) -> None:
    """No user namespace can be made; the reason and the one thing to do are said."""
    profile = docker_profile(tmp_path / "docker.json")
    place = container(rootfs, shared_tree, "--user", user, "--security-opt", f"seccomp={profile}", root=True)
    checks = place.doctor()
    assert states(checks, "user namespace", "sandbox", "run --mem") == ["missing"] * 3
    assert "seccomp filter" in checks["user namespace"]["detail"]
    assert "seccomp=" in checks["user namespace"]["fix"]
    run = place("run", "--", "true")
    assert run.returncode == 125 and "seccomp filter" in run.stderr, run


def test_like_docker_with_what_the_page_says(rootfs: Path, shared_tree: str) -> None:
    """The options that docs/hosts.md names for Docker are enough, as an ordinary user in the container too."""
    page = (TREE / "docs/hosts.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("docker run --security-opt"))
    words = shlex.split(line)
    # Podman's word for it is another
    options = [word.replace("systempaths=unconfined", "unmask=ALL") for word in words[2:-1]]
    for user in ("0", "1000"):
        place = container(rootfs, shared_tree, "--user", user, *options, root=True)
        checks = place.doctor()
        assert states(checks, "user namespace", "sandbox", "fresh /proc") == ["ok"] * 3, checks
