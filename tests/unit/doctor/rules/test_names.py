"""Names that do not resolve, or that lead to a wrong address."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import names
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import RefusedUpstream
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    CONNECTION,
    ELSEWHERE,
    KAFKA,
    NGINX,
    SPEC,
    TWO,
    UNKNOWN,
    Changes,
    changed,
    expect_finding,
    facts,
    failed,
    moved,
    short,
    with_kafka,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {"connections": UNKNOWN, "containers": [NGINX, changed(APP, inside={"dns": "timed out"}), KAFKA]},
            "name-dns-silent",
            "sse-app-1",
            "timed out",
            "docker restart sse-app-1",
        ),
        (
            {
                "connections": UNKNOWN,
                "containers": [NGINX, moved(APP, {"bridge": ELSEWHERE["other"] | {"id": "n0"}}), KAFKA],
            },
            "name-default-bridge",
            "sse-app-1",
            "the default bridge",
            "docker network connect sse-network sse-app-1",
        ),
        (
            {"connections": UNKNOWN, "containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)], **TWO},
            "name-not-attached",
            "sse-app-1",
            "sse-kafka is on other",
            "connect --alias=kafka sse-network sse-kafka",
        ),
        (
            {
                "releases": [],
                "connections": UNKNOWN,
                "containers": with_kafka(running=False, status="exited", exit_code=1, inside=None),
            },
            "name-stopped",
            "sse-app-1",
            "exited (1)",
            "docker start sse-kafka",
        ),
        (
            {"connections": [failed("resolve", "no such name", name="bus")]},
            "name-alias",
            "sse-app-1",
            "is called kafka, sse-kafka",
            "--alias=bus",
        ),
        (
            {"connections": [failed("resolve", "no such name", name="kafak", target="")]},
            "name-typo",
            "sse-app-1",
            "did you mean kafka?",
            "write kafka",
        ),
        (
            {"connections": [failed("resolve", "no such name", name="elsewhere", target="")]},
            "name-unknown",
            "sse-app-1",
            "these names exist on its networks: kafka",
            "docker ps",
        ),
        (
            {"containers": [NGINX, changed(APP, inside={"hosts": {"kafka": "10.99.0.99"}}), KAFKA]},
            "old-address",
            "sse-app-1",
            "kafka leads to 10.99.0.99, but sse-kafka has 10.99.0.12",
            "./sse up",
        ),
        (
            {"connections": [CONNECTION._replace(addresses=["10.99.0.10"])]},
            "name-stolen",
            "sse-app-1",
            "sse-nginx has 10.99.0.10",
            "alias kafka",
        ),
        (
            {"refused_upstreams": [RefusedUpstream("sse-nginx", "10.99.0.99", "8000", "113")]},
            "old-address",
            "sse-nginx",
            "10.99.0.99:8000",
            "nginx -s reload",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_the_name_of_a_declared_container_that_is_gone_is_no_typo() -> None:
    """There is a container with a name that is near, and nobody is told to write that one instead."""
    lacking = failed("resolve", "no such name", name="kafka-1", target="")
    release = {"containers": {"sse-kafka-1": {**SPEC, "aliases": ["kafka-1"]}}, "networks": {}}
    one = names.unresolved(facts({"releases": [release], "connections": [lacking]}), lacking)
    assert (one.rule, one.mend) == ("name-stopped", ("./sse up",))
    assert "sse-kafka-1 does not exist" in one.wrong
