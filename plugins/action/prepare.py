# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Check the settings, observe the host, and choose where the images come from: in one task instead of three."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.sse.platform.plugins.action import images, settings
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

# What Ansible says of a module beside its facts.
OF_ANSIBLE = ("changed", "failed", "invocation", "warnings", "deprecations", "exception", "stderr", "stderr_lines")


class ActionModule(ControllerAction):
    """Brings together what is needed to decide anything."""

    _requires_connection = True

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the facts ``settings``, ``host`` and ``images``, and those that come with them."""
        checked = self.also(settings.ActionModule)
        # A run that changes nothing needs no lock.
        run = {} if self._task.check_mode else {**self.variable("this_run"), **self.variable("this_controller")}
        asked = {
            "state_directory": self.variable("settings")["stack_state_directory"],
            "run": run,
            "wait": self.variable("asked_wait") if "asked_wait" in self.variables else 0,
        }
        begun = time.time()
        found = self._execute_module(module_name="sse.platform.host_info", module_args=asked, task_vars=self.variables)
        if found.get("failed"):
            return found
        host = {key: value for key, value in found.items() if key not in OF_ANSIBLE and not key.startswith("_")}
        host["clock_ahead"] = ahead(host.pop("clock", begun), begun, time.time())
        self.know({"host": host}, final=True)
        chosen = self.also(images.ActionModule)
        facts = {**checked["ansible_facts"], "host": host, **chosen["ansible_facts"]}
        return {**checked, "msg": chosen["msg"], "ansible_facts": facts}


def ahead(clock: float, begun: float, ended: float) -> float:
    """Return by how many seconds a clock that was read meanwhile is at least ahead of ours; less than 0 is behind."""
    return max(0.0, clock - ended) or min(0.0, clock - begun)
