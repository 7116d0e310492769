# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""One replica is verified between two steps of a rollout: an event that is published and received at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release


def verify_replica(engine: Engine, state_directory: str, release: Release, name: str) -> None:
    """Send an event through a replica, where its service declares how.

    :param release: the new release, of which the replica is
    :raises ApplyError: the event did not arrive
    """
    for short, asked in declared(release, name):
        running = Running(engine, state_directory, [release])
        key = running.key(asked["key"])
        for subject in running.named([short]):
            send(asked, subject.endpoint(asked["port"])._replace(key=key), state_directory)


def declared(release: Release, name: str) -> Iterator[tuple[str, deliveries.Parameters]]:
    """Yield what a service declares of the events that go through a container, with the container's short name."""
    short = release["containers"][name]["container"]
    for check in release.get("checks", []):
        if check["kind"] == deliveries.KIND.name and short in check["containers"]:
            yield short, deliveries.PARAMETERS(check["parameters"], check["kind"])


def send(asked: deliveries.Parameters, there: Endpoint, state_directory: str) -> None:
    """Send an event through a replica; raises ApplyError where it does not arrive."""
    passage = deliveries.travel(asked, there, [there], switches.operator(state_directory))
    if passage.findings:
        first = passage.findings[0]
        raise ApplyError(f"{there.name}: no event goes through it: {first.wrong}: {first.evidence}")
