# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The laboratory: throwaway containers, networks and interfaces, and what can be measured with them.

The containers only sleep. This code listens and connects from the host, in the network namespace of a container, so
that the image needs no network tools. Only names are resolved by the container itself, with its own libc.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.answers import all_networks
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError, explained
from ansible_collections.sse.platform.plugins.module_utils.host import listeners, namespace, neighbour, netlink, tcp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

LABEL = "sse.platform.lab"
SLEEP_SECONDS = "600"  # containers that an interrupted run leaves behind end by themselves after this time
PORT = 8000
MEMORY = 64 * 2**20  # bytes
SHOWN_INTERFACES = 3  # a host has an interface for each of its networks: more would only fill the line
ANSWERS = {
    "": "connected",
    os.strerror(errno.ECONNREFUSED): "refused: nobody listens there",
    tcp.TIMED_OUT: "no answer: dropped on the way",
}


class SkippedError(Exception):
    """This host cannot show a lesson. The message gives the reason."""


class Lab:
    """A ``with`` block that owns throwaway containers, networks and interfaces, and removes all of them at its end."""

    def __init__(self, engine: Engine, stack: str, image: str, engine_image: str = "") -> None:
        """Choose names that begin with the name of the stack.

        :param image: the image of the containers; it is on the host already
        :param engine_image: an image that holds a Docker Engine; empty where there is none
        """
        self.engine = engine
        self.api = engine.api
        self.prefix = f"{stack}-lab"
        self.image = image
        self.engine_image = engine_image
        # The kernel takes 15 characters for the name of an interface.
        self.cable_ends = (f"{stack[:8]}lab0", f"{stack[:8]}lab1")
        self.open = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        """Remove what an interrupted run left."""
        self.clear()
        self.open.callback(self.clear)
        return self

    def __exit__(self, *__: object) -> None:
        """Close every listener, and remove everything."""
        self.open.close()

    def clear(self) -> None:
        """Remove every container, network and interface of the lab."""
        ours = {"label": f"{LABEL}={self.prefix}"}
        with explained("remove what the lab made"):
            for one in self.api.containers(all=True, filters=ours):
                self.api.remove_container(one["Id"], force=True, v=True)
            for one in self.api.networks(filters=ours):
                self.api.remove_network(one["Id"])
        with contextlib.suppress(neighbour.NeighbourError):  # there is none
            neighbour.ip("link", "del", self.cable_ends[0])

    def network(self, name: str, driver: str = "bridge", **options: object) -> str:
        """Make a network and return its full name."""
        full = f"{self.prefix}-{name}"
        with explained(f"make the network {full}"):
            self.api.create_network(full, driver=driver, labels={LABEL: self.prefix}, **options)
        return full

    def container(self, name: str, network: str, ports: dict[int, tuple[str, int]] | None = None) -> Container:
        """Run a container that sleeps.

        :param ports: published ports: container port -> (address of the host, port of the host)
        """
        config = self.api.create_host_config(
            network_mode=network, cap_drop=["ALL"], mem_limit=MEMORY, pids_limit=32, port_bindings=ports or {}
        )
        return self.start(name, ["sleep", SLEEP_SECONDS], config, ports=list(ports or {}), user="65534:65534")

    def start(self, name: str, command: list[str], config: object, image: str = "", **more: object) -> Container:
        """Create and start a container.

        :param config: what the Docker SDK's ``create_host_config`` returns
        """
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
                use_config_proxy=False,
                **more,
            )["Id"]
            self.api.start(made)
        return Container(self.engine, full, made)

    def attach(self, container: Container, network: str) -> None:
        """Attach a running container to one more network."""
        with explained(f"attach {container.name} to {network}"):
            self.api.connect_container_to_network(container.id, network)

    def cable(self) -> str:
        """Make two interfaces that are connected to each other (veth(4)), and return the name of one of them."""
        near, far = self.cable_ends
        neighbour.ip("link", "add", near, "type", "veth", "peer", "name", far)
        for end in self.cable_ends:
            neighbour.ip("link", "set", end, "up")
        return near

    def machine_beyond(self) -> str:
        """Make a machine beyond the host that listens on PORT, and return its address. No packet leaves this host."""
        taken = (one["destination"] for one in netlink.routes() if not one["destination"].endswith("/0"))
        made = self.open.enter_context(neighbour.beside(taken))
        self.listen(made.pid, "")
        return made.own[0]

    def listen(self, pid: int, address: str, port: int = PORT) -> None:
        """Listen in the network namespace of a process. The kernel itself completes the connections.

        :param pid: 0 for the host itself
        """
        made = namespace.inside(pid, lambda: socket.create_server((address, port))) if pid else None
        self.open.enter_context(made or socket.create_server((address, port)))


