"""Properties of the firewall: what is declared passes, the rest is refused, and one listing tells whether it stands."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import firewall_rules, stack_firewall
from ansible_collections.sse.platform.plugins.module_utils.host import iptables, iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6

FRONT = {"name": "sse-network", "subnet": "10.99.0.0/24", "ip_range": "10.99.0.128/25", "segment": "network"}
DATA = {"name": "sse-data", "subnet": "10.99.2.0/24", "ip_range": "10.99.2.128/25", "segment": "data"}
APP, REDIS, NGINX, GUEST, WORLD = "10.99.0.21", "10.99.2.11", "10.99.0.10", "10.99.0.200", "203.0.113.7"


def spec(short: str, networks: dict[str, str], **keys: Any) -> dict[str, Any]:
    return {"container": short, "service": short, "aliases": [short], "networks": networks, "ports": [], **keys}


def port(host_ip: str, host_port: int, container_port: int) -> dict[str, Any]:
    return {"host_ip": host_ip, "host_port": host_port, "container_port": container_port}


def release(layout: str = "segmented", *, bind: str = "0.0.0.0", allow_from: tuple[str, ...] = ()) -> Any:
    app = spec("app", {"sse-network": APP, "sse-data": "10.99.2.21"})
    nginx = spec("nginx", {"sse-network": NGINX}, ports=[port(bind, 8443, 443), port("127.0.0.1", 8080, 80)])
    redis = spec("redis", {"sse-data": REDIS}, reaches=[], listens=[6379])
    app |= {"reaches": [{"to": "redis:6379", "why": "history"}], "listens": [8000]}
    nginx |= {"reaches": [{"to": "app:8000", "why": "pass on"}], "listens": [80, 443]}
    networks = [{**FRONT, "internal": False}, {**DATA, "internal": True}]
    return {
        "project": "sse-platform",
        "layout": layout,
        "networks": {one["name"]: one for one in networks},
        "containers": {f"sse-{one['container']}": one for one in (app, nginx, redis)},
        "allow_from": list(allow_from),
    }


def judge(rules: list[iptables.Rule], source: str, target: str, port: int, came_to: int | None = None) -> str:
    """What the rules do with a new TCP connection; `came_to` is the host's port where it was published.

    A reading of our own of the few matches that are used: the integration tests have the kernel's.
    """

    def inside(address: str, network: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network)

    def holds(flag: str, value: str) -> bool:
        facts: dict[str, Callable[[], bool]] = {
            "-s": lambda: inside(source, value),
            "-d": lambda: inside(target, value),
            "-p": lambda: value == "tcp",
            "--dport": lambda: int(value) == port,
            "--ctstate": lambda: value == "DNAT" and came_to is not None,
            "--ctorigdstport": lambda: int(value) == came_to,
        }
        return facts.get(flag, lambda: True)()

    for rule in rules:
        pairs = list(zip(rule[::2], rule[1::2], strict=True))
        if all(holds(flag, value) for flag, value in pairs):
            return dict(pairs)["-j"]
    return "RETURN"


@pytest.mark.parametrize(
    ("source", "target", "port", "single", "segmented"),
    [
        (NGINX, APP, 8000, "RETURN", "RETURN"),
        ("10.99.2.21", REDIS, 6379, "RETURN", "RETURN"),
        ("10.99.2.21", REDIS, 6380, "RETURN", "REJECT"),
        (APP, NGINX, 80, "RETURN", "REJECT"),
        (NGINX, REDIS, 6379, "RETURN", "REJECT"),
        (GUEST, NGINX, 443, "RETURN", "RETURN"),
        (GUEST, NGINX, 8080, "RETURN", "REJECT"),
        (GUEST, APP, 8000, "RETURN", "REJECT"),
        (GUEST, REDIS, 6379, "RETURN", "REJECT"),
        (NGINX, GUEST, 5000, "RETURN", "RETURN"),
        (APP, WORLD, 443, "RETURN", "RETURN"),
        (WORLD, REDIS, 6379, "REJECT", "REJECT"),
        (WORLD, NGINX, 443, "REJECT", "REJECT"),
        (WORLD, GUEST, 5000, "RETURN", "RETURN"),
    ],
)
def test_who_passes_in_each_layout(source: str, target: str, port: int, single: str, segmented: str) -> None:
    assert judge(firewall_rules.rules([release("single")]), source, target, port) == single
    assert judge(firewall_rules.rules([release("segmented")]), source, target, port) == segmented


@pytest.mark.parametrize("layout", ["single", "segmented"])
def test_from_outside_only_a_port_published_to_the_world_answers_and_only_there(layout: str) -> None:
    rules = firewall_rules.rules([release(layout)])
    assert judge(rules, WORLD, NGINX, 443, came_to=8443) == "RETURN"
    # Published on loopback: before Engine 28 a neighbour gets this far.
    assert judge(rules, WORLD, NGINX, 80, came_to=8080) == "REJECT"
    # Not by the host's port but by a route to the container's own address.
    assert judge(rules, WORLD, NGINX, 443) == "REJECT"
    assert judge(firewall_rules.rules([release(layout, bind="127.0.0.1")]), WORLD, NGINX, 443, came_to=8443) == "REJECT"


def test_allowed_sources_are_let_in_and_nobody_else() -> None:
    rules = firewall_rules.rules([release(allow_from=("198.51.100.0/24", "203.0.113.7/32"))])
    assert judge(rules, WORLD, NGINX, 443, came_to=8443) == "RETURN"
    assert judge(rules, "198.51.100.9", NGINX, 443, came_to=8443) == "RETURN"
    assert judge(rules, "203.0.113.8", NGINX, 443, came_to=8443) == "REJECT"


def test_while_containers_are_replaced_what_either_release_declares_passes() -> None:
    moved = release()
    moved["containers"]["sse-redis"]["networks"] = {"sse-data": "10.99.2.12"}
    both = firewall_rules.rules([moved], [release()])
    for address in (REDIS, "10.99.2.12"):
        assert judge(both, "10.99.2.21", address, 6379) == "RETURN"
        assert judge(both, "10.99.2.21", address, 6380) == "REJECT"
    from_single = firewall_rules.rules([release()], [release("single")])
    assert judge(from_single, APP, NGINX, 80) == "RETURN"
    assert judge(from_single, WORLD, REDIS, 6379) == "REJECT"


def test_the_same_releases_in_any_order_make_the_same_rules() -> None:
    one = release()
    other: Any = {**one, "project": "board", "containers": {}}
    assert (
        firewall_rules.rules([one, other])
        == firewall_rules.rules([other, one])
        == firewall_rules.rules([one, other], [one, other])
    )


SIX = {
    "10.99.0": "fd99", "10.99.2": "fd99:0:0:2", "198.51.100": "2001:db8:1", "203.0.113": "2001:db8:2",
}  # fmt: skip


def in_six(address: str) -> str:
    """The address of IPv6 that stands for one of IPv4 in these tests."""
    start, _, last = address.rpartition(".")
    return f"{SIX[start]}::{int(last):x}"


def dual(layout: str = "segmented", **changes: Any) -> Any:
    """The same release, with IPv6 beside IPv4."""
    found = release(layout, **changes)
    for name, subnet in (("sse-network", "fd99::/64"), ("sse-data", "fd99:0:0:2::/64")):
        start = subnet.removesuffix("::/64")
        found["networks"][name]["ipv6"] = {"subnet": subnet, "gateway": "", "ip_range": f"{start}::80/121"}
    for one in found["containers"].values():
        one["networks6"] = {name: in_six(address) for name, address in one["networks"].items()}
        one["ports"] += [{**port, "host_ip": "::"} for port in one["ports"] if port["host_ip"] == "0.0.0.0"]
        one["ports"] += [{**port, "host_ip": "::1"} for port in one["ports"] if port["host_ip"] == "127.0.0.1"]
    return found


@pytest.mark.parametrize("layout", ["single", "segmented"])
def test_both_families_are_judged_alike(layout: str) -> None:
    four, six = (firewall_rules.rules([dual(layout)], (), family) for family in FAMILIES)
    addresses = (APP, "10.99.2.21", REDIS, NGINX, GUEST, WORLD)
    verdicts: list[str] = []
    for source in addresses:
        for target in addresses:
            for number, came_to in ((443, None), (443, 8443), (80, 8080), (8000, None), (6379, None)):
                verdict = judge(four, source, target, number, came_to)
                assert judge(six, in_six(source), in_six(target), number, came_to) == verdict, (source, target, number)
                verdicts.append(verdict)
    assert set(verdicts) == {"RETURN", "REJECT"}


def test_without_ipv6_it_has_no_rules() -> None:
    assert firewall_rules.rules_by_family([release()])[IPV6] == []
    # While it is switched off, what ran is closed until it is gone.
    assert firewall_rules.rules_by_family([release()], [dual()])[IPV6] != []


def test_sources_are_allowed_per_family_and_a_family_without_any_is_closed() -> None:
    only_four = firewall_rules.rules_by_family([dual(allow_from=("203.0.113.0/24",))])
    assert judge(only_four[IPV4], WORLD, NGINX, 443, came_to=8443) == "RETURN"
    assert judge(only_four[IPV6], in_six(WORLD), in_six(NGINX), 443, came_to=8443) == "REJECT"
    assert not any("203.0.113.0/24" in rule for rule in only_four[IPV6])  # ip6tables would refuse all of them
    both = firewall_rules.rules_by_family([dual(allow_from=("198.51.100.0/24", "2001:db8:2::/48"))])
    assert judge(both[IPV4], WORLD, NGINX, 443, came_to=8443) == "REJECT"
    assert judge(both[IPV6], in_six(WORLD), in_six(NGINX), 443, came_to=8443) == "RETURN"
    assert judge(both[IPV6], "2001:db8:3::7", in_six(NGINX), 443, came_to=8443) == "REJECT"


def test_neighbours_are_found_within_a_segment_before_anything_is_refused() -> None:
    kinds = [rule[rule.index("--icmpv6-type") + 1] for rule in firewall_rules.rules([dual()], (), IPV6)[1:3]]
    assert kinds == ["neighbour-solicitation", "neighbour-advertisement"]


class Kernel:
    """What iptables lists, and what was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lists: dict[str, list[str]]) -> None:
        self.lists = lists
        self.ran: list[tuple[str, ...]] = []
        monkeypatch.setattr(iptables, "run", self.run)
        monkeypatch.setattr(
            stack_firewall.shutil, "which", lambda name, **_: f"/usr/sbin/{name}" if name in lists else None
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        self.ran.append(command)
        if "-C" in command or "-D" in command:
            there = command[6] in self.lists
            if "-D" in command:
                self.lists.pop(command[6], None)
            return subprocess.CompletedProcess(command, 0 if there else 1, "", "")
        chain = command[-1]
        lines = self.lists.get(command[0].rpartition("/")[2] if chain in (iptables.PARENT, "FORWARD") else chain)
        code = 1 if command[5:6] == ("-S",) and lines is None else 0
        return subprocess.CompletedProcess(command, code, "\n".join(lines or []), "")


def test_the_table_that_the_engine_uses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, {"iptables-legacy": ["-N DOCKER-USER"]})
    assert iptables.program() == "/usr/sbin/iptables-legacy"
    Kernel(monkeypatch, {})
    assert iptables.program() == ""


