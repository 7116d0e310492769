"""What several rules ask of the facts."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.model.finding import docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

LABEL_STACK = f"{LABEL}stack"


def is_ours(facts: Json, labels: Json) -> bool:
    """Tell whether something carries the label of the stack that is looked at."""
    return labels.get(LABEL_STACK) == facts["stack"]


def network_of(facts: Json, name: str) -> Json | None:
    """Return a network by its name."""
    return next((one for one in facts["networks"] if one["name"] == name), None)


def device_of(facts: Json, network: str) -> str:
    """Return the bridge of a network on the host; empty where it is not known."""
    return (network_of(facts, network) or {"device": ""})["device"]


def container_of(facts: Json, name: str) -> Json | None:
    """Return a container by its name."""
    return next((one for one in facts["containers"] if one["name"] == name), None)


def addresses_inside(container: Json) -> list[str] | None:
    """List the addresses that a container has in fact; None where its namespace can't be seen or is the host's."""
    if container["inside"] is None or container["mode"] == "host":
        return None
    return [one.partition("/")[0] for each in container["inside"]["interfaces"] for one in each["addresses"]]


def ghosts(facts: Json) -> Iterator[tuple[Json, Json, Json | None]]:
    """Endpoints that no container knows of: network, endpoint, and the container that the network lists it for."""
    known = {one["id"]: one for one in facts["containers"]}
    for network in facts["networks"]:
        for identity, endpoint in network["endpoints"].items():
            container = known.get(identity)
            if container is None or network["name"] not in container["networks"]:
                yield network, endpoint, container


def reconnect(network: str, container: Json) -> list[str]:
    """The commands that give a container a fresh endpoint, with its address and aliases."""
    endpoint = container["networks"][network]
    address = f"--ip={endpoint['wanted_address']}" if endpoint["wanted_address"] else ""
    aliases = [f"--alias={one}" for one in endpoint["aliases"] if one != container["id"][:12]]
    return [
        docker("network", "disconnect", "--force", network, container["name"]),
        docker("network", "connect", address, *aliases, network, container["name"]),
    ]


UNDECLARED = "# nothing declares this connection: add it to the `reaches` of its source, then ./sse up"


def attach(facts: Json, network: str, container: Json, alias: str = "") -> str:
    """What puts a container on a network; one that the stack keeps on networks of its own is apart by design."""
    homes = [one for name in container["networks"] if (one := network_of(facts, name))]
    if is_ours(facts, container["labels"]) and any(is_ours(facts, one["labels"]) for one in homes):
        return UNDECLARED
    return docker("network", "connect", f"--alias={alias}" if alias else "", network, container["name"])


def wake(container: Json) -> str:
    """The command that has a container run again."""
    return docker("unpause" if container["status"] == "paused" else "start", container["name"])


def health(container: Json) -> str:
    """What the engine says of a container's health."""
    said = f" ({container['health_log']})" if container["health_log"] and container["health"] != "healthy" else ""
    return f"{container['name']} is {container['health'] or container['status']}{said}"
