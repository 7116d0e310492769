"""What runs in a Swarm, as people read it."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
from ansible_collections.sse.platform.plugins.module_utils.views.swarm_status import absent, document, lines


def node(name: str, **changes: Any) -> Any:
    return {
        "id": f"n-{name}",
        "name": name,
        "role": "worker",
        "availability": "active",
        "state": "ready",
        "address": f"192.0.2.{len(name)}",
        "engine": "26.1.5",
        "labels": {},
        "leader": False,
        "reachable": False,
        **changes,
    }


def service(name: str, running: dict[str, int], wanted: int, **changes: Any) -> ObservedService:
    labels = {"sse.platform.stack": changes.pop("stack", "sse"), "sse.platform.release": "3"}
    request = {"TaskTemplate": {"ContainerSpec": {"Image": "app:1"}}}
    given: dict[str, Any] = {"waits": [], "update": "", "message": "", **changes}
    return ObservedService(name, name, labels, request, wanted, running, **given)


def test_nodes_and_services_are_told_with_what_is_wrong() -> None:
    nodes = [
        node("one", role="manager", leader=True, reachable=True),
        node("two", role="manager"),
        node("three", availability="drain"),
    ]
    services = [
        service("sse-nginx", {"n-one": 1, "n-two": 1}, 2),
        service("sse-app-1", {}, 1, waits=["no suitable node"], update="paused"),
        service("theirs", {"n-one": 1}, 1, stack="other"),
    ]
    assert lines(nodes, services, "sse") == [
        "NODE   ADDRESS    ROLE                                STATE          ENGINE",
        "one    192.0.2.3  manager, leads                      ready          26.1.5",
        "three  192.0.2.5  worker                              ready (drain)  26.1.5",
        "two    192.0.2.3  manager, not reached by the others  ready          26.1.5",
        "",
        "SERVICE    TASKS           ON        RELEASE  IMAGE",
        "sse-app-1  0 of 1, paused  -         3        app:1",
        "sse-nginx  2 of 2          one, two  3        app:1",
        "",
        "sse-app-1: no suitable node",
    ]


def test_what_runs_elsewhere_is_told() -> None:
    where = ["topic t of Kafka at kafka.example.org:9093"]
    found = lines([node("one")], [service("sse-a", {"n-one": 1}, 1)], "sse", where)
    assert found[-2:] == ["", f"Elsewhere: {where[0]}"]
    assert document([node("one")], [], "sse", where)["elsewhere"] == where


def test_the_same_is_told_to_programs() -> None:
    services = [
        service("sse-nginx", {"n-one": 1, "n-two": 1}, 2),
        service("sse-app-1", {}, 1, waits=["no suitable node"], update="paused"),
        service("theirs", {"n-one": 1}, 1, stack="other"),
    ]
    told = document([node("two"), node("one", role="manager", leader=True, reachable=True)], services, "sse")
    assert [one["name"] for one in told["nodes"]] == ["one", "two"]
    assert told["nodes"][0] | {"address": ""} == {
        "name": "one",
        "address": "",
        "role": "manager",
        "leader": True,
        "reachable": True,
        "state": "ready",
        "availability": "active",
        "engine": "26.1.5",
    }
    assert told["services"] == [
        {
            "name": "sse-app-1",
            "project": "",
            "release": 3,
            "image": "app:1",
            "wanted": 1,
            "running": {},
            "update": "paused",
            "waits": ["no suitable node"],
        },
        {
            "name": "sse-nginx",
            "project": "",
            "release": 3,
            "image": "app:1",
            "wanted": 2,
            "running": {"one": 1, "two": 1},
            "update": "",
            "waits": [],
        },
    ]


def test_a_stack_that_is_not_there_is_no_empty_table() -> None:
    assert lines([node("one")], [], "sse")[-1] == "No service of the stack sse is in this Swarm."


def test_a_service_that_is_not_there_is_told_unless_none_is() -> None:
    there = [service("sse-app-1", {"n-one": 1}, 1), service("sse-app-2", {"n-one": 1}, 1, stack="other")]
    assert absent(there, "sse", ["sse-app-1", "sse-app-2"]) == ["sse-app-2"]
    assert absent(there, "third", ["sse-app-2"]) == []
    shown = lines([node("one")], there, "sse", missing=["sse-app-2"])
    assert shown[-1] == "sse-app-2: it is missing; ./sse up brings it back"
    assert document([node("one")], there, "sse", missing=["sse-app-2"])["missing"] == ["sse-app-2"]
