"""A guided run through Docker's networks with throwaway containers: each answer is measured, none is told from memory.

The containers only sleep. Listeners and connections are made from the host in a container's network namespace, so that
any image will do, and names are asked for by the container's own libc.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError, explained
from ansible_collections.sse.platform.plugins.module_utils.host import namespace, tcp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LABEL = "sse.platform.lab"
SLEEP_SECONDS = "600"  # what an interrupted run leaves ends by itself
ENGINE_SECONDS = 40.0  # until a throwaway engine answers
PORT = 8000
ANSWERS = {
    "": "connected",
    os.strerror(errno.ECONNREFUSED): "refused: nobody listens there",
    tcp.TIMED_OUT: "no answer: dropped on the way",
}
WORLD, ROUTER = "198.51.100.2", "198.51.100.1"  # of a network for documentation (RFC 5737): nobody's
MEMORY = 64 * 2**20
SHOWN = 3  # interfaces of a namespace: a host has one for each of its networks
SIOCGIFADDR = 0x8915  # linux/sockios.h
# A whole engine in a container, without --privileged, which not every host grants.
NESTED_ENGINE = {
    "cap_add": ["ALL"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "device_cgroup_rules": ["a *:* rwm"],
    "tmpfs": {"/run": ""},
}
UNMASKED: dict[str, list[str]] = {"MaskedPaths": [], "ReadonlyPaths": []}  # --security-opt systempaths=unconfined
START_ENGINE = "for m in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind $m; done; exec dockerd"


class Seen(NamedTuple):
    """One measurement."""

    network: str
    question: str
    answer: str


class Lesson(NamedTuple):
    """One kind of network: what was measured on it, and what that means."""

    title: str
    seen: list[Seen]
    meaning: str
    skipped: str = ""


class SkippedError(Exception):
    """This host can't show that; the text says why."""


class Lab:
    """Throwaway containers and networks; ``with`` removes all of them, and what an interrupted run left."""

    def __init__(self, engine: Engine, stack: str, image: str, engine_image: str = "") -> None:
        """Use names that begin with the stack's, and an image that is on the host."""
        self.engine = engine
        self.api = engine.api
        self.prefix = f"{stack}-lab"
        self.image = image
        self.engine_image = engine_image
        self.link = f"{stack[:8]}lab"  # at most 15 characters with its ending
        self.listeners: list[socket.socket] = []

    def __enter__(self) -> Lab:
        """Begin with nothing left of an interrupted run."""
        self.clear()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        for one in self.listeners:
            one.close()
        self.clear()

    def clear(self) -> None:
        """Remove every container, network and interface of the lab."""
        mine = {"label": f"{LABEL}={self.prefix}"}
        with explained("remove what the lab made"):
            for one in self.api.containers(all=True, filters=mine):
                self.api.remove_container(one["Id"], force=True, v=True)
            for one in self.api.networks(filters=mine):
                self.api.remove_network(one["Id"])
        for link in (f"{self.link}0", f"{self.link}2"):
            subprocess.run(["ip", "link", "del", link], capture_output=True, check=False)

    # --- what the lab is made of

    def network(self, name: str, driver: str = "bridge", **options: Any) -> str:
        """Make a network; return its full name."""
        full = f"{self.prefix}-{name}"
        with explained(f"make the network {full}"):
            self.api.create_network(full, driver=driver, labels={LABEL: self.prefix}, **options)
        return full

    def container(self, name: str, network: str, ports: dict[int, tuple[str, int]] | None = None) -> Container:
        """Run a container that sleeps."""
        config = self.api.create_host_config(
            network_mode=network,
            cap_drop=["ALL"],
            mem_limit=MEMORY,
            pids_limit=32,
            port_bindings=ports or {},
        )
        return self.start(name, ["sleep", SLEEP_SECONDS], config, ports=list(ports or {}), user="65534:65534")

    def start(self, name: str, command: list[str], config: Any, image: str = "", **more: Any) -> Container:
        """Create and start a container."""
        full = f"{self.prefix}-{name}"
        with explained(f"run {full}"):
            made = self.api.create_container(
                image or self.image,
                name=full,
                hostname=name,
                entrypoint=command[:1],
                command=command[1:],
                labels={LABEL: self.prefix},
                environment={"RES_OPTIONS": "timeout:1 attempts:1"},
                host_config=config,
                **more,
            )["Id"]
            self.api.start(made)
        return Container(self, full, made)

    def cable(self, near: str, far: str) -> None:
        """Make a pair of interfaces that are each other's other end (veth(4)).

        :raises SkippedError: where the host can't
        """
        self.ip("link", "add", near, "type", "veth", "peer", "name", far)
        self.ip("link", "set", near, "up")

    def ip(self, *arguments: str) -> None:
        """Configure the network of the host, by iproute2."""
        run = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
        if run.returncode:
            raise SkippedError(f"ip {' '.join(arguments)}: {run.stderr.strip()}")

    def world(self) -> None:
        """Make a machine beyond the host, at WORLD: nothing of the lab leaves this host."""
        near, far = f"{self.link}2", f"{self.link}3"
        outside = self.container("world", "none")
        self.cable(near, far)
        self.ip("address", "add", f"{ROUTER}/30", "dev", near)
        self.ip("link", "set", far, "netns", str(outside.pid))
        inside = ("nsenter", "--net", "--target", str(outside.pid), "ip")
        for arguments in (("address", "add", f"{WORLD}/30", "dev", far), ("link", "set", far, "up")):
            subprocess.run([*inside, *arguments], capture_output=True, check=True)
        self.listen(outside.pid, "")

    def join(self, container: Container, network: str) -> None:
        """Attach a running container to one more network."""
        with explained(f"attach {container.name} to {network}"):
            self.api.connect_container_to_network(container.id, network)

    def listen(self, pid: int, address: str, port: int = PORT) -> None:
        """Listen in a container's namespace; the kernel itself completes connections."""
        self.listeners.append(namespace.inside(pid, lambda: socket.create_server((address, port))))


