# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Compare a host with what was applied to it, in one task that asks the host once."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.action import settings
from ansible_collections.sse.platform.plugins.module_utils.model import drift_report
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

# What the engine's configuration should be, from the settings and the fact `host`.
DOCKER = COLLECTION / "roles/docker/vars/main.yml"


class ActionModule(ControllerAction):
    """Checks the settings, asks the host, and compares the engine's configuration with the settings."""

    _requires_connection = True

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what differs; the task has failed where anything does."""
        checked = self.also(settings.ActionModule)
        now = self.variable("settings")
        asked = {"stack": now["stack_name"], "state_directory": now["stack_state_directory"]}
        found = self._execute_module(
            module_name="sse.platform.differences", module_args=asked, task_vars=self.variables
        )
        if found.get("failed"):
            return found
        self.know({**self.read(DOCKER), "host": found["host"]})
        differs = self.variable("__docker_differs")
        engine = (
            drift_report.of_engine(self.variable("__docker_daemon"), found["host"]["daemon_json"]) if differs else []
        )
        findings = [*engine, *(Finding(**one) for one in found["findings"])]
        return {
            "changed": False,
            "failed": bool(findings),
            "warnings": checked["warnings"],
            "msg": "\n".join([*found["paused"], drift_report.report(findings), *found["guests"]]),
            "findings": [one._asdict() for one in findings],
        }
