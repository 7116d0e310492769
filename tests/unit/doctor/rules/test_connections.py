"""Connections that fail, each explained by what both ends show."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.connections import explain
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    BRIDGE,
    ELSEWHERE,
    KAFKA,
    LOST,
    NETWORK,
    NGINX,
    OTHER,
    OURS,
    REFUSED,
    RULES,
    TWO,
    UNKNOWN,
    Changes,
    expect_finding,
    facts,
    failed,
    forward,
    moved,
    short,
    with_kafka,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {
                "connections": REFUSED,
                "rules": forward("-j SSE-sse").replace(
                    ":DOCKER-USER", ":SSE-sse - [0:0]\n-A SSE-sse -j REJECT\n:DOCKER-USER"
                ),
            },
            "firewall",
            "sse-app-1",
            "filter SSE-sse: -j REJECT",
            "add it to `reaches` of the container that connects",
        ),
        (
            {"connections": LOST, "rules": f"#iptables\n{RULES}#iptables-legacy\n*filter\n:FORWARD DROP [0:0]\n"},
            "firewall",
            "sse-app-1",
            "policy of filter FORWARD of iptables-legacy",
            "iptables-legacy -t filter -P FORWARD ACCEPT",
        ),
        (
            {"connections": REFUSED, "containers": with_kafka(inside={"listening": [("127.0.0.1", 9092)]})},
            "listens-on-loopback",
            "sse-app-1",
            "sse-kafka listens on 127.0.0.1 only",
            "0.0.0.0:9092",
        ),
        (
            {"connections": REFUSED, "containers": with_kafka(inside={"listening": [("0.0.0.0", 1)]})},
            "not-listening",
            "sse-app-1",
            "it listens on 1",
            "docker logs",
        ),
        (
            {
                "connections": REFUSED,
                "containers": with_kafka(health="unhealthy", health_log="no broker", inside={"listening": []}),
            },
            "unhealthy",
            "sse-app-1",
            "no broker",
            "docker logs",
        ),
        (
            {
                "releases": [],
                "connections": LOST,
                "containers": with_kafka(running=False, status="paused", inside=None),
            },
            "stopped",
            "sse-app-1",
            "paused",
            "docker unpause",
        ),
        (
            {
                "connections": [failed("connect", "timed out", target="", addresses=["10.98.0.2"])],
                "containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)],
                **TWO,
            },
            "not-same-network",
            "sse-app-1",
            "sse-kafka is on other",
            "connect sse-network sse-kafka",
        ),
        (
            {"connections": LOST, "rules": forward("-s 10.99.0.21/32 -d 10.99.0.12/32 -j DROP")},
            "firewall",
            "sse-app-1",
            "filter DOCKER-USER",
            "iptables -t filter -D DOCKER-USER -s 10.99.0.21/32",
        ),
        (
            {"connections": LOST, "rules": forward("-s 10.99.0.12/32 -d 10.99.0.21/32 -j DROP")},
            "firewall",
            "sse-app-1",
            "-s 10.99.0.12/32",
            "iptables -t filter -D DOCKER-USER",
        ),
        (
            {
                "connections": REFUSED,
                "containers": with_kafka(inside={"rules": "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j REJECT\n"}),
            },
            "firewall",
            "sse-app-1",
            "inside sse-kafka",
            "nsenter -t 7 -n iptables -t filter -D INPUT -p tcp -j REJECT",
        ),
        (
            {"connections": LOST, "containers": with_kafka(health="unhealthy", health_log="stuck")},
            "unhealthy",
            "sse-app-1",
            "stuck",
            "docker logs",
        ),
        ({"connections": LOST}, "unexplained", "sse-app-1", "no firewall rule blocks it", "docker logs"),
        ({"releases_error": "format 1"}, "releases", "releases", "format 1", "./sse up"),
        (
            {"releases_error": "it is", "damaged_release": "/s/3"},
            "releases",
            "releases",
            "it is",
            "mv /s/3 /s/3.damaged",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_a_connection_from_the_host_is_judged_by_what_the_host_sends() -> None:
    tried = failed("connect", "timed out", source="host")
    rules = RULES + "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.99.0.12/32 -j DROP\n"
    finding = explain(facts({"rules": rules}), tried)
    assert finding
    assert (finding.rule, finding.subject) == ("firewall", "host")


def test_segments_are_apart_by_design_and_never_joined_by_hand() -> None:
    networks = [NETWORK, BRIDGE, {**OTHER, "labels": OURS}]
    given = facts({"containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)], **TWO, "networks": networks})
    for tried in (*UNKNOWN, failed("connect", "timed out", target="", addresses=["10.98.0.2"])):
        finding = explain(given, tried)
        assert finding
        assert "no service declares this connection" in finding.mend[0]
