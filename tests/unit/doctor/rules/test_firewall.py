"""The firewall's rules: the engine's, and the stack's own."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import SHARED, Lost
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    EMPTY,
    FIREWALL,
    PORT,
    RULES,
    Changes,
    expect_finding,
    findings,
    short,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {"rules": RULES.replace("-A POSTROUTING", "-A NOTHING")},
            "rules-flushed",
            "sse-network",
            "no MASQUERADE of 10.99.0.0/24",
            "restart docker",
        ),
        (
            {"rules": RULES.replace("-A DOCKER -d", "-A NOTHING -d")},
            "rules-flushed",
            "sse-network",
            "no DNAT of 127.0.0.1:8080",
            "restart docker",
        ),
        (
            {"rules": RULES.replace("-A FORWARD -i", "-A NOTHING -i")},
            "rules-flushed",
            "sse-network",
            "no ACCEPT",
            "restart docker",
        ),
        (
            {"firewall": FIREWALL._replace(in_place=False)},
            "firewall-open",
            "SSE-sse",
            "no rule leads to it",
            "sh /var/lib/sse-platform/firewall",
        ),
        (
            {"firewall": FIREWALL._replace(in_place=False, script="")},
            "firewall-open",
            "SSE-sse",
            "no rule leads to it",
            "./sse up",
        ),
        (
            {"firewall": FIREWALL._replace(in_place=False, bypass="nothing in FORWARD calls DOCKER-USER")},
            "firewall-open",
            "SSE-sse",
            "nothing in FORWARD calls DOCKER-USER",
            "./sse up",
        ),
        (
            {"firewall": FIREWALL._replace(in_place=False, guarded=False)},
            "firewall-open",
            "SSE-sse",
            "keeps containers from servers on the host's 127.0.0.1",
            "sh /var/lib/sse-platform/firewall",
        ),
        ({"rules": EMPTY}, "rules-flushed", "iptables", "no chain nat DOCKER", "restart docker"),
        (
            {"rules": f"#iptables\n{EMPTY}#iptables-nft\n{RULES}"},
            "iptables-mix",
            "iptables",
            "shown by iptables-nft",
            "update-alternatives --set iptables /usr/sbin/iptables-nft",
        ),
        (
            {"rules": f"#iptables\n{RULES}#iptables-legacy\n{RULES.replace('br-sse', 'br-old')}"},
            "iptables-mix",
            "iptables",
            "shown by iptables and by iptables-legacy",
            "iptables-legacy -P FORWARD ACCEPT",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


@pytest.mark.parametrize(("subject", "fixable"), [("sse-network", True), (SHARED, False)])
def test_rules_that_a_run_has_written_down_come_back_without_a_restart(subject: str, fixable: bool) -> None:
    wrong = "a rule of the engine is gone: nat POSTROUTING: -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE"
    lost = Lost("rules-gone", subject, wrong, "iptables-save", ("iptables -w -t nat -I POSTROUTING 1 ...",))
    rules = EMPTY if subject == SHARED else RULES.replace("-A POSTROUTING", "-A NOTHING")
    [found] = findings({"rules": rules, "host_side": [lost], "ports": [PORT._replace(error="timed out")]})
    assert found == Finding("rules-flushed", subject, wrong, "iptables-save", lost.mend, fixable, "critical")
