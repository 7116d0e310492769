"""Containers of others on networks of the stack."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import guests
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

CONTAINERS: Any = {
    "sse-kafka": {"networks": {"sse-network": "10.0.0.12"}, "listens": [9092], "ports": []},
    "sse-nginx": {"networks": {"sse-network": "10.0.0.15"}, "listens": [80], "ports": [{"container_port": 80}]},
    "sse-redis": {"networks": {"sse-data": "10.0.1.11"}, "listens": [6379], "ports": []},
}


def releases(layout: str) -> Any:
    networks = {
        "sse-network": {"segment": "network", "ip_range": "10.0.0.128/25"},
        "sse-data": {"segment": "data", "ip_range": "10.0.1.128/25"},
    }
    return [{"layout": layout, "project": "p", "networks": networks, "containers": CONTAINERS}]


def listed(network: str = "sse-network", address: str = "10.0.0.129", **labels: str) -> Any:
    networks = {"bridge": {"IPAddress": "172.17.0.2"}, network: {"IPAddress": address}}
    named = {f"{LABEL}{key}": value for key, value in labels.items()}
    return {
        "Id": "f00",
        "Names": ["/foo"],
        "Labels": named,
        "Image": "busybox",
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": networks},
    }


@pytest.mark.parametrize(
    ("one", "layout", "reached"),
    [
        (listed(), "single", "every port of every container there, among them sse-kafka:9092, sse-nginx:80"),
        (listed(), "segmented", "only ports that are published from there: sse-nginx:80"),
        (listed(stack="other"), "segmented", "only ports that are published from there: sse-nginx:80"),
        (listed(stack="sse"), "segmented", "only ports that are published from there: sse-nginx:80"),
        (listed(stack="sse", project="q"), "segmented", "only ports that are published from there: sse-nginx:80"),
        (listed(address=""), "segmented", "only ports that are published from there: sse-nginx:80"),
        (listed(address="10.0.0.9"), "segmented", "only what the stack firewall allows to its address"),
        (listed("sse-data", "10.0.1.130"), "segmented", "nothing there: the stack firewall refuses it"),
    ],
)
def test_a_guest_is_named_with_image_address_and_what_it_may_reach(one: Any, layout: str, reached: str) -> None:
    [text] = guests.told([one], releases(layout), "sse")
    network = list(one["NetworkSettings"]["Networks"])[-1]
    address = one["NetworkSettings"]["Networks"][network]["IPAddress"] or "no address while it does not run"
    assert text.startswith(f"guest foo (busybox) is on {network} ({address}) and not of this stack. It may reach")
    assert reached in text
    assert text.endswith(f"docker network disconnect {network} foo")


@pytest.mark.parametrize("whose", ["f01", "sse-kafka"])
def test_who_uses_the_network_of_a_container_of_the_stack_is_a_guest(whose: str) -> None:
    kafka: Any = {**listed(stack="sse", project="p"), "Id": "f01", "Names": ["/sse-kafka"]}
    inside: Any = {**listed("others"), "HostConfig": {"NetworkMode": f"container:{whose}"}}
    elsewhere: Any = {**inside, "HostConfig": {"NetworkMode": "container:f02"}}
    [text] = guests.told([kafka, inside, elsewhere], releases("segmented"), "sse")
    assert text.startswith("guest foo (busybox) uses the network of sse-kafka and is not of this stack.")
    assert text.endswith("docker rm --force foo")


@pytest.mark.parametrize("one", [listed(stack="sse", project="p"), listed("others")])
def test_what_is_of_the_stack_or_elsewhere_is_no_guest(one: Any) -> None:
    assert not list(guests.told([one], releases("single"), "sse"))
