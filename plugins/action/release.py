# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Resolve the declared services to a release, and refuse what the host cannot run before anything changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.action import declare, prepare
from ansible_collections.sse.platform.plugins.module_utils.model import connections, secret, segments
from ansible_collections.sse.platform.plugins.module_utils.model.release import build
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.preflight import (
    existing_data,
    moved_data,
    network_preflight,
    network_steps,
    preflight,
    tags,
)
from ansible_collections.sse.platform.plugins.module_utils.preflight.notices import notices
from ansible_collections.sse.platform.plugins.module_utils.releases.going_back import going_back
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import has_ipv6
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.images.choice import Choice
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        HostFacts,
        Json,
        Release,
        RunMeta,
        Settings,
    )


# What is needed to build and judge a release, and by no task after that. Ansible copies every fact for every task.
ONLY_BEFORE = ("stack_declarations", "stack_routes")
ONLY_BEFORE_OF_HOST = (
    *("containers", "images", "listeners", "interfaces", "routes", "networks"),
    *("kept", "data_markers", "data_links", "last_given", "surroundings"),
)


class ActionModule(ControllerAction):
    """Builds and judges the release on the controller, from what `host_info` saw on the host."""

    _requires_connection = True
    OPTIONS: ClassVar = {
        "projects": {"type": "dict", "default": {}},
        "stored": {"type": "list", "elements": "dict", "default": []},
        "backup": {"type": "dict"},
        "declare": {"type": "bool", "default": False},
        "prepare": {"type": "bool", "default": False},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the facts ``releases``, ``notices`` (guarantees that this host does not give), ``network_steps``
        (which networks to make, and which to drop when nothing is on them any more) and ``run_scope`` (the services
        that --tags and --skip-tags leave).
        """
        if not arguments["prepare"]:
            return self._resolve(arguments)
        prepared = self.also(prepare.ActionModule)
        if prepared.get("failed"):
            return prepared
        resolved = self._resolve({**arguments, "projects": self.variable("stack_projects")})
        facts = {**prepared["ansible_facts"], **resolved["ansible_facts"]}
        facts["host"] = {name: one for name, one in facts["host"].items() if name not in ONLY_BEFORE_OF_HOST}
        return {
            **prepared,
            **resolved,
            "ansible_facts": {name: one for name, one in facts.items() if name not in ONLY_BEFORE},
            "warnings": [*prepared["warnings"], *resolved["warnings"]],
        }

    def _resolve(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if self.variable("settings")["deployment"] == "swarm":
            raise AnsibleActionFail(
                "deployment is swarm, and this runs the stack on one host; nothing was changed. Expected deployment "
                "host, or ./sse with an inventory that has the groups of a cluster, such as managers (docs/cluster.md)"
            )
        declared = self.also(declare.ActionModule)["ansible_facts"] if arguments["declare"] else {}
        decided = self._decide(arguments)
        return {**decided, "ansible_facts": {**declared, **decided["ansible_facts"]}}

    def _decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["stored"]:
            return self._bring_back(arguments["stored"], list(arguments["projects"]))
        projects: dict[str, list[str]] = arguments["projects"]
        backup: existing_data.BackupData | None = arguments["backup"]
        settings: Settings = self.variable("settings")
        host: HostFacts = self.variable("host")
        declared: dict[str, Json] = self.variable("stack_declarations")
        wanted, skipped = (self.variables.get(name) or [] for name in ("ansible_run_tags", "ansible_skip_tags"))
        if unknown := list(tags.problems(wanted, skipped, declared)):
            raise AnsibleActionFail("\n- ".join(["There is no such tag; nothing was changed.", *unknown]))
        # A project without names takes all services that are left, so these are all projects. Else there may be others.
        some = all(projects.values())
        releases: list[Release] = []
        try:
            releases = self._releases(projects, declared, settings, host)
            secrets = {name: one for release in releases for name, one in release.get("secrets", {}).items()}
            misfits = [] if some else secret.problems(settings["stack_secrets"], secrets)
            problems = {
                "The given secrets do not fit the declarations": misfits,
                "The declared services do not reach each other": connections.problems(releases, alone=some),
                "This host cannot run the release": [
                    *(one for release in releases for one in preflight.problems(settings, host, release)),
                    *(existing_data.problems(declared, settings, host) if host["is_root"] else ()),
                ],
                "Data would stay behind": list(moved_data.problems(host.get("kept"), releases, settings)),
                "This stack cannot read the backup": list(existing_data.of_backup(declared, backup)) if backup else [],
            }
        except SpecError as error:
            problems = {"The declared services do not make a release": [str(error)]}
        scope = tags.scope(wanted, skipped, declared)
        services = scope["services"] or ([name for names in projects.values() for name in names] if some else [])
        concerned = declare.concerning(services, self.read(declare.EVERY), settings) if services else settings
        judged = self._judged(releases, settings, host, problems, scope)
        facts = {**judged.get("ansible_facts", {}), **(self._run_of_some(host, concerned) if services else {})}
        return {**judged, "ansible_facts": facts, "warnings": self._going_back(host, concerned)}

    def _run_of_some(self, host: HostFacts, settings: Mapping[str, Any]) -> dict[str, RunMeta]:
        """Return the fact ``this_run`` of a run that puts only these settings in place, so that the next one knows."""
        run: RunMeta = self.variable("this_run")
        given = {**host.get("last_given", {}), **run["given"]}
        return {"this_run": {**run, "concerned": sorted(given.keys() & settings.keys())}}

    def _going_back(self, host: HostFacts, settings: Mapping[str, Any]) -> list[str]:
        """Tell which of these settings what runs got for one run alone, and this run does not."""
        run: RunMeta = self.variable("this_run")
        before, check = host.get("last_given", {}), bool(self._task.check_mode)
        return going_back(before, run["given"], settings, self.variable("openings"), check=check)

    def _bring_back(self, stored: list[Release], order: list[str]) -> dict[str, Any]:
        """Return the same facts for releases that the host kept, with the networks and the exposure that they had."""
        releases = in_order(stored, order)
        host: HostFacts = self.variable("host")
        settings = as_then(self.variable("settings"), releases)
        given = {*settings["stack_secrets"], *self.variable("stack_secret_files")}
        problems = {
            "This host cannot run that release": [
                *(one for release in releases for one in preflight.problems(settings, host, release)),
                *(one for release in releases for one in secret.not_given(release, given)),
            ],
            "Data would stay behind": list(moved_data.problems(host.get("kept"), releases, settings)),
        }
        everything: tags.Scope = {"services": [], "containers": True}
        return self._judged(releases, settings, host, problems, everything)

    def _judged(
        self,
        releases: list[Release],
        settings: Settings,
        host: HostFacts,
        problems: dict[str, list[str]],
        scope: tags.Scope,
    ) -> dict[str, Any]:
        """Refuse releases that have problems; return the facts of the others."""
        for what, found in problems.items():
            if found:
                raise AnsibleActionFail("\n- ".join([f"{what}; nothing was changed.", *dict.fromkeys(found)]))
        steps = network_steps.network_steps(settings, host, releases)
        notes = notices(settings, host)
        facts = {"releases": releases, "notices": notes, "network_steps": steps, "run_scope": scope}
        return {"ansible_facts": facts}

    def _releases(
        self, projects: dict[str, list[str]], declared: dict[str, Json], settings: Settings, host: HostFacts
    ) -> list[Release]:
        """Build the release of each project."""
        images: Choice = self.variable("images")
        claimed = {service for services in projects.values() for service in services}
        unclaimed = [service for service in declared if service not in claimed]
        return [
            build(
                services := {name: declared[name] for name in names or unclaimed},
                stack=settings["stack_name"],
                project=project,
                networks=segments.networks(settings),
                references=images["references"],
                unavailable=images["unavailable"],
                allow_from=settings["exposure_allow_from"],
                twins=network_preflight.twins(settings, host),
                checks=kinds.declared(services),
                data=existing_data.kept(services, settings["stack_name"]),
            )
            for project, names in projects.items()
        ]


def in_order(stored: list[Release], order: list[str]) -> list[Release]:
    """Return kept releases in the order of their projects; those of projects without one come last."""
    known = [one for project in order for one in stored if one["project"] == project]
    return [*known, *(one for one in stored if one["project"] not in order)]


def as_then(settings: Settings, releases: list[Release]) -> Settings:
    """Return the settings with what kept releases say of their networks and of who may connect."""
    platform = next((one for one in releases if one["networks"]), releases[0])
    return {
        **settings,
        "network_layout": platform["layout"],
        "network_ipv6": any(map(has_ipv6, releases)),
        "exposure_allow_from": platform["allow_from"],
    }
