# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""HTTP requests over TCP, TLS or a Unix socket; a failure of the network or the server is an answer, not an error."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.engine.unix_http import UnixConnection
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

HTTP_ERRORS = (OSError, http.client.HTTPException, ValueError)


class Endpoint(NamedTuple):
    """An HTTP server: NGINX on a published port, a replica on its own address, or the path of a Unix socket."""

    name: str
    host: str  # an address, or a path that begins with a slash
    port: int
    tls: bool = False
    key: str = ""  # an API key, where the server wants one
    called: str = ""  # the name by which the server is asked, where it does not answer to its address

    @property
    def url(self) -> str:
        """The address as a person would write it."""
        if self.host.startswith("/"):
            return f"unix:{self.host}"
        return f"{'https' if self.tls else 'http'}://{url_host(self.host)}:{self.port}"

    @property
    def credential(self) -> dict[str, str]:
        """The headers that carry the key, and the name of the server."""
        own = {"Host": self.called} if self.called else {}
        return own | ({"Authorization": f"Bearer {self.key}"} if self.key else {})

    def connect(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection; its first request opens it."""
        if self.host.startswith("/"):
            return UnixConnection(self.host, timeout)
        if self.tls:
            # The certificate may be one that the host made itself. X-Replica shows that the right NGINX answers.
            # So it needs no authorities: to read those of the system takes longer than all of the handshake.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)


class Answer(NamedTuple):
    """What a server answered; without an answer the status is 0, and the body is the reason."""

    status: int
    body: str
    replica: str = ""

    @property
    def shown(self) -> str:
        """One short line for people."""
        first = " ".join(self.body.split())[:200]
        return f"{self.status} {first}".strip() if self.status else first

    @property
    def record(self) -> Json:
        """The body as a JSON object; empty where it is not one."""
        return json_object(self.body)


def json_object(text: str) -> Json:
    """Read a JSON object; empty where the text is not one."""
    try:
        read: Any = json.loads(text)
    except ValueError:
        return {}
    return cast("Json", read) if isinstance(read, dict) else {}


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: str | None = None,
    headers: dict[str, str] | None = None,
    *,
    timeout: float,
) -> Answer:
    """Send one request; an error of the network or the server becomes an answer with status 0.

    :param timeout: seconds for each step
    """
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
