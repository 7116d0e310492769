"""What iptables' rules would do with a packet, from what iptables-save prints."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet

PATH = [("filter", "FORWARD")]
# As Docker 20.10 writes them for one bridge network, with a published port.
DOCKER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o br-sse -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-sse -j DOCKER
-A FORWARD -i br-sse ! -o br-sse -j ACCEPT
-A FORWARD -i br-sse -o br-sse -j ACCEPT
-A DOCKER -d 10.99.0.10/32 ! -i br-sse -o br-sse -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i br-sse ! -o br-sse -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
{}-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.99.0.10:80
-A DOCKER ! -i br-sse -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.99.0.10:443
COMMIT
"""
INSIDE = Packet("10.99.0.21", "10.99.0.11", 6379, enters="br-sse", leaves="br-sse")


def rules(*user: str) -> iptables_rules.Rules:
    return iptables_rules.parse(DOCKER.format("".join(f"-A DOCKER-USER {rule}\n" for rule in user)))


def test_the_engines_own_rules_stop_nothing_within_a_network_and_everything_between_two() -> None:
    assert rules().hindrance(PATH, INSIDE) is None
    between = rules().hindrance(PATH, INSIDE._replace(leaves="docker0"))
    assert between
    assert between.text == "-o docker0 -j DROP"


def test_a_port_is_open_to_the_outside_only_where_it_is_published() -> None:
    outside = Packet("198.51.100.1", "10.99.0.10", 80, enters="eth0", leaves="br-sse")
    assert rules().hindrance(PATH, outside) is None
    closed = rules().hindrance(PATH, outside._replace(port=81))
    assert closed
    assert closed.policy
    assert closed.shown == "policy of filter FORWARD: DROP"


@pytest.mark.parametrize(
    "rule",
    [
        "-s 10.99.0.21/32 -d 10.99.0.11/32 -p tcp -m tcp --dport 6379 -j REJECT --reject-with icmp-port-unreachable",
        "-d 10.99.0.0/24 -j DROP",
        "-p tcp -m multiport --dports 80,6000:6400 -j DROP",
        "! -s 10.99.0.10/32 -p tcp -j DROP",
        "-i br-+ -j DROP",
        "-m conntrack --ctstate NEW -j DROP",
        '-m comment --comment "two words" -j DROP',
        "-m statistic --mode random --probability 0.5 -j DROP",  # not understood, so it may be the one
    ],
)
def test_a_rule_that_stops_the_packet_is_found_with_its_removal(rule: str) -> None:
    found = rules(rule).hindrance(PATH, INSIDE)
    assert found
    assert found.removal == f"iptables -t filter -D DOCKER-USER {rule}"
    assert found.shown == f"filter DOCKER-USER: {rule}"


@pytest.mark.parametrize(
    "rule",
    [
        "-s 10.99.0.22/32 -j DROP",
        "-p udp -j DROP",
        "-p tcp -m tcp --dport 6380 -j DROP",
        "-i eth0 -j DROP",
        "! -d 10.99.0.0/24 -j DROP",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j DROP",
        "-p tcp -m tcp --sport 6379 -m conntrack --ctstate ESTABLISHED -j DROP",
        "-d 10.99.0.11/32 -j RETURN",
        "-d 10.99.0.11/32 -j ACCEPT",
        "-j LOG --log-prefix -DROP",
    ],
)
def test_a_rule_for_other_packets_is_not_blamed(rule: str) -> None:
    assert rules(rule, "-s 10.99.0.99/32 -j DROP").hindrance(PATH, INSIDE) is None


def test_a_rule_that_stops_the_answer_is_found() -> None:
    found = rules("-s 10.99.0.11/32 -p tcp -m tcp --sport 6379 -j DROP").hindrance(PATH, INSIDE.answer())
    assert found


def test_a_chain_that_calls_itself_ends() -> None:
    assert iptables_rules.parse("*filter\n:A - [0:0]\n-A A -j A\n").hindrance([("filter", "A")], INSIDE) is None


def test_what_is_published_and_what_leaves_under_the_hosts_address_is_read() -> None:
    ports = {("127.0.0.1", 8080): "10.99.0.10:80", ("", 443): "10.99.0.10:443"}
    assert iptables_rules.published(rules()) == ports
    of_somebody = "*nat\n-A DOCKER -p tcp -m tcp --dport 80:90 -j DNAT --to-destination 10.99.0.10\n"
    assert iptables_rules.published(iptables_rules.parse(of_somebody)) == {}
    assert iptables_rules.masqueraded(rules()) == {"10.99.0.0/24"}
    assert rules().programs("nat", "DOCKER") == ["iptables"]
    assert not rules().programs("mangle", "DOCKER")


@pytest.mark.parametrize(
    "text",
    [
        "-d 10.99.0.10/32 ! -i br-sse -p tcp -m tcp --dport 80 -j ACCEPT",
        '-m comment --comment "two words" -j ACCEPT',
        r"""-m comment --comment 'a "b" c' -j ACCEPT""",
        r'-m comment --comment "a \"b\"" -j ACCEPT',
        r"-m comment --comment a\ b -j ACCEPT",
        "",
    ],
)
def test_a_rule_is_split_as_a_shell_splits_it(text: str) -> None:
    assert iptables_rules.words_of(text) == shlex.split(text)
