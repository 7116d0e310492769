# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the engine says about networks and containers."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import (
    Container,
    DoctorNetwork,
    Endpoint,
    ListedEndpoint,
)
from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.host import kept_down, procfs
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.spec import HOST
from ansible_collections.sse.platform.plugins.module_utils.model.types import NetworkFact
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication, published

LABEL_STACK = f"{LABEL}stack"
HOST_PORT = re.compile(rf"{re.escape(HOST)}:(\d+)")
# What Swarm keeps for itself: a bridge that no container lists as its network, and endpoints of no container.
SWARM_BRIDGE = "docker_gwbridge"
SWARM_ENDPOINT = re.compile(r"ingress-sbox|lb-.*")


def network(stack: str, fact: NetworkFact, label: str = LABEL_STACK) -> DoctorNetwork:
    """Add the endpoints and the options of a network to what the host facts say about it.

    :param label: by which things of the stack are known
    """
    inspected: answers.InspectedNetwork | None = None
    with contextlib.suppress(RefusedError):  # it has been removed meanwhile
        inspected = Api().network(fact["id"])
    options = (inspected and inspected["Options"]) or {}
    members = (inspected and inspected.get("Containers")) or {}
    return {
        **fact,
        "ours": fact["labels"].get(label) == stack,
        "scope": inspected["Scope"] if inspected else "local",
        "mtu": int(options.get("com.docker.network.driver.mtu") or 0),
        "masquerade": options.get("com.docker.network.bridge.enable_ip_masquerade") != "false",
        "icc": options.get("com.docker.network.bridge.enable_icc") != "false",
        "endpoints": {
            container: ListedEndpoint(one["Name"], one["IPv4Address"].partition("/")[0])
            for container, one in members.items()
            if fact["name"] != SWARM_BRIDGE and not SWARM_ENDPOINT.fullmatch(container)
        },
    }


def containers(stack: str, label: str = LABEL_STACK) -> list[Container]:
    """Describe every container of the host.

    :param label: by which things of the stack are known
    """
    found: list[Container] = []
    for one in Api().containers():
        with contextlib.suppress(RefusedError):  # it has been removed meanwhile
            found.append(container(stack, Api().container(one["Id"]), answers.health_of(one["Status"]), label))
    return found


def container(stack: str, inspected: answers.Inspected, health: str, label: str = LABEL_STACK) -> Container:
    """Take what the rules need from what the engine says about a container."""
    state, config, wanted = inspected["State"], inspected["Config"], inspected["HostConfig"]
    log = (state.get("Health") or {}).get("Log") or []
    labels = config["Labels"] or {}
    return {
        "name": inspected["Name"].lstrip("/"),
        "id": inspected["Id"],
        "labels": labels,
        "ours": labels.get(label) == stack,
        "status": state["Status"],
        "running": state["Running"] and not state["Paused"],
        "stays_down": kept_down.stays_down(inspected),
        "pid": state["Pid"],
        "program": procfs.read(f"/proc/{state['Pid']}/comm").strip() if state["Pid"] else "",
        "exit_code": state["ExitCode"],
        "error": state["Error"],
        "health": health,
        "health_log": " ".join(log[-1]["Output"].split())[-200:] if log else "",
        "mode": wanted["NetworkMode"] or "default",
        "networks": {name: endpoint(one) for name, one in answers.all_networks(inspected).items()},
        "wanted": [
            Publication(one["HostIp"] or IPV4.wildcard, int(one["HostPort"] or 0), int(port.partition("/")[0]))
            for port, bindings in (wanted["PortBindings"] or {}).items()
            for one in bindings or []
            if port.endswith("/tcp")
        ],
        "published": sorted(published(inspected)),
        "host_ports": sorted({int(port) for port in HOST_PORT.findall("\n".join(config["Env"] or []))}),
        "inside": None,
    }


def endpoint(one: answers.Endpoint) -> Endpoint:
    """Take what the rules need from what the engine says about an endpoint of a container."""
    return {
        "id": one["NetworkID"],
        "address": one["IPAddress"],
        "address6": one["GlobalIPv6Address"],
        "wanted_address": (one["IPAMConfig"] or {}).get("IPv4Address") or "",
        "aliases": one["Aliases"] or [],
    }
