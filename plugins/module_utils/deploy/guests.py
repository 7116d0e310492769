# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Guests: containers of others on a network of the stack, or in the very network of one of its containers.

That is allowed, and no run removes one. But whoever looks after the stack should know of each, and of what it reaches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, segments
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of, networks_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release


def lines(engine: Engine, releases: Sequence[Release], stack: str) -> list[str]:
    """Return a sentence for each guest, with what to do about it."""
    return list(told(engine.ask(engine.questions.containers) or [], releases, stack))


def told(listing: list[answers.ListedContainer], releases: Sequence[Release], stack: str) -> Iterator[str]:
    """Name each guest with its image and address, what it may reach, and how to take it off the network.

    :param listing: every container of the host
    """
    networks, containers = networks_of(releases), containers_of(releases)
    projects = {release["project"] for release in releases}
    names = {one["Id"]: answers.name_of(one) for one in listing}
    for one in listing:
        labels, name = one["Labels"] or {}, answers.name_of(one)
        if labels.get(f"{LABEL}stack") == stack and labels.get(f"{LABEL}project") in projects:
            continue
        mode, __, whose = one.get("HostConfig", {"NetworkMode": ""})["NetworkMode"].partition(":")
        host = names.get(whose, whose)
        if mode == "container" and host in containers:
            yield (
                f"guest {name} ({one['Image']}) uses the network of {host} and is not of this stack. It has the "
                f"addresses of {host}, so it may reach whatever that one may, and hears what comes in. If nobody needs "
                f"that: {docker('rm', '--force', name)}"
            )
        for network, endpoint in answers.networks_of(one).items():
            if network in networks:
                address = endpoint["IPAddress"] or "no address while it does not run"
                yield (
                    f"guest {name} ({one['Image']}) is on {network} ({address}) and not of this stack. It may reach "
                    f"{reach(releases, network, endpoint['IPAddress'])}. If nobody needs that: "
                    f"{docker('network', 'disconnect', network, name)}"
                )


def reach(releases: Sequence[Release], network: str, address: str) -> str:
    """Say what a guest may reach by the rules of the stack firewall.

    :param address: empty where it does not run, so that the engine will choose one
    """
    there = {name: one for name, one in containers_of(releases).items() if network in one["networks"]}
    one = networks_of(releases)[network]
    if any(release["layout"] == segments.SINGLE for release in releases):
        ports = {name: each["listens"] for name, each in there.items()}
        what = "every port of every container there, among them "
    elif one["segment"] != "network":
        return "nothing there: the stack firewall refuses it"
    elif address and not addresses.overlap(address, one["ip_range"]):
        return "only what the stack firewall allows to its address, outside of the range for guests"
    else:
        ports = {name: [port["container_port"] for port in each["ports"]] for name, each in there.items()}
        what = "only ports that are published from there: "
    return what + (
        ", ".join(f"{name}:{port}" for name, open_ports in ports.items() for port in open_ports) or "nothing"
    )
