"""`command: http`: the engine asks inside the container what the host asks over HTTP."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import spec

SMALLEST = {"image": "redis", "entrypoint": ["redis-server"], "user": "1:1"}


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.rpartition("/")[2]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def command(port: int, path: str) -> list[str]:
    check = {"command": "http", "http": {"port": port, "path": path}}
    return spec.parse({**SMALLEST, "healthcheck": check}, "here")["healthcheck"]["command"] or []


def ended(words: list[str], **environment: str) -> int:
    return subprocess.run(words, env={**os.environ, **environment}, check=False, capture_output=True).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (204, True), (302, False), (404, False), (503, False)])
def test_only_an_answer_of_2xx_is_healthy(port: int, status: int, healthy: bool) -> None:
    assert (ended(command(port, f"/a/{status}")) == 0) == healthy


def test_nobody_there_is_not_healthy() -> None:
    assert ended(command(1, "/200")) != 0


def test_an_image_without_bash_is_asked_by_wget(tmp_path: Path) -> None:
    """As busybox has it; its answer is the end of the check."""
    (tmp_path / "sh").symlink_to("/bin/sh")
    for name, code in (("wget", 7),):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\nexit {code}\n')
        (tmp_path / name).chmod(0o755)
    assert ended(command(81, "/health"), PATH=str(tmp_path)) == 7
    assert (tmp_path / "asked").read_text().split()[-1] == "http://127.0.0.1:81/health"


def test_a_program_of_the_name_http_is_a_command() -> None:
    check = {"command": ["http"], "http": {"port": 1}}
    assert spec.parse({**SMALLEST, "healthcheck": check}, "here")["healthcheck"]["command"] == ["http"]
