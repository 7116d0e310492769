"""Properties of the matrix: every pair and port is in it once, and what leads nowhere is refused by name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import connections


def spec(short: str, listens: list[int], **keys: Any) -> Any:
    return {
        "container": short,
        "service": "things",
        "aliases": [short, f"{short}-alias"],
        "listens": listens,
        "networks": {"sse-network": ""},
        "reaches": [],
        **keys,
    }


def to(*peers: str) -> dict[str, Any]:
    return {"reaches": [{"to": peer, "why": f"need {peer}"} for peer in peers]}


def release(*specs: dict[str, Any], unavailable: dict[str, str] | None = None) -> Any:
    return {"containers": {f"sse-{one['container']}": one for one in specs}, "unavailable": unavailable or {}}


def test_the_matrix_holds_every_pair_and_port_of_all_projects_once() -> None:
    platform = release(spec("app", [8000], **to("redis-alias:6379")), spec("redis", [6379, 9121]))
    board = release(spec("board", [80], **to("app:8000")))
    edges = connections.reachability([platform, board])
    assert [(one.source, one.target, one.port, one.name, one.why) for one in edges] == [
        ("sse-app", "sse-redis", 6379, "redis-alias", "need redis-alias:6379"),
        ("sse-app", "sse-redis", 9121, "redis", ""),
        ("sse-app", "sse-board", 80, "board", ""),
        ("sse-redis", "sse-app", 8000, "app", ""),
        ("sse-redis", "sse-board", 80, "board", ""),
        ("sse-board", "sse-app", 8000, "app", "need app:8000"),
        ("sse-board", "sse-redis", 6379, "redis", ""),
        ("sse-board", "sse-redis", 9121, "redis", ""),
    ]


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("kafak:9092", "no container is called 'kafak'; there are app, kafka"),
        (
            "kafka:9093",
            "sse-kafka does not listen on 9093, but on 9092; name one of these, or add the port to its `listens`",
        ),
        ("app:1", "sse-app does not listen on 1, but on no port; name one of these, or add the port to its `listens`"),
    ],
)
def test_what_leads_nowhere_is_named(peer: str, said: str) -> None:
    assert connections.problems([release(spec("app", [], **to(peer)), spec("kafka", [9092]))]) == [
        f"things.containers.app.reaches: {peer} (need {peer}): {said}"
    ]


def test_a_container_that_shares_no_network_with_what_it_reaches_is_named() -> None:
    one = {**spec("app", [], **to("kafka:9092")), "networks": {"sse-app": ""}}
    [told] = connections.problems([release(one, spec("kafka", [9092]))])
    assert told.endswith("it shares no network with sse-kafka; add one of its own to things.containers.app.segments")


def test_what_is_not_available_here_is_no_mistake_and_no_edge() -> None:
    releases = [release(spec("app", [], **to("grafana:3000")), unavailable={"grafana": "in no registry"})]
    assert (connections.problems(releases), connections.reachability(releases)) == ([], [])


def test_a_project_alone_may_reach_another_s_containers_but_no_wrong_port_of_its_own() -> None:
    alone = [release(spec("board", [80], **to("nginx:80")), spec("other", [80], **to("board:81")))]
    assert len(connections.problems(alone)) == 2
    assert [one.split(" (")[0] for one in connections.problems(alone, alone=True)] == [
        "things.containers.other.reaches: board:81"
    ]


@pytest.mark.parametrize(
    ("after", "found"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, []),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, []),
        ({"a": ["a"]}, ["a", "a"]),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
    ],
)
def test_a_cycle_is_found_and_told_in_its_order(after: dict[str, list[str]], found: list[str]) -> None:
    cycle = connections.cycle(after)
    assert sorted(set(cycle)) == sorted(set(found))
    assert cycle[:1] == cycle[-1:]
    assert all(second in after[first] for first, second in itertools.pairwise(cycle))
