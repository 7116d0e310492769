"""The network in both layouts, looked at from inside, from a neighbour of the host, and by a stranger who joins it."""

from __future__ import annotations

import contextlib
import json
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import chain_name
from ansible_collections.sse.platform.plugins.module_utils.host import listeners, machine, namespace, probe, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.neighbour import Neighbour, beside
from ansible_collections.sse.platform.plugins.module_utils.lab import kit
from ansible_collections.sse.platform.plugins.module_utils.verify import outside
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from ansible_collections.sse.platform.tests.integration.traffic import Traffic


def kept(stack: Stack) -> dict[str, int]:
    """How many edges of the matrix had which verdict when it was measured last."""
    return json.loads((stack.state / "matrix" / "matrix.json").read_text())["counts"]


@contextlib.contextmanager
def stranger(stack: Stack) -> Iterator[Any]:
    """A container of somebody else's that joined the stack's network as an external one."""
    made = stack.engine.containers.run(
        stack.container("app-1").attrs["Image"],
        ["-c", "import time; time.sleep(600)"],
        entrypoint="python",
        name="guest-of-it",
        network="it-network",
        detach=True,
    )
    try:
        made.reload()
        yield made
    finally:
        made.remove(force=True)


def reaches_nginx_and_is_left_alone(stack: Stack, *, redis: str, **variables: Any) -> None:
    """A stranger gets an answer of NGINX and this one of Redis, and a run of `up` does not touch it."""
    with stranger(stack) as guest:
        seen = probe.measure(guest.attrs["State"]["Pid"], "nginx", 80, "/api/v1/health/live")
        assert (seen.failed, seen.status) == ("", 200)
        assert probe.measure(guest.attrs["State"]["Pid"], "redis-master", 6379).failed == redis
        before = dict(guest.attrs["State"], Health=None)
        again = stack.up(**variables)
        assert again.unchanged, again.output
        guest.reload()
        assert dict(guest.attrs["State"], Health=None) == before
        assert list(guest.attrs["NetworkSettings"]["Networks"]) == ["it-network"]


def test_a_stack_moves_into_segments_and_back_and_no_acknowledged_event_is_lost(stack: Stack) -> None:
    reaches_nginx_and_is_left_alone(stack, redis="")
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        run = stack.up(network_layout="segmented")
        assert "~ it-kafka" in run.output
        # Every declared pair connects, and every other is refused.
        assert set(kept(stack)) == {"reached", "refused"}
        moved = len(traffic.stored)
        # Refused before anything changes: the next run finds everything as it was.
        assert "network_layout differs from what runs" in stack.fail("--tags", "app")
        reaches_nginx_and_is_left_alone(stack, redis="resolve", network_layout="segmented")
        told = stack.tool("probe", "redis-exporter", "it-kafka:9092").stdout
        assert "filter SSE-it: " in told
        assert "mend: # no service declares this connection" in told
        networks = {str(one.name) for one in stack.engine.networks.list(names=["it-"])}
        assert networks >= {"it-network", "it-app", "it-data", "it-monitoring", "it-kafka-ports"}
        subprocess.run(["iptables", "-w", "-F", chain_name(stack.name)], check=True)
        broken = stack.verify()
        assert broken.code != 0
        assert "SSE-it: the rules of the stack firewall are not in place" in broken.output
        assert "it-redis-exporter: could connect to it-kafka:9092, which nothing declares" in broken.output
        assert kept(stack)["leak"] > 0
        mended = stack.up(network_layout="segmented")
        assert "~ firewall SSE-it" in mended.output
        assert "~ it-" not in mended.output
        stack.up()
        assert kept(stack)["open"] > 0
        assert {str(one.name) for one in stack.engine.networks.list(names=["it-"])} == {"it-network"}
        eventually(lambda: len(traffic.stored) > moved, "events after the move back")
    assert not traffic.broken
    assert len(traffic.stored) > moved > 5


def raw(option: str, *rule: str) -> str:
    """List, delete or insert rules that come before every other one."""
    command = ["iptables", "-w", "-t", "raw", option, "PREROUTING", *rule]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_container_that_may_change_its_routes_does_not_reach_the_loopback_of_the_host(stack: Stack) -> None:
    guest = stack.engine.containers.run(
        stack.container("app-1").attrs["Image"],
        ["-c", "import time; time.sleep(600)"],
        entrypoint="python",
        cap_add=["NET_ADMIN"],
        network="it-network",
        detach=True,
    )
    try:
        guest.reload()
        pid, network = guest.attrs["State"]["Pid"], guest.attrs["NetworkSettings"]["Networks"]["it-network"]
        with socket.create_server(("127.0.0.1", 0)) as server:
            target = server.getsockname()

            def reached() -> bool:
                return not namespace.inside(pid, lambda: tcp.connect_all([target]))[target].error

            namespace.inside(pid, lambda: kit.route_loopback(network["Gateway"]))
            assert not reached()
            with contextlib.ExitStack() as back:
                for line in raw("-S").splitlines():  # each stack on this host has one
                    if "-d 127.0.0.0/8 ! -i lo" in line:
                        guard = shlex.split(line)[2:]
                        raw("-D", *guard)
                        back.callback(raw, "-I", *guard)
                bridge = stack.engine.networks.get("it-network").attrs["Options"]["com.docker.network.bridge.name"]
                opened = Path(f"/proc/sys/net/ipv4/conf/{bridge}/route_localnet").read_text().strip()
                # Without the rule it is in reach wherever the engine has opened the bridge so.
                assert reached() == (opened == "1")
                assert "stack firewall are not in place" in stack.verify().output
            assert not reached()
    finally:
        guest.remove(force=True)


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    """A machine beside this one, which is its router."""
    facts = machine.observe()
    with beside(one["destination"] for one in facts["routes"] if one["destination"] != "0.0.0.0/0") as made:
        yield made


