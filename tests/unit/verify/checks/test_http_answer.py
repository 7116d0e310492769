"""What counts as an answer of a published port."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import http_answer

PLAIN, SECURE = Endpoint("proxy", "127.0.0.1", 80), Endpoint("proxy", "127.0.0.1", 443, tls=True)


@pytest.mark.parametrize(
    ("ports", "statuses", "verified"),
    [
        ([PLAIN, SECURE], {80: 200, 443: 200}, 2),
        ([PLAIN, SECURE], {80: 308, 443: 200}, 2),
        ([PLAIN, SECURE], {80: 403, 443: 200}, 2),  # plain HTTP is refused
        ([PLAIN, SECURE], {80: 403, 443: 403}, 1),
        ([PLAIN], {80: 403}, 0),
        ([PLAIN, SECURE], {80: 503, 443: 200}, 1),
    ],
)
def test_plain_http_may_be_refused_where_https_answers(
    monkeypatch: pytest.MonkeyPatch, ports: list[Endpoint], statuses: dict[int, int], verified: int
) -> None:
    monkeypatch.setattr(http_answer, "request", lambda one, *_, **__: Answer(statuses[one.port], ""))
    running: Any = SimpleNamespace(published=lambda _: ports)
    found = http_answer.check(running, [], {"port": None, "through": "proxy", "path": "/"})
    assert (found.verified, len(found.findings)) == (verified, len(ports) - verified)
