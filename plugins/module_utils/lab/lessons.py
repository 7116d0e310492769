# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The lessons: what each kind of Docker network does, measured on containers of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.neighbour import NeighbourError
from ansible_collections.sse.platform.plugins.module_utils.lab import kit
from ansible_collections.sse.platform.plugins.module_utils.lab.kit import PORT, Lab, SkippedError, connect
from ansible_collections.sse.platform.plugins.module_utils.lab.nested import NestedEngine

Measured = Iterator[tuple[str, str]]  # questions with their answers


class Seen(NamedTuple):
    """One measurement."""

    network: str
    question: str
    answer: str


class Lesson(NamedTuple):
    """One kind of network: how it is shown, and what the measurements mean for a user."""

    title: str
    show: Callable[[Lab], Measured]
    meaning: str


class Taught(NamedTuple):
    """A lesson that was given: its measurements, and why it ended early; empty where it did not."""

    lesson: Lesson
    seen: list[Seen]
    skipped: str


def default_bridge(lab: Lab) -> Measured:
    """A container without --network is on this network."""
    a, b = lab.container("a", "bridge"), lab.container("b", "bridge")
    lab.listen(b.pid, "")
    yield "a asks for the name b", a.resolve("b")
    yield f"a connects to b's address {b.address()}", a.connect(b.address())
    yield "a asks for names at", a.name_servers()


def custom_bridge(lab: Lab) -> Measured:
    """This platform uses networks of this kind."""
    network = lab.network("custom")
    c, d = lab.container("c", network), lab.container("d", network)
    lab.listen(d.pid, "")
    yield f"c asks for the name {d.name}", c.resolve(d.name)
    yield "c connects to d", c.connect(d.address(network))
    yield "c asks for names at", c.name_servers()
    e = lab.container("e", lab.network("other"))
    yield f"e, on another network, asks for {d.name}", e.resolve(d.name)
    yield "e connects to d's address", e.connect(d.address(network))
    lab.attach(e, network)
    yield f"e, attached to d's network, asks for {d.name}", e.resolve(d.name)
    yield "e connects to d", e.connect(d.address(network))


def listening(lab: Lab) -> Measured:
    """The most frequent reason for "connection refused"."""
    network = lab.network("listen")
    client, server = lab.container("client", network), lab.container("server", network)
    lab.listen(server.pid, "127.0.0.1")
    yield "client connects to server, which listens on 127.0.0.1", client.connect(server.address(network))
    lab.listen(server.pid, "0.0.0.0", PORT + 1)  # noqa: S104 - in the container's own namespace  # nosec B104
    yield "client connects to server, which listens on 0.0.0.0", client.connect(server.address(network), PORT + 1)


def publishing(lab: Lab) -> Measured:
    """What EXPOSE in a Dockerfile does, and what -p does."""
    network = lab.network("publish")
    exposed = lab.container("exposed", network)
    lab.listen(exposed.pid, "")
    yield "the host connects to its own 127.0.0.1, port not published", connect("127.0.0.1", kit.free_port())
    yield "the host connects to the container's address all the same", connect(exposed.address(network))
    port = kit.free_port()
    published = lab.container("published", network, {PORT: ("127.0.0.1", port)})
    lab.listen(published.pid, "")
    yield "the host connects to 127.0.0.1, port published there", connect("127.0.0.1", port)
    yield "a neighbour connects to the container's own port", exposed.connect(published.address(network))


def internal(lab: Lab) -> Measured:
    """A network with no way out."""
    network, port = lab.network("internal", internal=True), kit.free_port()
    f, g = lab.container("f", network), lab.container("g", network, {PORT: ("127.0.0.1", port)})
    lab.listen(g.pid, "")
    yield "f connects to g", f.connect(g.address(network))
    beyond = lab.machine_beyond()
    yield "f connects to a machine beyond the host", f.connect(beyond)
    outgoing = lab.container("o", lab.network("outgoing"))
    yield "o, on an ordinary bridge, connects to it", outgoing.connect(beyond)
    yield "the host connects to g's published port", connect("127.0.0.1", port)


def host_network(lab: Lab) -> Measured:
    """No network namespace of its own."""
    h, port = lab.container("h", "host"), kit.free_port()
    shared = kit.namespace_of(h.pid, "net") == kit.namespace_of("self", "net")
    yield "its interfaces are the host's", "yes" if shared else "no"
    lab.listen(h.pid, "127.0.0.1", port)
    yield "the host connects to what it listens on at 127.0.0.1", connect("127.0.0.1", port)


def loopback_of_the_host(lab: Lab) -> Measured:
    """What a container reaches that may change its own routes (NET_ADMIN)."""
    network, port = lab.network("loopback"), kit.free_port()
    lab.listen(0, "127.0.0.1", port)
    k = lab.container("k", network)
    yield "k connects to 127.0.0.1, where a server of the host listens", k.connect("127.0.0.1", port)
    gateway = k.default_route().partition(" ")[0]
    namespace.inside(k.pid, lambda: kit.route_loopback(gateway))
    yield "k sends packets for 127.0.0.1 to the host instead, and connects", k.connect("127.0.0.1", port)


