"""Sandboxes of an unprivileged user with a network to the outside: called by root_checks.py, as root.

    unshare --mount --net --propagation private python3 scripts/tun_checks.py UID

In a network namespace that stands for the host, with a /dev/net/tun that is open to all, as udev makes it. Beyond a
veth lies a world with servers. So what a sandbox reaches, and what it does not, is the same on every machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TREE)

TIMEOUT_S = 120
EXIT_FAILED, EXIT_CALLED_WRONG = 1, 2
# RFC 5737 and 4193: nobody has these.
HOST, HOST6, OTHER = "203.0.113.2", "fd42::2", "198.51.100.7"
WORLD, WORLD6, FAR = "203.0.113.1", "fd42::1", "192.0.2.80"

# Both are told where to listen; they serve until they are killed.
TCP = """
import socket, socketserver, sys, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        word, _, more = self.request.recv(4096).partition(b"\\n")
        word = word.decode()
        if word.startswith("connect"):
            _, host, port = word.split()
            try:
                with socket.create_connection((host, int(port)), 5) as other:
                    other.sendall(b"hello")
                    self.request.sendall(other.recv(100))
            except OSError as error:
                self.request.sendall(str(error).encode())
        elif word.startswith("give"):
            self.request.sendall(bytes(int(word.split()[1])))
        elif word.startswith("take"):
            left = int(word.split()[1]) - len(more)
            while left > 0:
                left -= len(self.request.recv(65536)) or left
            self.request.sendall(b"taken")
        else:
            self.request.sendall(f"here is {sys.argv[1]} for {word}".encode())
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, address_family = True, True, socket.AF_INET6
server = Server((sys.argv[2], int(sys.argv[3])), Handler)
print("ready", flush=True)
server.serve_forever()
"""
DNS = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:  # whatever is asked for is at FAR
    asked, who = server.recvfrom(512)
    end = asked.index(0, 12) + 5
    kind = asked[end - 4:end - 2]
    answer = b"\\xc0\\x0c\\0\\x01\\0\\x01\\0\\0\\0\\x3c\\0\\x04" + socket.inet_aton(sys.argv[2])
    a = kind == b"\\0\\x01"
    head = asked[:2] + b"\\x81\\x80\\0\\x01\\0" + bytes([a]) + b"\\0\\0\\0\\0"
    server.sendto(head + asked[12:end] + (answer if a else b""), who)
"""
# In the sandbox: a line for each word of the form HOST PORT SAY, what came back or the error.
ASK = """
import socket, sys, time
for word in sys.argv[1:]:
    host, port, say = word.split(",", 2)
    begin = time.monotonic()
    try:
        with socket.create_connection((host, int(port)), 8) as c:
            c.sendall(say.encode() + b"\\n")
            if say.startswith("take"):
                c.sendall(bytes(int(say.split()[1])))
            found = b""
            while part := c.recv(65536):
                found += part
                if not say.startswith("give"):
                    break
            text = found.decode() if not say.startswith("give") else str(len(found))
    except OSError as error:
        text = "error " + str(error)
    print(host, port, f"{time.monotonic() - begin:.2f}", text, sep="|")
"""
SERVE = """
import socket
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    c, _ = server.accept()
    c.recv(100)
    c.sendall(b"guest")
    c.close()
"""


class CheckFailed(Exception):
    """Something is not as it has to be."""


def require(condition: bool, what: str) -> None:
    """An assert that -O leaves in place."""
    if not condition:
        raise CheckFailed(what)


class World:
    """Servers beyond the host and on it."""

    def __init__(self, directory: str) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._directory = directory

    def make(self) -> None:
        """The device, the namespace beyond, addresses, servers."""
        tun = f"{self._directory}/tun"
        os.mknod(tun, 0o20666, os.makedev(10, 200))
        os.chmod(tun, 0o666)
        _call("mount", "--bind", tun, "/dev/net/tun")
        with open(f"{self._directory}/resolv.conf", "w") as file:
            file.write("nameserver 127.0.0.53\n")
        _call("mount", "--bind", f"{self._directory}/resolv.conf", "/etc/resolv.conf")
        beyond = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self._children.append(beyond)
        end = time.monotonic() + TIMEOUT_S
        while os.readlink(f"/proc/{beyond.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            require(time.monotonic() < end, "no network namespace for the world")
            time.sleep(0.01)
        there = ("nsenter", "--net", "--target", str(beyond.pid))
        _batch((), "link set lo up", f"link add up0 type veth peer name up0 netns {beyond.pid}",
               f"addr add {HOST}/24 dev up0", f"addr add {HOST6}/64 dev up0 nodad", f"addr add {OTHER}/32 dev lo",
               "link set up0 up")  # fmt: skip
        _batch(there, "link set lo up", f"addr add {WORLD}/24 dev up0", f"addr add {WORLD6}/64 dev up0 nodad",
               f"addr add {FAR}/32 dev lo", "link set up0 up", f"route add default via {HOST}")  # fmt: skip
        _batch((), f"route add default via {WORLD}", f"route add default via {WORLD6}")
        for prefix, name, port in ((there, "world", 80), (there, "world", 81), ((), "host", 22)):
            self._serve([*prefix, sys.executable, "-c", TCP, name, "::", str(port)])
        self._serve([sys.executable, "-c", DNS, "127.0.0.53", FAR])

    def _serve(self, command: list[str]) -> None:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self._children.append(child)
        assert child.stdout is not None
        require(child.stdout.readline() == b"ready\n", f"a server does not start: {command[-3:]}")

    def end(self) -> None:
        """All of it."""
        for child in self._children:
            child.kill()
            child.wait()
        for path in ("/dev/net/tun", "/etc/resolv.conf"):
            subprocess.run(["umount", "-l", path], check=False, stderr=subprocess.DEVNULL)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"{' '.join(command)}: {done.stderr}")


