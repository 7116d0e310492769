"""Properties of the matrix of a cluster: everything that runs is in it by its host, and judged by where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.host import namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.tcp import Attempt
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix, swarm_matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import connections
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place
from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_matrix import Everywhere

NGINX, REDIS = "10.0.0.5", "10.0.0.9"


def spec(short: str, listens: list[int], *reaches: str) -> Any:
    return {
        "container": short,
        "service": "things",
        "aliases": [short],
        "listens": listens,
        "networks": {"sse-network": ""},
        "reaches": [{"to": peer, "why": "needs it"} for peer in reaches],
    }


def releases(layout: str = "single") -> Any:
    containers = {"sse-nginx": spec("nginx", [80], "redis:6379"), "sse-redis": spec("redis", [6379])}
    return [{"stack": "sse", "layout": layout, "containers": containers, "unavailable": {}}]


def task(service: str, address: str, **keys: Any) -> Any:
    known = {"service": service, "task": f"t-{address}", "started": "2026-01-01", "pid": 7, "bridge": ""}
    return {**known, "addresses": {"sse-network": address}, **keys}


def shown(*tasks: Any, wanted: list[str] | None = None) -> Any:
    return {"tasks": list(tasks), "wanted": wanted}


def test_each_container_is_in_the_matrix_by_its_host_and_one_without_a_host_by_its_name() -> None:
    nginx = {"a": shown(task("sse-nginx", NGINX)), "b": shown(task("sse-nginx", "10.0.0.6"))}
    everywhere = swarm_matrix.everywhere(nginx, ["a", "b"])
    edges = swarm_matrix.edges(releases(), everywhere)
    assert [(one.source, one.target, one.port, one.why) for one in edges] == [
        ("sse-nginx on a", "sse-redis", 6379, "needs it"),
        ("sse-nginx on b", "sse-redis", 6379, "needs it"),
        ("sse-redis", "sse-nginx on a", 80, ""),
        ("sse-redis", "sse-nginx on b", 80, ""),
        ("sse-nginx on a", "sse-nginx on b", 80, ""),
        ("sse-nginx on b", "sse-nginx on a", 80, ""),
    ]
    cells = swarm_matrix.joined(releases(), everywhere, [Cell(edges[4], "open")])
    assert [cell.verdict for cell in cells] == ["unmeasured"] * 4 + ["open", "unmeasured"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(None, {"sse-nginx": "10.0.0.6"}), (["t-10.0.0.5"], {"sse-nginx": NGINX}), ([], {})],
    ids=["the newer one where no manager answers", "the one that is to go on", "none where all are about to end"],
)
def test_of_what_is_about_to_end_nobody_is_asked(wanted: list[str] | None, expected: dict[str, str]) -> None:
    old, new = task("sse-nginx", NGINX), task("sse-nginx", "10.0.0.6", started="2026-01-02")
    found = swarm_matrix.everywhere({"a": shown(new, old), "b": shown(wanted=wanted)}, ["a", "b"])
    assert {name: one["addresses"]["sse-network"] for name, one in found.hosts["a"].items()} == expected


def test_a_bridge_is_tried_on_its_own_host_alone_and_a_host_that_is_silent_may_have_more() -> None:
    hosts = {
        "a": {"sse-nginx": task("sse-nginx", NGINX, bridge="172.18.0.3")},
        "b": {"sse-nginx": task("sse-nginx", "10.0.0.6", bridge="172.18.0.4")},
    }
    found = swarm_matrix.places(Everywhere(hosts, complete=True), "a")
    assert found["sse-nginx on a"] == Place(7, {"sse-network": NGINX}, others=["172.18.0.3"], namesakes=["10.0.0.6"])
    assert found["sse-nginx on b"] == Place(0, {"sse-network": "10.0.0.6"}, others=[], namesakes=[NGINX])
    assert not swarm_matrix.everywhere({"a": shown()}, ["a", "b"]).complete
    assert swarm_matrix.places(Everywhere(hosts, complete=False), "a")["sse-nginx on a"].namesakes is None


@pytest.mark.parametrize(
    ("answer", "namesakes", "verdict"),
    [
        ([REDIS], (), "reached"),
        (["10.0.0.7", REDIS], ["10.0.0.7"], "reached"),
        (["10.0.0.7"], ["10.0.0.7"], "broken"),
        (["10.0.0.66", REDIS], ["10.0.0.7"], "broken"),
        (["10.0.0.66", REDIS], None, "reached"),
    ],
    ids=["it alone", "it and another of its name", "not it", "a stranger, too", "one on a silent host, perhaps"],
)
def test_a_name_leads_to_each_container_that_has_it(answer: list[str], namesakes: Any, verdict: str) -> None:
    edge = Edge("sse-nginx on a", "sse-redis on b", 6379, "redis", "needs it")
    target = Place(0, {"sse-network": REDIS}, namesakes=namesakes)
    cell = matrix.judge_declared(
        edge, Place(1, {"sse-network": NGINX}), target, answer, {(REDIS, 6379): Attempt("", 0.1)}
    )
    assert cell.verdict == verdict


@pytest.mark.parametrize(
    ("layout", "network", "verdict"),
    [
        ("single", "sse-network", "open"),
        ("segmented", "sse-network", "open"),
        ("segmented", "sse-data", "leak"),
        ("segmented", "sse-far", "refused"),
    ],
)
def test_what_shares_an_overlay_may_connect_and_what_does_not_may_not(
    monkeypatch: pytest.MonkeyPatch, layout: str, network: str, verdict: str
) -> None:
    def connect(targets: Any, _: Any) -> dict[Any, Attempt]:
        return {target: Attempt("", 0.001) for target in targets}

    monkeypatch.setattr(namespace, "inside", lambda _, work: work())
    monkeypatch.setattr(namespace, "hosts_file", lambda *_: "")
    monkeypatch.setattr(namespace, "ask_all", lambda names, **_: {name: OSError("no such name") for name in names})
    monkeypatch.setattr(tcp, "connect_patiently", connect)
    hosts = {
        "a": {"sse-nginx": task("sse-nginx", NGINX)},
        "b": {"sse-redis": task("sse-redis", "", addresses={network: REDIS})},
    }
    if network == "sse-data":  # on its own host, a bridge is no way either
        hosts = {"b": {"sse-nginx": task("sse-nginx", NGINX, bridge="172.18.0.3"), **hosts["b"]}}
    everywhere = Everywhere(hosts, complete=True)
    cells, lost = swarm_matrix.tried(releases(layout), everywhere, "b")
    [cell] = [one for one in cells if one.edge.source == "sse-redis on b"]
    assert (cell.edge.source, cell.edge.target, cell.verdict, lost) == (
        "sse-redis on b",
        f"sse-nginx on {'b' if network == 'sse-data' else 'a'}",
        verdict,
        [],
    )
    assert swarm_matrix.unpacked(json.loads(json.dumps(swarm_matrix.packed([cell])))) == [cell]
    text = matrix.note([cell], enforced=layout == "segmented")
    assert ("one overlay" in text) == ((layout, verdict) == ("segmented", "open"))
    found = connections.findings([cell], closed=swarm_matrix.CLOSED)
    assert [one.mend for one in found] == ([(swarm_matrix.CLOSED, "./sse up")] if verdict == "leak" else [])


@pytest.mark.parametrize(("fails", "verdict"), [(0, "reached"), (2, "reached"), (99, "broken")])
def test_a_declared_connection_that_fails_is_tried_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch, fails: int, verdict: str
) -> None:
    tries: list[float] = []
    time = [0.0]

    def measure(_: Any, edges: list[Edge], *__: Any, **___: Any) -> list[Cell]:
        tries.append(time[0])
        return [Cell(edge, "broken" if len(tries) <= fails else "reached") for edge in edges]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    monkeypatch.setattr(matrix, "measure", measure)
    hosts = {"a": {"sse-nginx": task("sse-nginx", NGINX)}, "b": {"sse-redis": task("sse-redis", REDIS)}}
    cells, _ = swarm_matrix.tried(releases(), Everywhere(hosts, complete=True), "a", clock=lambda: time[0], sleep=sleep)
    assert {cell.verdict for cell in cells} == {verdict}
    assert tries[-1] <= swarm_matrix.AGAIN_SECONDS + 1
    assert len(tries) == fails + 1 or fails > len(tries) > 10


def test_a_container_whose_namespace_is_gone_is_a_finding() -> None:
    hosts = {
        "a": {"sse-nginx": task("sse-nginx", NGINX, pid=2**22 + 1)},
        "b": {"sse-redis": task("sse-redis", REDIS)},
    }
    cells, [lost] = swarm_matrix.tried(releases(), Everywhere(hosts, complete=True), "a")
    assert (cells, lost.subject, lost.wrong) == ([], "sse-nginx on a", "its network namespace could not be entered")


def test_the_dashboard_gets_the_worst_of_all_hosts() -> None:
    edge = Edge("sse-nginx on a", "sse-redis on b", 6379, "redis", "needs it")
    cells = [
        Cell(edge._replace(source="sse-nginx on c"), "unmeasured"),
        Cell(edge, "reached"),
        Cell(edge._replace(source="sse-nginx on b"), "broken", got="timed out"),
        Cell(Edge("sse-nginx on a", "sse-nginx on b", 80, "nginx", ""), "open"),
    ]
    [found] = swarm_matrix.by_name(cells)
    assert (found.edge.source, found.edge.target, found.verdict) == ("sse-nginx", "sse-redis", "broken")
    assert found.got == "from sse-nginx on b to sse-redis on b: timed out"


class Engine:
    """One host with a container of the stack, one that ended, one that ends meanwhile, and one of somebody else."""

    listed = (
        ("1", "running", {"sse.platform.swarm-stack": "sse", "com.docker.swarm.service.name": "sse-nginx"}),
        ("2", "exited", {"sse.platform.swarm-stack": "sse", "com.docker.swarm.service.name": "sse-nginx"}),
        ("3", "running", {}),
        ("4", "running", {"sse.platform.swarm-stack": "sse", "com.docker.swarm.service.name": "sse-app-1"}),
    )

    def containers(self) -> Any:
        return [{"Id": name, "State": state, "Labels": labels} for name, state, labels in self.listed]

    def container(self, name: str) -> Any:
        if name == "4":
            raise RefusedError("/containers/4/json", 404, b"{}")
        networks = {"sse-network": {"IPAddress": NGINX}, "other": {"IPAddress": ""}}
        return {
            "Id": name,
            "State": {"Pid": 7, "StartedAt": "2026-01-01"},
            "NetworkSettings": {"Networks": networks},
        }

    def network(self, _name: str) -> Any:
        return {"Containers": {"1": {"IPv4Address": "172.18.0.3/16"}}}

    def wanted_tasks(self) -> set[str]:
        raise RefusedError("/tasks", 503, b"{}")


def test_a_host_says_what_runs_of_the_stack() -> None:
    host: Any = Engine()
    found = swarm_matrix.found(host, host, "sse")
    assert found == {"tasks": [task("sse-nginx", NGINX, task="", bridge="172.18.0.3")], "wanted": None}
