# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Declare services: evaluate their roles' declarations with the converted settings, and keep them for the release."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.model import route, watch
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.settings import conversion
from ansible_collections.sse.platform.plugins.plugin_utils import compiled_templates
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROLES = COLLECTION / "roles"
# What each service is told of others, in two variables: those of the second use what those of the first declare.
EVERY = ROLES / "services/vars/main.yml"
ROUNDS = ("__services_declaring", "__services_using")
# What a declaration may use of the host's variables beside the settings. Template lookups copy deeply what they are
# given: with all variables, that took most of the time of a run with nothing to change.
OF_THE_HOST = ("inventory_hostname", "ansible_host")


def collected(declared: dict[str, Any], images: dict[str, Any]) -> dict[str, Any]:
    """Gather what services declare for others, of those whose image is available."""
    available = {service: one for service, one in declared.items() if service not in images["unavailable"]}
    return {
        "stack_metrics": [item for declaration in available.values() for item in declaration.get("metrics", [])],
        "stack_watches": watch.declared(available),
        "stack_routes": route.parse_all(available),
        "stack_secret_files": {
            name: path for one in available.values() for name, path in one.get("secret_files", {}).items()
        },
    }


# Settings that every release is built with, whatever its services.
OF_EACH_RELEASE = ("network_", "images_", "exposure_allow_from")


def concerning(services: Iterable[str], every: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a difference to some services: their own, and those that they are handed.

    :param every: what `EVERY` holds
    """
    text = " ".join(str(every[wirings].get(name, "")) for wirings in ROUNDS for name in services)
    seen: set[str] = set()
    while names := {name for name in re.findall(r"__services_\w+", text) if name in every} - seen:
        seen |= names
        text = " ".join([text, *(str(every[name]) for name in names)])
    told = set(re.findall(r"\bsettings\.(\w+)", text))
    own = (*OF_EACH_RELEASE, *(f"{name}_" for name in services))
    return {name: value for name, value in settings.items() if name in told or name.startswith(own)}


def light(value: Any) -> Any:
    """Return a value of a file without the places where its parts were written, except those of templates.

    Template lookups copy deeply all variables that they are given, and the places are most of what is copied.
    """
    if isinstance(value, str):
        return value if "{{" in value or "{%" in value else conversion.plain(value)
    if isinstance(value, dict):
        return {conversion.plain(key): light(item) for key, item in value.items()}
    return [light(item) for item in value] if isinstance(value, list) else conversion.plain(value)


class ActionModule(ControllerAction):
    """Evaluates declarations on the controller."""

    OPTIONS: ClassVar = {"only": {"type": "list", "elements": "str", "default": []}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``stack_declarations`` with these services added, and what all of them declare for others."""
        settings = self.variable("settings")
        given = {name: self.variables[name] for name in OF_THE_HOST if name in self.variables} | settings
        facts: dict[str, Any] = {"stack_declarations": dict(self.variables.get("stack_declarations", {}))}
        declared: dict[str, Any] = facts["stack_declarations"]
        only = arguments["only"]
        own = {} if only else settings["services_extra"]
        self.know(self.read(EVERY))
        with compiled_templates.kept():
            for number, wirings in enumerate(ROUNDS):
                for role in self.variables[wirings]:
                    if not only or role in only:
                        declared[role] = self._declaration(role, given | self._handed(wirings, role))
                declared |= {} if number else own
                facts |= self._collected(declared)
                self.know(facts, final=True)
        return {"ansible_facts": facts}

    def _collected(self, declared: dict[str, Any]) -> dict[str, Any]:
        try:
            return collected(declared, self.variables["images"])
        except SpecError as error:
            raise AnsibleActionFail(
                f"The declared services do not make a release; nothing was changed.\n- {error}"
            ) from None

    def _handed(self, wirings: str, role: str) -> dict[str, Any]:
        """Return the variables that tell a role of others."""
        wiring = self._templar.template(self.variables[wirings][role])
        return {f"__{role}_{key}": conversion.plain(value) for key, value in wiring.items()}

    def _declaration(self, role: str, given: dict[str, Any]) -> dict[str, Any]:
        """Evaluate ``__<role>_service`` of the role's vars as Ansible would within the role."""
        path, name = ROLES / role / "vars/main.yml", f"__{role}_service"
        own = light(self.read(path)) if path.exists() else {}
        if name not in own:
            raise AnsibleActionFail(f"roles/{role}/vars/main.yml holds no variable {name}, which is its declaration")
        variables = {key: value for key, value in own.items() if key != name} | given
        variables["ansible_search_path"] = [str(ROLES / role)]
        return self._templar.copy_with_new_env(available_variables=variables).template(own[name])
