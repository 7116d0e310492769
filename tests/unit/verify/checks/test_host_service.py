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
