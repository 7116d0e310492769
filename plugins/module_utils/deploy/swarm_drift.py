# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Drift of a Swarm: what a manager shows that differs from the releases that were applied.

What differs in the files of a host, `node_files` says there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import plan_text
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError, Store
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_apply import (
    VXLAN_BYTES,
    is_encrypted,
    subnet_of,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_rollout import SwarmRollout
from ansible_collections.sse.platform.plugins.module_utils.model import secret, swarm_placement, swarm_services
from ansible_collections.sse.platform.plugins.module_utils.model.drift_report import MEND
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import swarm_plan
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

MTU = "com.docker.network.driver.mtu"


class Look(SwarmRollout):
    """A rollout that only looks, and says of a secret without a file what a run would make of it."""

    def store(self, release: Release) -> Store:
        """Return the secrets, as if those that are missing had been made."""
        return Store(self.directory, self.request.secrets, release.get("secrets", {}), foresees=True)


def find(rollout: Look) -> list[Finding]:
    """Compare the Swarm with the releases of a rollout, which were applied. Nothing is changed.

    :raises ApplyError: this host knows no Swarm; data have no host, or two; another run is at work
    :raises ForeignContainerError: somebody else's service has one of our names
    """
    if not rollout.is_there:
        raise ApplyError("This host is no manager of a Swarm, and only a manager knows what runs")
    given, releases = rollout.request.secrets, rollout.request.releases
    if lacking := [line for one in releases for line in secret.not_given(one, given)]:
        raise ApplyError("\n- ".join(["Nobody can tell whether files with these secrets differ.", *lacking]))
    with rollout.alone():
        found = list(of_networks(rollout))
        try:
            rollout.compiled()
        except SecretError as error:  # its file is damaged, and everything else depends on it
            wrong, __, way = str(error).partition(". ")
            return [*found, Finding("secret", rollout.stack, wrong, str(rollout.directory), (f"# {way}.",))]
        return [*of_nodes(rollout), *found, *of_services(rollout)]


def of_nodes(rollout: SwarmRollout) -> Iterator[Finding]:
    """Compare roles and labels. A node that is drained is no drift: a verb does that."""
    request = rollout.request
    for host in swarm_services.hosts_of(swarm_services.EVERY, request.cluster.hosts):
        if host not in rollout.nodes:
            yield Finding("node", host, "it is no node of the Swarm", "docker node ls", MEND)
    held = rollout.held(rollout.compiled())
    for step in swarm_placement.steps(rollout.stack, request.cluster.hosts, held, rollout.nodes):
        yield Finding("node", step.host, ", ".join(step.reasons), "docker node inspect", MEND)


def of_networks(rollout: SwarmRollout) -> Iterator[Finding]:
    """Compare the overlays."""
    present = {one["Name"]: one for one in rollout.engine.networks()}
    wanted = {name: one for release in rollout.request.releases for name, one in release["networks"].items()}
    for name, network in wanted.items():
        found = present.get(name)
        if found is None:
            yield Finding("network", name, "it is gone", "the Swarm has no network of this name", MEND)
            continue
        options = found.get("Options") or {}
        pairs = (
            ("driver", found["Driver"], "overlay"),
            ("stack", (found["Labels"] or {}).get(SWARM_LABEL, "none"), rollout.stack),
            ("subnet", subnet_of(found), network["subnet"]),
            ("encrypted", is_encrypted(found), network.get("encrypted", False)),
            ("internal", found.get("Internal", False), swarm_services.is_internal(network)),
            ("mtu", options.get(MTU, "none"), str(rollout.request.mtu - VXLAN_BYTES)),
        )
        if different := [f"{what} {should} -> {has}" for what, has, should in pairs if has != should]:
            way = "# ./sse destroy, then ./sse up: no overlay is changed with services on it; data stay."
            yield Finding("network", name, "; ".join(different), "docker network inspect", (way,))


def of_services(rollout: SwarmRollout) -> Iterator[Finding]:
    """Compare the services, their configs and their secrets. Where a replica runs, the Swarm decides meanwhile."""
    observed = rollout.api.services()
    names = {one["Id"]: one["Name"] for one in rollout.engine.networks()}
    hosts = {node["id"]: host for host, node in rollout.nodes.items()}
    for release, store in rollout.pinned(make=False):
        services = swarm_services.services(release, rollout.request.cluster)
        for name, why in sorted(store.told.items()):
            yield Finding("secret", name, why, str(store.directory / name), MEND)
        later = of_later(rollout, release, {one.name: int(one.label("release") or 0) for one in observed})
        shown = {one.name: one for one in observed}
        for action in swarm_plan(services, observed, rollout.stack, release["project"], names):
            if action.changes:
                name = action.container
                wrong = f"~ {name}: {later[name]}" if name in later else plan_text.line(action)
                where = sorted(hosts.get(node, node) for node in shown[name].running) if name in shown else []
                evidence = f"docker service inspect {name}" + (f"; it runs on {', '.join(where)}" if where else "")
                yield Finding("service", name, wrong, evidence, MEND)


def of_later(rollout: SwarmRollout, release: Release, numbers: dict[str, int]) -> dict[str, str]:
    """Say which services are of a later release, which failed or was killed. What differs there is no work of somebody.

    :param numbers: the release that each service is of
    """
    applied = next(
        (one["number"] for one in newest_releases(rollout.directory) if one["project"] == release["project"]), 0
    )
    return {
        name: f"is of release {number}, which was not applied as a whole: a run makes it as the settings say"
        for name, number in numbers.items()
        if number > applied and name in release["containers"]
    }
