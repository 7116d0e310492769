"""Which rules are the engine's, for each generation of it, and what puts back those that are gone."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import engine_rules
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Rule, parse, parse_rule

BRIDGES = engine_rules.Bridges(frozenset({"br-sse"}), ("10.99.0.0/24", "fd99::/64"))
# As Engine 20.10 writes them, beside another network, a stack's chain and rules of somebody.
OLD = """\
*filter
:FORWARD ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
:SSE-sse - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br-other -j DOCKER
-A FORWARD -o br-sse -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-sse -j DOCKER
-A FORWARD -i br-sse ! -o br-sse -j ACCEPT
-A FORWARD -i br-sse -o br-sse -j ACCEPT
-A DOCKER -d 10.98.0.2/32 ! -i br-other -o br-other -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 10.99.0.10/32 ! -i br-sse -o br-sse -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br-sse ! -o br-sse -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i br-other ! -o br-other -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o br-sse -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o br-other -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j SSE-sse
-A DOCKER-USER -j RETURN
-A SSE-sse -d 10.99.0.0/24 -j REJECT --reject-with icmp-port-unreachable
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.98.0.0/24 ! -o br-other -j MASQUERADE
-A POSTROUTING -o br-sse -m addrtype --src-type LOCAL -j MASQUERADE
-A POSTROUTING -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE
-A POSTROUTING -s 10.99.0.10/32 -d 10.99.0.10/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.99.0.10:80
COMMIT
"""
# As Engine 28 writes them.
NEW = """\
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 10.99.0.10/32 ! -i br-sse -j DROP
COMMIT
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-BRIDGE - [0:0]
:DOCKER-CT - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 10.99.0.10/32 ! -i br-sse -o br-sse -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i br-sse -o br-sse -j DROP
-A DOCKER-BRIDGE -o br-sse -j DOCKER
-A DOCKER-CT -o br-sse -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i br-sse -j ACCEPT
COMMIT
"""


def written(text: str) -> list[Rule]:
    return engine_rules.written_for(parse(text), BRIDGES)[1]


@pytest.mark.parametrize(("text", "number"), [(OLD, 17), (NEW, 10)])
def test_all_that_the_engine_wrote_for_a_network_is_known_and_nothing_of_another_one(text: str, number: int) -> None:
    found = written(text)
    assert len(found) == number
    assert not any("br-other" in one.text or "SSE-" in one.target + one.chain for one in found)


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("filter", "-A FORWARD -j ACCEPT"),
        ("filter", "-A FORWARD -d 10.99.0.0/24 -j ACCEPT"),
        ("filter", "-A FORWARD -o br-sse -j ACCEPT"),
        ("filter", "-A FORWARD -i eth0 -o br-sse -j ACCEPT"),
        ("filter", "-A FORWARD -i br-sse -o br-sse -m comment --comment mine -j ACCEPT"),
        ("filter", "-A FORWARD -i br-sse -o br-sse -p tcp -m tcp --dport 6379 -j DROP"),
        ("filter", "-A DOCKER-USER -i br-sse -j ACCEPT"),
        ("filter", "-A INPUT -i br-sse -j ACCEPT"),
        ("nat", "-A POSTROUTING -s 10.99.0.0/24 -o eth0 -j MASQUERADE"),
        ("nat", "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.99.0.10:80"),
        ("raw", "-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment SSE-sse -j DROP"),
        ("filter", "-A FORWARD -j DOCKER-INGRESS"),
        # In the form of the engine's rules, but the engine does not write them for a network of a stack.
        ("filter", "-A FORWARD -i br-sse -o br-sse -j DROP"),
        ("filter", "-A FORWARD ! -i br-sse -o br-sse -j ACCEPT"),
        ("filter", "-A FORWARD -o br-sse -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT"),
        ("nat", "-A POSTROUTING -s 10.99.0.0/24 -o br-sse -j MASQUERADE"),
        ("raw", "-A PREROUTING -d 10.99.0.10/32 -i br-sse -j DROP"),
        ("filter", "-A DOCKER -d 10.99.0.10/32 -j ACCEPT"),
        ("filter", "-A DOCKER -d 10.99.0.10/32 -p tcp -m tcp --dport 80:90 -j ACCEPT"),
        ("filter", "-A DOCKER -d 10.99.0.10/32 -i br-sse -j ACCEPT"),
        ("filter", "-A DOCKER -d 10.99.0.0/24 -p tcp -m tcp --dport 80 -j ACCEPT"),
        ("filter", "-A DOCKER -o br-sse -j ACCEPT"),
        ("filter", "-A DOCKER ! -i br-sse -o br-sse -j ACCEPT"),
        ("filter", "-A DOCKER -d 10.99.0.10/32 -j DROP"),
        ("filter", "-A DOCKER -o br-sse -j DROP"),
        ("filter", "-A DOCKER -o br-sse -j REJECT --reject-with icmp-port-unreachable"),
        ("filter", "-A DOCKER -o br-sse -j LOG"),
        ("filter", "-A DOCKER-ISOLATION-STAGE-1 -i br-sse -j RETURN"),
    ],
)
def test_what_somebody_else_may_have_written_is_never_put_back(table: str, rule: str) -> None:
    chain = rule.split()[1]
    text = OLD.replace(f"*{table}\n", f"*{table}\n:{chain} ACCEPT [0:0]\n{rule}\n") if f"*{table}\n" in OLD else OLD
    found = [(one.chain, one.text) for one in written(text if table != "raw" else f"*raw\n{rule}\n{OLD}")]
    assert (chain, parse_rule(table, rule).text) not in found


@pytest.mark.parametrize("text", [OLD, NEW])
def test_a_rule_that_is_gone_is_put_back_where_it_was(text: str) -> None:
    order = written(text)
    for rule in order:
        line = f"-A {rule.chain} {rule.text}\n"
        left = parse(text.replace(line, "", 1))
        [gone] = engine_rules.missing(order, left)
        command = engine_rules.Mender("iptables", left, order).rule(gone)
        assert command.startswith(f"iptables -w -t {rule.table} -I {rule.chain} ")
        listed = [one.text for one in left.of(rule.table, rule.chain)]
        number = int(command.split()[6])
        listed.insert(number - 1, rule.text)
        ours = [one.text for one in order if (one.table, one.chain) == (rule.table, rule.chain)]
        assert [one for one in listed if one in ours] == ours
        assert "-j RETURN" not in listed[:-1]


def test_a_call_of_the_users_chain_comes_before_the_rules_of_every_network() -> None:
    left = parse(OLD.replace("-A FORWARD -j DOCKER-USER\n", ""))
    order = written(OLD)
    [gone] = engine_rules.missing(order, left)
    assert (
        engine_rules.Mender("iptables", left, order).rule(gone) == "iptables -w -t filter -I FORWARD 1 -j DOCKER-USER"
    )


def test_after_a_flush_chains_are_made_and_rules_come_in_their_order() -> None:
    left = parse("*filter\n:FORWARD ACCEPT [0:0]\n*nat\n:PREROUTING ACCEPT [0:0]\n")
    order = written(OLD)
    mender = engine_rules.Mender("iptables", left, order)
    assert mender.chain(("nat", "DOCKER")) == ["iptables -w -t nat -N DOCKER"]
    assert mender.chain(("nat", "DOCKER")) == []
    forward = [mender.rule(one) for one in order if one.chain == "FORWARD"]
    assert [one.split()[6] for one in forward] == [str(number) for number in range(1, len(forward) + 1)]


@pytest.mark.parametrize(
    ("running", "published", "needed"),
    [
        ({"10.99.0.10"}, {("10.99.0.10", 80): {("127.0.0.1", 8080)}}, True),
        ({"10.99.0.10"}, {("10.99.0.10", 443): {("127.0.0.1", 8080)}}, False),
        ({"10.99.0.11"}, {("10.99.0.11", 80): {("127.0.0.1", 8080)}}, False),
    ],
)
def test_rules_of_a_container_count_while_it_runs_and_publishes_the_port(
    running: set[str], published: engine_rules.Published, needed: bool
) -> None:
    of_container = [one for one in written(OLD) if "10.99.0.10" in one.text]
    assert len(of_container) == 3
    for rule in written(OLD):
        still = engine_rules.serves(rule, BRIDGES, running, published)
        assert still == (needed or rule not in of_container)


@pytest.mark.parametrize(
    ("rule", "on_host", "needed"),
    [
        ("-d 127.0.0.1/32 -p tcp -m tcp --dport 8080", ("127.0.0.1", 8080), True),
        ("-d 127.0.0.1/32 -p tcp -m tcp --dport 8080", ("", 8080), True),
        ("-p tcp -m tcp --dport 8080", ("", 8080), True),
        ("-p tcp -m tcp --dport 8080", ("127.0.0.1", 8080), False),
        ("-p tcp -m tcp --dport 9090", ("", 8080), False),
        ("-p tcp", ("", 8080), False),
    ],
)
def test_a_rule_that_publishes_more_than_the_engine_does_is_never_put_back(
    rule: str, on_host: tuple[str, int], needed: bool
) -> None:
    sends = parse_rule("nat", f"-A DOCKER {rule} -j DNAT --to-destination 10.99.0.10:80")
    assert engine_rules.serves(sends, BRIDGES, {"10.99.0.10"}, {("10.99.0.10", 80): {on_host}}) == needed
