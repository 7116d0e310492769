# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What is wrong with the hosts of a cluster together: engines, managers, ports between the hosts, clocks, images.

Pure: what every host showed goes in, findings come out, each with its host. What a manager shows of nodes, services and
where they run, `swarm_checks` judges, for `./sse verify`, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.doctor import severity
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_placement, swarm_services
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.preflight import cluster_preflight, swarm_ports
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_checks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Group, SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

PORTS = "# let the hosts reach each other's 2377/tcp, 7946/tcp, 7946/udp and 4789/udp, and nobody else"
NO_NODES = "this manager cannot say what the nodes are"


class Facts(NamedTuple):
    """What is looked at."""

    groups: Mapping[Group, list[str]]
    hosts: Mapping[str, Shown]  # those that answered
    services: Sequence[SwarmService]  # of the release that was applied; none where it is not known
    held_by: Mapping[str, str]  # the host with the data of each service


def diagnose(facts: Facts, seen: Sequence[Finding]) -> list[Finding]:
    """Return every finding with its severity, the worst first.

    :param seen: what a manager's view of nodes and services shows
    """
    own = [
        *_engine_findings(facts),
        *_quorum_findings(facts),
        *_port_findings(facts),
        *swarm_ports.findings(facts.hosts, _every(facts) - set(facts.hosts)),
        *_clock_findings(facts),
        *_image_findings(facts),
    ]
    # A host whose engine is down is down for the managers, too, and told once.
    down = {one.subject for one in own if one.rule == "engine-down"}
    rest = [one for one in seen if not (one.rule == "node" and one.subject in down)]
    judged = [one._replace(severity=of_finding(one)) for one in [*own, *rest]]
    return sorted(judged, key=lambda one: severity.ORDER.index(one.severity))


def _every(facts: Facts) -> set[str]:
    return set(swarm_services.hosts_of(swarm_services.EVERY, facts.groups))


def silent(facts: Facts) -> list[Finding]:
    """Return the hosts that do not answer, where no manager can say more of them."""
    hosts = swarm_services.hosts_of(swarm_services.EVERY, facts.groups)
    return [
        swarm_checks.silent(host, "no manager says how it sees its node") for host in hosts if host not in facts.hosts
    ]


def of_finding(one: Finding) -> severity.Severity:
    """Return the severity of a finding: somebody may have drained a host for a while."""
    return "warning" if one.wrong == swarm_checks.NO_TASKS else severity.of_rule(one.rule)


def summary(facts: Facts) -> str:
    """Write one line about a cluster without a finding."""
    services = f", {len(facts.services)} services" if facts.services else ""
    return f"all is well: looked at {len(facts.hosts)} hosts{services}, and the ports between the hosts"


def _engine_findings(facts: Facts) -> Iterator[Finding]:
    for host, one in facts.hosts.items():
        engine = one.host["engine"]
        if engine is None:
            evidence = one.host["engine_error"] or "no engine answers at its socket"
            mend = ("systemctl status docker", f"# on {host}: its log says why: journalctl -u docker")
            yield Finding("engine-down", host, "no Docker Engine answers there", evidence, mend)
            continue
        written = (one.host["daemon_json"] or {}).get("live-restore") is True
        if engine["live_restore"] or written:
            wrong = "live-restore is on"
            evidence = "docker info says so" if engine["live_restore"] else "its daemon.json has it"
            if one.swarm and one.swarm["state"] == "active":
                wrong += ", and with it the engine of a node does not start again"
            mend = ("./sse up", '# or set "live-restore": false in its daemon.json; without the line it stays on')
            yield Finding("live-restore", host, wrong, evidence, mend)
        if one.swarm and one.swarm["state"] != "active":
            evidence = f"its engine says: {one.swarm['state']} {one.swarm['error']}".strip()
            mend = ("docker swarm unlock",) if one.swarm["state"] == "locked" else ("./sse up",)
            yield Finding("node-state", host, "its engine is in no Swarm that works", evidence, mend)


def _quorum_findings(facts: Facts) -> Iterator[Finding]:
    managers = {host: one.swarm for host, one in facts.hosts.items() if one.swarm and one.swarm["manager"]}
    named = facts.groups.get("managers", [])
    deaf = [host for host, swarm in managers.items() if not swarm["nodes"]]
    able = next((swarm for swarm in managers.values() if swarm["nodes"]), None)
    if deaf and not able:
        silent = [host for host in named if host not in managers]
        others = f"start {', '.join(silent)}" if silent else "let the managers reach each other"
        mend = (
            f"# {others}: more than half of the managers have to agree",
            "# only if the others are lost for ever, on one that is left: docker swarm init --force-new-cluster",
        )
        wrong = "the managers decide nothing: nothing can be changed, and nothing starts elsewhere"
        yield Finding("quorum", ", ".join(deaf), wrong, managers[deaf[0]]["error"] or NO_NODES, mend)
        return
    for host in deaf:
        evidence = managers[host]["error"] or NO_NODES
        yield Finding("manager-apart", host, "it is apart from the other managers", evidence, (PORTS,))
    if able:
        every = [node for node in able["nodes"] if node["role"] == "manager"]
        reached = [node for node in every if node["reachable"]]
        if len(reached) < len(every) and 2 * (len(reached) - 1) <= len(every):
            lost = ", ".join(node["name"] for node in every if not node["reachable"])
            yield Finding(
                "quorum-short", lost, "no further manager may be lost: nothing could be changed or started elsewhere",
                f"{len(reached)} of {len(every)} managers reach each other",
                ("# start it; or name another host in its place in the group managers, and ./sse up",),
            )  # fmt: skip


def _port_findings(facts: Facts) -> Iterator[Finding]:
    found: dict[tuple[str, str], list[str]] = {}
    for host, port in cluster_preflight.closed_ports(facts.hosts):
        found.setdefault((host, port["peer"]), []).append(f"{port['port']}/{port['protocol']} ({port['why']})")
    for (host, peer), ports in found.items():
        address = facts.hosts[peer].address if peer in facts.hosts else "?"
        wrong = f"it does not reach the Swarm's ports of {peer}"
        yield Finding("ports-between-hosts", host, wrong, f"{address}: {', '.join(ports)}", (PORTS,))


def _clock_findings(facts: Facts) -> Iterator[Finding]:
    if found := cluster_preflight.clocks_apart(facts.hosts):
        first, last, apart = found
        far = max(found[:2], key=lambda host: abs(facts.hosts[host].ahead))
        evidence = f"the clock of {last} is {apart:.0f} s ahead of that of {first}"
        yield Finding("clock-skew", far, "its clock is apart from others", evidence, ("timedatectl set-ntp true",))


def _image_findings(facts: Facts) -> Iterator[Finding]:
    """Name the images that a host would have to get before it could take over what runs elsewhere."""
    lacking: dict[tuple[str, str], list[str]] = {}
    for service in facts.services:
        image = service.request["TaskTemplate"]["ContainerSpec"]["Image"]
        for host in swarm_placement.carried(service, facts.groups, facts.held_by):
            one = facts.hosts.get(host)
            if one and one.host["engine"] and image not in one.host["images"]:
                lacking.setdefault((host, image), []).append(service.name)
    for (host, image), names in lacking.items():
        some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        wrong = f"the image of {some} is not there: it cannot start there if no registry has it"
        yield Finding("image-missing", host, wrong, image, ("./sse up",))
