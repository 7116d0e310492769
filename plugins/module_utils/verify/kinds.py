# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Every kind of check, and what services declare of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.types import Check
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import (
    certificate,
    connections,
    containers,
    datasources,
    deliveries,
    elsewhere,
    firing,
    health,
    host_service,
    http_answer,
    listening,
    permissions,
    published_ports,
    receivers,
    scraped,
    series,
    stack_firewall,
    strangers,
    told,
    unix_socket,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.check import Kind

# Both in the order of the summary.
EVERYWHERE = tuple(
    room.KIND
    for room in (
        *(containers, health, connections, listening, published_ports),
        *(stack_firewall, permissions, host_service, elsewhere),
    )
)
DECLARED: dict[str, Kind] = {
    room.KIND.name: room.KIND
    for room in (
        *(deliveries, unix_socket, http_answer, scraped, datasources, series, certificate, told, strangers),
        *(receivers, firing),
    )
}
CHECKS = spec.list_of(spec.dictionary)


def declared(services: Mapping[str, Any]) -> list[Check]:
    """Check and normalise what the services of one project declare under ``checks``.

    :param services: declarations by service
    :raises SpecError: for an unknown kind, container or parameter, naming the place
    """
    every = [short for declaration in services.values() for short in declaration.get("containers", {})]
    found: list[Check] = []
    for service, declaration in services.items():
        own = list(declaration.get("containers", {}))
        for index, check in enumerate(CHECKS(declaration.get("checks", []), f"{service}.checks")):
            path = f"{service}.checks[{index}]"
            one = parse(service, own, check, path)
            through = one["parameters"].get("through")
            if through and through not in every:
                raise spec.refuse(f"{path}.through", through, f"a container: {', '.join(every)}")
            found.append(one)
    return found


def parse(service: str, own: list[str], check: dict[str, Any], path: str) -> Check:
    """Check and normalise one check that a service with these containers declares."""
    parameters = {key: value for key, value in check.items() if key not in {"kind", "containers"}}
    kind = DECLARED.get(spec.text(check.get("kind"), f"{path}.kind"))
    if kind is None or kind.parse is None:
        raise spec.refuse(f"{path}.kind", check["kind"], f"one of {', '.join(sorted(DECLARED))}")
    containers = spec.list_of(spec.short_name)(check.get("containers", own), f"{path}.containers")
    for index, short in enumerate(containers):
        if short not in own:
            raise spec.refuse(f"{path}.containers[{index}]", short, f"a container of {service}: {', '.join(own)}")
    checked = kind.parse(parameters, path)
    return {"service": service, "kind": kind.name, "containers": containers, "parameters": checked}


def of_kind(releases: Iterable[Release], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the full name of each container that has a check of this kind, with what it asks."""
    for release in releases:
        full = {spec["container"]: name for name, spec in release["containers"].items()}
        for check in release.get("checks", []):
            if check["kind"] == kind:
                yield from ((full[short], check["parameters"]) for short in check["containers"] if short in full)
