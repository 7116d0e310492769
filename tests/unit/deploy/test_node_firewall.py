"""The chain that closes the Swarm's ports of a host: what passes, when it is written, and that it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_firewall, stack_firewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_firewall import CHAIN, NodeFirewall, rules
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6
from ansible_collections.sse.platform.tests.unit.deploy.played_iptables import PlayedIptables

A, B = "192.0.2.9", "192.0.2.10"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedIptables:
    found = PlayedIptables(CHAIN, "INPUT")
    found.play(monkeypatch, tmp_path / "hooks")
    monkeypatch.setattr(iptables, "programs", lambda family: ["/sbin/iptables"] if family is IPV4 else [])
    monkeypatch.setattr(iptables, "program", lambda _: "")
    monkeypatch.setattr(NodeFirewall, "directory", tmp_path / "nodes")
    monkeypatch.setattr(NodeFirewall, "hook", tmp_path / "hooks/nodes.swarm")
    monkeypatch.setattr(NodeFirewall, "unit", tmp_path / "sse-platform-nodes.service")
    return found


def test_the_host_itself_and_the_others_pass_and_strangers_do_not_for_these_ports() -> None:
    assert [" ".join(one) for one in rules([B, A, A], IPV4)] == [
        "-i lo -j RETURN",
        f"-s {A} -j RETURN",
        f"-s {B} -j RETURN",
        "-p tcp --dport 2377 -j DROP",
        "-p tcp --dport 7946 -j DROP",
        "-p udp --dport 7946 -j DROP",
        "-p udp --dport 4789 -j DROP",
    ]
    assert [" ".join(one) for one in rules([A], IPV6)][:2] == ["-i lo -j RETURN", "-p tcp --dport 2377 -j DROP"]


def test_it_is_written_once_and_says_whom_it_admits(kernel: PlayedIptables) -> None:
    assert NodeFirewall().admits() == {"addresses": None, "kept": False}
    said = [f"firewall {CHAIN}: 7 rules for {A}, {B}"]
    assert NodeFirewall().ensure([B, A], check=True) == said
    assert kernel.chains == {"INPUT": []}
    assert NodeFirewall().ensure([B, A], check=False) == said
    assert NodeFirewall().ensure([A, B], check=False) == []
    assert NodeFirewall().admits() == {"addresses": [A, B], "kept": True}
    assert NodeFirewall().ensure([A], check=False) == [f"firewall {CHAIN}: 6 rules for {A}"]


def test_a_chain_that_somebody_changed_or_flushed_closes_nothing(kernel: PlayedIptables) -> None:
    NodeFirewall().ensure([A], check=False)
    kernel.chains["INPUT"].insert(0, "-A INPUT -j ACCEPT")  # before the chain is asked
    assert NodeFirewall().admits()["addresses"] is None
    kernel.chains["INPUT"] = [f"-A INPUT -j {CHAIN}"]
    kernel.chains[CHAIN].pop(2)
    assert NodeFirewall().admits()["addresses"] is None
    assert NodeFirewall().ensure([A], check=False)
    NodeFirewall.hook.unlink()
    assert NodeFirewall().admits() == {"addresses": [A], "kept": False}


def test_it_goes_where_nobody_is_to_be_kept_away_any_more(kernel: PlayedIptables) -> None:
    assert NodeFirewall().ensure(None, check=False) == []
    NodeFirewall().ensure([A], check=False)
    assert NodeFirewall().ensure(None, check=True) == [f"firewall {CHAIN}: removed"]
    assert NodeFirewall.hook.is_symlink()
    assert NodeFirewall().ensure(None, check=False) == [f"firewall {CHAIN}: removed"]
    assert kernel.chains == {"INPUT": []}
    assert not NodeFirewall.hook.is_symlink()
    assert not NodeFirewall.directory.exists()


def test_a_host_without_iptables_is_refused(kernel: PlayedIptables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iptables, "programs", lambda _: [])
    with pytest.raises(stack_firewall.FirewallError, match="has no iptables"):
        NodeFirewall().ensure([A], check=False)
    assert kernel.ran == []
    assert NodeFirewall().admits() == {"addresses": None, "kept": False}
    assert [node_firewall.place(family) for family in FAMILIES] == [None, None]
