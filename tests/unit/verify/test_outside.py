"""What answers to others, and by what right: judged from plain data, and looked for at listeners of the test's own."""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import containers
import pytest
import scan
from ansible_collections.sse.platform.plugins.module_utils.host import namespace, neighbour
from ansible_collections.sse.platform.plugins.module_utils.verify import outside
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication
from ansible_collections.sse.platform.plugins.modules import scan as module

HOME = "127.0.0.1"
OUTER, OUTER6, INNER, NGINX, REDIS = "192.0.2.5", "2001:db8::5", "10.99.0.1", "10.99.0.10", "10.99.0.11"
NGINX6, CLIENT = "fd00:99::a", "198.51.100.7"


def known(**changes: Any) -> Any:
    """A host in production: nginx on every IPv4 address, Redis on loopback, sshd, and somebody's container."""
    return {
        "outer": [OUTER, OUTER6],
        "inner": [INNER],
        "inside": {NGINX: "sse-nginx", REDIS: "sse-redis-master"},
        "listens": {"sse-nginx": [80, 8080], "sse-redis-master": [6379]},
        "declared": [["0.0.0.0", 80, "sse-nginx"]],
        "allow_from": [],
        "published": [["0.0.0.0", 80, "sse-nginx"], ["127.0.0.1", 6379, "sse-redis-master"], ["::", 8081, "guest"]],
        "listeners": [["0.0.0.0", 22, "sshd (pid 1)"], ["::", 25, "master (pid 2)"], ["::", 8081, "proxy (pid 3)"]],
        "client": CLIENT,
        "allowed": [],
        "nodes": [],
        **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("address", "port", "who", "right"),
    [
        (OUTER, 80, "sse-nginx", "declared"),
        (INNER, 80, "sse-nginx", "declared"),
        (OUTER6, 80, "nobody that can be seen from the host", ""),  # declared for IPv4 alone
        (NGINX, 80, "sse-nginx", ""),  # published is the host's port, not the container's
        (REDIS, 6379, "sse-redis-master", ""),
        (OUTER, 6379, "nobody that can be seen from the host", ""),
        (OUTER, 22, "sshd (pid 1)", "how this host is managed"),
        (OUTER6, 8081, "guest", ""),
        (OUTER, 25, "master (pid 2)", ""),  # :: takes IPv4 too
    ],
)
def test_an_answer_has_the_right_that_is_declared_for_its_address_and_port(
    address: str, port: int, who: str, right: str
) -> None:
    assert outside.right(known(), CLIENT, address, port) == (who, right)


def test_the_ports_of_a_swarm_answer_its_own_hosts_alone() -> None:
    cluster = known(nodes=[CLIENT], listeners=[["0.0.0.0", 2377, "dockerd (pid 7)"]])
    assert outside.right(cluster, CLIENT, OUTER, 2377) == ("dockerd (pid 7)", "for the other hosts of the Swarm")
    assert outside.right(cluster, "203.0.113.9", OUTER, 2377) == ("dockerd (pid 7)", "")
    assert outside.right(known(listeners=cluster["listeners"]), CLIENT, OUTER, 2377)[1] == ""  # one host has no others
    [finding] = outside.judge(cluster, "203.0.113.9", [(OUTER, 2377)])[1]
    assert finding.mend == ("./sse up",)


def test_what_is_allowed_is_no_finding_and_what_is_not_is_one_with_its_mend() -> None:
    answers = {(OUTER, 25), (OUTER6, 8081)}
    found, findings = outside.judge(known(allowed=[25]), CLIENT, answers)
    assert [(one.port, one.right) for one in found] == [(25, "allowed by --allow"), (8081, "")]
    [finding] = findings
    assert (finding.subject, finding.evidence) == ("guest", "it answers")
    assert f"[{OUTER6}]:8081 is open to others" in finding.wrong
    assert "--allow 8081" in finding.mend[0]


