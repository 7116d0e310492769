# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a Swarm runs what its releases say, each finding with its host: nodes, services, and the ports of every host.

Pure, but for `answers`: what managers show and what ports answer goes in, findings come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import tcp
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_placement, swarm_services
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_nodes import DRAINED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.host.tcp import Target
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Group, SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

NO_TASKS = "it gets no tasks"  # of a host; somebody may have drained it for a while
ANSWER_SECONDS = 2.0  # over a network: time for one lost packet to be sent again (RFC 6298)


class Seen(NamedTuple):
    """What is compared."""

    services: list[SwarmService]
    releases: list[Release]
    groups: Mapping[Group, list[str]]
    addresses: Mapping[str, str]  # of each host of the inventory
    nodes: Mapping[str, NodeFact]  # by the name of the host
    observed: list[ObservedService]


def findings(seen: Seen, answered: Mapping[Target, str]) -> list[Finding]:
    """Return everything that is wrong.

    :param answered: why a port did not answer; empty where it did
    """
    return [
        *_node_findings(seen),
        *_service_findings(seen),
        *_spread_findings(seen),
        *_port_findings(seen, answered),
    ]


def answers(seen: Seen) -> dict[Target, str]:
    """Try every port that hosts should publish, and every one that they should not."""
    targets = [(address, port) for address in seen.addresses.values() for port in (*opened(seen), *unopened(seen))]
    return {target: one.error for target, one in tcp.connect_all(targets, ANSWER_SECONDS).items()}


def opened(seen: Seen) -> dict[int, str]:
    """Return the ports that every host of a service publishes, with the service."""
    return {
        port["PublishedPort"]: service.name
        for service in seen.services
        for port in service.request["EndpointSpec"]["Ports"]
    }


def unopened(seen: Seen) -> dict[int, str]:
    """Return the ports of containers that a Swarm would open to everybody, and so does not publish."""
    declared = {
        port["host_port"]: name
        for release in seen.releases
        for name, one in release["containers"].items()
        for port in one["ports"]
    }
    return {port: name for port, name in declared.items() if port not in opened(seen)}


def _node_findings(seen: Seen) -> Iterator[Finding]:
    for host in swarm_services.hosts_of(swarm_services.EVERY, seen.groups):
        if host not in seen.addresses:
            state = seen.nodes[host]["state"] if host in seen.nodes else "unknown by this name"
            yield silent(host, f"its node is {state}")
    for host in seen.addresses:
        node = seen.nodes.get(host)
        if node is None:
            yield Finding(
                "node", host, "it is no node of the Swarm", f"no node has the address {seen.addresses[host]}",
                ("./sse up",),
            )  # fmt: skip
        elif node["state"] != "ready":
            yield Finding(
                "node", host, "its node does not work", f"the managers see it as {node['state']}",
                ("# start the host and its engine, and let the hosts reach each other's port 7946",),
            )  # fmt: skip
        elif node["availability"] != "active":
            evidence = f"its availability is {node['availability']}"
            yield Finding("node", host, NO_TASKS, evidence, (f"./sse node add {host}",))
        elif node["role"] == "manager" and not node["reachable"]:
            yield Finding(
                "quorum", host, "the other managers do not reach it", "its reachability is not reachable",
                ("# let the managers reach each other's port 2377: without most of them, nothing can be changed",),
            )  # fmt: skip
    for step in swarm_placement.steps(_stack(seen), seen.groups, _held(seen), seen.nodes):
        yield Finding(
            "placement", step.host, "its labels or its role differ from the inventory", ", ".join(step.reasons),
            ("./sse up",),
        )  # fmt: skip


def silent(host: str, node: str) -> Finding:
    """Return the finding of a host that does not answer.

    :param node: what is known of its node
    """
    evidence = f"Ansible did not reach it; {node}"
    return Finding("host", host, "it does not answer to this run", evidence, ("# start the host, or let SSH through",))


