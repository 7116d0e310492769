"""The stack of a drill has a name, ports and addresses that nobody else has, and only the services that it needs."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.preflight import second_stack

HOST: dict[str, Any] = {
    "listeners": [{"port": 4080}],
    "containers": [{"ports": [{"host_port": 5443}]}],
    "networks": [{"subnets": ["10.1.0.0/16"]}],
    "routes": [{"destination": "0.0.0.0/0"}, {"destination": "10.9.0.0/24"}],
}


@pytest.mark.parametrize("name", ["sse", "a", "exactly-fourte", "a-name-of-20-letters", "a-name-of-20-letterz"])
def test_the_name_is_valid_and_depends_on_the_stack_alone(name: str) -> None:
    found = second_stack.drill_name(name)
    assert found == second_stack.drill_name(name)
    assert len(found) <= second_stack.LONGEST
    assert found.endswith("-drill")


def test_two_long_names_have_different_drills() -> None:
    one, other = "a-name-of-20-letters", "a-name-of-20-letterz"
    assert second_stack.drill_name(one) != second_stack.drill_name(other)


@pytest.mark.parametrize(
    ("ports", "subnet", "free"),
    [
        ({80, 443}, "10.2.0.0/24", True),
        ({80, 4080}, "10.2.0.0/24", False),
        ({5443}, "10.2.0.0/24", False),
        ({80}, "10.1.3.0/24", False),
        ({80}, "10.9.0.0/24", False),
    ],
)
def test_what_somebody_has_is_not_free(ports: set[int], subnet: str, free: bool) -> None:
    assert second_stack.is_free(ports, subnet, cast("Any", HOST)) is free


def test_the_services_are_those_that_the_streams_need() -> None:
    declared = {
        "store": {"containers": {"store-1": {}}},
        "log": {"containers": {"log-1": {"after": ["store-1"]}}},
        "graphs": {"containers": {"graphs": {"after": ["streams-1"]}}},
        "streams": {"containers": {"streams-1": {"after": ["log-1"]}}},
        "proxy": {"containers": {"proxy": {"after": ["elsewhere"]}}},
    }
    assert second_stack.needed(declared, "streams", "proxy") == ["store", "log", "streams", "proxy"]
