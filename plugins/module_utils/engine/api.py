"""Questions to the engine over its socket, without the SDK: its import alone costs more than all of them together."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

SOCKET = "/var/run/docker.sock"
# Long enough for an engine that is busy pulling, short enough to name a hung one.
ANSWER_SECONDS = 10


class RefusedError(OSError):
    """The engine answers, but not with what was asked for."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        """Keep the status: 404 is an answer, too."""
        super().__init__(f"the engine answers {path} with {status}: {body[:200].decode(errors='replace').strip()}")
        self.status = status


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self) -> None:
        """Connect at the first request."""
        super().__init__("localhost", timeout=ANSWER_SECONDS)

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(SOCKET)


def get(path: str) -> Any:
    """Return the engine's answer to ``GET path``, in the newest API version that it has.

    :raises RefusedError: for any status but 200
    :raises OSError: where no engine answers
    """
    return json.loads(fetch(path))


def log(container: str, lines: int, since: float) -> list[str]:
    """Return the last lines that a container wrote since a time (seconds since the epoch).

    Without a terminal the engine puts 8 bytes before each piece, the last four of them its length (API, attach).
    """
    body = fetch(f"/containers/{container}/logs?stdout=1&stderr=1&tail={lines}&since={since:.9f}")
    if body[:1] not in {b"\1", b"\2"}:
        return body.decode(errors="replace").splitlines()
    text = b""
    while len(body) >= 8:
        end = 8 + int.from_bytes(body[4:8], "big")
        text, body = text + body[8:end], body[end:]
    return text.decode(errors="replace").splitlines()


def fetch(path: str) -> bytes:
    """Return the body of the engine's answer to ``GET path``; raises as `get` does."""
    connection = Connection()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"the engine's answer to {path} is broken: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise RefusedError(path, answer.status, body)
    return body
