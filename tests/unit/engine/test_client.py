"""What the engine is told of a container that differs between its versions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, early_checks


@pytest.mark.parametrize(
    ("command", "interval", "api", "told"),
    [
        (["true"], 30, "1.41", {}),
        (["true"], 30, "1.44", {"StartInterval": 3 * 10**9}),
        (["true"], 2, "1.51", {"StartInterval": 2 * 10**9}),
        (None, 30, "1.51", {}),
    ],
    ids=["too old", "new enough", "often anyway", "no command"],
)
def test_an_engine_that_can_checks_a_starting_container_more_often(
    command: list[str] | None, interval: int, api: str, told: dict[str, int]
) -> None:
    check: Any = {"command": command, "interval": interval}
    assert early_checks(check, api) == told


def test_a_network_is_made_with_its_pools_and_the_label_of_its_stack(
    engine_socket: tuple[str, dict[str, Any]],
) -> None:
    path, answers = engine_socket
    answers |= {"/version": {}, "/networks/none": {"Name": "another, whose id begins so"}}
    network: Any = {
        "name": "none",
        "driver": "bridge",
        "internal": True,
        "device": "sse0",
        "segment": "data",
        "subnet": "10.0.0.0/24",
        "gateway": "",
        "ip_range": "10.0.0.128/25",
        "ipv6": {"subnet": "fd00::/64", "gateway": "fd00::1", "ip_range": ""},
    }
    Engine(path).make_network(network, "two", 1420)
    made = answers["/networks/create"]
    assert made["IPAM"]["Config"] == [
        {"Subnet": "10.0.0.0/24", "IPRange": "10.0.0.128/25"},
        {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
    ]
    assert (made["Internal"], made["EnableIPv6"], made["Labels"]) == (True, True, {"sse.platform.stack": "two"})
    assert made["Options"] == {"com.docker.network.bridge.name": "sse0", "com.docker.network.driver.mtu": "1420"}
