"""Published ports that do not answer, and services on the host."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    BRIDGE,
    ELSEWHERE,
    KAFKA,
    NETWORK,
    NGINX,
    OURS,
    PORT,
    RULES,
    Changes,
    changed,
    expect_finding,
    findings,
    short,
    with_kafka,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {
                "ports": [PORT._replace(error="refused")],
                "containers": [changed(NGINX, inside={"listening": [("127.0.0.1", 80)]}), APP, KAFKA],
            },
            "listens-on-loopback",
            "sse-nginx",
            "127.0.0.1 only",
            "0.0.0.0:80",
        ),
        (
            {
                "ports": [PORT._replace(error="refused")],
                "containers": [changed(NGINX, inside={"listening": []}), APP, KAFKA],
            },
            "not-listening",
            "sse-nginx",
            "does not listen on port 80",
            "docker logs",
        ),
        (
            {
                "ports": [PORT._replace(error="nobody accepts the connection")],
                "host": {"engine": {"userland_proxy": False}, "daemon_json": {"iptables": False}},
            },
            "rules-flushed",
            "sse-nginx",
            '"iptables" and "userland-proxy" are false',
            "remove one of the two lines from /etc/docker/daemon.json",
        ),
        (
            {
                "ports": [PORT._replace(error="timed out")],
                "rules": RULES + "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 8080 -j DROP\n",
            },
            "firewall",
            "sse-nginx",
            "raw OUTPUT",
            "iptables -t raw -D OUTPUT",
        ),
        (
            {
                "ports": [PORT._replace(error="refused")],
                "host": {"engine": {"userland_proxy": True}, "daemon_json": {}},
            },
            "docker-proxy",
            "sse-nginx",
            "no docker-proxy listens on 8080",
            "docker restart sse-nginx",
        ),
        (
            {"ports": [PORT._replace(error="refused")]},
            "unexplained",
            "sse-nginx",
            "no firewall rule blocks it",
            "docker logs",
        ),
        (
            {
                "containers": with_kafka(wanted=[Publication("127.0.0.1", 9094, 9094)], labels={}),
                "networks": [changed(NETWORK, internal=True), BRIDGE],
            },
            "not-published",
            "sse-kafka",
            "internal networks only",
            "docker network connect bridge sse-kafka",
        ),
        (
            {"containers": with_kafka(wanted=[Publication("127.0.0.1", 9094, 9094)])},
            "not-published",
            "sse-kafka",
            "publishes it nowhere",
            "./sse up",
        ),
        (
            {
                "containers": with_kafka(
                    running=False,
                    inside=None,
                    wanted=[Publication("127.0.0.1", 8080, 1)],
                    error="Bind failed: port is already allocated",
                ),
                "connections": [],
            },
            "port-bound",
            "sse-kafka",
            "container sse-nginx",
            "docker stop sse-nginx",
        ),
        (
            {
                "containers": with_kafka(
                    running=False,
                    inside=None,
                    wanted=[Publication("0.0.0.0", 22, 1)],
                    error="bind: address already in use",
                ),
                "connections": [],
                "host": {"listeners": [{"protocol": "tcp", "address": "::", "port": 22, "process": "sshd (pid 9)"}]},
            },
            "port-bound",
            "sse-kafka",
            "sshd (pid 9)",
            "kill 9",
        ),
        (
            {
                "bind": "0.0.0.0",
                "containers": [changed(NGINX, labels={**OURS, "sse.platform.service": "nginx"}), APP, KAFKA],
            },
            "port-on-loopback",
            "sse-nginx",
            "ask for 0.0.0.0",
            "./sse up",
        ),
        (
            {
                "containers": with_kafka(
                    mode="host",
                    networks={"host": {**ELSEWHERE["other"], "id": "n0"}},
                    inside={"listening": [("127.0.0.1", 1)]},
                ),
                "connections": [],
            },
            "host-mode-on-loopback",
            "sse-kafka",
            "127.0.0.1:1",
            "172.17.0.1",
        ),
        (
            {
                "containers": with_kafka(host_ports=[8000], inside={"hosts": {"host.docker.internal": "172.17.0.1"}}),
                "host": {"listeners": [{"protocol": "tcp", "address": "127.0.0.1", "port": 8000, "process": ""}]},
            },
            "host-service",
            "sse-kafka",
            "listens on loopback only",
            "172.17.0.1:8000",
        ),
        (
            {"containers": with_kafka(host_ports=[8000], inside={"hosts": {"host.docker.internal": "172.17.0.1"}})},
            "host-service",
            "sse-kafka",
            "nothing listens on port 8000",
            "172.17.0.1:8000",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_on_wsl2_a_dead_port_tells_what_windows_needs() -> None:
    """By its words alone: no Windows is at hand."""
    (finding,) = findings({"ports": [PORT._replace(error="refused")], "kernel": "5.15.1-microsoft-standard-WSL2"})
    text = "\n".join(finding.mend)
    assert "localhost:8080" in text
    assert "netsh interface portproxy add v4tov4 listenport=8080" in text
    assert "netsh advfirewall firewall add rule" in text


@pytest.mark.parametrize("stack", ["sse", "other"])
def test_no_command_removes_a_rule_that_a_stack_declares(stack: str) -> None:
    """What keeps containers from the host's 127.0.0.1 is in the way of no port, and is removed by nobody."""
    guard = f"-A PREROUTING -d 127.0.0.0/8 ! -i lo -m comment --comment SSE-{stack} -j DROP"
    rules = RULES + f"*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{guard}\n"
    [found] = findings({"ports": [PORT._replace(error="timed out")], "rules": rules})
    assert found.rule == "unexplained"
    # Where the host's address on the network is not known, the answer may be one to 127.0.0.1.
    given = {"ports": [PORT._replace(error="timed out")], "rules": rules}
    [found] = findings({**given, "networks": [changed(NETWORK, gateway=""), BRIDGE]})
    assert found.rule == "firewall"
    assert all(line.startswith("#") for line in found.mend)