def serving(seen: Seen, group: Group) -> list[str]:
    """Return the hosts of a group that are not drained: what is not there elsewhere is missing."""
    hosts = swarm_services.hosts_of(group, seen.groups)
    return [host for host in hosts if host not in seen.nodes or seen.nodes[host]["availability"] != DRAINED]


def _stack(seen: Seen) -> str:
    return seen.releases[0]["stack"]


def _held(seen: Seen) -> dict[str, str]:
    """Return the host that is labelled as the one with the data of each service."""
    return {
        service.name: host
        for service in seen.services
        for host, node in seen.nodes.items()
        if service.pinned and swarm_services.holds_label(service.name) in node["labels"]
    }


def _service_findings(seen: Seen) -> Iterator[Finding]:
    by_name = {one.name: one for one in seen.observed}
    names = {node["id"]: host for host, node in seen.nodes.items()}
    for service in seen.services:
        found = by_name.get(service.name)
        if found is None:
            yield Finding("service", service.name, "it is not there", "no service has this name", ("./sse up",))
            continue
        if not found.complete:
            where = ", ".join(f"{count} on {names.get(node, node)}" for node, count in sorted(found.running.items()))
            evidence = f"{sum(found.running.values())} of {found.wanted} tasks run ({where or 'on no host'})"
            told = f"; {'; '.join(found.waits)}" if found.waits else ""
            mend = f"docker service ps --no-trunc {service.name}"
            holder = _held(seen).get(service.name, "")
            if holder and not swarm_placement.works(seen.nodes[holder]):
                is_down = seen.nodes[holder]["state"] != "ready"
                wrong = (
                    f"it waits for {holder}, which has its data and {'does not work' if is_down else 'gets no tasks'}"
                )
                mend = "# start the host" if is_down else f"./sse node add {holder}"
                yield Finding("service", service.name, wrong, evidence + told, (mend,))
            else:
                yield Finding("service", service.name, "not all of it runs", evidence + told, (mend,))
        elif service.is_global and found.wanted < len(hosts := serving(seen, service.group)):
            lacks = [host for host in hosts if host not in {names.get(node) for node in found.running}]
            yield Finding(
                "service", service.name, f"it does not run on {', '.join(lacks)}",
                f"{found.wanted} of {len(hosts)} hosts have a task",
                ("docker node ls",),
            )  # fmt: skip
        if service.pinned and service.name not in _held(seen):
            yield Finding(
                "placement", service.name, "no host is labelled as the one with its data", "no node has its label",
                ("# ./sse up, where its data were lost; else label the host that has them",),
            )  # fmt: skip


def _spread_findings(seen: Seen) -> Iterator[Finding]:
    """Tell where replicas are unequally spread: the loss of one host would then end more of them than it has to."""
    names = {node["id"]: host for host, node in seen.nodes.items()}
    homes = swarm_placement.homes(seen.services, seen.groups, seen.nodes, {one.name: one for one in seen.observed})
    for one in seen.observed:
        where = [names.get(node, node) for node in one.running]
        if where and one.name in homes and homes[one.name] not in where:
            yield Finding(
                "placement", one.name, "its host has more replicas than another", f"it runs on {', '.join(where)}, and "
                f"{homes[one.name]} has room", ("./sse up",),
            )  # fmt: skip


def _port_findings(seen: Seen, answered: Mapping[Target, str]) -> Iterator[Finding]:
    services = {service.name: service for service in seen.services}
    for port, name in opened(seen).items():
        for host in serving(seen, services[name].group):
            error = answered.get((seen.addresses.get(host, ""), port))
            if error:
                evidence = f"{seen.addresses[host]}:{port}: {error.lower()}"
                mend = f"docker service ps --no-trunc {name}"
                yield Finding("published-port", host, f"port {port} of {name} does not answer there", evidence, (mend,))
    for port, name in unopened(seen).items():
        for host, address in seen.addresses.items():
            if answered.get((address, port)) == "":
                yield Finding(
                    "open-port", host, f"port {port}, which {name} has for administrators, answers to others",
                    f"{address}:{port} accepts a connection",
                    (f"# find who has it: ss -ltnp sport = :{port}",),
                )  # fmt: skip
