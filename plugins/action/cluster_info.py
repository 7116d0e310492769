# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Look at one host of a cluster; the controller knows the addresses of all, and its own clock."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import (
    address_of,
    taken_ports,
)
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction


class ActionModule(ControllerAction):
    """Tells each host who its peers are, and compares its clock with that of the controller."""

    _requires_connection = True

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``cluster_node``."""
        own, hosts = self.variables["inventory_hostname"], self.variables["ansible_play_hosts"]
        facts = {host: self.variables["hostvars"][host] for host in hosts}
        addresses = {
            host: address_of(one["host"], one["settings"]["deployment_address"]) for host, one in facts.items()
        }
        asked = {
            "address": addresses[own],
            "peers": {host: address for host, address in addresses.items() if host != own and address},
            "taken": {host: taken_ports(one["host"]) for host, one in facts.items() if host != own},
            "stack": facts[own]["settings"]["stack_name"],
            "state_directory": facts[own]["settings"]["stack_state_directory"],
            "encrypted": facts[own]["settings"]["network_encrypted"],
        }
        before = time.time()
        found = self._execute_module(
            module_name="sse.platform.cluster_info", module_args=asked, task_vars=self.variables
        )
        after = time.time()
        if found.get("failed"):
            return found
        # The clock of the host was read after `before` and before `after`, by the clock of the controller.
        most, least = found["clock"][0] - before, found["clock"][1] - after
        node = {
            "address": addresses[own],
            "swarm": found["swarm"],
            "unmet": found["unmet"],
            "held": found["held"],
            "admits": found["admits"],
            "sources": found["sources"],
            "edge": found["edge"],
            "no_ipsec": found["no_ipsec"],
            "open_files": found["open_files"],
            "ahead": (most + least) / 2,
            "doubt": (most - least) / 2,
        }
        return {"ansible_facts": {"cluster_node": node}}
