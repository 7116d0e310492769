"""One connection that somebody asks for."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.asked_connection import (
    SourceError,
    explain,
    source_called,
)
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    NGINX,
    OURS,
    Changes,
    changed,
    facts,
    failed,
)


def test_a_source_is_meant_by_any_of_its_names_and_only_where_it_runs() -> None:
    given = {"containers": [changed(APP, labels={**OURS, "sse.platform.container": "app-1"}), NGINX]}
    containers = facts(given)["containers"]
    assert source_called(containers, "app-1")["name"] == source_called(containers, "sse-app-1")["name"] == "sse-app-1"
    with pytest.raises(SourceError, match="expected one of sse-app-1, sse-nginx, or host"):
        source_called(containers, "app-9")
    containers[1]["running"] = False
    with pytest.raises(SourceError, match="does not run"):
        source_called(containers, "sse-nginx")


@pytest.mark.parametrize(
    ("address", "port", "changes", "rule", "said"),
    [
        ("192.0.2.2", 8080, {}, "port-on-loopback", "sse-nginx publishes it on 127.0.0.1 only"),
        ("127.0.0.1", 9092, {}, "not-published", "sse-kafka listens on 9092 and does not publish it"),
        ("127.0.0.1", 4, {}, "not-published", "no container publishes it"),
        ("127.0.0.1", 8080, {"containers": [changed(NGINX, inside={"listening": []})]}, "not-listening", "on port 80"),
    ],
)
def test_a_dead_port_of_the_host_is_explained(address: str, port: int, changes: Changes, rule: str, said: str) -> None:
    asked: Changes = {"source": "host", "target": "", "name": address, "addresses": [address], "port": port}
    finding = explain(facts(changes), failed("connect", "Connection refused", **asked))
    assert finding
    assert finding.rule == rule
    assert said in finding.wrong