REMARK = firewall_rules.remark("a to b")
# Each kind of rule, and what iptables 1.8.9 lists where it was given that, in both sets of tables.
LISTED: dict[iptables.Rule, str] = {
    ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *firewall_rules.PASS): (
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    ),
    firewall_rules.NEIGHBOURS[0]: "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN",
    firewall_rules.between(NGINX, APP, 8000, "a to b"): (
        f'-s {NGINX}/32 -d {APP}/32 -p tcp -m tcp --dport 8000 -m comment --comment "a to b" -j RETURN'
    ),
    firewall_rules.between("fd99::80/121", "fd99:0:0:2::a", 443, "a"): (
        "-s fd99::80/121 -d fd99:0:0:2::a/128 -p tcp -m tcp --dport 443 -m comment --comment a -j RETURN"
    ),
    ("-s", "0.0.0.0/0", "-d", NGINX, "-p", "tcp", *REMARK, *firewall_rules.PASS): (
        f'-d {NGINX}/32 -p tcp -m comment --comment "a to b" -j RETURN'
    ),
    ("-s", "::1", "-p", "tcp", "-m", "conntrack", "--ctorigdst", "2001:DB8::1", "--ctorigdstport", "443", *REMARK): (
        '-s ::1/128 -p tcp -m conntrack --ctorigdst 2001:db8::1 --ctorigdstport 443 -m comment --comment "a to b"'
    ),
    ("-d", "10.99.0.0/24", *firewall_rules.refusals(IPV4)[0]): (
        "-d 10.99.0.0/24 -p tcp -j REJECT --reject-with tcp-reset"
    ),
    ("-d", "10.99.0.0/24", *firewall_rules.refusals(IPV4)[1]): (
        "-d 10.99.0.0/24 -j REJECT --reject-with icmp-port-unreachable"
    ),
}
STANDING = [f"-A SSE-sse {line}" for line in LISTED.values()]
FIRST, LAST = STANDING[0], STANDING[-1]
PASSES_ALL = "-A SSE-sse -j RETURN"
CALLED = ["-A DOCKER-USER -j SSE-sse", "-A DOCKER-USER -j RETURN"]


