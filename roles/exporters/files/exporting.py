"""What the exporters of this directory share: they answer GET /metrics in the text format of Prometheus.

They need the standard library alone, and serve one request after the other: Prometheus is the only client.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler

CLIENT_SECONDS = 5.0  # for a client that connects and says nothing
IDLE_SECONDS = 15.0  # after which `idle` is called where nobody asks

Sample = tuple[Mapping[str, str], float]


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """Yield the lines of a counter or a gauge; nothing where it has no sample."""
    lines = [f"{name}{labels(named)} {number(value)}" for named, value in samples]
    if lines:
        yield from (f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines)


def labels(named: Mapping[str, str]) -> str:
    """Write labels, with what the format escapes."""
    written = [f'{key}="{escaped(value)}"' for key, value in named.items()]
    return f"{{{','.join(written)}}}" if written else ""


def escaped(value: str) -> str:
    """Escape the value of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def number(value: float) -> str:
    """Write a number: integers without a point, so that large ones keep all their digits."""
    return str(int(value)) if value == int(value) else repr(value)


def serve(port: int, collect: Callable[[], Iterable[str]], idle: Callable[[], None]) -> None:
    """Answer for ever.

    :param collect: returns the lines of an answer
    :param idle: called now and then where nobody asks, so that nothing piles up
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = CLIENT_SECONDS

        def do_GET(self) -> None:
            if self.path not in ("/", "/metrics"):
                self.send_error(404)
                return
            begun = time.perf_counter()
            lines = [] if self.path == "/" else list(collect())
            took = time.perf_counter() - begun
            help_ = "Seconds that this answer took to gather"
            lines += family("sse_exporter_collect_seconds", "gauge", help_, [({}, round(took, 6))])
            body = "".join(f"{line}\n" for line in lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
            """Write nothing for an answer that went well; `log_error` comes here, too."""
            if "code" in format:
                print(format % args, file=sys.stderr, flush=True)

    # No HTTPServer: it would ask for its own name, and on an internal network nobody answers that.
    class Server(socketserver.TCPServer):
        timeout = IDLE_SECONDS
        allow_reuse_address = True
        handle_timeout = staticmethod(idle)  # type: ignore[assignment]

    with Server(("", port), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener(port)
        while True:
            server.handle_request()


def listener(port: int) -> socket.socket:
    """Listen for IPv4, and for IPv6 where this kernel has it. The network namespace is the boundary."""
    try:
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        return socket.create_server(("0.0.0.0", port))  # noqa: S104  # nosec B104
