# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Bring together what differs in the Swarm and on each host of a cluster from what was applied."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model import drift_report, finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import EVERY, hosts_of
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

# What the engine's configuration should be, from the settings and the fact `host`.
DOCKER = COLLECTION / "roles/docker/vars/main.yml"


class ActionModule(ControllerAction):
    """Reads what every host of the play has registered; runs once."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what differs, each with its host; the task has failed where anything does."""
        every = hosts_of(EVERY, self.variable("cluster")["groups"])
        first = self.variable("groups")["managers"][0]
        answered = [host for host in every if host in self.variables["ansible_play_hosts"]]
        findings = drift_report.of_silent([host for host in every if host not in answered])
        findings += [finding.of(one) for one in self.variables["hostvars"][first]["swarm_compared"]["findings"]]
        findings += [finding.of(one) for one in self.variable("cluster")["port_findings"]]
        own = self.variables
        for host in answered:
            variables = self.variables["hostvars"][host]
            findings += drift_report.of_files(host, variables["node_compared"].get("changes", []))
            self.know({**self.read(DOCKER), "host": variables["host"], "settings": variables["settings"]})
            if self.variable("__docker_differs"):
                present = variables["host"]["daemon_json"]
                findings += drift_report.of_engine(self.variable("__docker_daemon"), present, host)
            self.know(own)
        return {
            "changed": False,
            "failed": bool(findings),
            "msg": drift_report.report(findings),
            "findings": [one._asdict() for one in findings],
        }
