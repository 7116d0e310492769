# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Bring together which container of a cluster reaches which, from what each host has tried."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from ansible_collections.sse.platform.plugins.module_utils.host import live_files
from ansible_collections.sse.platform.plugins.module_utils.model import finding, moment
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import EVERY, hosts_of
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix, swarm_matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import connections
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction


class ActionModule(ControllerAction):
    """Reads what every host of the play has registered; runs once."""

    OPTIONS: ClassVar = {"grid": {"type": "bool", "default": False}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what is not as declared, each with its hosts, and the matrix."""
        hosts = {host: self.variables["hostvars"][host] for host in self.variables["ansible_play_hosts"]}
        releases = self.variable("releases")
        shown = {host: one["connections_found"]["found"] for host, one in hosts.items()}
        results = [one["connections_tried"] for one in hosts.values()]
        tried = [cell for one in results for cell in swarm_matrix.unpacked(one["cells"])]
        everywhere = swarm_matrix.everywhere(shown, hosts_of(EVERY, self.variable("cluster")["groups"]))
        cells, enforced = swarm_matrix.joined(releases, everywhere, tried), swarm_matrix.enforced(releases)
        findings = [finding.of(found) for one in results for found in one["findings"]]
        findings += connections.findings(cells, closed=swarm_matrix.CLOSED)
        now = dt.datetime.now(dt.timezone.utc)
        live = matrix.live(swarm_matrix.by_name(cells), enforced=enforced, when=now)
        drawn = matrix.grid(cells, enforced=enforced) if arguments["grid"] else []
        return {
            "changed": False,
            "findings": [one._asdict() for one in findings],
            "reached": sum(cell.verdict == "reached" for cell in cells),
            "lines": [matrix.note(cells, enforced=enforced), *drawn],
            "files": {matrix.LIVE: live_files.compact({"time": moment.text(now), **live}) + "\n"},
        }
