# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Choose where the images come from, and say which are missing on the host."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.deploy import images
from ansible_collections.sse.platform.plugins.module_utils.deploy.build_contexts import ContextError
from ansible_collections.sse.platform.plugins.module_utils.deploy.image_catalogue import parse_catalogue
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

CATALOGUE = COLLECTION / "roles" / "images" / "vars" / "main.yml"
# Seconds until a registry counts as silent.
REGISTRY_TIMEOUT = 5


class ActionModule(ControllerAction):
    """Asks the host only whether its registry answers, where that decides."""

    _requires_connection = True

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``images``."""
        settings, observed = self.variable("settings"), self.variable("host")
        catalogue = parse_catalogue(self._loader.load_from_file(str(CATALOGUE))["__images_catalogue"], settings)

        def registry_answers(registry: str) -> bool:
            known = observed.get("registry_answers")
            return self._registry_answers(registry) if known is None else known

        host = images.Host(frozenset(observed["images"]), observed["distribution"]["id"], registry_answers)
        tags = self.variables.get("ansible_run_tags") or []
        try:
            chosen = images.choose(catalogue, settings, host, COLLECTION, only=() if "all" in tags else tags)
        except (images.ImagesError, ContextError) as error:
            raise AnsibleActionFail(f"{error}. Nothing was changed") from None
        return {
            "ansible_facts": {"images": chosen},
            "msg": f"Images: {chosen['source']} ({chosen['reason']}), {len(chosen['missing'])} missing",
        }

    def _registry_answers(self, registry: str) -> bool:
        """Tell whether a registry answers the host. 401 is an answer, too: log in (OCI distribution-spec, end-1)."""
        # Looking changes nothing, so check mode looks as well.
        check_mode, self._task.check_mode = self._task.check_mode, False
        try:
            answer = self._execute_module(
                module_name="ansible.builtin.uri",
                module_args={
                    "url": f"https://{registry}/v2/",
                    "status_code": [200, 401],
                    "timeout": REGISTRY_TIMEOUT,
                    # Nothing is sent or taken here; the engine checks the certificate when it pulls.
                    "validate_certs": False,
                },
                task_vars=self.variables,
            )
        finally:
            self._task.check_mode = check_mode
        return not answer.get("failed", False)
