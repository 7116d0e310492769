"""One line a record, whoever writes it and whatever a client has put into it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys

import pytest
from sse_harness import APP, eventually, fetch

from sse_app.base.log_lines import JsonLines, TextLines


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, message, args, exc_info)


@pytest.mark.parametrize("hostile", ["a\nb", '"}', "\ud800", "\x00\x1b[31m", "é\u2028", "x" * 100_000])
def test_a_line_is_one_json_object_of_bounded_length(hostile: str) -> None:
    line = JsonLines("r").format(record("path %s", hostile))
    assert "\n" not in line
    assert len(line) < 16_000
    document = json.loads(line)
    assert list(document) == ["time", "level", "logger", "message", "replica"]
    assert (document["level"], document["logger"], document["replica"]) == ("error", "uvicorn.error", "r")
    assert document["message"] == f"path {hostile}".strip()[:4000]
    assert document["time"].endswith("+00:00")


@pytest.mark.parametrize("hostile", ["a\nb", "\ud800", "\x00\x1b[31m", "é\u2028\x85\r", "x" * 100_000])
def test_a_line_of_text_is_one_line_of_what_can_be_shown(hostile: str) -> None:
    line = TextLines().format(record("path %s", hostile))
    assert line.isprintable()
    assert len(line) < 16_000
    assert TextLines().format(record("path %s", "/é 1")).endswith("ERROR uvicorn.error: path /é 1")


def test_an_exception_is_one_field_that_ends_with_the_error() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError("the end")

    try:
        fail(200)
    except ValueError as error:
        line = JsonLines("r").format(record("Exception in ASGI application\n", error=error))
    document = json.loads(line)
    assert document["message"] == "Exception in ASGI application"
    assert document["exception"].endswith("ValueError: the end")
    assert len(line) < 16_000


@pytest.mark.parametrize("kind", ["json", "text"])
def test_everything_that_the_process_says_goes_one_way(kind: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SSE_HOST": "127.0.0.1", "SSE_PORT": str(port), "SSE_REPLICA": "r-1"}
    environment |= {"SSE_LOG_FORMAT": kind, "SSE_DRAIN_SECONDS": "0", "PYTHONWARNINGS": "always"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sse_app"], cwd=APP, env=environment, stderr=subprocess.PIPE, text=True
    )

    def live() -> bool:
        try:
            return fetch(f"http://127.0.0.1:{port}/health/live").status == 200
        except OSError:
            return False

    try:
        eventually(live)
        assert fetch(f"http://127.0.0.1:{port}/nowhere", headers={"X-Request-ID": "id-1"}).status == 404
        process.send_signal(signal.SIGTERM)
        lines = process.communicate(timeout=60)[1].splitlines()
    finally:
        process.kill()
    if kind == "text":
        assert [line for line in lines if line.endswith("404 to GET /nowhere: nothing is here (request id-1)")]
        return
    documents = [json.loads(line) for line in lines]
    assert {one["replica"] for one in documents} == {"r-1"}
    assert {one["logger"] for one in documents} >= {"uvicorn.error", "sse_app.server", "sse_app.base.problem"}
    [refused] = [one for one in documents if one.get("request_id")]
    assert (refused["request_id"], refused["message"]) == (
        "id-1",
        "404 to GET /nowhere: nothing is here",
    )


def test_what_ends_the_process_is_a_line_too() -> None:
    code = """
from sse_app.base import log_lines
from sse_app.base.settings import Settings
log_lines.configure(Settings(log_format="json"))
raise RuntimeError("the end")
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=APP, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    document = json.loads(ended.stderr)
    assert (document["level"], document["exception"].splitlines()[-1]) == ("critical", "RuntimeError: the end")
