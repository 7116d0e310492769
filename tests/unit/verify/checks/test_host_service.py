"""Why a container does not reach a service on the host: the cases are told apart."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import host_service

DOCKER0 = "172.17.0.1"


@pytest.mark.parametrize(
    ("listening", "why", "mend"),
    [
        ([], "nothing listens", f"listen on {DOCKER0}:8000"),
        ([Listener(DOCKER0, 8001)], "nothing listens", f"listen on {DOCKER0}:8000"),
        ([Listener("127.0.0.1", 8000)], "loopback only", f"listen on {DOCKER0}:8000"),
        ([Listener("127.0.0.1", 8000), Listener("::1", 8000)], "loopback only", f"listen on {DOCKER0}:8000"),
        ([Listener("192.0.2.7", 8000)], "listens on 192.0.2.7 only", f"listen on {DOCKER0}:8000"),
        ([Listener(DOCKER0, 8000)], "a firewall", "iptables -I INPUT"),
        ([Listener("0.0.0.0", 8000)], "a firewall", "iptables -I INPUT"),
        ([Listener("::", 8000)], "a firewall", "iptables -I INPUT"),
    ],
)
def test_who_listens_where_tells_why_nobody_answers(listening: list[Listener], why: str, mend: str) -> None:
    told, advice = host_service.diagnose(listening, DOCKER0, 8000)
    assert why in told
    assert mend in advice


@pytest.mark.parametrize(
    ("address", "wrong", "mend"),
    [
        ("", "is missing", "docker rm -f s-web"),
        ("<nil>", "has no address", "systemctl restart docker"),
        ("invalid", "has no address", "systemctl restart docker"),
    ],
)
def test_a_host_without_an_address_is_a_finding_and_ends_no_run(address: str, wrong: str, mend: str) -> None:
    found = host_service.unnamed("s-web", address)
    assert found
    assert wrong in found.wrong
    assert found.mend[0] == mend
    assert host_service.unnamed("s-web", DOCKER0) is None
    assert host_service.unnamed("s-web", "fd00::1") is None
