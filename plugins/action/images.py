# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Choose where the images come from, and say which are missing on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.images import bundle
from ansible_collections.sse.platform.plugins.module_utils.images import choice as images
from ansible_collections.sse.platform.plugins.module_utils.images.build_contexts import ContextError
from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import Catalogue, parse_catalogue
from ansible_collections.sse.platform.plugins.module_utils.images.steps import at_mirror, registry_of
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Settings

CATALOGUE = COLLECTION / "roles" / "images" / "vars" / "main.yml"
# Seconds until a registry counts as silent.
REGISTRY_TIMEOUT = 5


def runs(host: HostFacts, stack: str) -> frozenset[str]:
    """Return the references of the images that containers of this stack have."""
    ours = (one for one in host.get("containers", []) if one["labels"].get(f"{LABEL}stack") == stack)
    return frozenset(one.get("image", "") for one in ours)


class ActionModule(ControllerAction):
    """Asks the host only whether its registry answers, where that decides."""

    _requires_connection = True

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``images``."""
        settings, observed = self.variable("settings"), self.variable("host")
        catalogue = parse_catalogue(self._loader.load_from_file(str(CATALOGUE))["__images_catalogue"], settings)

        def registry_answers(registry: str) -> bool:
            known = observed.get("registry_answers")
            return self._is_reached(registry, catalogue, settings, observed) if known is None else known

        host = images.Host(
            frozenset(observed["images"]),
            observed["distribution"]["id"],
            registry_answers,
            runs(observed, settings["stack_name"]),
        )
        tags = self.variables.get("ansible_run_tags") or []
        try:
            chosen = images.choose(catalogue, settings, host, COLLECTION, only=() if "all" in tags else tags)
            self._refuse_misfit(chosen, settings, observed)
        except (images.ImagesError, ContextError) as error:
            raise AnsibleActionFail(f"{error}. Nothing was changed") from None
        if settings["deployment"] != "swarm":  # another host may hand them over there: see the action image_way
            self._refuse_absent(chosen["asked"], settings, has_engine=observed["engine"] is not None)
        return {
            "ansible_facts": {"images": chosen},
            "msg": f"Images: {chosen['source']} ({chosen['reason']}), {len(chosen['missing'])} missing",
        }

    def _refuse_misfit(self, chosen: images.Choice, settings: Settings, host: HostFacts) -> None:
        """Refuse a bundle that is damaged or for another kind of host, where this run takes something from it.

        :raises ImagesError: with every reason
        """
        held = bundle.manifest(COLLECTION)
        if held is None or not host["is_root"]:
            return
        engine, system = host["engine"], host["distribution"]
        lacks = settings["docker_package_source"] == "distribution" and (engine is None or not engine["sdk"])
        loads = chosen["source"] == "bundle" and bool(chosen["missing"])
        where = f"{system['id']} {system['version']}"
        found = list(bundle.misfits(held, host["architecture"], where, images=loads, packages=lacks))
        if found:
            raise images.ImagesError(
                f"The bundle does not fit {self.variables['inventory_hostname']}: {'; '.join(found)}. "
                "Make one on a machine like this host"
            )
        for name, wanted in ((bundle.PACKAGES, lacks), (bundle.IMAGES, loads)):
            if wanted:
                bundle.refuse_damaged(COLLECTION, name)

    def _refuse_absent(self, asked: dict[str, str], settings: Settings, *, has_engine: bool) -> None:
        """Refuse images of one's own that no registry has, before anything changes."""
        problems = self._absent(asked, settings, has_engine=has_engine)
        if problems:
            lines = "".join(f"\n- {asked[one]}: {one} can't be had: {why}." for one, why in sorted(problems.items()))
            raise AnsibleActionFail(
                f"Images of your own can't be had; nothing was changed.{lines}\n"
                f"Expected {spec.IMAGE_EXPECTED}. roles/images/vars/main.yml is the image catalogue."
            )

    def _absent(self, asked: dict[str, str], settings: Settings, *, has_engine: bool) -> dict[str, str]:
        """Return why images of one's own cannot be had, by reference."""
        if settings["images_registry_ca"]:
            # The engine is told of this authority when images are pulled, so until then it can't ask that registry.
            mirror = images.registry_host(settings["images_registry_prefix"])
            asked = {one: place for one, place in asked.items() if registry_of(one) != mirror}
        if not asked:
            return {}
        return self._asked_by_engine(list(asked), settings) if has_engine else self._asked_by_host(list(asked))

    def _asked_by_engine(self, references: list[str], settings: Settings) -> dict[str, str]:
        """Have the engine ask the registries as it would to pull; return the reasons by reference."""
        login = {"registry": "", "username": settings["images_registry_username"], "password": ""}
        if settings["images_registry_password_file"]:
            login["registry"] = images.registry_host(settings["images_registry_prefix"])
            login["password"] = self._loader.get_text_file_contents(settings["images_registry_password_file"]).rstrip()
        answer = self._ask("sse.platform.registry_images", {"references": references, **login})
        if answer.get("failed"):
            raise AnsibleActionFail(f"{answer['msg']}. Nothing was changed")
        return answer["problems"]

    def _asked_by_host(self, references: list[str]) -> dict[str, str]:
        """Without an engine, find out at least which registries answer; return the reasons by reference."""
        silent = {one for one in set(map(registry_of, references)) if not self._registry_answers(one)}
        return {one: f"{registry_of(one)} does not answer" for one in references if registry_of(one) in silent}

    def _is_reached(self, registry: str, catalogue: Catalogue, settings: Settings, observed: HostFacts) -> bool:
        """Tell whether images can be pulled: by this host's way out, or by the engine's, where it has a proxy."""
        if self._registry_answers(registry):
            return True
        engine = observed["engine"]
        if not engine or not engine.get("traits", {}).get("proxied"):
            return False
        pulled = (one.recipes["registry"].pull for one in catalogue.values() if "registry" in one.recipes)
        one = next(at_mirror(pull, settings["images_registry_prefix"]) for pull in pulled if pull)
        return not self._asked_by_engine([one], settings)

    def _registry_answers(self, registry: str) -> bool:
        """Tell whether a registry answers the host. 401 is an answer, too: log in (OCI distribution-spec, end-1)."""
        answer = self._ask(
            "ansible.builtin.uri",
            {
                "url": f"https://{registry}/v2/",
                "status_code": [200, 401],
                "timeout": REGISTRY_TIMEOUT,
                # Nothing is sent or taken here; the engine checks the certificate when it pulls.
                "validate_certs": False,
            },
        )
        return not answer.get("failed", False)

    def _ask(self, module: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a module that only looks, so that check mode runs it as well."""
        check_mode, self._task.check_mode = self._task.check_mode, False
        try:
            return self._execute_module(module_name=module, module_args=arguments, task_vars=self.variables)
        finally:
            self._task.check_mode = check_mode
