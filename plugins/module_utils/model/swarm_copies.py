# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether one of several services that keep copies for each other may be away. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService

NOT_ASKED = "nobody could ask it"


def others_of(name: str, services: list[SwarmService]) -> list[str]:
    """Return the services that keep copies of what a service has."""
    sets = {one.name: one.together for one in services if one.keeps_copies}
    return [other for other in sets if other != name and sets[other] == sets.get(name)]


def lacking(
    name: str, services: list[SwarmService], observed: Mapping[str, ObservedService], behind: Mapping[str, str]
) -> Iterator[str]:
    """Say which other copies are not there, or not in full, while a service is away.

    :param behind: what each service lacks, as its program says; empty where that is nothing
    """
    for other in others_of(name, services):
        if other not in observed or not observed[other].complete:
            yield f"{other} does not run"
        elif why := behind.get(other, NOT_ASKED):
            yield f"{other} lacks something: {why}"


def problems(
    actions: list[Action],
    services: list[SwarmService],
    observed: Mapping[str, ObservedService],
    behind: Mapping[str, str],
) -> list[str]:
    """Return why a service with copies must not be replaced now, one sentence for each."""
    found: list[str] = []
    for action in actions:
        others = others_of(action.container, services)
        # What does not run is not taken away. Where none of the others was ever made, there is no copy to lack.
        runs = action.container in observed and observed[action.container].running
        if action.kind == "replace" and runs and any(other in observed for other in others):
            lacks = list(lacking(action.container, services, observed, behind))
            if lacks:
                found.append(f"{action.container} would be away for a while ({'; '.join(action.reasons)})")
                found[-1] += f", and of those that keep copies with it {', and '.join(lacks)}."
    return found
