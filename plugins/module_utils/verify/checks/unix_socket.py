# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A stream through a proxy arrives at the Unix socket of a container, which has one besides its port."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import HTTP_ERRORS, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.http_answer import serving
from ansible_collections.sse.platform.plugins.module_utils.verify.running import KEY, Key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

CONNECT_SECONDS = 20.0  # until the first frame of a stream
CONNECTED = "03"  # SS_CONNECTED of linux/net.h


class Parameters(TypedDict):
    """The stream, how to find a port of the proxy that serves it, and the socket's path in each container."""

    through: str
    health: str
    stream: str
    sockets: dict[str, str]
    key: Key | None  # that is good for the stream alone


def check(running: Running, subjects: Sequence[Subject], asked: Parameters) -> Checked:
    """Open one stream through the proxy. Where no port of it leads to the API, the check of deliveries says so."""
    proxy = serving(running.published(asked["through"]), asked["health"])
    sockets = {one.name: asked["sockets"].get(one.spec["container"], "") for one in subjects}
    if proxy is None:
        return Checked(verified=0)
    [pid] = [one.pid for one in running.named([asked["through"]])]
    proxy = proxy._replace(key=running.key(asked["key"]))
    return arrives(proxy, pid, asked["stream"], sockets)


def arrives(proxy: Endpoint, pid: int, stream: str, sockets: Mapping[str, str]) -> Checked:
    """Open a stream at the proxy, and look for its connection among those of the sockets that were not there before.

    A connection over a Unix socket belongs to the network namespace of the process that opened it: the proxy.
    Others may be left there from questions and publishes.

    :param pid: a process of the proxy
    :param sockets: path by container
    """
    wrong = f"a stream at {proxy.url} did not arrive at the Unix socket of its replica"
    connection = proxy.connect(CONNECT_SECONDS)
    table = Path(f"/proc/{pid}/net/unix")
    try:
        before = table.read_text()
        connection.request("GET", stream, headers={"Accept": "text/event-stream", **proxy.credential})
        response = connection.getresponse()
        name = response.getheader("X-Replica", "")
        response.readline(1000)
        if response.status != 200 or not sockets.get(name):
            evidence = f"{response.status} of {name or 'the proxy itself'}"
            return Checked([Finding("unix-socket", proxy.name, wrong, evidence, ("./sse status",))], 0)
        found = connections(table.read_text(), sockets[name]) - connections(before, sockets[name])
    except HTTP_ERRORS as error:
        evidence = f"{type(error).__name__}: {error}"
        return Checked([Finding("unix-socket", proxy.name, wrong, evidence, (f"./sse logs {proxy.name}",))], 0)
    finally:
        connection.close()
    if found:
        return Checked()
    advice = f"# May the user and groups of {proxy.name} write {sockets[name]} of {name}? Its log names the error."
    mend = (advice, f"./sse logs {proxy.name}")
    return Checked([Finding("unix-socket", name, wrong, "the proxy used TCP", mend)], 0)


def connections(table: str, path: str) -> set[str]:
    """Return the inode of each connection that a socket has accepted, by /proc/net/unix (proc_pid_net(5))."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {row[6] for row in rows if len(row) == 8 and row[5] == CONNECTED and row[7] == path}


PARAMETERS = {
    "through": (spec.short_name, ...),
    "health": (spec.absolute, ...),
    "stream": (spec.absolute, ...),
    "sockets": (spec.dict_of(spec.short_name, spec.absolute), ...),
    "key": (KEY, None),
}
KIND = Kind("unix-socket", "streams over a Unix socket", together(check), spec.record(PARAMETERS))
