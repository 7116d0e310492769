"""A connection that a firewall stops is told with the rule and the command that removes it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules, namespace
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.verify.blocking import HOST, Blocked, Blocking
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import connections, published_ports
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place

RELEASE: Any = {
    "stack": "sse",
    "networks": {"sse-network": {"device": "br-sse", "gateway": "10.99.0.1"}},
    "containers": {},
}
APP, REDIS = Place(11, {"sse-network": "10.99.0.21"}), Place(12, {"sse-network": "10.99.0.11"})
DROP = "-p tcp -m tcp --dport 6379 -j DROP"


def blocking(rules: dict[int | str, str], monkeypatch: pytest.MonkeyPatch) -> Blocking:
    monkeypatch.setattr(iptables_rules, "save", lambda: "")
    monkeypatch.setattr(namespace, "inside", lambda pid, _: rules.get(pid, ""))
    return Blocking([RELEASE])


def between(found: Blocking, address: str = "10.99.0.11") -> Blocked | None:
    return found.between(APP, REDIS, ("sse-app-1", "sse-redis"), address, 6379)


@pytest.mark.parametrize("chain", ["FORWARD", "DOCKER-USER"])
def test_a_rule_of_somebody_on_the_host_is_named_and_removed(chain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\n-A {chain} {DROP}\n"
    found = between(blocking({HOST: text}, monkeypatch))
    assert found == Blocked("", f"filter {chain}: {DROP}", f"iptables -t filter -D {chain} {DROP}")


@pytest.mark.parametrize(("pid", "chain", "name"), [(11, "OUTPUT", "sse-app-1"), (12, "INPUT", "sse-redis")])
def test_so_is_one_inside_either_container(pid: int, chain: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = between(blocking({pid: f"*filter\n:{chain} ACCEPT [0:0]\n-A {chain} {DROP}\n"}, monkeypatch))
    assert found == Blocked(
        f" inside {name}", f"filter {chain}: {DROP}", f"nsenter -t {pid} -n iptables -t filter -D {chain} {DROP}"
    )


@pytest.mark.parametrize(
    ("rule", "mend"),
    [
        ("-A SSE-sse -d 10.99.0.0/24 -p tcp -j REJECT --reject-with tcp-reset", "# no service declares"),
        (":FORWARD DROP [0:0]", "./sse doctor"),
    ],
)
def test_what_the_stack_or_the_engine_closes_is_not_opened(
    rule: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n:SSE-sse - [0:0]\n-A FORWARD -j SSE-sse\n{rule}\n"
    found = between(blocking({HOST: text}, monkeypatch))
    assert found
    assert found.mend.startswith(mend)


def test_nothing_is_accused_where_no_rule_or_no_common_network_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {DROP}\n"
    assert between(blocking({}, monkeypatch)) is None
    assert between(blocking({HOST: text}, monkeypatch), address="") is None


def test_a_published_port_that_a_rule_of_the_host_closes_is_told_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = "-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment SSE-sse -j DROP"
    text = f"*raw\n:PREROUTING ACCEPT [0:0]\n{guard}\n*filter\n:OUTPUT ACCEPT [0:0]\n"
    assert blocking({HOST: text}, monkeypatch).published(REDIS, "127.0.0.1", (6779, 6379)) is None
    found = blocking({HOST: f"{text}-A OUTPUT {DROP}\n"}, monkeypatch).published(REDIS, "127.0.0.1", (6779, 6379))
    assert found == Blocked("", f"filter OUTPUT: {DROP}", f"iptables -t filter -D OUTPUT {DROP}")
    monkeypatch.setattr(published_ports.tcp, "hindered", lambda *_: "timed out")
    port = ("sse-redis", Publication("127.0.0.1", 6779, 6379))
    [finding] = published_ports.unanswered({}, port, lambda *_: found)
    assert finding.wrong == "could not connect to 127.0.0.1:6779 on the host: a firewall rule blocks it"
    assert found
    assert finding.mend == (found.mend,)


def test_the_finding_of_a_connection_has_the_rule_in_place_of_a_question() -> None:
    edge = Edge("sse-app-1", "sse-redis", 6379, "redis", "history")
    cell = Cell(edge, "broken", "10.99.0.11", "timed out")
    [plain] = connections.findings([cell])
    assert plain.mend[0].startswith("# Does sse-redis listen")
    [found] = connections.findings([cell], lambda _: Blocked("", f"filter FORWARD: {DROP}", "iptables -D"))
    assert found.wrong == "could not connect to redis:6379 (10.99.0.11): a firewall rule blocks it"
    assert found.evidence == f"timed out; filter FORWARD: {DROP}"
    assert found.mend == ("iptables -D",)
