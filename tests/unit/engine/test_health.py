"""Whether a container counts as healthy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
from ansible_collections.sse.platform.plugins.module_utils.engine.health import http_check, passed_lately, question
from ansible_collections.sse.platform.plugins.module_utils.model.types import HealthCheck, HttpCheck


def checked(seconds_ago: float, code: int = 0, status: str = "healthy") -> dict[str, Any]:
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    local = ended.astimezone(dt.timezone(dt.timedelta(hours=2)))
    text = local.strftime("%Y-%m-%dT%H:%M:%S.123456789+02:00")
    return {
        "State": {"Health": {"Status": status, "Log": [{"ExitCode": 1, "End": ""}, {"ExitCode": code, "End": text}]}}
    }


@pytest.mark.parametrize(
    ("inspected", "lately"),
    [
        (lambda: checked(3), True),
        (lambda: checked(20), False),
        (lambda: checked(3, code=1), False),
        (lambda: checked(3, status="starting"), False),
        (lambda: {"State": {"Health": {"Status": "healthy", "Log": []}}}, False),
        (lambda: {"State": {}}, False),
    ],
    ids=["passed", "too long ago", "failed last", "not healthy yet", "never ran", "no check"],
)
def test_the_engines_own_check_counts_only_while_it_is_fresh(
    inspected: Callable[[], dict[str, Any]], lately: bool
) -> None:
    assert passed_lately(cast("Inspected", inspected()), 10) is lately


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()
        self.wfile.write(b"said")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


def test_only_an_answer_of_2xx_is_healthy_and_every_answer_is_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_port
        assert http_check("127.0.0.1", port, "/204", 5)[0]
        assert http_check("127.0.0.1", port, "/302", 5) == (False, f"GET /302 on port {port}: 302 said")
        server.shutdown()
    healthy, answer = http_check("127.0.0.1", port, "/200", 5)
    assert (healthy, "Connection refused" in answer) == (False, True)


@pytest.mark.parametrize(
    ("command", "http", "expected"),
    [
        (["redis-cli", "ping"], None, "redis-cli ping"),
        (None, {"port": 8000, "path": "/health"}, "GET /health"),
    ],
)
def test_the_question_of_a_health_check_is_its_command_or_its_request(
    command: list[str] | None, http: HttpCheck | None, expected: str
) -> None:
    check: HealthCheck = {
        "command": command,
        "http": http,
        "interval": 5,
        "timeout": 5,
        "retries": 3,
        "start": 30,
    }
    assert question(check) == expected
