# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Find out whether a host of a cluster can get images by itself. It is asked only where some host lacks one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.action import images
from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import parse_catalogue
from ansible_collections.sse.platform.plugins.module_utils.images.choice import Choice, registry_host

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Settings

# Tries the beginning of each package source of the host, as its apt asks for it: with its proxies and its logins.
PACKAGE_SOURCES = r"""
set -- "$1" "$2" "$(mktemp -d)"
trap 'rm -rf "$3"' EXIT
if [ -n "$1" ]; then
    found=${1%/}/dists/$2/InRelease
else
    found=$(apt-get indextargets --format '$(REPO_URI)dists/$(RELEASE)/InRelease' 'Created-By: Packages' | sort -u)
fi
for one in $found; do
    timeout 20 /usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=5 -o Acquire::https::Timeout=5 \
        download-file "$one" "$3/InRelease" && exit 0
done
exit 1
"""


class ActionModule(images.ActionModule):
    """Asks the source of the release, which is that of the first host, from each host."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the fact ``image_way``: why there is none; empty where there is one."""
        settings, observed = self.variable("settings"), self.variable("host")
        first: Choice = self.variables["hostvars"][self.variables["ansible_play_hosts"][0]]["images"]
        return {"ansible_facts": {"image_way": self._no_way(first, settings, observed)}}

    def _no_way(self, chosen: Choice, settings: Settings, observed: HostFacts) -> str:
        if chosen["source"] == "registry":
            registry = registry_host(settings["images_registry_prefix"])
            content = self._loader.load_from_file(str(images.CATALOGUE))["__images_catalogue"]
            if not self._is_reached(registry, parse_catalogue(content, settings), settings, observed):
                return f"the registry {registry} does not answer it"
        elif chosen["source"] == "packages":
            mirror, suite = settings["images_debian_mirror"], settings["images_debian_suite"]
            asked = {"argv": ["sh", "-c", PACKAGE_SOURCES, "sh", mirror, suite]}
            if self._ask("ansible.builtin.command", asked).get("rc") != 0:
                return "no package source answers its apt"
        has_engine = observed["engine"] is not None
        asked = {one: place for one, place in chosen["asked"].items() if one not in observed["images"]}
        absent = self._absent(asked, settings, has_engine=has_engine)
        return "; ".join(f"{one} can't be had: {why}" for one, why in sorted(absent.items()))
