"""Whether a stack's chain is asked about what it would refuse, or a rule of somebody lets that pass before."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.first_asked import Bypass, bypass, chains_in
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet

PATH = ["FORWARD", "DOCKER-USER", "SSE-sse"]
# As Docker 28 writes them, with what libvirt and Tailscale put before.
OTHERS = [
    "-A FORWARD -j LIBVIRT_FWO",
    "-A FORWARD -j ts-forward",
    "-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT",
    "-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable",
    "-A ts-forward -i tailscale0 -j MARK --set-xmark 0x40000/0xff0000",
    "-A ts-forward -m mark --mark 0x40000/0xff0000 -j ACCEPT",
    "-A ts-forward -o tailscale0 -j ACCEPT",
]
CHAINS = ["-P FORWARD DROP", *(f"-N {name}" for name in ("DOCKER-USER", "SSE-sse", "SSE-two", "own", "LIBVIRT_FWO"))]
ENGINE = ["-A FORWARD -j DOCKER-USER", "-A FORWARD -i br-app -j ACCEPT"]
USER = ["-A DOCKER-USER -j SSE-two", "-A DOCKER-USER -j SSE-sse", "-A DOCKER-USER -j RETURN", "-A SSE-two -j RETURN"]
REFUSED = [
    Packet("10.99.0.2", "10.99.2.2", enters="br-app", leaves="br-data"),
    Packet("192.0.2.1", "10.99.0.2", enters="eth0", leaves="br-app"),
]


def found(*before: str, engine: list[str] = ENGINE, user: list[str] = USER) -> Bypass | None:
    return bypass(chains_in("filter", [*CHAINS, *before, *engine, *user]), PATH, REFUSED)


@pytest.mark.parametrize(
    "rule",
    [
        "-j ACCEPT",
        '-m comment --comment "a -j DROP" -j ACCEPT',
        "-m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
        "-p tcp -j ACCEPT",
        "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT",
        "-i br-app -j ACCEPT",
        "-o br-data -j ACCEPT",
        "-s 10.99.0.0/16 -j ACCEPT",
        "-d 10.99.0.0/16 -j ACCEPT",
        "! -s 203.0.113.0/24 -j ACCEPT",
        "-i eth0 -j ACCEPT",
        "-i br-+ -j RETURN",
        "-j own",
    ],
)
def test_a_rule_that_lets_pass_what_the_stack_refuses_is_named_in_either_chain(rule: str) -> None:
    own = "-A own -o br-data -j ACCEPT"
    before, in_user = found(f"-A FORWARD {rule}", own), found(own, user=[f"-A DOCKER-USER {rule}", *USER])
    assert before
    assert in_user
    assert before.text.endswith(" lets connections pass before DOCKER-USER is called")
    assert in_user.text.endswith(" lets connections pass before SSE-sse is called")
    for one in (before, in_user):
        assert f"`{own.partition('own ')[2] if rule == '-j own' else rule}` in filter " in one.text


@pytest.mark.parametrize(
    "rule",
    [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-s 203.0.113.7/32 -j ACCEPT",
        "-i wg0 -j ACCEPT",
        "-p tcp -m tcp --dport 8080 -j ACCEPT",
        "-p udp -j ACCEPT",
        "-m mark --mark 0x1/0x1 -j ACCEPT",
        "-m set --match-set friends src -j ACCEPT",
        '-j LOG --log-prefix "all " --log-level 4',
        "-j own",
        "-j DROP",
    ],
)
def test_an_exception_of_somebody_and_what_only_stops_connections_are_nothing(rule: str) -> None:
    own = ["-A own -s 203.0.113.7/32 -j ACCEPT", "-A own -j RETURN", "-A own -j ACCEPT"]
    assert found(*OTHERS, f"-A FORWARD {rule}", *own) is None
    assert found(*OTHERS, *own, user=[f"-A DOCKER-USER {rule}", *USER]) is None


def test_a_chain_that_nothing_calls_is_not_asked() -> None:
    lost = found(engine=ENGINE[1:])
    assert lost
    assert (lost.text, lost.number) == ("nothing in FORWARD calls DOCKER-USER", 1)
    unhooked = found(user=USER[2:])
    assert unhooked
    assert unhooked.text == "nothing in DOCKER-USER calls SSE-sse"


def test_the_call_is_put_before_the_first_such_rule_and_behind_what_was_before_it() -> None:
    rules = [*CHAINS, *OTHERS, "-A FORWARD -i eth0 -j ACCEPT", "-A FORWARD -o br-data -j ACCEPT", *ENGINE, *USER]
    chains = chains_in("filter", rules)
    way = bypass(chains, PATH, REFUSED)
    assert way
    assert "-i eth0 -j ACCEPT" in way.text
    text = "*filter\n-D FORWARD -j DOCKER-USER\n-I FORWARD 3 -j DOCKER-USER\nCOMMIT\n"
    assert way.mend("filter", chains) == text
    chains["FORWARD"] = [one for one in chains["FORWARD"] if one.target != "DOCKER-USER"]
    assert way.mend("filter", chains) == text.replace("-D FORWARD -j DOCKER-USER\n", "")


def test_a_chain_that_is_called_by_way_of_another_one_is_called() -> None:
    assert found("-A FORWARD -j own", "-A own -j DOCKER-USER", engine=[]) is None
