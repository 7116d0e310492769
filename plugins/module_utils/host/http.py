"""HTTP requests to NGINX and to replicas, over TCP, TLS or a Unix socket. A server's failure never raises."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.engine.unix_http import UnixConnection
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host

HTTP_ERRORS = (OSError, http.client.HTTPException, ValueError)


class Endpoint(NamedTuple):
    """An HTTP server to reach: nginx on a published port, a replica on its own address, or a socket's path as host."""

    name: str
    host: str
    port: int
    tls: bool = False
    key: str = ""  # an API key, where one is needed to publish or to subscribe

    @property
    def url(self) -> str:
        """The address as a person would type it."""
        if self.host.startswith("/"):
            return f"unix:{self.host}"
        return f"{'https' if self.tls else 'http'}://{url_host(self.host)}:{self.port}"

    @property
    def credential(self) -> dict[str, str]:
        """The header that the key goes in."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Make a connection (opened by its first request)."""
        if self.host.startswith("/"):
            return UnixConnection(self.host, timeout)
        if self.tls:
            # The certificate may be the host's own; that the right nginx answers is what X-Replica proves.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


class Answer(NamedTuple):
    """What a server said; status 0 where it said nothing, with the reason as body."""

    status: int
    body: str
    replica: str = ""

    @property
    def shown(self) -> str:
        """One short line for people."""
        first = " ".join(self.body.split())[:200]
        return f"{self.status} {first}".strip() if self.status else first

    @property
    def record(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        return json_object(self.body)


def json_object(text: str) -> dict[str, Any]:
    """Read a JSON object; empty where the text is none."""
    try:
        read: Any = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", read) if isinstance(read, dict) else {}


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
    *,
    timeout: float,
) -> Answer:
    """Ask once; never raises for what the network or the server does."""
    connection = endpoint.connect(timeout)
    try:
        connection.request(method, path, body, {**endpoint.credential, **(headers or {})})
        response = connection.getresponse()
        text = response.read(1 << 22).decode(errors="replace")
        return Answer(response.status, text, response.getheader("X-Replica", ""))
    except HTTP_ERRORS as error:
        return Answer(0, f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    finally:
        connection.close()
