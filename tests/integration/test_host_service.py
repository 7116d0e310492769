"""The dashboard over a service that runs on the host itself, in a container's eyes at host.docker.internal."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack, eventually

REPLICA = "on-the-host"


def docker0() -> str:
    shown = subprocess.run(["ip", "-json", "-4", "address", "show", "docker0"], capture_output=True, check=True).stdout
    return str(json.loads(shown)[0]["addr_info"][0]["local"])


def free_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def service(address: str, port: int) -> Iterator[None]:
    """``python -m sse_app`` as a developer runs it."""
    environment = {**os.environ, "SSE_HOST": address, "SSE_PORT": str(port), "SSE_REPLICA": REPLICA}
    with subprocess.Popen([sys.executable, "-m", "sse_app"], cwd=ROOT / "app", env=environment) as process:
        try:
            eventually(lambda: answers(f"http://{address}:{port}"), "the service on the host answers")
            yield
        finally:
            process.terminate()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/api/v1/health/ready").status_code == 200
    return False


def shown_by_the_dashboard(stack: Stack) -> str:
    port = stack.variables["dashboard_port"]
    return httpx.get(f"http://127.0.0.1:{port}/api/v1/health/live", timeout=5).headers.get("X-Replica", "")


def test_the_dashboard_shows_a_service_on_the_host_and_the_proof_tells_where_it_must_listen(stack: Stack) -> None:
    assert shown_by_the_dashboard(stack).startswith(f"{stack.name}-app-")
    address = docker0()
    port = free_port(address)
    variables = {"dashboard_api": "host", "dashboard_api_port": port}
    assert f"nothing listens on port {port} of the host" in stack.fail(**variables)
    with service("127.0.0.1", port):
        assert "listens on loopback only" in stack.verify().output
    with service(address, port):
        assert stack.verify().code == 0
        assert shown_by_the_dashboard(stack) == REPLICA
    stack.up()
    assert shown_by_the_dashboard(stack).startswith(f"{stack.name}-app-")