def stands(monkeypatch: pytest.MonkeyPatch, listed: list[str], calls: list[str], given: tuple[str, ...] = ()) -> bool:
    """Whether these are the rules in place.

    :param given: what iptables lists of the rules where it has no others
    """
    Kernel(monkeypatch, {"iptables": ["-N DOCKER-USER", *calls], "SSE-sse": listed})
    monkeypatch.setattr(iptables.Place, "as_listed", lambda *_: list(given))
    return iptables.Place("/usr/sbin/iptables", "filter", "DOCKER-USER").is_in_place("SSE-sse", list(LISTED))


SIGNATURE = iptables.restore_text("SSE-sse", list(LISTED)).splitlines()[-2]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (STANDING, True),
        (["-A SSE-sse -j RETURN -m conntrack --ctstate ESTABLISHED,RELATED", *STANDING[1:]], True),
        ([], False),
        (STANDING[1:], False),
        ([PASSES_ALL, *STANDING], False),
        ([PASSES_ALL, *STANDING[1:]], False),
        ([*STANDING[:-1], PASSES_ALL], False),
        ([*STANDING[:-2], LAST, STANDING[-2]], False),
        ([*STANDING[:-1], LAST.replace("/24", "/25")], False),
        ([*STANDING[:-1], LAST.replace("-d 10", "! -d 10")], False),
        ([*STANDING[:-1], LAST.replace(" -j", " -i eth0 -j")], False),
        ([*STANDING[:-1], LAST.replace("icmp-port-unreachable", "icmp-net-unreachable")], False),
        ([*STANDING[:-1], STANDING[0]], False),
    ],
)
def test_rules_stand_when_each_of_them_is_in_its_place(
    monkeypatch: pytest.MonkeyPatch, listed: list[str], expected: bool
) -> None:
    assert stands(monkeypatch, [*listed, SIGNATURE], CALLED) == expected
    assert not stands(monkeypatch, listed, CALLED)
    assert not stands(monkeypatch, [*listed, SIGNATURE.replace("SSE-sse ", "SSE-sse 0")], CALLED)


