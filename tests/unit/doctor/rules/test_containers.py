"""Containers of the newest release that do not run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import RefusedUpstream
from ansible_collections.sse.platform.plugins.module_utils.host import kept_down
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    BRIDGE,
    CONNECTION,
    NETWORK,
    NGINX,
    SPEC,
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


ON_ITS_NETWORK = {**SPEC, "networks": {"sse-network": "10.99.0.12"}}
FAILED = CONNECTION._replace(failed="connect", error="no route to host")


def test_a_detached_container_is_one_finding_with_its_whole_mend_and_what_it_breaks() -> None:
    (finding,) = findings(
        {
            "releases": [{"containers": {"sse-kafka": ON_ITS_NETWORK}, "networks": {}}],
            "containers": with_kafka(networks={}),
            "connections": [FAILED],
            "refused_upstreams": [RefusedUpstream("sse-nginx", "10.99.0.12", "9092", "111")],
            "networks": [changed(NETWORK, endpoints={}), BRIDGE],
        }
    )
    assert (finding.rule, finding.subject, finding.fixable) == ("detached", "sse-kafka", True)
    assert finding.evidence.endswith("; because of that, 1 connection of it fails")
    assert finding.mend == (
        "docker network connect --ip=10.99.0.12 --alias=kafka --alias=broker sse-network sse-kafka",
    )


def test_a_restart_loop_comes_before_everything_else() -> None:
    first, *others = findings(
        {
            "containers": with_kafka(status="restarting", exit_code=3, inside=None),
            "connections": [FAILED],
            "ip_forward": "0",
            "networks": [changed(NETWORK, endpoints={}), BRIDGE],
        }
    )
    assert (first.rule, first.subject) == ("restart-loop", "sse-kafka")
    assert first.evidence.startswith("its last exit code is 3; because of that, 1 connection")
    assert [one.rule for one in others] == ["ip-forward"]


def test_a_container_that_docker_kill_took_the_restart_policy_from_is_found() -> None:
    labels = {**NGINX["labels"], "sse.platform.container": "nginx"}
    (finding,) = findings({"containers": [changed(NGINX, stays_down=True, labels=labels), APP, *with_kafka()[2:]]})
    assert (finding.rule, finding.subject) == ("restart-policy", "sse-nginx")
    assert "docker kill" in finding.evidence
    assert finding.mend[0] == "./sse restart nginx"
    assert "./sse reload" in finding.mend[1]


@pytest.mark.parametrize(
    ("policy", "kept", "expected"),
    [
        ("unless-stopped", '{"HasBeenManuallyStopped": true}', True),
        ("always", '{"HasBeenManuallyStopped": true}', True),
        ("no", '{"HasBeenManuallyStopped": true}', False),
        ("unless-stopped", '{"HasBeenManuallyStopped": false}', False),
        ("unless-stopped", "{}", False),
        ("unless-stopped", "{,", False),
        ("unless-stopped", "", False),
    ],
)
def test_the_engines_own_file_tells_whether_a_restart_policy_holds(
    tmp_path: Path, policy: str, kept: str, expected: bool
) -> None:
    (tmp_path / "containers" / "c1").mkdir(parents=True)
    (tmp_path / "containers" / "c1" / "config.v2.json").write_text(kept)
    inspected: Any = {
        "HostConfig": {"RestartPolicy": {"Name": policy}},
        "HostsPath": str(tmp_path / "containers/c1/hosts"),
        "State": {"Running": True},
    }
    assert kept_down.stays_down(inspected) is expected
    others: list[Any] = [{"State": {"Running": False}}, {"HostsPath": ""}]  # the first is started anyway
    assert not any(kept_down.stays_down(inspected | one) for one in others)
