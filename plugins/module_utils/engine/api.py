# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Questions to the Docker Engine over its socket, and one request that the Docker SDK does not know whole.

Importing the SDK alone takes longer than all these questions together.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from ansible_collections.sse.platform.plugins.module_utils.engine.unix_http import UnixConnection

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine import answers

SOCKET = "/var/run/docker.sock"
ANSWER_SECONDS = 10  # long enough for an engine that is busy pulling images, short enough to notice one that hangs

REGISTRY_SECONDS = 30  # for a question that the engine passes on: to a registry, perhaps through a token service


class RefusedError(OSError):
    """The engine refuses a request: its status is not one of success."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        """Keep the status: 404 tells that something does not exist."""
        super().__init__(f"the engine answers {path} with {status}: {body[:200].decode(errors='replace').strip()}")
        self.status = status
        self.body = body

    @property
    def message(self) -> str:
        """What the engine says about it."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return str(self)


class Api(NamedTuple):
    """The Docker Engine API behind one socket, in the newest version that the engine has.

    Each question raises RefusedError for any status but 200 and 201, and OSError where no engine answers.
    """

    socket: str = SOCKET

    def version(self) -> answers.Version:
        """Ask for the versions of the engine and of its API."""
        return self._get("/version")

    def info(self) -> answers.Info:
        """Ask for the engine's settings."""
        return self._get("/info")

    def containers(self) -> list[answers.ListedContainer]:
        """List all containers, also those that do not run."""
        return self._get("/containers/json?all=1")

    def container(self, container: str) -> answers.Inspected:
        """Inspect a container, by name or id."""
        return self._get(f"/containers/{container}/json")

    def networks(self, label: str = "") -> list[answers.InspectedNetwork]:
        """List all networks, or those that have a label (``key=value``)."""
        return self._get(f"/networks?filters={quote(json.dumps({'label': [label]}))}" if label else "/networks")

    def network(self, network: str) -> answers.InspectedNetwork:
        """Inspect a network, by name or id (also by the beginning of one)."""
        return self._get(f"/networks/{network}")

    def make_network(self, wanted: dict[str, Any]) -> None:
        """Make a network, in the words of ``POST /networks/create``."""
        self._fetch("/networks/create", wanted)

    def images(self) -> list[answers.ListedImage]:
        """List all images."""
        return self._get("/images/json")

    def image(self, reference: str) -> answers.ListedImage:
        """Inspect an image, by reference or id."""
        return self._get(f"/images/{reference}/json")

    def update(self, container: str, changes: dict[str, Any]) -> None:
        """Change limits of a container, in the words of ``POST /containers/{id}/update``."""
        self._fetch(f"/containers/{container}/update", changes)

    def registry_image(self, reference: str, login: str = "") -> answers.RegistryImage:
        """Have the engine ask a registry for an image, without pulling it.

        :param login: what the header X-Registry-Auth holds (Docker Engine API, DistributionInspect)
        """
        headers = {"X-Registry-Auth": login} if login else {}
        return json.loads(self._fetch(f"/distribution/{reference}/json", headers=headers, seconds=REGISTRY_SECONDS))

    def ping(self) -> None:
        """Ask only whether the engine answers."""
        self._fetch("/_ping")

    def log(self, container: str, lines: int, since: float) -> list[str]:
        """Return the last lines that a container wrote since a time (seconds since the epoch).

        Without a terminal, the engine puts 8 bytes before each piece; the last four of them are its length (Docker
        Engine API, ContainerAttach).
        """
        body = self._fetch(f"/containers/{container}/logs?stdout=1&stderr=1&tail={lines}&since={since:.9f}")
        if body[:1] not in {b"\1", b"\2"}:
            return body.decode(errors="replace").splitlines()
        text = b""
        while len(body) >= 8:
            end = 8 + int.from_bytes(body[4:8], "big")
            text, body = text + body[8:end], body[end:]
        return text.decode(errors="replace").splitlines()

    def _get(self, path: str) -> Any:
        return json.loads(self._fetch(path))

    def _fetch(
        self, path: str, body: Any = None, headers: Mapping[str, str] | None = None, seconds: float = ANSWER_SECONDS
    ) -> bytes:
        return ask(self.socket, "GET" if body is None else "POST", path, body, headers=headers, seconds=seconds)


def ask(
    socket: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float,
    done: Collection[int] = (http.client.OK, http.client.CREATED),
) -> bytes:
    """Send one request to an engine, with a body in JSON where there is one; return what it answers.

    :raises RefusedError: the status is none of those in ``done``
    :raises OSError: no engine answers in time
    """
    connection = UnixConnection(socket, seconds)
    try:
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"the engine's answer to {path} is broken: {error}") from error
    finally:
        connection.close()
    if answer.status not in done:
        raise RefusedError(path, answer.status, text)
    return text
