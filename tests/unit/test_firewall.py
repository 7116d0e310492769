"""Properties of the firewall: what is declared passes, the rest is refused, and one listing tells whether it stands."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils import firewall

FRONT = {"name": "sse-network", "subnet": "10.99.0.0/24", "ip_range": "10.99.0.128/25", "segment": "network"}
DATA = {"name": "sse-data", "subnet": "10.99.2.0/24", "ip_range": "10.99.2.128/25", "segment": "data"}
APP, REDIS, NGINX, GUEST, WORLD = "10.99.0.21", "10.99.2.11", "10.99.0.10", "10.99.0.200", "203.0.113.7"


def spec(short: str, networks: dict[str, str], **keys: Any) -> dict[str, Any]:
    return {"container": short, "service": short, "aliases": [short], "networks": networks, "ports": [], **keys}


def port(host_ip: str, host_port: int, container_port: int) -> dict[str, Any]:
    return {"host_ip": host_ip, "host_port": host_port, "container_port": container_port}


def release(layout: str = "segmented", *, bind: str = "0.0.0.0", allow_from: tuple[str, ...] = ()) -> dict[str, Any]:
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


def judge(rules: list[firewall.Rule], source: str, target: str, port: int, came_to: int | None = None) -> str:
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
    assert judge(firewall.rules([release("single")]), source, target, port) == single
    assert judge(firewall.rules([release("segmented")]), source, target, port) == segmented


@pytest.mark.parametrize("layout", ["single", "segmented"])
def test_from_outside_only_a_port_published_to_the_world_answers_and_only_there(layout: str) -> None:
    rules = firewall.rules([release(layout)])
    assert judge(rules, WORLD, NGINX, 443, came_to=8443) == "RETURN"
    # Published on loopback: before Engine 28 a neighbour gets this far.
    assert judge(rules, WORLD, NGINX, 80, came_to=8080) == "REJECT"
    # Not by the host's port but by a route to the container's own address.
    assert judge(rules, WORLD, NGINX, 443) == "REJECT"
    assert judge(firewall.rules([release(layout, bind="127.0.0.1")]), WORLD, NGINX, 443, came_to=8443) == "REJECT"


def test_allowed_sources_are_let_in_and_nobody_else() -> None:
    rules = firewall.rules([release(allow_from=("198.51.100.0/24", "203.0.113.7/32"))])
    assert judge(rules, WORLD, NGINX, 443, came_to=8443) == "RETURN"
    assert judge(rules, "198.51.100.9", NGINX, 443, came_to=8443) == "RETURN"
    assert judge(rules, "203.0.113.8", NGINX, 443, came_to=8443) == "REJECT"


def test_while_containers_are_replaced_what_either_release_declares_passes() -> None:
    moved = release()
    moved["containers"]["sse-redis"]["networks"] = {"sse-data": "10.99.2.12"}
    both = firewall.rules([moved], [release()])
    for address in (REDIS, "10.99.2.12"):
        assert judge(both, "10.99.2.21", address, 6379) == "RETURN"
        assert judge(both, "10.99.2.21", address, 6380) == "REJECT"
    from_single = firewall.rules([release()], [release("single")])
    assert judge(from_single, APP, NGINX, 80) == "RETURN"
    assert judge(from_single, WORLD, REDIS, 6379) == "REJECT"


def test_the_same_releases_in_any_order_make_the_same_rules() -> None:
    one, other = release(), {**release(), "project": "board", "containers": {}}
    assert firewall.rules([one, other]) == firewall.rules([other, one]) == firewall.rules([one, other], [one, other])


class Kernel:
    """What iptables lists, and what was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lists: dict[str, list[str]]) -> None:
        self.lists = lists
        self.ran: list[tuple[str, ...]] = []
        monkeypatch.setattr(firewall, "run", self.run)
        monkeypatch.setattr(firewall.shutil, "which", lambda name, **_: f"/usr/sbin/{name}" if name in lists else None)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        self.ran.append(command)
        lines = self.lists.get(command[0].rpartition("/")[2] if command[-1] == firewall.PARENT else command[-1])
        code = 1 if command[3:4] == ("-S",) and lines is None else 0
        return subprocess.CompletedProcess(command, code, "\n".join(lines or []), "")


def test_the_table_that_the_engine_uses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, {"iptables-legacy": ["-N DOCKER-USER"]})
    assert firewall.program() == "/usr/sbin/iptables-legacy"
    Kernel(monkeypatch, {})
    assert firewall.program() == ""


def test_rules_stand_when_all_of_them_are_there_and_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rules = firewall.rules([release()])
    listed = [line for line in firewall.restore_text("SSE-sse", rules).splitlines() if line.startswith("-A")]
    asked = ["-N DOCKER-USER", "-A DOCKER-USER -j SSE-sse", "-A DOCKER-USER -j RETURN"]

    def stands(chain: list[str], parent: list[str]) -> bool:
        Kernel(monkeypatch, {"iptables": parent, "SSE-sse": chain})
        return firewall.Firewall("sse", str(tmp_path)).stands(rules)

    assert stands(listed, asked)
    assert not stands(listed, asked[:1])
    assert not stands([], asked)
    assert not stands(listed[1:], asked)
    assert not stands([*listed[:-1], listed[-1].replace(firewall.fingerprint(rules), "0" * 16)], asked)


def test_rules_are_replaced_in_one_step_and_signed() -> None:
    text = firewall.restore_text("SSE-sse", [("-s", APP, *firewall.remark("a to b"), *firewall.PASS)])
    lines = text.splitlines()
    assert lines[:3] == [
        "*filter",
        ":SSE-sse - [0:0]",
        f'-A SSE-sse -s {APP} -m comment --comment "a to b" -j RETURN',
    ]
    assert lines[3].startswith('-A SSE-sse -m comment --comment "SSE-sse ')
    assert lines[4:] == ["COMMIT"]


def test_the_longest_stack_name_has_a_chain_that_the_kernel_takes() -> None:
    assert len(firewall.chain("s" * 20)) <= 28