@pytest.mark.parametrize(
    ("calls", "expected"),
    [
        (CALLED, True),
        (["-A DOCKER-USER -s 198.51.100.9/32 -j ACCEPT", "-A DOCKER-USER -j SSE-two", *CALLED], True),
        (['-A DOCKER-USER -m comment --comment "as -j RETURN" -j LOG', *CALLED], True),
        (CALLED[1:], False),
        (["-A DOCKER-USER -i eth0 -j SSE-sse", CALLED[1]], False),
        (["-A DOCKER-USER -j SSE-sse2", CALLED[1]], False),
        (["-A DOCKER-USER -j ACCEPT", *CALLED], False),
        (["-A DOCKER-USER -j RETURN", *CALLED], False),
        (["-A DOCKER-USER -j DROP", *CALLED], False),
        (["-A DOCKER-USER -j REJECT --reject-with icmp-port-unreachable", *CALLED], False),
        (['-A DOCKER-USER -m comment --comment "for \\"a while\\"" -j ACCEPT', *CALLED], False),
        (["-A DOCKER-USER -m comment --comment once -j RETURN", *CALLED], False),
    ],
)
def test_rules_stand_when_they_are_asked_before_a_rule_that_decides_about_every_packet(
    monkeypatch: pytest.MonkeyPatch, calls: list[str], expected: bool
) -> None:
    assert stands(monkeypatch, [*STANDING, SIGNATURE], calls) == expected


