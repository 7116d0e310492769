"""IPv6 beside IPv4, on an engine of its own: both families reach what is declared and nothing else, and off is off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import chain_name
from ansible_collections.sse.platform.plugins.module_utils.host import boot, listeners, namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import engine_api
from ansible_collections.sse.platform.tests.integration.secondhost import (
    HOST4,
    HOST6,
    NEIGHBOUR4,
    NEIGHBOUR6,
    SUPERVISE,
    SecondHost,
    SecondStack,
)
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from ansible_collections.sse.platform.tests.integration.test_docker_bench import ENGINE_CHECKS, ENGINE_OPEN

PRODUCTION = {"exposure_profile": "production", "exposure_unauthenticated_publishing": True, "network_layout": "single"}
GATEWAY4, GATEWAY6 = "10.87.0.1", "fd87:7e57::1"
IPV6 = {"network_ipv6": True, "network_ipv6_subnet": "fd87:7e57::/64"}
MANAGES_IP6TABLES = {"experimental": True, "ip6tables": True}


@pytest.fixture(scope="module")
def host(deployed: Stack) -> Iterator[SecondHost]:
    """A second host with the images of the first."""
    host = SecondHost("it6")
    try:
        host.load({one.attrs["Config"]["Image"] for one in deployed.containers().values()})
        yield host
    finally:
        host.shut_down()


@pytest.fixture(scope="module")
def dual(host: SecondHost) -> Iterator[SecondStack]:
    """A stack there; what a test needs of it, the test brings up."""
    stack = SecondStack(host, "it6", "10.87.0.0/24", app_replicas=1)
    yield stack
    stack.destroy()


def scan(host: SecondHost, stack: Stack) -> set[tuple[str, int]]:
    """Try, from the neighbour, all that the stack publishes, and all that a container listens on, in both families."""
    published = range(stack.http_port, stack.http_port + 8)
    endpoints = {(address, port) for address in (HOST4, HOST6, GATEWAY4, GATEWAY6) for port in published}
    for one in stack.containers().values():
        ports = {found.port for found in listeners.listeners(one.attrs["State"]["Pid"])}
        for network in one.attrs["NetworkSettings"]["Networks"].values():
            addresses = {network["IPAddress"], network["GlobalIPv6Address"]} - {""}
            endpoints |= {(address, port) for address in addresses for port in ports}
    assert len(endpoints) > 40
    return host.answering(host.neighbour.pid, endpoints)


def public(stack: Stack, *addresses: str) -> set[tuple[str, int]]:
    """HTTP and HTTPS at these addresses."""
    return {(address, stack.http_port + number) for address in addresses for number in (0, 1)}


def served(host: SecondHost, stack: Stack, address: str) -> int:
    """Ask the API from the host itself."""
    endpoint = Endpoint("nginx", address, stack.http_port + 1, tls=True)  # in production, plain HTTP only leads there
    return namespace.inside(host.holder.pid, lambda: request(endpoint, "GET", "/api/v1/health/ready", timeout=5)).status


@pytest.mark.whole
def test_docker_bench_would_warn_of_an_engine_that_is_installed_as_named(host: SecondHost) -> None:
    host.configure()
    file = json.loads(host.run("cat", "/etc/docker/daemon.json"))
    info: dict[str, Any] = host.engine.info()
    assert {check for check, passes in ENGINE_CHECKS.items() if not passes(file, info)} == set(ENGINE_OPEN)


def test_an_engine_without_ip6tables_is_refused_before_anything_changes_with_the_way_to_turn_it_on(
    host: SecondHost, dual: SecondStack
) -> None:
    said = dual.fail(**IPV6)
    assert "does not manage ip6tables" in said
    assert '"ip6tables": true in /etc/docker/daemon.json' in said
    assert dual.containers() == {}
    sysctl = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
    host.configure(**MANAGES_IP6TABLES)
    host.run("sh", "-c", f"echo 1 >{sysctl}")
    assert "IPv6 is off on this host: turn it on with sysctl -w" in dual.fail(**IPV6)
    host.run("sh", "-c", f"echo 0 >{sysctl}")
    host.lay_ipv6()
    host.run("ip", "addr", "add", "fd87:7e57::77/64", "dev", "eth0", "nodad")
    assert "network_ipv6_subnet is 'fd87:7e57::/64': it overlaps interface eth0" in dual.fail(**IPV6)
    host.run("ip", "addr", "del", "fd87:7e57::77/64", "dev", "eth0")
    assert dual.containers() == {}


def test_ipv6_is_open_where_ipv4_is_and_closed_where_ipv4_is(host: SecondHost, dual: SecondStack) -> None:
    host.configure(**MANAGES_IP6TABLES)
    run = dual.up(**IPV6, **PRODUCTION)
    assert "[::1]" in run.output  # a notice: without docker-proxy nothing answers there
    everywhere = public(dual, HOST4, HOST6, GATEWAY4, GATEWAY6)
    assert scan(host, dual) == everywhere
    assert served(host, dual, HOST6) == served(host, dual, "127.0.0.1") == 200
    # The one address where no answer would come back to: refused, so that `localhost` goes on to 127.0.0.1 at once.
    loopback = namespace.inside(host.holder.pid, lambda: tcp.connect_all([("::1", dual.http_port)]))
    assert [one.error for one in loopback.values()] == ["Connection refused"]
    assert (again := dual.up(**IPV6, **PRODUCTION)).unchanged, again.output
    # Reserved, and by the same host number.
    nginx = dual.container("nginx").attrs["NetworkSettings"]["Networks"]["it6-network"]
    assert (nginx["IPAddress"], nginx["GlobalIPv6Address"]) == ("10.87.0.10", "fd87:7e57::a")
    host.restart_engine()
    assert scan(host, dual) == everywhere
    # Without the chain, whoever has a route is at the container itself, past the host's port.
    place = host.place6()
    host.run(place.program, "-w", "-t", place.table, "-D", place.parent, "-j", chain_name(dual.name))
    assert ("fd87:7e57::a", 80) in scan(host, dual)
    broken = dual.verify()
    assert broken.code != 0
    assert "SSE-it6: the rules of the stack firewall are not in place" in broken.output
    dual.up(**IPV6, **PRODUCTION)
    assert scan(host, dual) == everywhere


def test_who_may_come_in_is_told_per_family(host: SecondHost, dual: SecondStack) -> None:
    dual.up(**IPV6, **PRODUCTION, exposure_allow_from=["2001:db8::/32", f"{NEIGHBOUR4}/32"])
    assert scan(host, dual) == public(dual, HOST4, GATEWAY4)
    dual.up(**IPV6, **PRODUCTION, exposure_allow_from=[f"{NEIGHBOUR6}/128"])
    assert scan(host, dual) == public(dual, HOST6, GATEWAY6)


@pytest.mark.whole
def test_in_segments_every_edge_is_exact_in_both_families(host: SecondHost, dual: SecondStack) -> None:
    segmented: dict[str, Any] = {**IPV6, "network_layout": "segmented"}
    if not engine_api.has(host.engine.version()["ApiVersion"], engine_api.INTERNAL_IPV6):
        before = dual.ids()
        assert "expected single, network_ipv6 false, or Engine 25" in dual.fail(**segmented)
        assert dual.ids() == before
        return
    dual.up(**segmented)
    redis = dual.container("redis-master").attrs
    address = redis["NetworkSettings"]["Networks"]["it6-data"]["GlobalIPv6Address"]
    for source, port, connects in (("app-1", 6379, True), ("app-1", 6380, False), ("nginx", 6379, False)):
        pid = dual.container(source).attrs["State"]["Pid"]
        assert bool(host.answering(pid, [(address, port)])) == connects
    assert scan(host, dual) == set()


@pytest.mark.whole
def test_destroyed_it_leaves_no_rule_and_in_development_nothing_answers_a_neighbour(
    host: SecondHost, dual: SecondStack
) -> None:
    host.configure(**MANAGES_IP6TABLES, **{"userland-proxy": True})
    dual.up(**IPV6, **PRODUCTION)
    chain = chain_name(dual.name)
    assert chain in host.run("ip6tables-save")
    dual.destroy()
    assert chain not in host.run("ip6tables-save") + host.run("iptables-save")
    dual.up(**IPV6, docker_userland_proxy=True)
    assert served(host, dual, "::1") == served(host, dual, "127.0.0.1") == 200
    assert scan(host, dual) == set()


@pytest.mark.whole
def test_switched_off_nothing_of_it_is_left_and_nothing_listens_beyond_what_is_declared(
    host: SecondHost, dual: SecondStack
) -> None:
    settings = {**PRODUCTION, "docker_userland_proxy": True}
    before = dual.ids()
    said = dual.fail(**settings)
    assert "network_recreate_allowed=true" in said
    assert "IPv6 subnet is fd87:7e57::/64, wanted none" in said
    assert dual.ids() == before
    dual.up(**settings, network_recreate_allowed=True)
    assert scan(host, dual) == public(dual, HOST4, GATEWAY4)
    assert not any(one.attrs["EnableIPv6"] for one in dual.engine.networks.list(names=["it6-"]))
    assert chain_name(dual.name) not in host.run("ip6tables-save")
    # docker-proxy would listen on [::] as well, if a port was published without an address.
    held = {(address, port) for address, port in host.listening() if port - dual.http_port in range(8)}
    assert {address for address, _ in held} == {"0.0.0.0", "127.0.0.1"}
    assert ("0.0.0.0", dual.http_port) in held
    assert served(host, dual, HOST6) == served(host, dual, "::1") == 0


@pytest.mark.whole
def test_the_command_that_cron_runs_at_boot_brings_the_platform_back(host: SecondHost, dual: SecondStack) -> None:
    if not dual.containers():
        host.configure(**MANAGES_IP6TABLES)
        dual.up()
    before = set(dual.containers())
    host.cut_power()
    line = next(line for line in boot.CRON.splitlines() if line.startswith("@reboot root "))
    host.run("sh", "-c", line.removeprefix("@reboot root ").replace(boot.COMMAND.split()[0], f"sh {SUPERVISE}"))
    eventually(host.answers, "the engine")
    eventually(lambda: healthy(dual), "every container is healthy", 90)
    assert set(dual.containers()) == before
    assert served(host, dual, "127.0.0.1") == 200


def healthy(stack: Stack) -> bool:
    """Tell whether every container of a stack runs, and those with a healthcheck are healthy."""
    states = [one.attrs["State"] for one in stack.containers().values()]
    return all(
        one["Status"] == "running" and one.get("Health", {"Status": "healthy"})["Status"] == "healthy" for one in states
    )
