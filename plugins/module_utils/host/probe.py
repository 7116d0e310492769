# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A connection tried from A to B, step by step and timed, from inside a container's network namespace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.host.tcp import connect_all, hindered
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family

if TYPE_CHECKING:
    from collections.abc import Iterable

HTTP_SECONDS = 5.0
ACCEPT_SECONDS = 3.0


class Probe(NamedTuple):
    """What each step showed; a step that was not made has no time."""

    addresses: list[str]
    failed: Literal["", "resolve", "connect", "http"] = ""  # the step that failed; empty where none did
    error: str = ""
    resolve_seconds: float | None = None
    connect_seconds: float | None = None
    http_seconds: float | None = None
    status: int | None = None
    answer: str = ""  # status and beginning of the HTTP answer


def measure(
    pid: int,
    name: str,
    port: int | None = None,
    path: str = "",
    *,
    tls: bool = False,
    servers: Iterable[str] = (),
) -> Probe:
    """Resolve a name, connect and send a GET request, as a program in the container would.

    :param pid: a process in the container's network namespace
    :param name: a name or an address
    :param port: TCP port; without it, the name is only resolved
    :param path: path of the GET request; without it, no request is sent
    :param servers: with these, a connection counts only where a program accepts it: processes whose network namespaces
        may hold the other end
    :raises OSError: where the namespace can't be entered
    """
    begun = time.monotonic()
    try:
        addresses = [name] if ip_family.is_address(name) else namespace.resolve(pid, name)
    except OSError as error:
        return Probe([], "resolve", str(error), time.monotonic() - begun)
    probe = Probe(addresses, resolve_seconds=time.monotonic() - begun)
    if port is None:
        return probe
    target = (addresses[0], port)
    tried = namespace.inside(pid, lambda: connect_all([target]))[target]
    probe = probe._replace(connect_seconds=tried.seconds)
    if tried.error:
        return probe._replace(failed="connect", error=tried.error)
    if not path:
        error = namespace.inside(pid, lambda: hindered(target, ACCEPT_SECONDS, servers)) if servers else ""
        return probe._replace(failed="connect", error=error) if error else probe
    begun = time.monotonic()
    endpoint = Endpoint(name, addresses[0], port, tls)
    answer = namespace.inside(pid, lambda: request(endpoint, "GET", path, timeout=HTTP_SECONDS))
    probe = probe._replace(http_seconds=time.monotonic() - begun, answer=answer.shown)
    if not answer.status:
        return probe._replace(failed="http", error=answer.body)
    return probe._replace(status=answer.status)
