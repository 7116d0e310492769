"""Networks that are missing, foreign, in conflict, stale or unused."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import Lost
from ansible_collections.sse.platform.plugins.module_utils.doctor import mending
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import ListedEndpoint
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    BRIDGE,
    LOST,
    NETWORK,
    OTHER,
    PORT,
    RULES,
    SPEC,
    TWO,
    Changes,
    changed,
    expect_finding,
    findings,
    short,
    with_kafka,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {"networks": [changed(NETWORK, labels={"a": "b"}), BRIDGE]},
            "network-foreign",
            "sse-network",
            "a=b",
            "network_name",
        ),
        (
            {"networks": [BRIDGE], "connections": [], "ports": []},
            "network-missing",
            "sse-network",
            "sse-app-1, sse-kafka, sse-nginx",
            "--subnet=10.99.0.0/24",
        ),
        (
            {"host": {"interfaces": [{"name": "wg0", "addresses": ["10.99.0.9/24"]}]}},
            "subnet-conflict",
            "sse-network",
            "interface wg0",
            "network_recreate_allowed",
        ),
        (
            {"host": {"routes": [{"destination": "10.99.0.0/16", "device": "tun0"}]}},
            "subnet-conflict",
            "sse-network",
            "through tun0",
            "is free",
        ),
        (
            {"info": {"DefaultAddressPools": [{"Base": "10.99.0.0/24", "Size": 24}]}},
            "address-pools",
            "engine",
            "all 1 subnets",
            "--subnet=10.98.0.0/24",
        ),
        ({"mtu": {"eth0": 1400}}, "mtu", "sse-network", "eth0 carries 1400", "./sse destroy && ./sse up"),
        (
            {"containers": with_kafka(inside={"mtu": {"eth0": 1200}})},
            "mtu",
            "sse-kafka",
            "has an MTU of 1200",
            "docker restart sse-kafka",
        ),
        (
            {"networks": [changed(NETWORK, endpoints={"ep-1": ListedEndpoint("old", "10.99.0.9")}), BRIDGE]},
            "stale-endpoint",
            "sse-network",
            "belongs to no container",
            "disconnect --force sse-network old",
        ),
        (
            {**TWO, "networks": [NETWORK, BRIDGE, OTHER]},
            "stale-endpoint",
            "other",
            "sse-kafka (10.98.0.2) belongs to sse-kafka, which does not know it",
            "disconnect --force other sse-kafka",
        ),
        (
            {"containers": with_kafka(inside={"interfaces": [{"name": "lo", "addresses": ["127.0.0.1/8"]}]})},
            "stale-endpoint",
            "sse-kafka",
            "it has 127.0.0.1",
            "connect --ip=10.99.0.12 --alias=kafka",
        ),
        (
            {"networks": [changed(NETWORK, device="br-gone"), BRIDGE], "rules": RULES.replace("br-sse", "br-gone")},
            "stale-endpoint",
            "sse-network",
            "no interface br-gone",
            "docker restart sse-kafka",
        ),
        (
            {
                "networks": [NETWORK, BRIDGE, changed(OTHER, labels={}, endpoints={}, containers=["old"])],
                "mtu": {"br-other": 1500},
            },
            "unused-network",
            "other",
            "need it, and cannot start without it: old",
            "docker rm old",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_a_missing_network_is_made_as_the_stack_makes_it_and_its_containers_come_back() -> None:
    (finding,) = findings({"networks": [BRIDGE], "connections": [], "ports": []})
    assert finding.fixable
    first, *rest = mending.commands([finding])
    assert first == (
        "docker network create --driver=bridge --subnet=10.99.0.0/24 --gateway=10.99.0.1 --ip-range=10.99.0.128/25 "
        "--opt=com.docker.network.bridge.name=br-sse --label=sse.platform.stack=sse sse-network"
    )
    assert rest[:3] == [
        "docker network disconnect --force sse-network sse-nginx",
        "docker network connect --ip=10.99.0.10 --alias=nginx sse-network sse-nginx",
        "docker start sse-nginx",
    ]


def test_a_missing_segment_is_made_as_the_release_says() -> None:
    data = {"subnet": "10.99.2.0/24", "gateway": "10.99.2.1", "ip_range": "10.99.2.128/25", "internal": True}
    release = {"containers": {}, "networks": {"sse-data": {**data, "device": "br-sse-data"}}}
    (finding,) = findings({"releases": [release], "host": {"uplink_mtu": 1400}, "mtu": {"eth0": 1500}})
    assert (finding.subject, finding.fixable) == ("sse-data", True)
    assert " ".join(finding.mend) == (
        "docker network create --driver=bridge --subnet=10.99.2.0/24 --gateway=10.99.2.1 --ip-range=10.99.2.128/25 "
        "--internal --opt=com.docker.network.bridge.name=br-sse-data --opt=com.docker.network.driver.mtu=1400 "
        "--label=sse.platform.stack=sse sse-data"
    )


BARE = Lost(
    "bridge-address", "sse-network", "its bridge br-sse has lost the address 10.99.0.1/24", "br-sse: none", ("ip a",)
)
SILENT = [PORT._replace(error="timed out")]


@pytest.mark.parametrize(
    ("lost", "changes"),
    [
        (BARE, {"ports": SILENT}),
        (BARE._replace(rule="bridge-down", wrong="its bridge br-sse is down"), {"ports": SILENT, "connections": LOST}),
        (BARE._replace(rule="bridge-setting", wrong="route_localnet is 0"), {"ports": SILENT}),
    ],
    ids=short,
)
def test_a_bridge_that_is_not_whole_is_the_one_finding_with_the_command_that_mends_it(
    lost: Lost, changes: Changes
) -> None:
    [found] = findings({"host_side": [lost], **changes})
    assert (found.rule, found.subject, found.mend, found.fixable) == (lost.rule, "sse-network", ("ip a",), True)
    assert lost.wrong in found.wrong


@pytest.mark.parametrize("why", ["its interface is not on the bridge br-sse", "its default route of IPv4 is gone"])
def test_a_container_that_is_off_its_bridge_is_the_one_finding_and_connected_anew(why: str) -> None:
    changes: Changes = {"unplugged": {"sse-kafka": {"sse-network": why}}, "connections": LOST}
    expect_finding(changes, "stale-endpoint", "sse-kafka", why, "docker network connect --ip=10.99.0.12")


def test_a_bridge_of_the_stack_that_is_gone_comes_back_without_a_restart_of_the_engine() -> None:
    release: Changes = {"containers": dict.fromkeys(("sse-nginx", "sse-app-1", "sse-kafka"), SPEC), "networks": {}}
    gone: Changes = {
        "networks": [changed(NETWORK, device="br-gone"), BRIDGE],
        "rules": RULES.replace("br-sse", "br-gone"),
        "releases": [release],
        "host_side": [BARE._replace(rule="bridge-gone")],
        "connections": [],
    }
    [found] = findings(gone)
    assert (found.rule, found.subject, found.mend) == ("stale-endpoint", "sse-network", ("./sse up",))