def test_a_rule_that_is_listed_in_unknown_words_stands_where_iptables_lists_it_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tuple(line.replace("--icmpv6-type 135", "--icmpv6-type soliciting") for line in [*STANDING, SIGNATURE])
    assert not stands(monkeypatch, list(other), CALLED)
    assert stands(monkeypatch, list(other), CALLED, other)
    assert not stands(monkeypatch, [other[1], other[0], *other[2:]], CALLED, other)


def test_rules_stand_with_the_guard_of_the_loopback_and_not_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rules = firewall_rules.rules_by_family([release()])
    listed = [line for line in iptables.restore_text("SSE-sse", rules[IPV4]).splitlines() if line[:2] == "-A"]
    there = {"iptables": CALLED, "SSE-sse": listed}
    for guarded in (True, False):
        Kernel(monkeypatch, there | ({"PREROUTING": []} if guarded else {}))
        assert stack_firewall.StackFirewall("sse", str(tmp_path)).in_kernel(rules) == guarded


# It keeps what DOCKER-USER holds in a file.
FAKE = """\
#!/bin/sh
cd "$(dirname "$0")"
shift 4
case "$1 $2" in
"-S DOCKER-USER") cat calls ;;
"-I DOCKER-USER") shift 2; (echo "-A DOCKER-USER $*"; cat calls) >new; mv new calls ;;
"-D DOCKER-USER")
  shift 2
  number=$(grep -nxF -e "-A DOCKER-USER $*" calls | head -n 1 | cut -d : -f 1)
  [ "$number" ] && sed -i "${number}d" calls ;;
esac
"""


