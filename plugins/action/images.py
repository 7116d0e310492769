"""Choose where the images come from, and say which are missing on the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.deploy import images

COLLECTION = Path(__file__).resolve().parents[2]
CATALOGUE = COLLECTION / "roles" / "images" / "vars" / "main.yml"
# Seconds until a registry counts as silent.
REGISTRY_TIMEOUT = 5


class ActionModule(ActionBase):
    """Decides on the controller; asks the host only whether its registry answers, where that decides."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the fact ``images``."""
        result = super().run(tmp, task_vars)
        self.validate_argument_spec({})
        variables = task_vars or {}
        settings, observed = (self._templar.template(variables[name]) for name in ("settings", "host"))
        catalogue = self._loader.load_from_file(str(CATALOGUE))["__images_catalogue"]

        def registry_answers(registry: str) -> bool:
            known = observed.get("registry_answers")
            return self._registry_answers(registry, variables) if known is None else known

        host = images.Host(
            present=frozenset(observed["images"]),
            distribution=observed["distribution"]["id"],
            registry_answers=registry_answers,
        )
        tags = variables.get("ansible_run_tags") or []
        try:
            chosen = images.choose(catalogue, settings, host, COLLECTION, only=() if "all" in tags else tags)
        except images.ImagesError as error:
            msg = f"{error}. Nothing was changed"
            raise AnsibleActionFail(msg) from None
        result["ansible_facts"] = {"images": chosen}
        result["msg"] = f"Images: {chosen['source']} ({chosen['reason']}), {len(chosen['missing'])} missing"
        return result

    def _registry_answers(self, registry: str, variables: dict[str, Any]) -> bool:
        """Whether an OCI registry speaks here. 401 is an answer: it wants a login (distribution-spec, end-1)."""
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
                task_vars=variables,
            )
        finally:
            self._task.check_mode = check_mode
        return not answer.get("failed", False)