@pytest.mark.parametrize(("source", "right"), [("203.0.113.9", "declared"), (CLIENT, ""), ("2001:db8::9", "")])
def test_a_declared_port_has_no_right_to_answer_whom_allow_from_leaves_out(source: str, right: str) -> None:
    assert outside.right(known(allow_from=["203.0.113.0/24"]), source, OUTER, 80)[1] == right


def test_every_port_is_tried_where_others_are_and_what_could_answer_elsewhere() -> None:
    tried = outside.targets(known(), [22, 80, 443, 6379, 8080], ["10.98.0.1"])
    assert {port for address, port in tried if address == "10.98.0.1"} == {22, 80, 443, 6379, 8080}
    assert {port for address, port in tried if address == OUTER6} == {22, 80, 443, 6379, 8080}
    assert {port for address, port in tried if address == INNER} == {22, 80, 6379, 8080}
    assert [one for one in tried if one[0] in {NGINX, REDIS}] == [(NGINX, 80), (NGINX, 8080), (REDIS, 6379)]


def test_knowledge_is_read_from_host_releases_and_containers() -> None:
    host: Any = {
        "networks": [{"device": "br-sse"}, {"device": "docker0"}],
        "interfaces": [
            {"name": "lo", "addresses": ["127.0.0.1/8"]},
            {"name": "eth0", "addresses": [f"{OUTER}/24"]},
            {"name": "br-sse", "addresses": [f"{INNER}/24"]},
            {"name": "lo", "addresses": ["::1/128"]},
            {"name": "eth0", "addresses": [f"{OUTER6}/64"]},
        ],
        "listeners": [
            {"protocol": "udp", "address": "0.0.0.0", "port": 53, "process": "x"},
            {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "process": "sshd (pid 1)"},
        ],
        "ssh_client": CLIENT,
    }
    nginx = {
        "listens": [80],
        "ports": [{"host_ip": "0.0.0.0", "host_port": 80}, {"host_ip": "127.0.0.1", "host_port": 81}],
    }
    release: Any = {"containers": {"sse-nginx": nginx}, "allow_from": ["192.0.2.0/24"]}
    there = [
        outside.Seen("sse-nginx", [NGINX, NGINX6, "", ""], []),
        outside.Seen("guest", ["10.99.0.130", ""], [Publication("::", 8081, 80)]),
    ]
    found = outside.knowledge(host, [release], there, [25])
    assert (found["outer"], found["inner"]) == ([OUTER, OUTER6], [INNER])
    assert found["inside"] == {NGINX: "sse-nginx", NGINX6: "sse-nginx"}
    assert found["declared"] == [("0.0.0.0", 80, "sse-nginx")]
    assert found["listeners"] == [("0.0.0.0", 22, "sshd (pid 1)")]
    assert (found["allow_from"], found["client"], found["allowed"]) == (["192.0.2.0/24"], CLIENT, [25])
    assert found["published"] == [("::", 8081, "guest")]


def test_ports_are_numbers_and_ranges_and_anything_else_is_refused_by_name() -> None:
    assert outside.ports_of("443, 80,8000-8002") == [80, 443, 8000, 8001, 8002]
    assert len(outside.ports_of(outside.ALL_PORTS)) == 65535
    for text in ("", "0", "65536", "80-", "9-8", "http", "1-2-3"):
        with pytest.raises(ValueError, match=r"expected numbers and ranges"):
            outside.ports_of(text)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOME, 0)) as server:
        yield server


def test_who_answers_is_found_among_more_than_one_batch(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "AT_ONCE", 16)
    port = listener.getsockname()[1]
    told: list[tuple[int, int]] = []
    wanted = [(HOME, number) for number in range(max(port - 40, 1), port + 1)]
    assert (HOME, port) in outside.look(wanted, 0.5, lambda *one: told.append(one))
    assert [tried for tried, _ in told] == [16, 32, 41]