class Container(NamedTuple):
    """A running container of the lab."""

    lab: Lab
    name: str
    id: str

    @property
    def short(self) -> str:
        """Its name on its networks, as the lesson calls it."""
        return self.name.removeprefix(f"{self.lab.prefix}-")

    @property
    def pid(self) -> int:
        """The host's number of its first process."""
        return int(self.lab.engine.inspect(self.id)["State"]["Pid"])

    def address(self, network: str = "bridge") -> str:
        """Its address on a network."""
        return str(self.lab.engine.inspect(self.id)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def resolve(self, name: str) -> str:
        """Ask for a name as any program in it would."""
        code, output = self.lab.engine.execute(self.id, ["getent", "ahostsv4", name])
        return output.split()[0] if code == 0 and output else "no such name"

    def connect(self, address: str, port: int = PORT) -> str:
        """Connect from inside."""
        return namespace.inside(self.pid, lambda: connect(address, port))

    def interfaces(self) -> str:
        """List its interfaces with their addresses."""
        return namespace.inside(self.pid, interfaces)

    def servers(self) -> str:
        """Return whom it asks for names."""
        lines = Path(f"/proc/{self.pid}/root/etc/resolv.conf").read_text().splitlines()
        return ", ".join(line.split()[1] for line in lines if line.startswith("nameserver ")) or "nobody"

    def route(self) -> str:
        """Return where its packets for the world go (proc_pid_net(5): addresses in the host's byte order)."""
        for line in Path(f"/proc/{self.pid}/net/route").read_text().splitlines()[1:]:
            device, destination, gateway = line.split()[:3]
            if destination == "00000000":
                return f"{socket.inet_ntoa(struct.pack('=I', int(gateway, 16)))} by {device}"
        return "nowhere"


def connect(address: str, port: int = PORT, device: str = "") -> str:
    """Connect from the calling thread's namespace, by one interface alone where it is named; say what came of it."""
    error = tcp.connect_all([(address, port)], device=device)[address, port].error
    return ANSWERS.get(error) or f"no way: {error.lower()}"


def interfaces() -> str:
    """List the interfaces of the calling thread's namespace (netdevice(7))."""
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(sock, SIOCGIFADDR, struct.pack("256s", name.encode()))
                found.append(f"{name} {socket.inet_ntoa(answer[20:24])}")
            except OSError:
                continue  # no address: the ends of other containers' cables, on the host
    return ", ".join(found[:SHOWN] + ([f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []))


# --- the lessons


def default_bridge(lab: Lab) -> Iterator[tuple[str, str]]:
    """Without --network a container lands here."""
    a, b = lab.container("a", "bridge"), lab.container("b", "bridge")
    lab.listen(b.pid, "")
    yield "a asks for the name b", a.resolve("b")
    yield f"a connects to b's address {b.address()}", a.connect(b.address())
    yield "a asks for names at", a.servers()


def custom_bridge(lab: Lab) -> Iterator[tuple[str, str]]:
    """What this platform is made of."""
    network = lab.network("custom")
    a, b = lab.container("c", network), lab.container("d", network)
    lab.listen(b.pid, "")
    name = b.name
    yield f"c asks for the name {name}", a.resolve(name)
    yield "c connects to d", a.connect(b.address(network))
    yield "c asks for names at", a.servers()
    other = lab.container("e", lab.network("other"))
    yield f"e, on another network, asks for {name}", other.resolve(name)
    yield "e connects to d's address", other.connect(b.address(network))
    lab.join(other, network)
    yield f"e, attached to d's network, asks for {name}", other.resolve(name)
    yield "e connects to d", other.connect(b.address(network))


def listening(lab: Lab) -> Iterator[tuple[str, str]]:
    """The commonest reason of "connection refused"."""
    network = lab.network("listen")
    client, server = lab.container("client", network), lab.container("server", network)
    lab.listen(server.pid, "127.0.0.1")
    yield "client connects to server, which listens on 127.0.0.1", client.connect(server.address(network))
    lab.listen(server.pid, "0.0.0.0", PORT + 1)  # noqa: S104 - in the container's own namespace
    yield "client connects to server, which listens on 0.0.0.0", client.connect(server.address(network), PORT + 1)


def publishing(lab: Lab) -> Iterator[tuple[str, str]]:
    """What a Dockerfile's EXPOSE does, and what -p does."""
    network = lab.network("publish")
    exposed = lab.container("exposed", network)
    lab.listen(exposed.pid, "")
    yield "the host connects to its own 127.0.0.1, port not published", connect("127.0.0.1", free_port())
    yield "the host connects to the container's address all the same", connect(exposed.address(network))
    port = free_port()
    published = lab.container("published", network, {PORT: ("127.0.0.1", port)})
    lab.listen(published.pid, "")
    yield "the host connects to 127.0.0.1, port published there", connect("127.0.0.1", port)
    yield "a neighbour connects to the container's own port", exposed.connect(published.address(network))


def internal(lab: Lab) -> Iterator[tuple[str, str]]:
    """A network with no way out."""
    network = lab.network("internal", internal=True)
    port = free_port()
    a, b = lab.container("f", network), lab.container("g", network, {PORT: ("127.0.0.1", port)})
    lab.listen(b.pid, "")
    yield "f connects to g", a.connect(b.address(network))
    lab.world()
    yield "f connects to a machine beyond the host", a.connect(WORLD)
    outgoing = lab.container("o", lab.network("outgoing"))
    yield "o, on an ordinary bridge, connects to it", outgoing.connect(WORLD)
    yield "the host connects to g's published port", connect("127.0.0.1", port)


def host_network(lab: Lab) -> Iterator[tuple[str, str]]:
    """No network namespace of its own."""
    a = lab.container("h", "host")
    yield "its interfaces are the host's", "yes" if same_namespace(a.pid) else "no"
    port = free_port()
    lab.listen(a.pid, "127.0.0.1", port)
    yield "the host connects to what it listens on at 127.0.0.1", connect("127.0.0.1", port)


def no_network(lab: Lab) -> Iterator[tuple[str, str]]:
    """A namespace with nothing in it."""
    a = lab.container("n", "none")
    yield "its interfaces", a.interfaces()
    yield "it sends packets for the world to", a.route()


def macvlan(lab: Lab) -> Iterator[tuple[str, str]]:
    """Containers as machines of their own on the host's wire; here on a cable that the lab makes and removes."""
    parent, end = f"{lab.link}0", f"{lab.link}1"
    lab.cable(parent, end)
    lab.ip("link", "set", end, "up")
    try:
        network = lab.network("macvlan", "macvlan", options={"parent": parent})
        a, b = lab.container("i", network), lab.container("j", network)
    except EngineError as error:
        raise SkippedError(str(error)) from error
    lab.listen(b.pid, "")
    yield f"i asks for the name {b.name}", a.resolve(b.name)
    yield "i connects to j", a.connect(b.address(network))
    # By this interface alone: without a route the host would ask the world for it.
    yield "the host connects to j by that very wire", connect(b.address(network), device=parent)


def overlay(lab: Lab) -> Iterator[tuple[str, str]]:
    """One network over several hosts: needs a Swarm, which is made inside a throwaway engine, never on yours."""
    if not lab.engine_image:
        raise SkippedError(
            "it needs a throwaway engine: name an image with one, such as docker:dind, as lab_engine_image"
        )
    inner = Nested(lab, nested_engine(lab))
    inner.wait()
    inner.load(lab.image)
    inner.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    inner.docker("network", "create", "--driver", "overlay", "--attachable", "wide")
    for name in ("here", "there"):
        inner.docker("run", "-d", f"--name={name}", "--network=wide", "--entrypoint=sleep", lab.image, SLEEP_SECONDS)
    yield "here asks for the name there", inner.docker("exec", "here", "getent", "ahostsv4", "there").split()[0]
    address = inner.docker("inspect", "-f", "{{.NetworkSettings.Networks.wide.IPAddress}}", "there")
    lab.listen(inner.process("there"), "")
    yield "here connects to there", namespace.inside(inner.process("here"), lambda: connect(address))


def nested_engine(lab: Lab) -> Container:
    """Start a throwaway engine.

    On a machine without this capability an old engine gives it to whoever asks for all, in vain, and a new one refuses
    to take away what it has not.
    """

    def start(*without: str) -> Container:
        config = lab.api.create_host_config(**NESTED_ENGINE, cap_drop=list(without), mem_limit=2**30) | UNMASKED
        return lab.start("engine", ["sh", "-c", START_ENGINE], config, lab.engine_image, volumes=["/var/lib/docker"])

    try:
        return start("SYS_RESOURCE")
    except EngineError as error:
        if "CapDrop" not in str(error):
            raise
        return start()


class Nested:
    """An engine inside a container of the lab."""

    def __init__(self, lab: Lab, container: Container) -> None:
        """Speak to it through its own client."""
        self.lab = lab
        self.container = container

    def docker(self, *arguments: str) -> str:
        """Run a command of its client.

        :raises SkippedError: where it fails: what this engine can't do can't be shown here
        """
        code, output = self.lab.engine.execute(self.container.id, ["docker", *arguments])
        if code:
            raise SkippedError(f"the throwaway engine says to docker {arguments[0]}: {' '.join(output.split())[:300]}")
        return output

    def wait(self) -> None:
        """Wait until it answers."""
        until = time.monotonic() + ENGINE_SECONDS
        while self.lab.engine.execute(self.container.id, ["docker", "info"])[0]:
            if time.monotonic() > until or self.lab.engine.inspect(self.container.id)["State"]["Status"] != "running":
                last = self.lab.engine.last_lines(self.container.id, 1)
                raise SkippedError(f"the throwaway engine of {self.lab.engine_image} does not start: {last}")
            time.sleep(0.2)  # an engine tells nobody when it is ready

    def load(self, image: str) -> None:
        """Give it an image of the outer engine."""
        with explained(f"hand {image} to the throwaway engine"):
            saved = self.lab.api.get_image(image)
            command = ["docker", "exec", "-i", self.container.id, "docker", "load"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as load:
                for part in saved:
                    if load.stdin:
                        load.stdin.write(part)

    def process(self, name: str) -> int:
        """Return the host's number of the first process of one of its containers (NSpid of proc_pid_status(5))."""
        inside = self.docker("inspect", "-f", "{{.State.Pid}}", name).strip()
        family = namespace_of(self.container.pid, "mnt")
        for status in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                lines = status.read_text().splitlines()
                numbers = next((line for line in lines if line.startswith("NSpid:")), "").split()[1:]
                if len(numbers) == 3 and numbers[1] == inside and namespace_of(int(numbers[0]), "mnt") != family:
                    return int(numbers[0])
        raise SkippedError(f"the process of {name} is not to be seen from here")


def namespace_of(pid: int | str, kind: str) -> str:
    """Identify a namespace of a process (namespaces(7))."""
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def same_namespace(pid: int) -> bool:
    """Tell whether a process is in the host's network namespace."""
    return namespace_of(pid, "net") == namespace_of("self", "net")


def free_port() -> int:
    """Return a port of this host on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


LESSONS: tuple[tuple[str, Callable[[Lab], Iterator[tuple[str, str]]], str], ...] = (
    ("default bridge", default_bridge, "No DNS: containers find each other by addresses that change. Don't use it."),
    (
        "custom bridge",
        custom_bridge,
        "Names work, and networks are apart: who is not attached neither resolves nor connects, until you attach it.",
    ),
    ("listening", listening, "A server that listens on 127.0.0.1 in its container is deaf to all others: use 0.0.0.0."),
    (
        "expose and publish",
        publishing,
        "EXPOSE opens nothing. Neighbours need no published port; publish for the host alone, on 127.0.0.1.",
    ),
    ("internal bridge", internal, "No way out, and a published port publishes nothing, without a word."),
    (
        "host",
        host_network,
        "No namespace of its own: every port and interface is the host's. No name, no isolation.",
    ),
    ("none", no_network, "Nothing but its own loopback: for jobs that must not talk."),
    (
        "macvlan",
        macvlan,
        "An address on the host's own wire. The host itself does not reach it: macvlan is like that.",
    ),
    ("overlay", overlay, "Names and connections over several hosts; needs a Swarm."),
)


def teach(lab: Lab) -> Iterator[Lesson]:
    """Give every lesson, each on containers of its own; one that this host can't show says why."""
    for title, show, meaning in LESSONS:
        seen: list[Seen] = []
        skipped = ""
        try:
            seen.extend(Seen(title, question, answer) for question, answer in show(lab))
        except SkippedError as error:
            skipped = str(error)
        yield Lesson(title, seen, meaning, skipped)


def namespaces(lab: Lab) -> list[Seen]:
    """Show what a namespace is: the same questions to a container of each kind."""
    kinds = {"bridge": "bridge", "host": "host", "none": "none"}
    made = {title: lab.container(f"ns-{title}", network) for title, network in kinds.items()}
    return [
        Seen(title, question, answer)
        for title, one in made.items()
        for question, answer in (
            ("interfaces", one.interfaces()),
            ("way to the world", one.route()),
            ("asks for names at", one.servers()),
        )
    ]


def written(lessons: list[Lesson], kinds: list[Seen]) -> list[str]:
    """Write it all for people: each lesson with its meaning, then the namespaces side by side."""
    width = max(len(one.question) for lesson in lessons for one in lesson.seen)
    lines: list[str] = []
    for lesson in lessons:
        lines += ["", f"{lesson.title}: {lesson.meaning}"]
        lines += [f"  {one.question.ljust(width)}  {one.answer}" for one in lesson.seen]
        lines += [f"  SKIPPED: {lesson.skipped}"] if lesson.skipped else []
    lines += [
        "",
        "A network namespace has interfaces, routes and sockets of its own. The same questions to three kinds:",
    ]
    return lines + [f"  {one.network.ljust(8)}{one.question.ljust(20)}{one.answer}" for one in kinds]


def default_image(engine: Engine, releases: list[dict[str, Any]]) -> str:
    """Choose an image that is on the host: one of the platform's own.

    :raises EngineError: where there is none
    """
    for release in releases:
        for spec in release["containers"].values():
            if engine.image_id(spec["image"]):
                return str(spec["image"])
    raise EngineError("the lab needs an image on this host: ./sse up brings some, or name one as lab_image")
