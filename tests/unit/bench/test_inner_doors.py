"""bench/inner_doors.py compares two brokers that differ in nothing but what it measures."""

from __future__ import annotations

import inner_doors
import peers


def properties(*, asks: bool) -> dict[str, str]:
    lines = peers.server_properties(9999, asks=asks).splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines if line)}


def test_they_differ_in_the_listeners_of_clients_and_in_the_authorizer() -> None:
    closed, opened = properties(asks=True), properties(asks=False)
    differ = {name for name in {*closed, *opened} if closed.get(name) != opened.get(name)}
    assert differ == {"authorizer.class.name", "listener.security.protocol.map"}
    protocols = opened["listener.security.protocol.map"].split(",")
    assert [one for one in protocols if one.endswith(":SASL_PLAINTEXT")] == ["BROKER:SASL_PLAINTEXT"]


def test_ratios_are_medians_within_pairs() -> None:
    def cost(us: float) -> inner_doors.Cost:
        return inner_doors.Cost({"ours": us, "broker": us}, {"ours": us, "broker": us})

    pairs = [{"closed": cost(11), "open": cost(10)}, {"closed": cost(44), "open": cost(40)}]
    said = inner_doors.told([*pairs, {"closed": cost(9), "open": cost(10)}])
    assert "delivery 22.00 us closed (ours 11.00, broker 11.00)" in said
    assert "ratio 1.100 (0.900 to 1.100)" in said
