"""New settings and certificates of NGINX, and its replacement, as clients see them."""

from __future__ import annotations

import collections
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from ansible_collections.sse.platform.tests import certificates
from ansible_collections.sse.platform.tests.integration.stack import Run, Stack, eventually

STREAMS = 20
REQUEST_SECONDS = 20.0  # a connection may wait while NGINX is replaced


class Clients:
    """Streams that stay open, and requests that each open a connection of their own, until the block ends."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.ended = threading.Event()
        self.answers: collections.Counter[object] = collections.Counter()
        self.cut = 0  # streams that NGINX ended
        self.heard = [0] * STREAMS

    def __enter__(self) -> Clients:
        self.threads = [threading.Thread(target=self.listen, args=(one,)) for one in range(STREAMS)]
        self.threads += [threading.Thread(target=self.ask) for _ in range(3)]
        for thread in self.threads:
            thread.start()
        eventually(lambda: all(self.heard), "every stream has heard an event")
        return self

    def __exit__(self, *_: object) -> None:
        before = list(self.heard)
        eventually(
            lambda: self.cut > 0 or all(now > then for now, then in zip(self.heard, before, strict=True)),
            "every stream still hears events",
        )
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def ask(self) -> None:
        while not self.ended.is_set():
            try:
                event = {"channel": "it.reload", "event": "test", "data": 1}
                url = f"http://127.0.0.1:{self.stack.http_port}/api/v1"
                self.answers[httpx.post(f"{url}/events", json=event, timeout=REQUEST_SECONDS).status_code] += 1
                self.answers[httpx.get(f"{url}/health/live", timeout=REQUEST_SECONDS).status_code] += 1
            except httpx.HTTPError as error:
                self.answers[repr(error)] += 1
            self.ended.wait(0.1)

    def listen(self, number: int) -> None:
        with socket.create_connection(("127.0.0.1", self.stack.http_port), timeout=REQUEST_SECONDS) as stream:
            stream.sendall(b"GET /api/v1/stream?channel=it.reload HTTP/1.1\r\nHost: it\r\n\r\n")
            while not self.ended.is_set():
                try:
                    part = stream.recv(65536)
                except OSError:
                    part = b""
                if not part:
                    self.cut += 1
                    return
                self.heard[number] += part.count(b"\nid: ")


def certificate(directory: Path) -> dict[str, str]:
    """Make a certificate and its key; return the settings that name them."""
    chain, key = directory / "new.pem", directory / "new.key"
    certificates.make(chain, key, subject="renewed")
    return {"nginx_certificate": str(chain), "nginx_certificate_key": str(key)}


def seen(stack: Stack) -> tuple[str, str]:
    """Return the name of the server and the certificate that a client gets."""
    server = stack.api("/health/live").headers["server"]
    return server, ssl.get_server_certificate(("127.0.0.1", stack.http_port + 1)).strip()


class Changed(NamedTuple):
    """What a run did that changed one setting and renewed the certificate, under streams and requests."""

    stack: Stack
    run: Run
    clients: Clients
    settings: dict[str, Any]
    before: dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def changed(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changed]:
    settings: dict[str, Any] = {
        "nginx_config_extra": {"server_tokens": "on"},
        **certificate(tmp_path_factory.mktemp("certificates")),
    }
    image = deployed.container("nginx").attrs["Image"]
    labels = {f"sse.platform.{key}": value for key, value in (("stack", "it"), ("project", "it-platform"))}
    before = deployed.ids()
    deployed.engine.containers.create(image, ["true"], name="it-nginx-trial", labels=labels)  # of a killed run
    with Clients(deployed) as clients:
        run = deployed.up(**settings)
    yield Changed(deployed, run, clients, settings, before)
    deployed.up()


@pytest.fixture
def stack(changed: Changed) -> Stack:
    return changed.stack


def test_clients_see_the_new_setting_and_certificate_and_lose_nothing(stack: Stack, changed: Changed) -> None:
    _, run, clients, settings, before = changed
    assert "> reload it-nginx: " in run.output
    assert "config./etc/nginx.nginx.conf: content" in run.output
    assert "- it-nginx-trial: left by an interrupted run" in run.output
    assert (set(clients.answers), clients.cut) == ({202, 200}, 0), clients.answers
    server, served = seen(stack)
    assert server.startswith("nginx/1.")
    assert served == Path(settings["nginx_certificate"]).read_text().strip()
    assert stack.ids() == before


def test_the_second_run_finds_nothing(stack: Stack, changed: Changed) -> None:
    run = stack.up(**changed.settings)
    assert run.unchanged, run.output
    drift = stack.play("drift", **changed.settings)
    assert drift.code == 0, drift.output


def test_a_typo_is_refused_with_its_line_and_nothing_is_touched(stack: Stack, changed: Changed) -> None:
    before, served = stack.ids(), seen(stack)
    wrong = {**changed.settings, "nginx_config_extra": {"server_token": "on"}}
    with Clients(stack) as clients:
        preview = stack.fail("--check", **wrong)
        output = stack.fail(**wrong)
    assert "unknown directive" in preview
    assert 'unknown directive "server_token" in /etc/nginx/nginx.conf:' in output
    assert "of /etc/nginx/nginx.conf is: server_token on;" in output
    assert "nothing was touched" in output
    assert (stack.ids(), seen(stack)) == (before, served)
    assert (set(clients.answers), clients.cut) == ({202, 200}, 0), clients.answers


def test_the_verb_reads_the_files_again_and_refuses_what_cannot(stack: Stack) -> None:
    before = stack.ids()
    run = stack.play("reload", asked_services=["nginx", "prometheus"])
    assert run.code == 0, run.output
    assert "it-nginx has read its files anew" in run.output
    assert stack.ids() == before
    refused = stack.play("reload", asked_services=["app"])
    assert refused.code != 0
    assert "These can: kafka, nginx, performance-dashboard, prometheus, redis-master." in refused.output


def test_a_replacement_refuses_no_connection(stack: Stack, changed: Changed) -> None:
    before = stack.container("nginx").id
    with Clients(stack) as clients:
        run = stack.up(**changed.settings, nginx_memory="600m")
    assert "~ it-nginx: " in run.output  # its configuration says how many bodies its memory holds
    assert stack.container("nginx").id != before
    assert set(clients.answers) == {202, 200}, clients.answers
    assert clients.cut == STREAMS
    rules = subprocess.run(["iptables", "-t", "raw", "-S"], capture_output=True, text=True, check=True).stdout
    assert "it-nginx" not in rules