def _batch(prefix: tuple[str, ...], *lines: str) -> None:
    done = subprocess.run([*prefix, "ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True,
                          check=False)  # fmt: skip
    require(done.returncode == 0, f"ip: {done.stderr}")


# What follows is run as the user: this file, with the word "user".


def asked(network: object, *words: str) -> dict[str, tuple[float, str]]:
    """What a sandbox in there got: "host port" -> seconds, text."""
    from sandbox import run

    result = run(["python3", "-I", "-S", "-c", ASK, *words], net="join", network=network, wall=40)
    require(result.ok, f"{words}: {result}")
    found = {}
    for line in (result.stdout or b"").decode().splitlines():
        host, port, seconds, text = line.split("|", 3)
        found[f"{host} {port}"] = (float(seconds), text)
    require(len(found) == len(set(words)), f"{words}: {result}")
    return found


def outside_and_host(program: str) -> None:
    """The world is reached by address and by name, the host's own servers by no address."""
    from sandbox.networks import open_network
    from sandbox.networks.spec import NetworkSpec

    there = set(os.listdir(tempfile.gettempdir()))
    with open_network(NetworkSpec.parse("user")) as network:
        left = [name for name in os.listdir(tempfile.gettempdir()) if "pysandbox-scratch" in name and name not in there]
        require(not left, f"{program}: kill -9 would leave {left}")
        require(set(network.fds()) == {program}, f"{network.fds()} in place of {program}")
        places = [f"{FAR},80,x", f"{WORLD},81,x"] + ([f"{WORLD6},80,x"] if program == "pasta" else [])
        for place, (_seconds, text) in asked(network.place, *places).items():
            require(text == "here is world for x", f"{program}: {place}: {text}")
        gateway = "10.0.2.2" if program == "slirp4netns" else WORLD
        own = ["127.0.0.1", "127.0.0.53", "::1", HOST, OTHER, HOST6, gateway]
        for place, (_seconds, text) in asked(network.place, *(f"{address},22,x" for address in own)).items():
            require(text.startswith("error"),
                    f"{program}: a server of the host answers at {place}: {text}")  # fmt: skip
        server = network.resolv.decode().split()[1]
        query = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b"\\0\\x01\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0\\x04name\\x04test\\0\\0\\x01\\0\\x01", ("{server}", 53))
print(socket.inet_ntoa(s.recv(512)[-4:]))
"""
        from sandbox import run

        answer = run(["python3", "-I", "-S", "-c", query], net="join", network=network.place, wall=20)
        require(answer.stdout == f"{FAR}\n".encode(), f"{program}: no name is known: {network.resolv!r} {answer}")


def published(program: str) -> None:
    """A port of the host leads into the sandbox, from the host's loopback, and from outside where that was asked."""
    from sandbox import HandOver, Sandbox
    from sandbox.networks import open_network
    from sandbox.networks.spec import NetworkSpec

    spec = NetworkSpec.parse("user", publish=["0:80", f"{HOST}:8080:80"])
    with open_network(spec) as network, Sandbox() as sandbox:
        ready, theirs = os.pipe()
        options = {"net": "join", "network": network.place, "stdout": HandOver(theirs), "wall": 30}
        running = sandbox.start(["python3", "-I", "-S", "-c", SERVE], **options)
        os.close(theirs)
        require(os.read(ready, 6) == b"ready\n", "the server in the sandbox does not start")
        os.close(ready)
        port = network.ports[0].host
        with socket.create_connection(("127.0.0.1", port), 5) as c:
            c.sendall(b"x")
            require(c.recv(10) == b"guest", f"{program}: port {port} does not lead into the sandbox")
        with socket.create_connection((FAR, 80), 5) as c:
            c.sendall(f"connect {HOST} 8080\n".encode())
            text = c.recv(100)
            require(text == b"guest", f"{program}: port 8080 from outside: {text!r}")
        try:
            open_network(NetworkSpec.parse("user", publish=[f"{port}:80"])).close()
            raise CheckFailed(f"port {port} was given twice")
        except ValueError as error:
            require("in use" in str(error), f"a port in use: {error}")
        running.close()


