"""An address or a port that goes from one container to another is never held by both."""

from __future__ import annotations

from typing import Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.taken_over import Order, with_takeovers
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind


class Engine:
    """An engine whose containers have what their id says: an address and a port."""

    def inspect(self, container: str) -> dict[str, Any]:
        address, port = container.split(":")
        endpoint = {"NetworkID": "n", "Aliases": None, "IPAMConfig": {"IPv4Address": address}}
        ports = {"80/tcp": [{"HostIp": "", "HostPort": port}]} if port else None
        return {
            "Id": container,
            "HostConfig": {"PortBindings": ports},
            "NetworkSettings": {"Networks": {"net": endpoint}},
        }


def spec(address: str, port: str) -> dict[str, Any]:
    return {"networks": {"net": address}, "ports": [{"host_port": int(port)}] if port else []}


def ordered(after: dict[str, set[str]], **containers: tuple[ActionKind, str, str]) -> Order:
    """Plan containers, each with its kind of action, what it has and what it gets, as ``address:port``."""
    wanted = {name: Action(kind, name, [], has) for name, (kind, has, _) in containers.items()}
    specs = {name: spec(*gets.split(":")) for name, (_, _, gets) in containers.items()}
    waits = {name: after.get(name, set()) for name in wanted}
    return with_takeovers(waits, wanted, cast("Any", specs), cast("Any", Engine()))


def test_a_container_that_takes_over_a_port_waits_until_the_other_was_replaced() -> None:
    order = ordered({}, a=("replace", "1:80", "1:81"), b=("create", "", "2:80"))
    assert order == ({"a": set(), "b": {"a"}}, {})


def test_so_does_one_that_takes_over_an_address() -> None:
    assert ordered({}, a=("replace", "1:", "2:"), b=("replace", "3:", "1:")).after["b"] == {"a"}


def test_what_stays_is_nobody_s_to_wait_for() -> None:
    order = ordered({}, a=("keep", "1:80", "1:80"), b=("replace", "2:81", "2:82"), c=("create", "", "3:"))
    assert order == ({"a": set(), "b": set(), "c": set()}, {})


def test_of_two_that_swap_one_stops_before_the_other_starts_and_is_replaced_after_it() -> None:
    order = ordered({}, a=("replace", "1:", "2:"), b=("replace", "2:", "1:"))
    assert order.after == {"a": {"b"}, "b": set()}
    assert {name: [one.container for one in stops] for name, stops in order.stops.items()} == {"b": ["a"]}


def test_one_that_is_needed_by_the_other_stops_it_too() -> None:
    order = ordered(
        {"a": {"c"}, "c": {"b"}}, a=("replace", "1:80", "1:81"), b=("create", "", "2:80"), c=("keep", "3:", "3:")
    )
    assert order.after["b"] == set()
    assert [one.container for one in order.stops["b"]] == ["a"]