def answering(stack: Stack, neighbour: Neighbour) -> set[tuple[str, int]]:
    """Scan, from the neighbour, the host's published ports and every port of every container at its own address."""
    containers = [*stack.containers().values()]
    networks = {name for one in containers for name in one.attrs["NetworkSettings"]["Networks"]}
    hosts = {
        neighbour.host[0],
        *(stack.engine.networks.get(name).attrs["IPAM"]["Config"][0]["Gateway"] for name in networks),
    }
    published = range(stack.http_port, stack.http_port + 8)
    targets = {(address, port) for address in hosts for port in published}
    for one in containers:
        ports = {found.port for found in listeners.listeners(one.attrs["State"]["Pid"])}
        for network in one.attrs["NetworkSettings"]["Networks"].values():
            targets |= {(network["IPAddress"], port) for port in ports}
    return namespace.inside(neighbour.pid, lambda: outside.look(sorted(targets), tcp.CONNECT_SECONDS))


@pytest.mark.whole
def test_a_neighbour_reaches_what_is_declared_public_and_nothing_else(stack: Stack, neighbour: Neighbour) -> None:
    assert answering(stack, neighbour) == set()
    # Without the stack's chain a neighbour is at Redis, though it is published on loopback alone.
    jump = ["-j", chain_name(stack.name)]
    subprocess.run(["iptables", "-w", "-D", "DOCKER-USER", *jump], check=True)
    assert (f"{stack.prefix}.11", 6379) in answering(stack, neighbour)
    # Who may come in on one network, and where IPv6 is on, is in test_dual_stack.py.
    production: dict[str, Any] = {
        "exposure_profile": "production",
        "exposure_unauthenticated_publishing": True,
        "exposure_plain_http": "serve",
        "network_layout": "segmented",
    }
    stack.up(**production, exposure_allow_from=[f"{neighbour.own[0]}/32"])
    assert stack.live_again()  # this host itself always may
    doors = (stack.http_port, stack.http_port + 1)
    assert answering(stack, neighbour) == {
        (address, port)
        for address in {neighbour.host[0], *(f"10.88.{number}.1" for number in (0, 1, 2, 3))}
        for port in doors
    } | {(f"10.88.4.{number}", port) for number in (5, 9, 17) for port in doors}
    before = stack.ids()
    stack.up(**production, exposure_allow_from=["192.0.2.0/24"])
    assert answering(stack, neighbour) == set()
    assert stack.ids() == before


def test_what_somebody_publishes_to_others_is_found_by_name(stack: Stack) -> None:
    ports = f"{stack.http_port}-{stack.http_port + 9}"
    clean = stack.tool("scan", "--ports", ports)
    assert (clean.returncode, clean.stdout.splitlines()[1:]) == (0, ["what is declared answers, and nothing else does"])
    published = stack.http_port + 9
    made = stack.engine.containers.run(
        stack.container("app-1").attrs["Image"],
        ["-m", "http.server", "8000"],
        entrypoint="python",
        name="guest-of-it",
        ports={"8000/tcp": published},
        detach=True,
    )
    try:
        eventually(lambda: stack.tool("scan", "--ports", ports).returncode == 2, "the guest's server listens")
        found = json.loads(stack.tool("scan", "--ports", ports, "--json").stdout)
        assert {(one["who"], one["port"], one["right"]) for one in found["answers"]["beside"]} == {
            ("guest-of-it", published, "")
        }
        assert stack.tool("scan", "--ports", ports, "--allow", str(published)).returncode == 0
    finally:
        made.remove(force=True)


def test_a_network_with_strangers_on_it_is_left_and_they_are_named(stack: Stack) -> None:
    left = Stack("it-left", "10.251.91.0/24", 18380)
    labels = {"sse.platform.stack": left.name}
    network = stack.engine.networks.create("it-left-network", labels=labels)
    image = stack.container("app-1").attrs["Image"]
    guest = stack.engine.containers.create(image, name="guest-of-left", network="it-left-network")
    try:
        told = left.play("destroy", stack_destroy_confirmed=True)
        assert told.code == 0
        assert "guest-of-left" in told.output
        network.reload()
        guest.remove()
        assert "it-left-network" in left.play("destroy", stack_destroy_confirmed=True).output
        with pytest.raises(docker.errors.NotFound):
            network.reload()
        # What a stranger is told whose network is not there (any more).
        with pytest.raises(docker.errors.NotFound, match="network it-left-network not found"):
            stack.engine.containers.run(image, network="it-left-network", name="guest-of-left", remove=True)
    finally:
        with contextlib.suppress(docker.errors.NotFound):
            stack.engine.containers.get("guest-of-left").remove(force=True)
        with contextlib.suppress(docker.errors.NotFound):
            network.remove()
