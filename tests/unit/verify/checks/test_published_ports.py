"""What of a stack may answer on the host, and what may not."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import tcp
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import published_ports
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication

HTTP = Publication("127.0.0.1", 8081, 80)
EVERYWHERE = Publication("0.0.0.0", 80, 80)


def inspected(ports: dict[str, Any]) -> Any:
    return {"NetworkSettings": {"Ports": ports}}


def test_only_bound_ports_count_as_published() -> None:
    found = published_ports.published(
        inspected({"8000/tcp": None, "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8081"}], "443/tcp": []})
    )
    assert found == {HTTP}


def test_a_binding_without_an_address_stands_for_every_address() -> None:
    assert published_ports.published(inspected({"80/tcp": [{"HostIp": "", "HostPort": "80"}]})) == {EVERYWHERE}


def test_what_is_published_is_what_is_declared() -> None:
    assert published_ports.undeclared("sse-nginx", {HTTP}, {HTTP}) == []


def test_a_published_port_that_nobody_declared_is_a_finding() -> None:
    [finding] = published_ports.undeclared("sse-nginx", {HTTP}, {HTTP, EVERYWHERE})
    assert (finding.subject, finding.evidence) == ("sse-nginx", "the engine publishes 0.0.0.0:80->80")


def test_a_declared_port_that_is_not_published_is_a_finding() -> None:
    [finding] = published_ports.undeclared("sse-nginx", {HTTP}, set())
    assert finding.evidence == "the engine does not publish it"


def test_an_unpublished_port_must_be_closed_on_every_address() -> None:
    assert published_ports.closed_ports({"sse-app-1": {8000}}, {}, ["127.0.0.1", "192.0.2.7"]) == [
        ("sse-app-1", "127.0.0.1", 8000),
        ("sse-app-1", "192.0.2.7", 8000),
    ]


def test_a_port_published_on_loopback_must_be_closed_on_the_hosts_own_address() -> None:
    ports = published_ports.closed_ports({"sse-nginx": {8081}}, {"sse-nginx": {HTTP}}, ["127.0.0.1", "192.0.2.7"])
    assert ports == [("sse-nginx", "192.0.2.7", 8081)]


def test_a_port_published_everywhere_may_answer_everywhere() -> None:
    ports = published_ports.closed_ports({"sse-nginx": {80}}, {"sse-nginx": {EVERYWHERE}}, ["127.0.0.1", "192.0.2.7"])
    assert ports == []


def test_a_port_that_another_container_of_the_stack_publishes_may_answer_there() -> None:
    kafka = Publication("127.0.0.1", 9092, 19092)
    assert published_ports.closed_ports({"sse-kafka": {9092}}, {"sse-kafka": {kafka}}, ["127.0.0.1"]) == []


def test_listeners_and_publications_of_others_are_theirs_by_right() -> None:
    assert published_ports.owners([Listener("127.0.0.1", 53)], [EVERYWHERE]) == {("127.0.0.1", 53), ("0.0.0.0", 80)}


def test_a_container_of_others_that_goes_meanwhile_publishes_nothing() -> None:
    class Gone:
        def inspect(self, container: str) -> Any:
            raise EngineError(f"container {container} is gone")

    assert published_ports.published_by(cast("Any", Gone()), "c1") == set()


def test_an_open_port_is_a_finding_unless_somebody_owns_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = ("sse-app-1", "127.0.0.1", port)
        [finding] = published_ports.leaking(set(), place)
        assert finding.wrong == f"127.0.0.1:{port} is open on the host, and nothing declares it"
        assert published_ports.leaking({("0.0.0.0", port)}, place) == []
    assert published_ports.leaking(set(), place) == []


def test_a_declared_port_must_be_answered_by_somebody_who_stays() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        held: list[Any] = []
        threading.Thread(target=lambda: held.append(server.accept()), daemon=True).start()
        assert published_ports.unanswered({}, ("sse-redis", Publication("127.0.0.1", port, 6379))) == []
        held[0][0].close()
    [finding] = published_ports.unanswered({}, ("sse-redis", Publication("127.0.0.1", port, 6379)))
    assert "refused" in finding.evidence


def test_a_proxy_that_hangs_up_at_once_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        assert tcp.hindered(server.getsockname(), 3) == "the connection is closed at once"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_is_only_reserved_does_not_answer(address: str) -> None:
    """The engine reserves each port that it publishes with a socket from which it accepts nothing."""
    if address == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        target = server.getsockname()[:2]
        assert tcp.hindered(target, 0.3) == tcp.NOT_ACCEPTED
        assert tcp.hindered(target, 0.3, servers=()) == ""
        held: list[Any] = []

        def accept_late() -> None:
            time.sleep(0.3)  # a busy server; the connections of above come first
            held.extend(server.accept() for _ in range(3))

        threading.Thread(target=accept_late, daemon=True).start()
        assert tcp.hindered(target, 30) == ""


def test_a_reserved_port_is_still_a_leak_and_a_declared_one_is_a_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert published_ports.leaking(set(), ("sse-app-1", "127.0.0.1", port))


def test_a_port_published_on_every_address_of_one_family_must_be_closed_on_the_other() -> None:
    ports = published_ports.closed_ports(
        {"sse-nginx": {80}}, {"sse-nginx": {EVERYWHERE}}, ["127.0.0.1", "::1", "2001:db8::7"]
    )
    assert ports == [("sse-nginx", "2001:db8::7", 80), ("sse-nginx", "::1", 80)]
    both = {EVERYWHERE, Publication("::", 80, 80)}
    assert published_ports.closed_ports({"sse-nginx": {80}}, {"sse-nginx": both}, ["127.0.0.1", "::1"]) == []


def test_a_port_on_every_address_of_ipv6_is_asked_where_the_host_is_reached() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as server:
        server.bind(("::1", 0))
        server.listen()
        held: list[Any] = []
        threading.Thread(target=lambda: held.append(server.accept()), daemon=True).start()
        port = server.getsockname()[1]
        place = ("sse-nginx", Publication("::", port, 80))
        assert published_ports.unanswered({"::": "::1"}, place) == []
    [finding] = published_ports.unanswered({"::": "::1"}, place)
    assert finding.wrong == f"could not connect to [::1]:{port} on the host"
