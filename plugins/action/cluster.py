# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Resolve the declared services to a release for a Swarm, and refuse hosts that make no cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.action import declare, release
from ansible_collections.sse.platform.plugins.module_utils.model import connections, elsewhere, secret, swarm_resize
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import of_manager
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import (
    PlacementError,
    by_host,
    carried,
    holders,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    EVERY,
    GROUPS,
    Cluster,
    hosts_of,
    left_out,
    services,
)
from ansible_collections.sse.platform.plugins.module_utils.preflight import (
    cluster_preflight,
    edge_ports,
    existing_data,
    moved_data,
    swarm_ports,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Group, SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Release, Settings


class ActionModule(release.ActionModule):
    """Judges all hosts of the play together, on the controller."""

    # To look at a cluster refuses nothing: a host that is down is what there is to see.
    OPTIONS: ClassVar = {
        "projects": {"type": "dict", "required": True},
        "looks": {"type": "bool", "default": False},
        "without": {"type": "str", "default": ""},
        "stored": {"type": "list", "elements": "dict", "default": []},
        "backup": {"type": "dict"},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the facts ``releases``, ``cluster`` and ``notices``."""
        declared = self.also(declare.ActionModule)["ansible_facts"]
        settings: Settings = self.variable("settings")
        host: HostFacts = self.variable("host")
        hosts = {name: self.variables["hostvars"][name] for name in self.variables["ansible_play_hosts"]}
        groups: dict[Group, list[str]] = {group: list(self.variables["groups"].get(group, [])) for group in GROUPS}
        nodes = {name: one["cluster_node"] for name, one in hosts.items()}
        silent = set(hosts_of(EVERY, groups)) - set(nodes)
        cluster = Cluster(
            groups,
            settings["stack_state_directory"],
            min(one["open_files"] for one in nodes.values()),
        )
        judges = not arguments["looks"]
        stored: list[Release] = arguments["stored"]
        problems: dict[str, list[str]] = {}
        if judges:
            every = {name: one["settings"] for name, one in hosts.items()}
            unlike = list(cluster_preflight.unlike_settings(every))
            problems["The hosts do not have the same settings"] = unlike
        made: list[Release] = []
        shown: dict[str, cluster_preflight.Shown] = {}
        notices: list[str] = []
        wanted: list[SwarmService] = []
        held: dict[str, str] = {}
        lacks: dict[str, list[str]] = {}
        try:
            if stored:
                made = release.in_order(stored, list(arguments["projects"]))
                settings = release.as_then(settings, made)
            else:
                made = self._releases(arguments["projects"], self.variable("stack_declarations"), settings, host)
            secrets = {name: one for one in made for name, one in one.get("secrets", {}).items()}
            wanted = [service for one in made for service in services(one, cluster)]
            manager = of_manager(one["swarm"] for one in nodes.values())
            known = by_host(manager, nodes, silent)
            held = holders(wanted, groups, known)
            asked = cluster_preflight.Wanted(settings, groups, made, wanted, held)
            shown = {name: self._shown(one, made, kept=bool(stored)) for name, one in hosts.items()}
            lacks = lacking(wanted, groups, held, {name: one["host"].get("images", {}) for name, one in hosts.items()})
            if stored and judges:
                given = {*settings["stack_secrets"], *self.variable("stack_secret_files")}
                problems["Secrets of that release are not given"] = [
                    line for one in made for line in secret.not_given(one, given)
                ]
                problems["The number of those that keep copies would change"] = list(
                    swarm_resize.unlike(self.variable("stack_declarations"), made)
                )
            elif judges:
                given = secret.problems(settings["stack_secrets"], secrets)
                problems["The given secrets do not fit the declarations"] = given
            if judges:
                problems["Data would stay behind"] = list(moved_data.problems(host.get("kept"), made, settings))
                apart = connections.problems(made, alone=False)
                problems["The declared services do not reach each other"] = apart
                problems["These hosts make no cluster"] = cluster_preflight.problems(asked, shown)
                without = arguments["without"]
                rest = cluster_preflight.problems_without(without, asked, shown) if without else []
                problems[f"The hosts cannot do without {without}"] = rest
                backup: existing_data.BackupData | None = arguments["backup"]
                unread = existing_data.of_backup(self.variable("stack_declarations"), backup) if backup else []
                problems["This stack cannot read the backup"] = list(unread)
            notices = [*cluster_preflight.notices(shown, silent), *left_out(wanted)]
        except (SpecError, PlacementError) as error:
            problems["A Swarm cannot run the declared services"] = [str(error)]
        for what, found in problems.items():
            if found:
                raise AnsibleActionFail("\n- ".join([f"{what}; nothing was changed.", *dict.fromkeys(found)]))
        admitted = edge_ports.sources([source for one in made for source in one["allow_from"]], shown)
        ports = {
            name: sorted(
                port["PublishedPort"]
                for service in wanted
                if name in hosts_of(service.group, groups)
                for port in service.request["EndpointSpec"]["Ports"]
            )
            for name in hosts
        }
        edge_findings = list(edge_ports.findings(shown, admitted, ports, silent))
        facts = {
            "releases": made,
            "notices": notices,
            "cluster": {
                "groups": groups,
                "silent": sorted(silent),
                "addresses": {name: one["address"] for name, one in nodes.items()},
                "open_files": cluster.open_files,
                "held": held,
                "outward": uses_elsewhere(made, wanted, groups, held),
                "resizes": [] if stored else swarm_resize.declared(self.variable("stack_declarations"), made),
                "copies": any(service.keeps_copies for service in wanted),
                "waves": 1 + max((service.wave for service in wanted), default=0),
                "admitted": swarm_ports.admitted(shown, silent),
                "port_findings": [one._asdict() for one in (*swarm_ports.findings(shown, silent), *edge_findings)],
                "edge_findings": [one._asdict() for one in edge_findings],
                "edge": {"sources": admitted, "ports": ports},
                "open": {
                    name: [
                        (IPV4.wildcard, port["PublishedPort"], service.name)
                        for service in wanted
                        if name in hosts_of(service.group, groups)
                        for port in service.request["EndpointSpec"]["Ports"]
                    ]
                    for name in hosts
                },
                "lacks": lacks if judges and not stored else {},
                "mtu": min(one["host"]["uplink_mtu"] for one in hosts.values()),
            },
        }
        # Neither a drain nor a rollback puts a setting in place.
        warnings = self._going_back(host, settings) if judges and not (stored or arguments["without"]) else []
        return {"ansible_facts": {**declared, **facts}, "warnings": warnings}

    def _shown(self, variables: Mapping[str, Any], releases: list[Release], *, kept: bool) -> cluster_preflight.Shown:
        """Return what one host showed.

        :param kept: nothing is downloaded or built for the releases
        """
        return cluster_preflight.Shown.of(variables, gone(variables["host"], releases) if kept else {})


def lacking(
    wanted: list[SwarmService],
    groups: Mapping[Group, list[str]],
    held: Mapping[str, str],
    images: Mapping[str, Collection[str]],
) -> dict[str, list[str]]:
    """Return the images that each host may have to run and does not have; only hosts that lack one.

    :param images: those that each host has
    """
    found: dict[str, set[str]] = {}
    for service in wanted:
        image = service.request["TaskTemplate"]["ContainerSpec"]["Image"]
        for host in carried(service, groups, held):
            if host in images and image not in images[host]:
                found.setdefault(host, set()).add(image)
    return {host: sorted(references) for host, references in found.items()}


def uses_elsewhere(
    releases: list[Release],
    wanted: list[SwarmService],
    groups: Mapping[Group, list[str]],
    held: Mapping[str, str],
) -> list[str]:
    """Return the hosts that may run a container which uses something elsewhere.

    :param held: the host that holds the data of each service
    """
    using = {name for name, __, __ in elsewhere.users(releases)}
    may = (carried(service, groups, held) for service in wanted if service.name in using)
    return list(dict.fromkeys(host for hosts in may for host in hosts))


def gone(host: HostFacts, releases: list[Release]) -> dict[str, str]:
    """Return the images of kept releases that a host does not have any more, and what there is to do."""
    used = {one["image"] for release in releases for one in release["containers"].values()}
    why = (
        "it is not there any more, and a rollback downloads and builds nothing. Load it there from an archive of that "
        "time, or run ./sse up with the settings and the commit of that release"
    )
    return {reference: why for reference in used if reference not in host["images"]}