class Container(NamedTuple):
    """A running container of the lab."""

    engine: Engine
    name: str
    id: str

    @property
    def pid(self) -> int:
        """The process id of its first process, as the host counts."""
        return self.engine.inspect(self.id)["State"]["Pid"]

    def address(self, network: str = "bridge") -> str:
        """Return its address on a network."""
        return all_networks(self.engine.inspect(self.id))[network]["IPAddress"]

    def resolve(self, name: str) -> str:
        """Resolve a name as any program in it would."""
        code, output = self.engine.execute(self.id, ["getent", "ahostsv4", name])
        return output.split()[0] if code == 0 and output else "no such name"

    def connect(self, address: str, port: int = PORT) -> str:
        """Connect from its network namespace, and say what happened."""
        return namespace.inside(self.pid, lambda: connect(address, port))

    def name_servers(self) -> str:
        """List the name servers that it asks."""
        lines = Path(f"/proc/{self.pid}/root/etc/resolv.conf").read_text().splitlines()
        return ", ".join(line.split()[1] for line in lines if line.startswith("nameserver ")) or "nobody"

    def default_route(self) -> str:
        """Say where it sends packets for the rest of the world (proc_pid_net(5))."""
        for line in Path(f"/proc/{self.pid}/net/route").read_text().splitlines()[1:]:
            device, destination, gateway = line.split()[:3]
            if destination == "00000000":
                return f"{listeners.parse_address(gateway)} by {device}"
        return "nowhere"


def connect(address: str, port: int = PORT, device: str = "") -> str:
    """Connect from the namespace of the calling thread, and say what happened.

    :param device: the only interface that may be used; empty leaves the choice to the kernel
    """
    error = tcp.connect_all([(address, port)], device=device)[address, port].error
    return ANSWERS.get(error) or f"no way: {error.lower()}"


def route_loopback(gateway: str, device: str = "eth0") -> None:
    """Have the namespace of the calling thread send packets for 127.0.0.0/8 to its gateway."""
    Path(f"/proc/sys/net/ipv4/conf/{device}/route_localnet").write_text("1")
    neighbour.ip("address", "del", "127.0.0.1/8", "dev", "lo")
    neighbour.ip("route", "add", "127.0.0.0/8", "via", gateway, "dev", device)


def interfaces() -> str:
    """List the interfaces in the namespace of the calling thread that have an address, with that address."""
    found = [f"{one['name']} {one['addresses'][0].partition('/')[0]}" for one in netlink.interfaces()]
    more = [f"and {len(found) - SHOWN_INTERFACES} more"] if len(found) > SHOWN_INTERFACES else []
    return ", ".join(found[:SHOWN_INTERFACES] + more)


def namespace_of(pid: int | str, kind: str) -> str:
    """Identify a namespace of a process (namespaces(7))."""
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())


def free_port() -> int:
    """Return a port of this host on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def default_image(engine: Engine, releases: Iterable[Release]) -> str:
    """Choose an image of the platform that is on the host.

    :raises EngineError: where no image is there
    """
    for release in releases:
        for spec in release["containers"].values():
            if engine.image_id(spec["image"]):
                return spec["image"]
    raise EngineError("the lab found no image on this host: ./sse up brings images, or name one as lab_image")
