# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""One replica is verified between two steps of a rollout: an event that is published and received at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release


def verify_replica(engine: Engine, state_directory: str, release: Release, name: str) -> None:
    """Send an event through a replica, where its service declares how.

    :param release: the new release, of which the replica is
    :raises ApplyError: the event did not arrive
    """
    short = release["containers"][name]["container"]
    for check in release.get("checks", []):
        if check["kind"] != deliveries.KIND.name or short not in check["containers"]:
            continue
        asked: deliveries.Parameters = deliveries.PARAMETERS(check["parameters"], check["kind"])
        running = Running(engine, state_directory, [release])
        key = running.key(asked["key"])
        for subject in running.named([short]):
            there = subject.endpoint(asked["port"])._replace(key=key)
            passage = deliveries.travel(asked, there, [there], switches.operator(state_directory))
            if passage.findings:
                first = passage.findings[0]
                raise ApplyError(f"{name}: no event goes through it: {first.wrong}: {first.evidence}")
