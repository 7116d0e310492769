# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Judge the hosts of a cluster together, from what each of them showed and from what a manager sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ansible_collections.sse.platform.plugins.module_utils.doctor import cluster as doctor
from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import count, told
from ansible_collections.sse.platform.plugins.module_utils.model import finding, swarm_placement
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import of_manager
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    EVERY,
    Cluster,
    hosts_of,
    services,
)
from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release


class ActionModule(ControllerAction):
    """Reads what every host of the play has registered; runs once."""

    OPTIONS: ClassVar = {"applied": {"type": "list", "elements": "dict", "default": []}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what is wrong, each with its host; the task has failed where anything is."""
        known = self.variable("cluster")
        hosts = {host: self.variables["hostvars"][host] for host in self.variables["ansible_play_hosts"]}
        shown = {host: Shown.of(one) for host, one in hosts.items()}
        applied: list[Release] = arguments["applied"]
        cluster = Cluster(known["groups"], self.variable("settings")["stack_state_directory"], known["open_files"])
        made = [service for one in applied for service in services(one, cluster)]
        able = of_manager(one.swarm for one in shown.values())
        addresses = {host: {"address": one.address} for host, one in shown.items()}
        nodes = swarm_placement.by_host(able, addresses, set(hosts_of(EVERY, known["groups"])) - set(shown))
        held = swarm_placement.holders(made, known["groups"], nodes)
        facts = doctor.Facts(known["groups"], shown, made, held)
        looked = [one["swarm_looked"] for one in hosts.values() if "findings" in one.get("swarm_looked", {})]
        seen = [finding.of(one) for one in looked[0]["findings"]] if looked else doctor.silent(facts)
        away = [one for host in hosts.values() for one in host.get("elsewhere_within", {}).get("findings", [])]
        edges = map(finding.of, known["edge_findings"])
        findings = doctor.diagnose(facts, [*seen, *map(finding.of, away), *edges])
        result = {"changed": False, "failed": bool(findings), "findings": [one._asdict() for one in findings]}
        if findings:
            return {**result, "msg": told(findings), "found": count(findings)}
        return {**result, "msg": doctor.summary(facts)}
