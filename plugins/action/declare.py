"""Declare a service: evaluate its role's declaration with the converted settings, and keep it for the release."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

# They hold every variable once more, and each template lookup copies deeply what it is given (0.1 s).
COPIES = frozenset({"vars", "hostvars", "ansible_facts", "stack_declarations"})


def collected(declared: dict[str, Any], images: dict[str, Any]) -> dict[str, list[Any]]:
    """Gather what services say of themselves for others, of those whose image can be had."""
    available = [one for service, one in declared.items() if service not in images["unavailable"]]
    return {
        f"stack_{key}": [item for declaration in available for item in declaration.get(key, [])]
        for key in ("metrics", "routes")
    }


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
        raw = {key: value for key, value in variables.items() if key not in COPIES}
        declared = variables.get("stack_declarations", {})
        overlaid = {**raw, **self._templar.template(variables["settings"]), **collected(declared, variables["images"])}
        declaration = self._templar.copy_with_new_env(available_variables=overlaid).template(variables[name])
        result["ansible_facts"] = {"stack_declarations": {**declared, service: declaration}}
        return result
