"""Declare services: evaluate their roles' declarations with the converted settings, and keep them for the release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

ROLES = Path(__file__).resolve().parents[2] / "roles"
# What a declaration may use of the host's variables beside the settings. Template lookups copy deeply what they are
# given: with all variables, that took most of the time of a run with nothing to change.
OF_THE_HOST = ("inventory_hostname", "ansible_host")


def collected(declared: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    """Gather what services say of themselves for others, of those whose image can be had."""
    available = [one for service, one in declared.items() if service not in images["unavailable"]]
    files = {name: path for one in available for name, path in one.get("secret_files", {}).items()}
    return {
        f"stack_{key}": [item for declaration in available for item in declaration.get(key, [])]
        for key in ("metrics", "routes")
    } | {"stack_secret_files": files}


class ActionModule(ActionBase):
    """Runs on the controller only; the managed host is not touched."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the fact ``stack_declarations`` widened by these services, and what all of them say for others."""
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _, arguments = self.validate_argument_spec(
            {"roles": {"type": "dict", "default": {}}, "services": {"type": "dict", "default": {}}}
        )
        given = {name: variables[name] for name in OF_THE_HOST if name in variables}
        given |= self._templar.template(variables["settings"])
        declared = dict(variables.get("stack_declarations", {}))
        for role, wiring in arguments["roles"].items():
            declared[role] = self._declaration(role, given | {f"__{role}_{name}": wiring[name] for name in wiring})
        declared |= arguments["services"]
        result["ansible_facts"] = {"stack_declarations": declared, **collected(declared, variables["images"])}
        return result

    def _declaration(self, role: str, given: dict[str, Any]) -> dict[str, Any]:
        """Evaluate ``__<role>_service`` of the role's vars as Ansible would within the role."""
        path, name = ROLES / role / "vars/main.yml", f"__{role}_service"
        own = self._loader.load_from_file(str(path), trusted_as_template=True) if path.exists() else {}
        if name not in own:
            raise AnsibleActionFail(f"roles/{role}/vars/main.yml holds no variable {name}: that is its declaration")
        variables = {key: value for key, value in own.items() if key != name} | given
        variables["ansible_search_path"] = [str(ROLES / role)]
        return self._templar.copy_with_new_env(available_variables=variables).template(own[name])
