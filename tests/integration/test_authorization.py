"""A stack that asks for credentials: what a key opens, what its removal ends, and where it never shows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.browser import chromium, see_the_control_room
from ansible_collections.sse.platform.tests.integration.stack import Stack
from sse_app import keys


def make(path: Path, name: str, *patterns: str) -> str:
    """A key, as `./sse key` makes it."""
    key, entry = keys.make(name, patterns, patterns)
    path.write_text(json.dumps({"keys": [*held(path), entry]}))
    return key


def held(path: Path) -> list[dict[str, Any]]:
    """What a file of keys holds."""
    return json.loads(path.read_text())["keys"] if path.exists() else []


class Client:
    """Asks through nginx with a key."""

    def __init__(self, stack: Stack, key: str) -> None:
        self.base = f"http://127.0.0.1:{stack.http_port}/api/v1"
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def publish(self, channel: str) -> int:
        event = {"channel": channel, "data": 1}
        return httpx.post(f"{self.base}/events", json=event, headers=self.headers, timeout=15).status_code

    def ticket(self) -> str:
        return str(httpx.post(f"{self.base}/tickets", headers=self.headers, timeout=5).json()["ticket"])

    def until(self, wanted: str, query: str, *, cursor: str = "", react: Any = lambda: None) -> str:
        """Read a stream until something is in it; `react` runs after the first block. Returns all that came."""
        headers = {**self.headers, **({"Last-Event-ID": cursor} if cursor else {})}
        text = ""
        with httpx.stream("GET", f"{self.base}/stream?{query}", headers=headers, timeout=60) as response:
            assert response.status_code == 200
            for part in response.iter_text():
                first, text = not text, text + part
                if first:
                    react()
                if wanted in text:
                    return text
        raise AssertionError(f"the stream ended without {wanted}: {text}")


@pytest.fixture(scope="module")
def guarded(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path]]:
    """The session's stack with authorization on, and its file of keys; put back afterwards."""
    path = tmp_path_factory.mktemp("auth") / "keys.json"
    make(path, "nobody", "it.nobody")
    deployed.up(app_auth=True, app_keys_file=str(path))  # its proof publishes and subscribes by a key of its own
    yield deployed, path
    deployed.up()


def test_keys_open_rotate_and_close_without_a_container_being_recreated(guarded: tuple[Stack, Path]) -> None:
    stack, path = guarded
    asked = {"app_auth": True, "app_keys_file": str(path)}
    before = stack.ids()
    first, second = Client(stack, make(path, "first", "it.*")), Client(stack, make(path, "second", "it.*"))
    stack.up(**asked)
    assert stack.verify().code == 0
    assert [Client(stack, "").publish("it.auth"), first.publish("it.auth"), first.publish("other")] == [401, 202, 403]

    ticket = first.ticket()
    query = f"channel=it.auth&ticket={ticket}"
    anonymous = Client(stack, "")
    seen = anonymous.until("data: 1", query, react=lambda: second.publish("it.auth"))
    cursor = seen.rpartition("id: ")[2].strip()
    second.publish("it.auth")
    for _ in range(3):  # on whichever replica
        assert "data: 1" in anonymous.until("data: 1", query, cursor=cursor)

    path.write_text(json.dumps({"keys": [one for one in held(path) if one["name"] != "first"]}))
    third = Client(stack, make(path, "third", "it.*"))
    runs: list[Any] = []
    gone = first.until('{"reason":"revoked"}', "channel=it.auth", react=lambda: runs.append(stack.up(**asked)))
    assert "event: bye" in gone
    assert f"> mend {stack.name}-app-1: /run/auth/keys.json: content" in runs[0].output
    assert stack.ids() == before
    assert [one.publish("it.auth") for one in (first, second, third)] == [401, 202, 202]
    assert (again := stack.up(**asked)).unchanged, again.output

    good = path.read_text()
    path.write_text('{"keys": [{"name": "x"}]}')
    assert "keys[0]: expected name, sha256" in stack.fail(**asked)
    path.write_text(good)
    assert second.publish("it.auth") == 202


def test_the_keys_that_sign_and_that_verify_uses_are_rotated_with_and_without_an_overlap(
    guarded: tuple[Stack, Path],
) -> None:
    stack, path = guarded
    client, asked = Client(stack, make(path, "rotating", "it.*")), {"app_auth": True, "app_keys_file": str(path)}
    stack.up(**asked)
    before, ticket = stack.ids(), client.ticket()

    def begins() -> int:
        query = f"{client.base}/stream?channel=it.auth&ticket={ticket}"
        with httpx.stream("GET", query, timeout=15) as response:
            return response.status_code

    kept = stack.play("rotate", asked_secret="app_ticket_key", asked_keep_old=True, **asked)
    assert "tickets: the new key works, beside the old one" in kept.output
    assert begins() == 200
    gone = stack.play("rotate", asked_secret="app_ticket_key", **asked)
    assert "tickets: the new key works, and the old one does not" in gone.output
    assert begins() == 401
    proof = stack.play("rotate", asked_secret="app_proof_key", **asked)
    assert proof.output.count("the old key is refused") == 3
    assert stack.ids() == before


@pytest.mark.skipif(not chromium(), reason="chromium is not installed")
def test_the_control_room_shows_all_with_a_key_and_says_of_another_one_that_it_is_not_accepted(
    guarded: tuple[Stack, Path],
) -> None:
    stack, path = guarded
    key = make(path, "room", "*")
    stack.up(app_auth=True, app_keys_file=str(path))
    see_the_control_room(stack, key)


def test_neither_key_nor_ticket_shows_in_a_release_or_log_even_where_a_replica_dies(
    guarded: tuple[Stack, Path],
) -> None:
    stack, path = guarded
    client = Client(stack, make(path, "reader", "it.*"))
    stack.up(app_auth=True, app_keys_file=str(path))
    ticket = client.ticket()
    anonymous = Client(stack, "")

    def kill() -> None:
        for replica in (1, 2, 3):
            os.kill(stack.container(f"app-{replica}").attrs["State"]["Pid"], signal.SIGKILL)

    with contextlib.suppress(AssertionError, httpx.HTTPError):
        anonymous.until("never", f"channel=it.auth&ticket={ticket}", react=kill)
    secrets = [ticket, client.headers["Authorization"], (stack.state / "secrets/app_proof_key").read_text()]
    places = {str(one): one.read_bytes() for one in (stack.state / "releases").rglob("*.json")}
    for name, one in stack.containers().items():
        places[f"inspect of {name}"] = json.dumps(one.attrs).encode()
        places[f"log of {name}"] = one.logs()
    assert b"/api/v1/stream" in places[f"log of {stack.name}-nginx"]
    assert [where for where, content in places.items() for one in secrets if one.encode() in content] == []
