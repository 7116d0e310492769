"""The engine: silent, misconfigured, in a broken Swarm, with a wrong clock."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Clock
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import Changes, expect_finding, findings, short


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {"host": {"engine": None, "engine_error": "refused"}},
            "engine-silent",
            "engine",
            "does not answer",
            "systemctl restart docker",
        ),
        (
            {"host": {"engine": None, "dockerd_pid": None}},
            "engine-silent",
            "engine",
            "does not run",
            "systemctl start docker",
        ),
        (
            {"host": {"daemon_json": None}},
            "daemon-json",
            "/etc/docker/daemon.json",
            "does not hold a JSON object",
            "json.tool",
        ),
        (
            {"info": {"LiveRestoreEnabled": False}},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "live-restore",
            "restart docker",
        ),
        (
            {"host": {"engine": {"userland_proxy": True}}},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "userland-proxy",
            "restart",
        ),
        (
            {"daemon_json_changed": 600.0},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "100 s after the engine started",
            "restart",
        ),
        (
            {
                "host": {"daemon_json": {"default-address-pools": [{"base": "10.1.0.0/16", "size": 24}]}},
                "info": {"DefaultAddressPools": None},
            },
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "10.1.0.0/16",
            "restart",
        ),
        (
            {"host": {"engine": {"swarm": "error", "swarm_error": "bad key"}}},
            "swarm",
            "engine",
            "bad key",
            "swarm leave --force",
        ),
        ({"host": {"engine": {"swarm": "pending"}}}, "swarm", "engine", "invalid cluster node", "2377/tcp"),
        ({"host": {"engine": {"swarm": "locked"}}}, "swarm", "engine", "locked", "docker swarm unlock"),
        ({"controller": 900.0}, "clock-skew", "host", "100 s ahead of", "set-ntp"),
        ({"controller": 1100.0}, "clock-skew", "host", "100 s behind", "set-ntp"),
        (
            {"clocks": [Clock("sse-app-1", 8000, -9.0)]},
            "clock-skew",
            "sse-app-1",
            "9 s behind",
            "FAKETIME",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_the_containers_that_an_engine_without_live_restore_stops_are_started_again() -> None:
    (finding,) = findings({"host": {"daemon_json": {"live-restore": False}}})
    assert finding.mend == ("systemctl restart docker", "docker start sse-nginx sse-app-1 sse-kafka")