@pytest.mark.parametrize(
    ("calls", "then"),
    [
        ([], CALLED[:1]),
        (CALLED[1:], CALLED),
        (CALLED, CALLED),
        (["-A DOCKER-USER -i eth0 -j ACCEPT", *CALLED], ["-A DOCKER-USER -i eth0 -j ACCEPT", *CALLED]),
        (["-A DOCKER-USER -j RETURN", *CALLED], [CALLED[0], "-A DOCKER-USER -j RETURN", CALLED[1]]),
        (["-A DOCKER-USER -j DROP", *CALLED, *CALLED], [CALLED[0], "-A DOCKER-USER -j DROP", CALLED[1], CALLED[1]]),
        (
            ['-A DOCKER-USER -m comment --comment "a \\"b\\" / c" -j ACCEPT', *CALLED[:1]],
            [CALLED[0], '-A DOCKER-USER -m comment --comment "a \\"b\\" / c" -j ACCEPT'],
        ),
        (["-A DOCKER-USER -j SSE-two", *CALLED], ["-A DOCKER-USER -j SSE-two", *CALLED]),
    ],
)
def test_the_script_has_the_chain_called_before_a_rule_that_decides_about_every_packet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, calls: list[str], then: list[str]
) -> None:
    for name in ("iptables", "iptables-restore"):
        (tmp_path / name).write_text(FAKE if name == "iptables" else "#!/bin/sh\ncat >/dev/null\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "calls").write_text("".join(f"{line}\n" for line in calls))
    monkeypatch.setattr(
        iptables,
        "place",
        lambda family: iptables.Place(str(tmp_path / "iptables"), "filter", "DOCKER-USER") if family is IPV4 else None,
    )
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    firewall.directory.mkdir()
    for name, text in firewall.files(firewall_rules.rules_by_family([release()])).items():
        (firewall.directory / name).write_text(text)
    subprocess.run(["/bin/sh", str(firewall.directory / "restore")], check=True)
    assert (tmp_path / "calls").read_text().splitlines() == then


class Table:
    """The table filter of a host: what FORWARD and DOCKER-USER hold."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rules: list[str]) -> None:
        self.rules = rules
        found = iptables.Place("/usr/sbin/iptables", "filter", "DOCKER-USER")
        monkeypatch.setattr(iptables, "place", lambda family: found if family is IPV4 else None)
        monkeypatch.setattr(iptables, "run", self.run)
        monkeypatch.setattr(stack_firewall, "routes", lambda _: [{"destination": "0.0.0.0/0", "device": "eth0"}])
        for name in ("in_kernel", "is_kept"):
            monkeypatch.setattr(stack_firewall.StackFirewall, name, lambda *_: True)
        monkeypatch.setattr(stack_firewall.StackFirewall, "enable", lambda _: None)

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        for line in given.splitlines():
            option, *words = line.split(" ")
            if option == "-D":
                self.rules.remove(f"-A {' '.join(words)}")
            elif option == "-I":
                of_chain = [index for index, one in enumerate(self.rules) if one.startswith(f"-A {words[0]} ")]
                self.rules.insert(of_chain[int(words[1]) - 1], f"-A {words[0]} {' '.join(words[2:])}")
        listed = "\n".join(["-P FORWARD DROP", "-N DOCKER-USER", "-N SSE-sse", *self.rules])
        return subprocess.CompletedProcess(command, 0, listed if command[-1] == "-S" else "", "")


def test_a_rule_that_lets_everything_pass_is_named_and_stays_and_the_chain_is_asked_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    exception, opens = "-A FORWARD -s 203.0.113.7/32 -j ACCEPT", "-A FORWARD -j ACCEPT"
    engines, narrow = "-A FORWARD -j DOCKER-USER", "-A DOCKER-USER -d 10.99.2.0/24 -j ACCEPT"
    table = Table(monkeypatch, [exception, opens, engines, narrow, *CALLED])
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    assert not firewall.is_closed_to([release()])
    assert firewall.bypass == "`-j ACCEPT` in filter FORWARD lets connections pass before DOCKER-USER is called"
    planned = stack_firewall.StackFirewall("sse", str(tmp_path)).close_to([release()], check=True)
    assert table.rules == [exception, opens, engines, narrow, *CALLED]
    assert planned[0].endswith(f" rules, asked first again, because {firewall.bypass}")
    assert stack_firewall.StackFirewall("sse", str(tmp_path)).open_for([release()], [], check=False) == planned
    assert table.rules == [exception, engines, opens, CALLED[0], narrow, CALLED[1]]
    assert stack_firewall.StackFirewall("sse", str(tmp_path)).close_to([release()], check=False) == []
    assert firewall.is_closed_to([release()])


@pytest.mark.parametrize(
    ("layout", "rule", "closed"),
    [
        ("segmented", "-s 10.99.0.0/24 -d 10.99.2.0/24", False),
        ("single", "-s 10.99.0.0/24 -d 10.99.2.0/24", True),  # it passes anyway there
        ("single", "-i eth0", False),
        ("segmented", "-i wg0", True),
        ("segmented", "-s 10.99.2.0/24 ! -d 10.99.2.0/24 -o eth0", True),  # nothing declares its ways out
    ],
)
def test_only_what_the_stack_refuses_must_not_pass_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, layout: str, rule: str, closed: bool
) -> None:
    Table(monkeypatch, [f"-A FORWARD {rule} -j ACCEPT", "-A FORWARD -j DOCKER-USER", *CALLED])
    assert stack_firewall.StackFirewall("sse", str(tmp_path)).is_closed_to([release(layout)]) == closed


def test_what_leaves_a_container_that_declares_its_ways_out_must_not_pass_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Table(monkeypatch, ["-A FORWARD -o eth0 -j ACCEPT", "-A FORWARD -j DOCKER-USER", *CALLED])
    found = release()
    assert stack_firewall.StackFirewall("sse", str(tmp_path)).is_closed_to([found])
    found["containers"]["sse-app"]["ways_out"] = ["db.example.org:5432"]
    assert not stack_firewall.StackFirewall("sse", str(tmp_path)).is_closed_to([found])


def test_where_iptables_lists_nothing_no_rule_is_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Table(monkeypatch, [])
    monkeypatch.setattr(iptables, "run", lambda *command, **_: subprocess.CompletedProcess(command, 1, "", "no"))
    assert stack_firewall.StackFirewall("sse", str(tmp_path)).is_closed_to([release()])


def test_what_comes_to_the_loopback_of_the_host_from_elsewhere_is_dropped_until_the_stack_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Kernel(monkeypatch, {"iptables": [], "PREROUTING": []})
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    dropped = "-t raw -I PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment SSE-sse -j DROP"
    assert dropped in firewall.files(firewall_rules.rules_by_family([release()]))["restore"]
    firewall.remove()
    assert ("raw", "-D", "PREROUTING") in [command[4:7] for command in kernel.ran]


def test_an_engine_without_a_place_for_rules_of_ipv6_has_them_where_they_come_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rules = firewall_rules.rules_by_family([dual()])
    Kernel(monkeypatch, {"iptables": [], "DOCKER": []})
    monkeypatch.setattr(
        stack_firewall.shutil, "which", lambda name, **_: f"/usr/sbin/{name}" if "-" not in name else None
    )
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    assert firewall.places[IPV4] == iptables.Place("/usr/sbin/iptables", "filter", "DOCKER-USER")
    # 20.10 manages ip6tables without DOCKER-USER; the double has that chain of IPv4 alone.
    Kernel(monkeypatch, {"DOCKER": []})
    monkeypatch.setattr(
        stack_firewall.shutil, "which", lambda name, **_: f"/usr/sbin/{name}" if "-" not in name else None
    )
    mangle = iptables.place(IPV6)
    assert mangle is not None
    assert mangle == iptables.Place("/usr/sbin/ip6tables", "mangle", "FORWARD")
    text = iptables.restore_text("SSE-sse", mangle.possible(rules[IPV6]), mangle.table)
    assert text.startswith("*mangle\n")
    assert "REJECT" not in text
    assert "-d fd99::/64 -p tcp -j DROP" in text
    assert iptables.place(IPV4) is None


def test_what_asks_for_a_port_at_loopback_of_ipv6_is_refused_as_long_as_there_is_ipv6(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = Kernel(monkeypatch, {"iptables": [], "ip6tables": [], "OUTPUT": []})
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    sent_on = "-s ::1/128 ! -d ::1/128 -p tcp -m conntrack --ctstate DNAT -m comment --comment SSE-sse -j REJECT"
    assert (
        f"-I OUTPUT {sent_on} --reject-with tcp-reset"
        in firewall.files(firewall_rules.rules_by_family([dual()]))["restore"]
    )
    assert "OUTPUT" not in firewall.files(firewall_rules.rules_by_family([release()]))["restore"]
    # It is there, and should not be.
    assert not firewall.in_kernel({IPV4: [], IPV6: []})
    firewall.drop(IPV6)
    assert ("-D", "OUTPUT", "-s", "::1/128") in [command[5:9] for command in kernel.ran]


def test_rules_of_ipv6_with_no_place_for_them_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Kernel(monkeypatch, {"iptables": []})
    firewall = stack_firewall.StackFirewall("sse", str(tmp_path))
    with pytest.raises(stack_firewall.FirewallError, match="does not manage ip6tables"):
        firewall.ensure(firewall_rules.rules_by_family([dual()]), check=False)


def test_rules_are_replaced_in_one_step_and_signed() -> None:
    text = iptables.restore_text("SSE-sse", [("-s", APP, *firewall_rules.remark("a to b"), *firewall_rules.PASS)])
    lines = text.splitlines()
    assert lines[:3] == [
        "*filter",
        ":SSE-sse - [0:0]",
        f'-A SSE-sse -s {APP} -m comment --comment "a to b" -j RETURN',
    ]
    assert lines[3].startswith('-A SSE-sse -m comment --comment "SSE-sse ')
    assert lines[4:] == ["COMMIT"]


def test_the_longest_stack_name_has_a_chain_that_the_kernel_takes() -> None:
    assert len(firewall_rules.chain_name("s" * 20)) <= 28


def test_rules_that_nothing_would_put_back_after_a_reboot_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "multi-user.target.wants/sse-platform-firewall-sse.service"
    link.parent.mkdir()
    refuses = [True]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        if words[1] == "enable" and not refuses:
            link.symlink_to(tmp_path / words[2])
        return subprocess.CompletedProcess(words, int(bool(refuses)), "", "Failed to connect to bus\n")

    monkeypatch.setattr(iptables, "place", lambda _: None)
    monkeypatch.setattr(iptables, "run", run)
    monkeypatch.setattr(stack_firewall, "UNITS", tmp_path)
    monkeypatch.setattr(stack_firewall, "systemd", lambda: True)
    monkeypatch.setattr(stack_firewall.StackFirewall, "files", lambda *_: {})
    found = stack_firewall.StackFirewall("sse", str(tmp_path))
    with pytest.raises(stack_firewall.FirewallError, match=r"after a reboot.*Failed to connect to bus"):
        found.enable()
    assert not found.is_kept({})
    refuses.clear()
    found.enable()
    assert found.is_kept({})
    assert "WantedBy=multi-user.target\n" in found.unit.read_text()
    text = found.unit.read_text()
    for vandal in (link.unlink, found.unit.unlink, lambda: found.unit.write_bytes(b"\xff")):
        vandal()
        assert not found.is_kept({})
        link.unlink(missing_ok=True)
        found.enable()
        assert found.is_kept({})
    found.unit.unlink()
    found.unit.symlink_to("/dev/null")  # as systemctl mask does
    assert not found.is_kept({})
    link.unlink()
    found.enable()
    assert found.unit.read_text() == text
    monkeypatch.setattr(stack_firewall.StackFirewall, "passing", lambda *_: {})
    monkeypatch.setattr(stack_firewall.StackFirewall, "in_kernel", lambda *_: True)
    found.places = {IPV4: cast("Any", None)}
    link.unlink()
    assert found.ensure({IPV4: [], IPV6: []}, check=True)
    assert found.wrong == stack_firewall.NOT_KEPT


def test_without_systemd_the_link_that_the_engines_start_follows_leads_to_these_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(iptables, "place", lambda _: None)
    monkeypatch.setattr(stack_firewall, "HOOKS", tmp_path / "hooks")
    monkeypatch.setattr(stack_firewall, "systemd", lambda: False)
    found = stack_firewall.StackFirewall("sse", str(tmp_path))
    found.directory.mkdir()
    (found.directory / "restore").write_text(found.files({})["restore"])
    found.enable()
    assert found.is_kept({})
    found.hook.unlink()
    found.hook.symlink_to("/bin/true")
    assert not found.is_kept({})
    found.enable()
    (found.directory / "restore").write_bytes(b"\xff")
    assert not found.is_kept({})


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("-A FORWARD -p tcp -m tcp --dport 6379 -j DROP", ""),
        ("-A DOCKER-USER -p tcp -m tcp --dport 6379 -j DROP", ""),
        ("-A SSE-sse -d 10.99.0.0/24 -p tcp -j REJECT --reject-with tcp-reset", "# no service declares"),
        ("-A SSE-demo -d 10.98.0.0/24 -p tcp -j REJECT --reject-with tcp-reset", "# the stack demo declares"),
        ("-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment SSE-sse -j DROP", "# no service declares"),
        ('-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment "SSE-my-demo" -j DROP', "# the stack my-demo"),
        ("-A DOCKER-ISOLATION-STAGE-2 -o br-sse -j DROP", "# the engine keeps its networks apart"),
    ],
)
def test_only_a_rule_of_somebody_else_is_ever_removed(line: str, advice: str) -> None:
    rule = iptables_rules.parse_rule("filter", line)
    said = firewall_rules.let_pass(rule, "sse")
    assert said.startswith(advice or "iptables -t filter -D")
    assert said.startswith("#") == bool(advice)
