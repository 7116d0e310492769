"""From A to B: resolve, connect, ask over HTTP and time each step, from inside a container's network namespace."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.host.tcp import connect_all
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family

if TYPE_CHECKING:
    pass

HTTP_SECONDS = 5.0


class Probe(NamedTuple):
    """What the way from A to B showed, step by step; a step that was not taken has no time."""

    addresses: list[str]
    failed: str = ""  # resolve, connect or http; empty where every step asked for went well
    error: str = ""
    resolve_seconds: float | None = None
    connect_seconds: float | None = None
    http_seconds: float | None = None
    status: int | None = None
    answer: str = ""  # the first words of the HTTP answer


def measure(pid: int, name: str, port: int | None = None, path: str = "", *, tls: bool = False) -> Probe:
    """Take the way that a program of the container would, as far as asked: resolve, connect, GET.

    :param pid: a process in the network namespace to start from
    :param name: what it calls its target, or an address
    :param port: TCP port; without it only the name is resolved
    :param path: HTTP path; without it nothing is asked
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
        return probe
    begun = time.monotonic()
    endpoint = Endpoint(name, addresses[0], port, tls)
    answer = namespace.inside(pid, lambda: request(endpoint, "GET", path, timeout=HTTP_SECONDS))
    probe = probe._replace(http_seconds=time.monotonic() - begun, answer=answer.shown)
    if not answer.status:
        return probe._replace(failed="http", error=answer.body)
    return probe._replace(status=answer.status)
