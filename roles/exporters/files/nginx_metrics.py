"""Exporter of NGINX: its connections, and its answers by route and status, with the time that they took.

NGINX writes a short line for each request into a file that both have mounted, many lines at once (`buffer`), and knows
nothing of this exporter. A line holds the route, the status, the seconds and what the upstream answered:

    r:/api/v1/events 202 0.004 202

Nothing in it comes from a client. `s:` marks a stream: its seconds say how long the client stayed, so they are not
counted among those of the requests. Equal lines are counted together, so many of them cost little.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from urllib.parse import urlsplit

from exporting import family, labels, number, serve

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # as in the histograms of the service
KEPT_BYTES = 2**20  # of lines that were counted, before the file is emptied
PIECE_BYTES = 2**17
STATUS_SECONDS = 2.0
OWN = ("413", "429", "503")  # what NGINX refuses by itself; rate() needs a 0 before the first
LINE = re.compile(rb"([rs]):(\S+) (\d{3}) (\d+\.\d+)(?: (.*))?")
STATUS = {
    "active": r"Active connections: (\d+)",
    "reading": r"Reading: (\d+)",
    "writing": r"Writing: (\d+)",
    "waiting": r"Waiting: (\d+)",
}


class Requests:
    """The answers of NGINX that were counted so far."""

    def __init__(self, file: Path) -> None:
        """Begin with an empty file: lines from before were counted by the exporter before this one."""
        self.file = file
        self.offset = 0
        self.rest = b""  # the begin of a line whose end is not written yet
        self.answers: Counter[tuple[str, str, str]] = Counter()  # by route, status and who answered
        # By route and class of status. One is there from the start, so an exporter that has seen nothing yet is whole.
        self.seconds = {("other", "2xx"): ([0] * (len(SECONDS) + 1), 0.0)}
        self.strange = 0
        self.begin("other")
        self.empty()

    def begin(self, route: str) -> None:
        """Have what NGINX refuses on a route as 0 from its first line on."""
        for status in OWN:
            self.answers.setdefault((route, status, "nginx"), 0)

    def empty(self) -> None:
        """Empty the file. NGINX appends, so it goes on at the beginning of it."""
        self.offset, self.rest = 0, b""
        if self.file.exists():
            os.truncate(self.file, 0)

    def read(self) -> None:
        """Count what was written since the last time, a piece at a time: there may be a lot, and memory is short."""
        try:
            with self.file.open("rb") as stream:
                if stream.seek(0, os.SEEK_END) < self.offset:  # somebody else has emptied it
                    self.offset, self.rest = 0, b""
                stream.seek(self.offset)
                while text := stream.read(PIECE_BYTES):
                    self.offset += len(text)
                    *lines, self.rest = (self.rest + text).split(b"\n")
                    for line, times in Counter(lines).items():
                        self.count(line, times)
        except FileNotFoundError:
            return
        # What is written between the reading and this is lost: some lines, once in a megabyte of them, if at all.
        if self.offset > KEPT_BYTES:
            os.truncate(self.file, 0)
            self.offset = 0

    def count(self, line: bytes, times: int) -> None:
        """Count equal lines."""
        found = LINE.fullmatch(line)
        if found is None:
            self.strange += times
            return
        kind, route, status, seconds, upstream = (part.decode() for part in found.groups(default=b""))
        self.begin(route)
        # The last one of `502, 200` or `503 : 200` is that of the answer, unless NGINX answered instead.
        last = re.split(r"[ ,:]+", upstream.strip())[-1]
        self.answers[route, status, "upstream" if last == status else "nginx"] += times
        if kind == "r":
            key = route, f"{status[0]}xx"
            counts, total = self.seconds.setdefault(key, ([0] * (len(SECONDS) + 1), 0.0))
            counts[bisect_left(SECONDS, float(seconds))] += times
            self.seconds[key] = counts, total + float(seconds) * times

    def collect(self) -> Iterator[str]:
        """Yield the lines of an answer."""
        self.read()
        answers = [
            ({"route": route, "status": status, "by": by}, float(count))
            for (route, status, by), count in sorted(self.answers.items())
        ]
        text = "Answers, by who made them; a stream is counted when it ends"
        yield from family("nginx_http_responses_total", "counter", text, answers)
        name = "nginx_http_request_duration_seconds"
        yield f"# HELP {name} From the first byte of a request to the last byte of its answer, without streams"
        yield f"# TYPE {name} histogram"
        for (route, status), (counts, total) in sorted(self.seconds.items()):
            named = {"route": route, "status": status}
            bounds = [*(repr(float(bound)) for bound in SECONDS), "+Inf"]
            for bound, sum_ in zip(bounds, accumulate(counts), strict=True):
                yield f"{name}_bucket{labels(named | {'le': bound})} {sum_}"
            yield f"{name}_sum{labels(named)} {number(round(total, 6))}"
            yield f"{name}_count{labels(named)} {sum(counts)}"
        text = "Lines that NGINX wrote and this exporter does not understand"
        yield from family("nginx_http_strange_lines_total", "counter", text, [({}, float(self.strange))])


class Local(http.client.HTTPConnection):
    """A connection through a Unix socket: where each host has an NGINX, their common name means any of them."""

    def __init__(self, file: str) -> None:
        super().__init__("localhost", timeout=STATUS_SECONDS)
        self.file = file

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(STATUS_SECONDS)
        self.sock.connect(self.file)


def asked(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Return the connection and the path of an address: http://HOST:PORT/PATH or, as NGINX has it, unix:FILE:/PATH."""
    if url.startswith("unix:"):
        __, file, path = url.split(":")
        return Local(file), path
    # No urllib: it makes a context for TLS at each question, with all authorities, and that piles up.
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=STATUS_SECONDS), parts.path


def connections(url: str) -> Iterator[str]:
    """Yield the figures of stub_status, under the names that NGINX' own exporter gives them."""
    connection, path = asked(url)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode() if answer.status == 200 else ""
    except (OSError, http.client.HTTPException) as error:
        print(f"{url}: {error!r}", file=sys.stderr, flush=True)
        text = ""
    finally:
        connection.close()
    yield from family("nginx_up", "gauge", "1 while NGINX answers", [({}, float(bool(text)))])
    for name, pattern in STATUS.items():
        if found := re.search(pattern, text):
            meaning = f"Connections: {name}"
            yield from family(f"nginx_connections_{name}", "gauge", meaning, [({}, float(found[1]))])
    if found := re.search(r"\n *(\d+) +(\d+) +(\d+)", text):
        for name, text_, value in zip(
            ("nginx_connections_accepted", "nginx_connections_handled", "nginx_http_requests_total"),
            ("Connections that came", "Connections that were taken", "Requests that began"),
            found.groups(),
            strict=True,
        ):
            yield from family(name, "counter", text_, [({}, float(value))])


def main() -> None:
    """Serve, at PORT, what URL says and what FILE holds."""
    port, url, requests = int(sys.argv[1]), sys.argv[2], Requests(Path(sys.argv[3]))

    def collect() -> Iterator[str]:
        yield from connections(url)
        yield from requests.collect()

    serve(port, collect, requests.read)


if __name__ == "__main__":
    main()
