"""The link between nginx and a replica: a Unix socket for streams where the replica declares one, else TCP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.http import HTTP_ERRORS, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.deliveries import CHANNEL, CONNECT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec

VARIABLE = "SSE_SOCKET_PATH"  # of the service: where it listens besides its port
CONNECTED = "03"  # SS_CONNECTED of linux/net.h


def socket_path(spec: Spec) -> str:
    """Return where a replica listens in its own file system, or an empty string for TCP alone."""
    return str(spec["environment"].get(VARIABLE, ""))


def connections(table: str, path: str) -> int:
    """Count what a socket has accepted of those in /proc/net/unix (proc_pid_net(5))."""
    rows = (line.split() for line in table.splitlines()[1:])
    return sum(len(row) == 8 and row[5] == CONNECTED and row[7] == path for row in rows)


def check(nginx: Endpoint, pid: int, sockets: Mapping[str, str]) -> tuple[list[Fault], int]:
    """Open a stream through nginx and see that it arrives at its replica over the replica's socket.

    A connection over a Unix socket belongs to the network namespace of whoever made it, so nginx' own table tells.

    :param pid: a process of nginx
    :param sockets: path by the replica's name, of those that have a socket
    """
    tried = f"subscribe at {nginx.url} and find the stream on its replica's Unix socket"
    connection = nginx.connect(CONNECT_SECONDS)
    try:
        connection.request("GET", f"/api/v1/stream?channel={CHANNEL}", headers={"Accept": "text/event-stream"})
        response = connection.getresponse()
        name = response.getheader("X-Replica", "")
        response.readline(1000)
        if name not in sockets:
            return [Fault(nginx.name, tried, f"{response.status} of {name or 'nginx itself'}", "./sse status")], 0
        found = connections(Path(f"/proc/{pid}/net/unix").read_text(), sockets[name])
    except HTTP_ERRORS as error:
        return [Fault(nginx.name, tried, f"{type(error).__name__}: {error}", "./sse logs nginx")], 0
    finally:
        connection.close()
    if not found:
        advice = f"may nginx' user and groups write {sockets[name]} there? ./sse logs nginx names the error"
        return [Fault(name, tried, "nginx went over TCP", advice)], 0
    return [], 1


def endpoints(replicas: Mapping[str, tuple[int, str]]) -> list[Endpoint]:
    """Return each socket as the host reaches it, whatever is mounted where."""
    return [Endpoint(name, f"/proc/{pid}/root{path}", 0) for name, (pid, path) in replicas.items()]
