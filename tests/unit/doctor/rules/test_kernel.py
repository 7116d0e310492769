"""The kernel and the disks below the engine."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import Lost
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    DISK,
    GIB,
    Changes,
    expect_finding,
    short,
)


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        (
            {"ip_forward": "0"},
            "ip-forward",
            "kernel",
            "net.ipv4.ip_forward = 0",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        ({"bridge_nf_call_iptables": "0"}, "bridge-nf", "kernel", "userland-proxy is off", "bridge-nf-call-iptables=1"),
        ({"bridge_nf_call_iptables": ""}, "bridge-nf", "kernel", "br_netfilter is not loaded", "modprobe br_netfilter"),
        (
            {"disks": [DISK._replace(bytes_free=GIB // 2)]},
            "disk-full",
            "/",
            "512 MiB of 20480 MiB",
            "docker system df",
        ),
        ({"disks": [DISK._replace(inodes_free=9)]}, "inodes-full", "/", "9 of 1000 inodes", "--inodes"),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [("ip-forward", "net.ipv6.conf.all.forwarding is 0"), ("bridge-nf", "net.bridge.bridge-nf-call-ip6tables is 0")],
)
def test_each_switch_that_the_engine_had_set_is_looked_after(rule: str, wrong: str) -> None:
    lost = Lost(rule, "kernel", f"{wrong}, and the engine needs 1", "/proc/sys/net", ("echo 1 >/proc/sys/net",))
    expect_finding({"host_side": [lost]}, rule, "kernel", wrong, "echo 1 >")
