"""One connection that somebody asks for."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.asked_connection import (
    SourceError,
    explain,
    source_called,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.names import meant_by
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication
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
    ("name", "meant"),
    [
        ("ngnix", "did you mean nginx? "),
        ("app1", "did you mean app-1? "),
        ("sse-ngnix", "did you mean sse-nginx? "),
        ("hots", "did you mean host? "),
        ("zookeeper", ""),
    ],
)
def test_a_misspelt_source_is_answered_with_the_one_that_was_meant(name: str, meant: str) -> None:
    app = changed(APP, labels={**OURS, "sse.platform.container": "app-1", "sse.platform.service": "app"})
    nginx = changed(NGINX, labels={**OURS, "sse.platform.container": "nginx", "sse.platform.service": "nginx"})
    with pytest.raises(SourceError) as refused:
        source_called(facts({"containers": [app, nginx]})["containers"], name)
    assert str(refused.value) == (
        f"no container is called {name}: {meant}expected one of sse-app-1, sse-nginx, or host"
    )


def test_a_name_means_the_own_container_that_stands_still_and_never_one_of_another_stack() -> None:
    def called(one: Changes, name: str, stack: str, **changes: Any) -> Changes:
        labels = {"sse.platform.stack": stack, "sse.platform.container": "app-1", "sse.platform.service": "app"}
        return changed(one, name=name, id=name, labels=labels, **changes)

    own = called(APP, "sse-app-1", "sse", running=False, status="exited")
    elsewhere = {"demo-network": {"id": "n3", "aliases": ["app-1"], "address": "10.1.0.2", "wanted_address": ""}}
    other = called(APP, "demo-app-1", "demo", networks=elsewhere)
    impostor = called(APP, "app-1", "demo")
    given = facts({"containers": [impostor, other, own, NGINX]})
    assert meant_by(given, "app-1", "sse-nginx") == meant_by(given, "app-1", "") == given["containers"][2]
    with pytest.raises(SourceError, match="sse-app-1 does not run"):
        source_called(given["containers"], "app-1")
    for source in ("host", "sse-nginx"):
        tried = failed("resolve", "no such name", source=source, target="sse-app-1", name="app-1")
        finding = explain(given, tried)
        assert finding
        assert finding.rule in {"stopped", "name-stopped"}
        assert "sse-app-1 does not run" in finding.wrong
        assert finding.mend == ("docker start sse-app-1",)


def test_a_published_port_of_an_own_container_that_does_not_run_says_so() -> None:
    stopped = changed(NGINX, running=False, status="exited", wanted=[Publication("127.0.0.1", 8080, 80)])
    asked: Changes = {"source": "host", "target": "", "name": "127.0.0.1", "addresses": ["127.0.0.1"], "port": 8080}
    finding = explain(facts({"containers": [stopped, APP]}), failed("connect", "Connection refused", **asked))
    assert finding
    assert "sse-nginx, which publishes it, does not run" in finding.wrong


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
