# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Say how the number of services that keep copies for each other changes, from what every host of a cluster showed."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_resize
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import of_manager
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import by_host
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction


class ActionModule(ControllerAction):
    """Reads what every host of the play has registered; runs once."""

    OPTIONS: ClassVar = {"resize": {"type": "dict", "required": True}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``cluster_way``."""
        hosts = {name: self.variables["hostvars"][name] for name in self.variables["ansible_play_hosts"]}
        first = self.variable("groups")["managers"][0]
        nodes = {name: one["cluster_node"] for name, one in hosts.items()}
        manager = of_manager(one["swarm"] for one in nodes.values())
        shown: swarm_resize.Shown = {
            "seen": {name: one["resize_seen"]["seen"] for name, one in hosts.items()},
            "tasks": hosts[first]["resize_tasks"]["tasks"],
            "of": hosts[first]["resize_tasks"]["of"],
            "complete": hosts[first]["resize_tasks"]["complete"],
            "nodes": by_host(manager, nodes),
        }
        wanted: swarm_resize.Resize = arguments["resize"]
        chosen = swarm_resize.way(wanted, shown)
        if found := swarm_resize.problems(wanted, chosen, shown):
            what = "The number of those that keep copies does not change; nothing was changed"
            raise AnsibleActionFail("\n- ".join([f"{what}.", *found]))
        told = swarm_resize.told(wanted, chosen, shown)
        return {"ansible_facts": {"cluster_way": chosen, "cluster_way_told": told}}  # for every host of the play
