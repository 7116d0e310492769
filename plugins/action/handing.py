# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Decide which host of a cluster gets which images, and from where; refuse a host that would stay without one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.images import handing
from ansible_collections.sse.platform.plugins.module_utils.images.steps import Step
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

NAME = "handed-images.tar.gz"


class ActionModule(ControllerAction):
    """Judges all hosts of the play together, on the controller."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``handing``."""
        hosts = {name: self.variables["hostvars"][name] for name in self.variables["ansible_play_hosts"]}
        chosen = next(iter(hosts.values()))["images"]
        lacks: dict[str, list[str]] = self.variable("cluster")["lacks"]
        nodes = {
            name: handing.Node(frozenset(one["host"]["images"]), one["host"]["architecture"], one.get("image_way", ""))
            for name, one in hosts.items()
        }
        found = handing.decide(chosen, lacks, nodes)
        if found.problems:
            lines = "\n- ".join(["Hosts would stay without images; nothing was changed.", *found.problems])
            raise AnsibleActionFail(lines)
        # Set at run time, so a type checker does not find it as an attribute. Ansible removes it at the end of the run.
        file = str(Path(vars(constants)["DEFAULT_LOCAL_TMP"]) / NAME)
        loads = {
            host: [asdict(Step(one, one, one, "load", file=file)) for one in references]
            for host, references in found.handed.items()
        }
        fact = {
            "giver": found.giver,
            "file": file,
            "gives": sorted({one for references in found.handed.values() for one in references}),
            "steps": {host: [asdict(one) for one in steps] for host, steps in found.steps.items()},
            "loads": loads,
        }
        return {"ansible_facts": {"handing": fact}}