def test_a_declared_port_that_is_dead_is_a_finding_and_one_that_hangs_up_is_too(listener: socket.socket) -> None:
    """docker-proxy accepts for a dead container and hangs up: the listener here is closed instead."""
    alive, dead = listener.getsockname()[1], 9
    held: list[Any] = []
    threading.Thread(target=lambda: held.append(listener.accept()), daemon=True).start()
    declared = [[HOME, alive, "sse-nginx"], [HOME, dead, "sse-kafka"]]
    view = outside.view(known(declared=declared, outer=[HOME]), ("here,", HOME), [], [HOME], 0.5)
    assert [(one.port, one.right) for one in view.answers] == [(alive, "declared")]
    assert [(one.subject, one.wrong) for one in view.findings] == [
        ("sse-kafka", f"could not connect to {HOME}:9 from outside")
    ]
    left_out = outside.view(
        known(declared=declared, outer=[HOME], allow_from=["203.0.113.0/24"]), ("here,", HOME), [], [HOME], 0.5
    )
    assert (left_out.answers, left_out.findings) == ([], [])


def remote(name: str) -> containers.Host:
    return containers.Host(ssh=("ssh", "-F", "none", f"root@{name}"), sudo=(), stack="sse")


def test_a_remote_host_is_tried_where_its_name_leads_or_at_an_address_that_it_has() -> None:
    host = remote(OUTER)
    assert scan.reached_at(host, [], known()) == [OUTER]
    assert scan.reached_at(host, [OUTER6], known()) == [OUTER6]
    with pytest.raises(SystemExit, match=rf"not have the address 203.0.113.1: expected one of {OUTER}, {OUTER6}"):
        scan.reached_at(host, ["203.0.113.1"], known())


def test_a_name_that_is_this_machine_is_not_taken_for_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    assert scan.reached_at(remote(HOME), [], known()) == []
    assert "--address names the host's own" in capsys.readouterr().err
    assert scan.reached_at(remote(HOME), [], known(), of_cluster=True) == []
    assert "--address" not in capsys.readouterr().err  # which a cluster does not take


def nowhere(*__: Any, **___: Any) -> None:
    raise OSError("not known")


def test_a_name_without_an_address_ends_the_scan_of_one_host_and_not_that_of_a_cluster(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    unknown = replace(remote("behind-a-jump-host"), name="two")
    with pytest.raises(SystemExit, match=r"gives no address .*\. Give one with --address\.$"):
        scan.reached_at(unknown, [], known())
    assert scan.reached_at(unknown, [], known(), of_cluster=True) == []
    assert "not looking at two from here: the name behind-a-jump-host" in capsys.readouterr().err


def test_this_machine_is_looked_at_from_beside_alone() -> None:
    assert scan.reached_at(containers.Host(ssh=(), sudo=(), stack="sse"), [], known()) == []


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace wants root")


@needs_root
def test_a_neighbour_reaches_the_host_by_its_cable_on_both_families() -> None:
    with neighbour.beside(["198.18.0.0/24", "fd00::/64"]) as beside:
        assert beside.host[0] == "198.18.1.1"
        for address in beside.host:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.create_server((address, 0), family=family) as server:
                port = server.getsockname()[1]
                seen = namespace.inside(beside.pid, lambda a=address, p=port: outside.look([(a, p), (a, 9)], 1.0))
                assert seen == {(address, port)}
                peer = server.accept()[1][0]
                assert peer in beside.own
        link = Path(f"/sys/class/net/beside-{beside.pid}")
        assert link.exists()
    assert not link.exists()


MAKER = """
import sys, time
from ansible_collections.sse.platform.plugins.module_utils.host import neighbour
with neighbour.beside([]) as beside:
    print(beside.pid, flush=True)
    time.sleep(60)
"""


@needs_root
def test_nothing_stays_of_a_neighbour_whose_maker_is_killed() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, env=environment) as maker:
        assert maker.stdout
        holder = int(maker.stdout.readline())
        link = Path(f"/sys/class/net/beside-{holder}")
        assert link.exists()
        with os.fdopen(os.pidfd_open(holder)) as ended:
            maker.kill()
            assert select.select([ended], [], [], 10)[0]
    until = time.monotonic() + 10
    while link.exists():  # the kernel removes a namespace in its own time, and tells nobody
        assert time.monotonic() < until
        time.sleep(0.05)