def allowed(program: str) -> None:
    """What is named, and nothing else; a name by its address of the start, without asking."""
    from sandbox.networks import open_network
    from sandbox.networks.spec import NetworkSpec

    with open_network(NetworkSpec.parse("user", allow=["name.test:80", f"{WORLD}/32:81"])) as network:
        require(
            network.hosts == {"name.test": (FAR,)} and not network.resolv.strip(), f"{network.hosts} {network.resolv!r}"
        )
        found = asked(network.place, f"{FAR},80,x", f"{WORLD},81,x", f"{FAR},81,x", f"{WORLD},80,x", f"{WORLD6},80,x")
        for place in (f"{FAR} 80", f"{WORLD} 81"):
            require(found.pop(place)[1] == "here is world for x", f"{program}: {place} is allowed")
        require(
            all(text.startswith("error") for _s, text in found.values()), f"{program}: beside the allow list: {found}"
        )


def shaped(program: str) -> None:
    """400 kB at 200 kB/s take about two seconds, either way."""
    from sandbox.networks import open_network
    from sandbox.networks.spec import NetworkSpec

    with open_network(NetworkSpec.parse("user", bandwidth="200K")) as network:
        for say in ("give 400000", "take 400000"):
            seconds, text = asked(network.place, f"{FAR},80,{say}")[f"{FAR} 80"]
            require(text in ("400000", "taken") and 1.5 < seconds < 6, f"{program}: {say} at 200K: {seconds} s, {text}")


def named() -> None:
    """A named network's member has a way to the outside, and to the others."""
    from sandbox.networks import open_network, store
    from sandbox.networks.spec import NetworkSpec

    store.create("both")
    with open_network(NetworkSpec.parse("both", allow=[f"{FAR}:80"]), name="a") as network:
        found = asked(network.place, f"{FAR},80,x", f"{WORLD},81,x")
        require(
            found[f"{FAR} 80"][1].startswith("here") and found[f"{WORLD} 81"][1].startswith("error"), f"named: {found}"
        )
    store.remove("both")


def as_user(hidden: str) -> None:
    """All checks of one program, the other hidden."""
    from sandbox.networks import tools

    real = tools.look_for
    tools.look_for = lambda program: "" if program == hidden else real(program)
    program = "slirp4netns" if hidden == "pasta" else "pasta"
    for check in (outside_and_host, published, allowed, shaped):
        print(f"{program}: {check.__name__}", file=sys.stderr, flush=True)
        check(program)
    if program == "pasta":
        named()


def main(words: list[str]) -> int:
    """All checks; 1 and one line at the first that fails."""
    if len(words) == 2 and words[0] == "user":
        try:
            as_user(words[1])
        except CheckFailed as failure:
            print(failure, file=sys.stderr)
            return EXIT_FAILED
        return 0
    if os.geteuid() != 0 or len(words) != 1 or not words[0].isdigit():
        print("tun_checks: run me as root, in a mount and a network namespace of my own, with a uid", file=sys.stderr)
        return EXIT_CALLED_WRONG
    tried = [name for name in ("pasta", "slirp4netns") if shutil.which(name)]
    if not tried or not os.path.exists("/dev/net/tun"):
        print("tun_checks: no pasta or /dev/net/tun is here, so networks to the outside were not checked")
        return 0
    directory = tempfile.mkdtemp(prefix="pysandbox-tun-")
    world = World(directory)
    try:
        _call("mount", "-t", "tmpfs", "-o", "dev,mode=755", "tmpfs", directory)
        world.make()
        for program in tried:
            check_as(int(words[0]), program, directory)
    except CheckFailed as failure:
        print(f"tun_checks: {failure}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        world.end()
        subprocess.run(["umount", "-l", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)
    print(f"tun_checks: by {' and '.join(tried)} a sandbox reaches the outside and not the host; ports, allow lists "
          "and bandwidth hold")  # fmt: skip
    return 0


def check_as(uid: int, program: str, directory: str) -> None:
    """This file again, as the user."""
    home = f"{directory}/{program}"
    os.mkdir(home)
    os.chown(home, uid, uid)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": TREE, "LANG": "C.UTF-8", "HOME": home}
    hidden = "slirp4netns" if program == "pasta" else "pasta"
    command = [sys.executable, "-PB", os.path.abspath(__file__), "user", hidden]
    try:
        done = subprocess.run(
            command, env=environment, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=TIMEOUT_S, user=uid, group=uid, extra_groups=[], check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise CheckFailed(f"{program}: {late}: {late.stderr!r}") from None
    require(done.returncode == 0, f"{program}: {done.stderr.strip()[-4000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