def no_network(lab: Lab) -> Measured:
    """A namespace with nothing in it."""
    n = lab.container("n", "none")
    yield "its interfaces", namespace.inside(n.pid, kit.interfaces)
    yield "it sends packets for the world to", n.default_route()


def macvlan(lab: Lab) -> Measured:
    """Containers as machines of their own on the cable of a host; here on a cable that the lab makes and removes."""
    cable = lab.cable()
    try:
        network = lab.network("macvlan", "macvlan", options={"parent": cable})
        i, j = lab.container("i", network), lab.container("j", network)
    except EngineError as error:
        raise SkippedError(str(error)) from error
    lab.listen(j.pid, "")
    yield f"i asks for the name {j.name}", i.resolve(j.name)
    yield "i connects to j", i.connect(j.address(network))
    # Only through this interface: the host has no route to j and would send the packets to its own gateway.
    yield "the host connects to j over the same cable", connect(j.address(network), device=cable)


def overlay(lab: Lab) -> Measured:
    """One network over several hosts. Its Swarm is made inside a throwaway engine, never on the engine of the host."""
    inner = NestedEngine(lab)
    inner.docker("swarm", "init", "--advertise-addr", "127.0.0.1")
    inner.docker("network", "create", "--driver", "overlay", "--attachable", "wide")
    for name in ("here", "there"):
        options = ("-d", f"--name={name}", "--network=wide", "--entrypoint=sleep")
        inner.docker("run", *options, lab.image, kit.SLEEP_SECONDS)
    yield "here asks for the name there", inner.docker("exec", "here", "getent", "ahostsv4", "there").split()[0]
    address = inner.docker("inspect", "-f", "{{.NetworkSettings.Networks.wide.IPAddress}}", "there")
    lab.listen(inner.process("there"), "")
    yield "here connects to there", namespace.inside(inner.process("here"), lambda: connect(address))


LESSONS = (
    Lesson(
        "default bridge",
        default_bridge,
        "It has no DNS: containers find each other by addresses that change. With icc off, they reach no other one.",
    ),
    Lesson("custom bridge", custom_bridge, "Names work. A container reaches nothing on a network until you attach it."),
    Lesson("listening", listening, "A server on 127.0.0.1 of its container hears nobody else: listen on 0.0.0.0."),
    Lesson("expose and publish", publishing, "EXPOSE opens nothing. Publish for the host alone, on 127.0.0.1."),
    Lesson("internal bridge", internal, "It has no way out. A port published on it answers nobody, without an error."),
    Lesson("host", host_network, "The container shares every interface and port of the host: no name, no isolation."),
    Lesson(
        "loopback of the host",
        loopback_of_the_host,
        "With NET_ADMIN and an Engine before 28 it is in reach, if no rule drops that. The stack firewall does.",
    ),
    Lesson("none", no_network, "The container has only its own loopback: for jobs that must not use a network."),
    Lesson("macvlan", macvlan, "The container has an address on the host's own network. The host cannot reach it."),
    Lesson("overlay", overlay, "Names and connections work across several hosts. It needs a Swarm."),
)


def teach(lab: Lab) -> Iterator[Taught]:
    """Give every lesson. Where this host cannot show a lesson, the lesson has the reason."""
    for lesson in LESSONS:
        seen: list[Seen] = []
        skipped = ""
        try:
            seen.extend(Seen(lesson.title, *measured) for measured in lesson.show(lab))
        except (SkippedError, NeighbourError) as error:
            skipped = str(error)
        yield Taught(lesson, seen, skipped)


def namespaces(lab: Lab) -> list[Seen]:
    """Show what a namespace is: ask a container of each kind the same questions."""
    made = {network: lab.container(f"ns-{network}", network) for network in ("bridge", "host", "none")}
    return [
        Seen(network, question, answer)
        for network, one in made.items()
        for question, answer in (
            ("interfaces", namespace.inside(one.pid, kit.interfaces)),
            ("way to the world", one.default_route()),
            ("asks for names at", one.name_servers()),
        )
    ]


def report(lessons: list[Taught], kinds: list[Seen]) -> list[str]:
    """Write everything as lines for people: each lesson with its meaning, then the namespaces side by side."""
    width = max(len(one.question) for taught in lessons for one in taught.seen)
    lines: list[str] = []
    for taught in lessons:
        lines += ["", f"{taught.lesson.title}: {taught.lesson.meaning}"]
        lines += [f"  {one.question.ljust(width)}  {one.answer}" for one in taught.seen]
        lines += [f"  SKIPPED: {taught.skipped}"] if taught.skipped else []
    lines += [
        "",
        "A network namespace has its own interfaces, routes and sockets. Three kinds answer the same questions:",
    ]
    return lines + [f"  {one.network.ljust(8)}{one.question.ljust(20)}{one.answer}" for one in kinds]
