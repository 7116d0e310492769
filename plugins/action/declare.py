"""Declare a service: evaluate its role's declaration with the converted settings, and keep it for the release."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Runs on the controller only; the managed host is not touched."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the fact ``stack_declarations`` widened by this service's declaration."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, arguments = self.validate_argument_spec(
            {"service": {"type": "str", "required": True}, "declaration": {"type": "dict"}}
        )
        service = arguments["service"]
        name = f"__{service}_service"
        if arguments["declaration"] is not None:
            variables[name] = arguments["declaration"]
        if name not in variables:
            msg = f"role {service} has no variable {name}: its declaration belongs in roles/{service}/vars/main.yml"
            raise AnsibleActionFail(msg)
        # Settings go over the raw variables: `-e app_replicas=3` is a string to Ansible, a number here.
        overlaid = {**variables, **self._templar.template(variables["settings"])}
        declaration = self._templar.copy_with_new_env(available_variables=overlaid).template(variables[name])
        declared = self._templar.template(variables.get("stack_declarations", {}))
        result["ansible_facts"] = {"stack_declarations": {**declared, service: declaration}}
        return result
