"""Containers of the newest release that do not run."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    BRIDGE,
    NETWORK,
    NGINX,
    Changes,
    changed,
    findings,
    with_kafka,
)


@pytest.mark.parametrize(
    ("containers", "said", "mend"),
    [
        ([NGINX, APP], "this container does not exist", "./sse up"),
        (
            with_kafka(running=False, status="exited", exit_code=137, inside=None),
            "exited, exit code 137",
            "docker start sse-kafka",
        ),
        (with_kafka(running=False, status="paused", inside=None), "paused", "docker unpause sse-kafka"),
    ],
)
def test_a_declared_container_that_does_not_run_is_found(containers: list[Changes], said: str, mend: str) -> None:
    (finding,) = findings(
        {"containers": containers, "connections": [], "networks": [changed(NETWORK, endpoints={}), BRIDGE]}
    )
    assert (finding.rule, finding.subject) == ("not-running", "sse-kafka")
    assert said in f"{finding.wrong} {finding.evidence}"
    assert mend in finding.mend
