"""What doctor --fix may run."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor import mending
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    BRIDGE,
    EMPTY,
    NETWORK,
    OTHER,
    Changes,
    findings,
    with_kafka,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": [BRIDGE], "connections": [], "ports": [], "containers": with_kafka(labels={})},
        {"rules": EMPTY, "host": {"engine": {"managed": False}}},
        {"rules": EMPTY, "host": {"engine": {"live_restore": False}}, "info": {}},
        {"host": {"engine": {"swarm": "error"}}},
        {"networks": [NETWORK, BRIDGE, {**OTHER, "labels": {}, "endpoints": {}}]},
        {"containers": with_kafka(labels={}, inside={"interfaces": []})},
    ],
)
def test_what_is_not_ours_is_found_and_never_mended(changes: Changes) -> None:
    found = findings(changes)
    assert found
    assert mending.commands(found) == []


def test_commands_run_once_and_advice_never() -> None:
    finding = Finding("a", "b", "c", "d", ("# think", "true", "true"), fixable=True)
    assert mending.commands([finding, finding]) == ["true"]
