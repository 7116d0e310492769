"""A release that cannot work: what runs goes on, no client notices, and the first line says what is wrong."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from ansible_collections.sse.platform.tests.integration.crowd import Crowd
from ansible_collections.sse.platform.tests.integration.stack import Stack

STREAMS = 50
CACHE: dict[str, Any] = {
    "listens": [6379],
    "image": "redis",
    "entrypoint": ["redis-server"],
    "command": ["--dir", "/tmp"],
    "user": "6379:6379",
    "tmpfs": {"/tmp": "1m"},
    "memory": "64m",
    "healthcheck": {"command": ["redis-cli", "-e", "ping"], "start": 10},
}
PORT = 18991


def cache(**changes: Any) -> dict[str, Any]:
    return {"services_extra": {"cache": {"containers": {"cache": {**CACHE, **changes}}}}}


class Broken(NamedTuple):
    """One broken release, and what the first lines of the message say of it."""

    settings: dict[str, Any]
    said: str


RELEASES = {
    "its configuration is refused": Broken(
        {"app_environment_extra": {"SSE_MAX_BODY_BYTES": "nonsense"}}, "SSE_MAX_BODY_BYTES"
    ),
    "it is never healthy": Broken(
        cache(healthcheck={"command": ["redis-cli", "-e", "NOPE"], "start": 2}), "unknown command 'NOPE'"
    ),
    "its image is absent": Broken(cache(image="127.0.0.1:1/team/none:1"), "127.0.0.1:1/team/none:1"),
    "its port is taken": Broken(
        cache(ports=[{"host_ip": "127.0.0.1", "host_port": PORT, "container_port": 6379}]), f"Port {PORT} on 127.0.0.1"
    ),
    "a setting of NGINX is misspelt": Broken(
        {"nginx_config_extra": {"server_token": "on"}}, 'unknown directive "server_token"'
    ),
    "its image crashes": Broken({}, "Failed to import encodings"),
}
# The others are in test_change.py and test_reload.py, without clients.
OF_CI = ["its configuration is refused", "its image is absent", "its image crashes"]


@pytest.fixture
def taken() -> Iterator[None]:
    """Somebody else holds the port."""
    with socket.create_server(("127.0.0.1", PORT)):
        yield


@pytest.fixture
def crashing(stack: Stack) -> Iterator[Callable[[], None]]:
    """A function that puts an image that can't run a replica under the name of the replicas' image."""
    name = stack.container("app-1").attrs["Config"]["Image"]
    image = stack.engine.images.get(name)

    def put() -> None:
        made = stack.engine.containers.create(str(image.id), ["true"])
        repository, _, tag = name.rpartition(":")
        made.commit(repository, tag, changes="ENV PYTHONHOME=/nonexistent")
        made.remove()

    yield put
    image.tag(*name.rsplit(":", 1))


def first_lines(output: str) -> str:
    """Return the message's head: the line of the failure and those after it, without the list of what was done."""
    lines = [line for line in output.splitlines() if not line.startswith("    ")]
    at = next(index for index, line in enumerate(lines) if line.startswith("FAILED"))
    return "\n".join(lines[at : at + 4])


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(
    "cases", [pytest.param(OF_CI, id="some"), pytest.param([*RELEASES], id="all", marks=pytest.mark.whole)]
)
def test_what_runs_goes_on_no_client_notices_and_the_message_names_the_cause(
    stack: Stack, crashing: Callable[[], None], cases: list[str]
) -> None:
    stack.up(**cache())
    before = {name: seen[0] for name, seen in stack.ids().items()}
    with Crowd(stack.http_port, STREAMS) as crowd:
        for case in cases:
            broken = RELEASES[case]
            if "crashes" in case:
                crashing()
            output = stack.fail(**{**cache(), **broken.settings})
            assert broken.said in first_lines(output), (case, output)
            assert not crowd.wrong, case
            assert crowd.cut == 0, case
            assert {name: seen[0] for name, seen in stack.ids().items()} == before, case
    assert not crowd.wrong
    failed = [one["error"] for one in stack.live("releases")["runs"] if one["outcome"] == "failed"]
    assert any(RELEASES["its configuration is refused"].said in error for error in failed), failed
