"""The chain that lets some networks alone reach the published ports of an edge: what passes, and that it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import edge_firewall, stack_firewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.edge_firewall import EdgeFirewall, rules
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.iptables import Place
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6
from ansible_collections.sse.platform.tests.unit.deploy.played_iptables import PlayedIptables

NET, HOST = "10.0.0.0/8", "192.0.2.1/32"
ENGINES = "-A DOCKER-USER -j RETURN"  # what an engine writes


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PlayedIptables:
    found = PlayedIptables("SSE-sse", "DOCKER-USER", ENGINES)
    found.play(monkeypatch, tmp_path / "hooks")
    monkeypatch.setattr(iptables, "place", lambda _: Place("/sbin/iptables", "filter", "DOCKER-USER"))
    monkeypatch.setattr(edge_firewall, "place", lambda _: None)
    monkeypatch.setattr(edge_firewall, "HOOKS", tmp_path / "hooks")
    monkeypatch.setattr(edge_firewall, "UNITS", tmp_path)
    return found


def test_a_port_of_the_host_leads_to_a_container_from_the_named_networks_alone() -> None:
    found = rules([NET, HOST], [80, 443])
    asked = "-p tcp -m conntrack --ctstate DNAT --ctorigdstport"
    assert [" ".join(one) for one in found[IPV4]] == [
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        f"-s {NET} {asked} 80 -j RETURN",
        f"-s {HOST} {asked} 80 -j RETURN",
        f"-s {NET} {asked} 443 -j RETURN",
        f"-s {HOST} {asked} 443 -j RETURN",
        f"{asked} 80 -j REJECT --reject-with tcp-reset",
        f"{asked} 443 -j REJECT --reject-with tcp-reset",
    ]
    assert [" ".join(one) for one in found[IPV6]] == [
        "-i lo -j RETURN",
        "-p tcp -m tcp --dport 80 -j DROP",
        "-p tcp -m tcp --dport 443 -j DROP",
    ]


@pytest.mark.usefixtures("kernel")
def test_it_is_written_once_and_says_whom_it_admits(tmp_path: Path) -> None:
    edge = EdgeFirewall("sse", str(tmp_path))
    assert edge.admits() == {"sources": [], "ports": [], "kept": False, "there": False}
    said = [f"firewall SSE-sse: 7 rules for {NET}, {HOST}"]
    assert edge.ensure([HOST, NET], [443, 80], check=True) == said
    assert not edge.admits()["there"]
    assert edge.ensure([HOST, NET], [443, 80], check=False) == said
    assert edge.ensure([NET, "192.0.2.1", NET], [80, 443], check=False) == []
    assert edge.admits() == {"sources": [NET, HOST], "ports": [80, 443], "kept": True, "there": True}
    edge.hook.unlink()
    assert edge.admits() == {"sources": [NET, HOST], "ports": [80, 443], "kept": False, "there": True}


def test_a_chain_that_somebody_changed_closes_nothing_and_is_written_anew(
    kernel: PlayedIptables, tmp_path: Path
) -> None:
    edge = EdgeFirewall("sse", str(tmp_path))
    edge.ensure([NET], [80], check=False)
    kernel.chains["SSE-sse"].pop(2)
    assert edge.admits() == {"sources": [], "ports": [], "kept": False, "there": True}
    assert edge.ensure([NET], [80], check=False)
    kernel.chains["DOCKER-USER"].insert(0, "-A DOCKER-USER -j ACCEPT")
    assert not edge.admits()["sources"]


@pytest.mark.parametrize(("sources", "ports"), [([], [80]), ([NET], [])])
def test_it_goes_where_everybody_may_come_or_nothing_is_published(
    kernel: PlayedIptables, tmp_path: Path, sources: list[str], ports: list[int]
) -> None:
    edge = EdgeFirewall("sse", str(tmp_path))
    assert edge.ensure(sources, ports, check=False) == []
    edge.ensure([NET], [80], check=False)
    assert edge.ensure(sources, ports, check=False) == ["firewall SSE-sse: removed"]
    assert kernel.chains == {"DOCKER-USER": [ENGINES]}
    assert not edge.directory.exists()


def test_an_engine_without_the_chain_for_others_is_refused(
    kernel: PlayedIptables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iptables, "place", lambda _: None)
    with pytest.raises(stack_firewall.FirewallError, match="nothing would enforce exposure_allow_from"):
        EdgeFirewall("sse", str(tmp_path)).ensure([NET], [80], check=False)
    assert kernel.chains == {"DOCKER-USER": [ENGINES]}
