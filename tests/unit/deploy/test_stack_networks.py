"""Networks are made and removed with what the engine leaves of them on the host."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import host_side, stack_networks
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import Link

BRIDGE = Link(30, "sse0", up=True, peer=0, master=0, kind="bridge")


class Engine:
    """An engine with one network, or none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[str] = []

    def has_network(self, name: str) -> bool:
        return name == self.name

    def device(self, name: str) -> str:
        return "sse0" if name == self.name else ""

    def empty_network(self, name: str) -> None:
        self.asked.append(f"empty {name}")

    def remove_network(self, name: str) -> None:
        self.asked.append(f"remove {name}")
        self.name = "" if name == self.name else self.name

    def make_network(self, network: dict[str, Any], *_: object) -> None:
        self.asked.append(f"make {network['name']}")


@pytest.mark.parametrize(
    ("links", "removed"),
    [
        ([BRIDGE], True),
        ([BRIDGE._replace(name="sse1")], False),
        ([BRIDGE._replace(kind="dummy")], False),  # somebody else's by now
        ([BRIDGE, Link(31, "veth1", up=True, peer=2, master=30)], False),
        ([], False),  # the engine took it away
    ],
)
def test_a_bridge_that_is_left_goes_with_its_network_and_no_other_interface(
    monkeypatch: pytest.MonkeyPatch, links: list[Link], removed: bool
) -> None:
    engine, ran = Engine("n"), list[str]()
    monkeypatch.setattr(stack_networks, "links", lambda: links)
    monkeypatch.setattr(host_side, "ran", ran.append)
    stack_networks.remove(cast("Any", engine), "other")
    assert ran == []
    stack_networks.remove(cast("Any", engine), "n")
    assert ran == ["ip link del sse0"] * removed
    assert engine.asked == ["remove other", "remove n"]


def test_a_network_that_is_made_takes_the_place_of_one_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_networks, "links", list)
    engine: Any = Engine("n")
    stack_networks.make(engine, cast("Any", {"name": "n"}), "sse", None)
    stack_networks.make(engine, cast("Any", {"name": "m"}), "sse", None)
    assert engine.asked == ["empty n", "remove n", "make n", "make m"]