def test_every_host_of_a_cluster_is_told_with_who_sees_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong: dict[str, Any] = {
        "rule": "open-port",
        "subject": "dockerd",
        "wrong": "2377 is open",
        "evidence": "it answers",
        "mend": ["./sse up"],
        "fixable": False,
        "severity": "",
    }
    open_one = {"lines": ["from a machine beside it,: 1 answers"], "answers": [{"port": 2377}], "findings": [wrong]}
    fine = {"lines": ["from one,: 1 answers"], "answers": [{"port": 2377}], "findings": []}
    found = {
        "beside": {"one": {**open_one, "known": known()}, "two": {**open_one, "known": known()}},
        "from": {"one": {"two": fine}, "two": {"one": fine}},
    }
    asked: dict[str, Any] = {}

    def play(_: Any, name: str, variables: dict[str, Any]) -> int:
        asked.update(variables, name=name)
        Path(variables["scan_to"]).write_text(json.dumps(found))
        return 0

    hosts = [containers.Host(ssh=("ssh", name), sudo=(), stack="sse", name=name) for name in ("one", "two")]
    monkeypatch.setattr(containers, "playbook", play)
    monkeypatch.setattr(containers, "of_cluster", lambda _: hosts)
    monkeypatch.setattr(scan, "reached_at", lambda *_, **__: [])
    options = argparse.Namespace(limit="one,two", address=[], ports="2377", json=True)
    assert scan.cluster(options, [2377], [25]) == 2
    assert asked["name"] == "cluster/scan.yml"
    assert (asked["scan_only"], asked["scan_allow"], options.limit) == (["one", "two"], [25], None)
    document = json.loads(capsys.readouterr().out)
    assert document["answers"] == {
        "one": {"beside": [{"port": 2377}], "two": [{"port": 2377}]},
        "two": {"beside": [{"port": 2377}], "one": [{"port": 2377}]},
    }
    assert [one["subject"] for one in document["findings"]] == ["one: dockerd", "two: dockerd"]
    options.json = False
    assert scan.cluster(options, [2377], []) == 2
    assert "one: dockerd: 2377 is open [open-port]" in capsys.readouterr().out
    monkeypatch.setattr(containers, "playbook", lambda *_: 1)
    assert scan.cluster(options, [2377], []) == 1
    options.address = ["192.0.2.1"]
    with pytest.raises(SystemExit, match="--address is about one host"):
        scan.cluster(options, [2377], [])


def test_a_host_without_a_way_to_another_one_of_its_cluster_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(socket.socket):
        def connect(self, address: Any) -> None:
            raise OSError(101, "Network is unreachable")

    told: dict[str, Any] = {}
    monkeypatch.setattr(module.socket, "socket", Lost)
    monkeypatch.setattr(module.outside, "look", lambda *_: set())
    monkeypatch.setattr(module.outside.tcp, "hindered", lambda *_: "Network is unreachable")
    others = {"two": known(declared=[[OUTER, 80, "sse-nginx"]]), "one": known()}
    params = {"others": others, "addresses": {"two": OUTER}, "own": "one"}
    module.look_at(cast("Any", SimpleNamespace(params=params, exit_json=lambda **given: told.update(given))), [80])
    assert [one["wrong"] for one in told["views"]["two"]["findings"]] == [
        f"could not connect to {OUTER}:80 from outside"
    ]
