"""What the engine keeps on the host for networks: all that is gone is named, and put back by the smallest step."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import host_side
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import HostSide
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import Link
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, Family
from ansible_collections.sse.platform.tests.unit.host.test_engine_rules import OLD

MASQUERADE = "-A POSTROUTING -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE\n"
RULES_SIX = (
    OLD.replace("10.99.0.10", "fd99::a").replace("10.99.0.0/24", "fd99::/64").replace("/32", "/128")
    .replace("127.0.0.0/8", "::1/128").replace("fd99::a:80", "[fd99::a]:80").replace("10.98.0.", "fd98::")
)  # fmt: skip


OF_PORT = "-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.99.0.10:80\n"


class Host:
    """A kernel and an engine with one network of the stack, in both IP families, and one of somebody else."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.link, self.version, self.key = "up", "20.10.24", "n1"
        self.addresses = ["10.99.0.1/24", "fd99::1/64"]
        self.rules = {"iptables": OLD, "ip6tables": RULES_SIX}
        self.ports = [{"PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}]
        self.nginx = "c1"
        self.also: dict[str, dict[str, str]] = {}  # other networks that it is on
        self.ran: list[str] = []
        self.refused = ""
        self.state, self.proc = tmp_path / "state", tmp_path / "sys"
        self.state.mkdir()
        for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/bridge/bridge-nf-call-iptables"):
            self.set(path, "1")
        for path in host_side.OF_BRIDGE:
            self.set(path.format("br-sse"), "0" if "disable" in path else "1")
        for name, value in {
            "links": self.links,
            "SETTINGS": self.proc,
            "interfaces": self.interfaces,
            "options_of_engine": lambda: {"live-restore": True},
            "listing_of": lambda program: iptables_rules.parse(self.rules[program]),
            "is_there": lambda *_: False,
            "variant": lambda program: program,
            "called": lambda program: program,
            "ran": self.run,
        }.items():
            monkeypatch.setattr(host_side, name, value)
        monkeypatch.setattr(host_side.iptables, "program", lambda family: family.iptables)

    def set(self, path: str, value: str) -> None:
        (self.proc / path).parent.mkdir(parents=True, exist_ok=True)
        (self.proc / path).write_text(f"{value}\n")

    def interfaces(self, family: Family) -> list[dict[str, Any]]:
        return [{"name": "br-sse", "addresses": [one for one in self.addresses if (":" in one) != (family is IPV4)]}]

    def links(self) -> list[Link]:
        return [Link(30, "br-sse", self.link == "up", 0, 0)] if self.link else []

    def run(self, command: str) -> str:
        """Carry a command out on this host."""
        self.ran.append(command)
        words = shlex.split(command)
        if self.refused:
            return self.refused
        if words[:3] == ["ip", "address", "replace"]:
            self.addresses.append(words[3])
        elif words[:2] == ["ip", "link"]:
            self.link = "up"
        elif words[0] == "echo":
            Path(words[2].removeprefix(">")).write_text(words[1])
        elif words[4] == "-N":
            self.rules[words[0]] = self.rules[words[0]].replace(f"*{words[3]}\n", f"*{words[3]}\n:{words[5]} - [0:0]\n")
        else:
            rule = f"-A {words[5]} {command.split(' ', 7)[7]}\n"
            self.rules[words[0]] = self.rules[words[0]].replace(f"*{words[3]}\n", f"*{words[3]}\n{rule}")
        return ""

    def side(self) -> HostSide:
        ours = {
            "Name": "sse-network",
            "Id": self.key,
            "Driver": "bridge",
            "Internal": False,
            "Labels": {"sse.platform.stack": "sse"},
            "Options": {"com.docker.network.bridge.name": "br-sse", "com.docker.network.driver.mtu": "1400"},
            "IPAM": {
                "Config": [
                    {"Subnet": "10.99.0.0/24", "Gateway": "10.99.0.1"},
                    {"Subnet": "fd99::/64", "Gateway": "fd99::1"},
                ]
            },
        }
        nginx = {
            "Id": self.nginx,
            "Ports": self.ports,
            "NetworkSettings": {
                "Networks": {"sse-network": {"IPAddress": "10.99.0.10", "GlobalIPv6Address": "fd99::a"}, **self.also}
            },
        }
        questions = SimpleNamespace(
            networks=lambda: [ours, {**ours, "Name": "other", "Labels": None}],
            containers=lambda: [nginx],
            version=lambda: {"Version": self.version},
        )
        engine: Any = SimpleNamespace(questions=questions, ask=lambda question: question())
        return HostSide(engine, "sse", str(self.state))

    def lines(self) -> list[str]:
        return [one.line for one in self.side().lost()]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    made = Host(monkeypatch, tmp_path)
    made.side().keep()
    assert made.lines() == []
    return made


def without(line: str, program: str = "iptables") -> Callable[[Host], None]:
    def do(host: Host) -> None:
        assert line in host.rules[program]
        host.rules[program] = host.rules[program].replace(line, "")

    return do


def flushed(host: Host) -> None:
    host.rules["iptables"] = "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"


@pytest.mark.parametrize(
    ("does", "said", "mend"),
    [
        (
            lambda host: host.addresses.remove("10.99.0.1/24"),
            "network sse-network: its bridge br-sse has lost the address 10.99.0.1/24",
            "ip address replace 10.99.0.1/24 broadcast + dev br-sse",
        ),
        (
            lambda host: host.addresses.remove("fd99::1/64"),
            "network sse-network: its bridge br-sse has lost the address fd99::1/64",
            "ip address replace fd99::1/64 nodad dev br-sse",
        ),
        (
            lambda host: setattr(host, "link", "down"),
            "network sse-network: its bridge br-sse is down",
            "ip link set br-sse up",
        ),
        (
            lambda host: (setattr(host, "link", ""), host.addresses.clear()),
            "network sse-network: its bridge br-sse is gone",
            "ip link add index 30 name br-sse mtu 1400 type bridge || ip link add name br-sse mtu 1400 type bridge",
        ),
        (
            lambda host: host.set("net/ipv4/ip_forward", "0"),
            "host kernel: net.ipv4.ip_forward is 0, and the engine needs 1",
            "echo 1 >",
        ),
        (
            lambda host: host.set("net/ipv6/conf/all/forwarding", "0"),
            "host kernel: net.ipv6.conf.all.forwarding is 0",
            "echo 1 >",
        ),
        (
            lambda host: host.set("net/bridge/bridge-nf-call-iptables", "0"),
            "host kernel: net.bridge.bridge-nf-call-iptables is 0",
            "echo 1 >",
        ),
        (
            lambda host: host.set("net/ipv4/conf/br-sse/route_localnet", "0"),
            "network sse-network: net.ipv4.conf.br-sse.route_localnet is 0",
            "echo 1 >",
        ),
        (
            lambda host: host.set("net/ipv6/conf/br-sse/disable_ipv6", "1"),
            "network sse-network: net.ipv6.conf.br-sse.disable_ipv6 is 1",
            "echo 0 >",
        ),
        (
            without(MASQUERADE),
            "network sse-network: a rule of the engine is gone: nat POSTROUTING: -s 10.99.0.0/24 ! -o br-sse",
            "iptables -w -t nat -I POSTROUTING 3 -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE",
        ),
        (
            without(MASQUERADE.replace("10.99.0.0/24", "fd99::/64"), "ip6tables"),
            "network sse-network: a rule of the engine is gone: nat POSTROUTING: -s fd99::/64 ! -o br-sse",
            "ip6tables -w -t nat -I POSTROUTING 3 -s fd99::/64 ! -o br-sse -j MASQUERADE",
        ),
        (
            without("-A FORWARD -j DOCKER-ISOLATION-STAGE-1\n"),
            "host iptables: a rule of the engine is gone: filter FORWARD: -j DOCKER-ISOLATION-STAGE-1",
            "iptables -w -t filter -I FORWARD 2 -j DOCKER-ISOLATION-STAGE-1",
        ),
        (
            without(OF_PORT),
            "network sse-network: a rule of the engine is gone: nat DOCKER: -d 127.0.0.1/32 -p tcp",
            "iptables -w -t nat -I DOCKER 1 -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT",
        ),
        (flushed, "host iptables: 11 rules of the engine are gone: chain filter DOCKER;", "iptables -w -t filter -N"),
    ],
)
def test_what_is_gone_is_named_put_back_by_its_command_and_whole_again(
    host: Host, does: Callable[[Host], None], said: str, mend: str
) -> None:
    does(host)
    lost = host.side().lost()
    assert lost[0].line.startswith(said)
    assert lost[0].mend[0].startswith(mend)
    before = [one.line for one in lost]
    assert host.side().mend(check=True) == before
    assert host.ran == []
    assert host.side().mend(check=False) == before
    assert host.ran == [line for one in lost for line in one.mend]
    assert host.lines() == []


def test_a_bridge_that_is_down_gets_its_addresses_once_it_is_up(host: Host) -> None:
    """The kernel takes the IPv6 addresses of an interface that goes down."""
    host.link = "down"
    host.addresses.remove("fd99::1/64")
    host.side().mend(check=False)
    assert host.ran == ["ip link set br-sse up", "ip address replace fd99::1/64 nodad dev br-sse"]


def test_without_a_record_bridges_and_forwarding_are_looked_after(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = Host(monkeypatch, tmp_path)
    flushed(host)
    host.addresses.clear()
    host.set("net/ipv4/ip_forward", "0")
    assert [one.rule for one in host.side().lost()] == ["ip-forward", "bridge-address", "bridge-address"]


def test_what_was_taken_away_is_not_forgotten_by_the_next_record(host: Host) -> None:
    without(MASQUERADE)(host)
    host.set("net/ipv4/conf/br-sse/route_localnet", "0")
    host.side().keep()
    assert len(host.lines()) == 2


def test_a_listing_that_fails_takes_nothing_from_the_record(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = host.side().read()
    with monkeypatch.context() as patch:
        patch.setattr(host_side, "listing_of", lambda _: None)
        host.side().keep()
    assert host.side().read() == before


@pytest.mark.parametrize("change", [{"version": "28.2.2"}, {"key": "n2"}], ids=str)
def test_a_record_of_another_engine_or_of_an_earlier_network_says_nothing_of_this_one(
    host: Host, change: dict[str, str]
) -> None:
    without(MASQUERADE)(host)
    for name, value in change.items():
        setattr(host, name, value)
    assert host.lines() == []


def test_rules_are_read_once_and_again_after_they_were_changed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        host_side, "listing_of", lambda program: read.append(program) or iptables_rules.parse(host.rules[program])
    )
    side = host.side()
    assert side.mend(check=False) == []
    side.keep()
    assert sorted(read) == ["ip6tables", "iptables"]
    without(MASQUERADE)(host)
    side = host.side()
    assert side.mend(check=False)
    side.keep()
    assert host.lines() == []


def test_a_port_that_is_published_no_more_needs_no_rule(host: Host) -> None:
    host.ports = []
    without(OF_PORT)(host)
    assert host.lines() == []


def test_a_rule_of_somebody_that_is_away_again_is_never_put_back_also_where_an_earlier_version_wrote_it_down(
    host: Host,
) -> None:
    kept = json.loads(host.side().path.read_text())
    kept["rules"]["4"].append(["filter", "-A FORWARD -i br-sse -o br-sse -j DROP"])
    kept["rules"]["4"].append(["filter", "-A DOCKER -d 10.99.0.10/32 -p tcp -m tcp --dport 80:90 -j ACCEPT"])
    host.side().path.write_text(json.dumps(kept))
    assert host.lines() == []
    host.side().keep()
    assert "80:90" not in host.side().path.read_text()


def test_a_container_that_is_made_anew_needs_no_rule_of_the_one_before(host: Host) -> None:
    without(OF_PORT)(host)
    assert len(host.lines()) == 1
    host.nginx = "c2"
    assert host.lines() == []


def test_a_port_to_which_the_engine_now_leads_by_another_network_needs_no_rule_in_the_one_before(host: Host) -> None:
    host.also = {"sse-app": {"IPAddress": "10.97.0.10", "GlobalIPv6Address": ""}}
    without(OF_PORT)(host)
    assert len(host.lines()) == 1
    host.rules["iptables"] = host.rules["iptables"].replace("*nat\n", f"*nat\n{OF_PORT.replace('10.99.', '10.97.')}")
    assert host.lines() == []


def test_a_command_that_fails_is_told_with_what_it_says(host: Host) -> None:
    host.addresses.remove("10.99.0.1/24")
    host.refused = "ip: not found"
    with pytest.raises(
        EngineError, match=r"has lost the address 10.99.0.1/24.*says 'ip: not found'.*restart the engine"
    ):
        host.side().mend(check=False)


def test_a_damaged_record_is_none(host: Host) -> None:
    (host.state / host_side.FILE).write_text('{"format": 1')
    assert host.side().read() is None
    assert host.lines() == []
