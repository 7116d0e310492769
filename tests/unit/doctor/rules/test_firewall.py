"""The firewall's rules: the engine's, and the stack's own."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    EMPTY,
    FIREWALL,
    RULES,
    Changes,
    expect_finding,
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
