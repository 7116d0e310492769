"""Hosts that try each other's ports, each at an address of its own on loopback."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.meeting import (
    ENCRYPTED,
    ESP_HEADER,
    Meeting,
    Met,
    Port,
)


def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def meet(
    hosts: dict[str, str], ports: dict[str, list[Port]], seconds: float, taken: dict[str, list[str]] | None = None
) -> dict[str, Met]:
    """Let each host meet the others at its own ports; a host that has none listens to nobody."""

    def part(name: str) -> Met:
        peers = {other: address for other, address in hosts.items() if other != name}
        return Meeting(hosts[name], peers, ports[name], seconds, taken).run()

    with ThreadPoolExecutor(len(ports)) as pool:
        return dict(zip(ports, pool.map(part, ports), strict=True))


HOSTS = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}


def test_hosts_that_reach_each_other_part_before_the_time_is_over() -> None:
    ports = [Port("tcp", free(), "x"), Port("udp", free(), "x")]
    found = meet(HOSTS, dict.fromkeys(HOSTS, ports), 30)
    assert found == dict.fromkeys(HOSTS, Met([], []))


def test_a_port_that_does_not_answer_is_named_with_both_hosts() -> None:
    tcp, udp = Port("tcp", free(), "x"), Port("udp", free(), "x")
    found = meet({"a": "127.0.0.2", "b": "127.0.0.3"}, {"a": [tcp, udp]}, 0.1)["a"]
    assert [(one["peer"], one["protocol"], one["port"]) for one in found.unmet] == sorted(
        [("b", "tcp", tcp.number), ("b", "udp", udp.number)], key=lambda one: (one[2], one[1])
    )
    assert all(one["why"] == "connection refused" for one in found.unmet)


def test_a_port_that_a_program_holds_counts_as_reached() -> None:
    port = Port("tcp", free(), "x")
    with socket.create_server(("127.0.0.2", port.number)):
        found = meet({"a": "127.0.0.2", "b": "127.0.0.3"}, {"a": [port], "b": [port]}, 3)
    assert found["a"].held == [f"{port.number}/tcp"]
    assert not found["b"].unmet


def test_a_port_that_says_nothing_to_strangers_is_not_waited_for() -> None:
    tcp, udp = Port("tcp", free(), "x"), Port("udp", free(), "x")
    pair = {"a": "127.0.0.2", "b": "127.0.0.3"}
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two,
    ):
        one.bind(("127.0.0.2", udp.number))
        two.bind(("127.0.0.3", udp.number))
        begun = time.monotonic()
        taken = {name: [f"{udp.number}/udp"] for name in pair}
        found = meet(pair, {"a": [tcp, udp], "b": [tcp, udp]}, 30, taken)
    assert found == dict.fromkeys(pair, Met([], [f"{udp.number}/udp"]))
    assert time.monotonic() - begun < 15


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(OSError, match="Cannot assign requested address"):
        Meeting("192.0.2.1", {}, [Port("tcp", free(), "x")], 1).run()


def test_packets_of_esp_are_tried_where_an_overlay_is_to_be_encrypted() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, ENCRYPTED.number).close()
    except PermissionError:
        pytest.skip("only root may send packets of ESP")
    assert len(ESP_HEADER) == 8  # RFC 4303
    found = meet(HOSTS, {name: [ENCRYPTED] for name in HOSTS}, 30)
    assert found == dict.fromkeys(HOSTS, Met([], []))
    alone = meet({"a": "127.0.0.2", "b": "127.0.0.3"}, {"a": [ENCRYPTED]}, 0.1)["a"]
    assert [(one["peer"], one["protocol"], one["port"]) for one in alone.unmet] == [("b", "esp", 50)]
