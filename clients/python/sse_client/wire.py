"""HTTP/1.1 over sockets of the standard library, with one deadline for a whole answer and a close from any thread."""

from __future__ import annotations

import base64
import http.client
import io
import ipaddress
import os
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

from sse_client import exchange
from sse_client.errors import UntrustedError
from sse_client.exchange import Answer, Request

CONNECT_SECONDS = 10.0
PART_BYTES = 65_536
_LONGEST_SILENCE = 1_000_000.0  # seconds; a socket takes no endless one
Address = tuple[str, int] | Callable[[], socket.socket]

# What a connection that fails raises. HTTPException: what came is no HTTP, or it was cut.
FAILURES = (OSError, http.client.HTTPException)


class Line(io.RawIOBase):
    """A connected socket whose reads end at a deadline, or after so much silence."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.until: float | None = None  # of time.monotonic()
        self.silence = CONNECT_SECONDS
        self.ended = False  # the other side sends nothing any more

    def _left(self) -> float:
        left = self.silence if self.until is None else self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return min(left, _LONGEST_SILENCE)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what is there, or wait for it."""
        self.socket.settimeout(self._left())
        try:
            count = self.socket.recv_into(buffer)
        except TimeoutError:
            raise TimeoutError("nothing came for too long") from None
        self.ended = count == 0
        return count

    def sendall(self, data: Any) -> None:
        """Send all of it."""
        self.socket.settimeout(self._left())
        self.socket.sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        """What http.client reads an answer from."""
        return io.BufferedReader(self, PART_BYTES)

    def close(self) -> None:
        """Do nothing: http.client closes while the answer is still read. `end` closes."""

    def shut(self) -> None:
        """Wake whoever reads: nothing comes any more. Any thread may call it."""
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)  # not that of SSLSocket, which changes what is read

    @property
    def rests(self) -> bool:
        """Tell whether nothing came since the last answer; what comes is the end, or is no answer to anything."""
        self.socket.settimeout(0)
        try:
            socket.socket.recv(self.socket, 1, socket.MSG_PEEK)  # not that of SSLSocket, which takes no flags
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def end(self) -> None:
        """Close the socket."""
        self.socket.close()


class _Response(http.client.HTTPResponse):
    """An answer; what may come before it (RFC 9110, section 15.2), such as 103 of a proxy, is passed over."""

    def _read_status(self) -> tuple[str, int, str]:
        known: Any = super()
        while True:
            version, status, reason = known._read_status()  # noqa: SLF001 - http.client passes over 100 alone
            if status in (100, 101) or status >= 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(http.client.HTTPConnection):
    """An http.client connection over a Line."""

    line: Line
    response_class = _Response


@dataclass(slots=True)
class Arriving:
    """An answer whose body is still to come."""

    answer: Answer
    line: Line
    _response: http.client.HTTPResponse
    _give_back: Callable[[], None]
    _whole: bool = False

    def part(self) -> bytes:
        """The next bytes; empty at the end of the body."""
        found = self._response.read1(PART_BYTES)
        if not found and self._response.length:
            raise http.client.IncompleteRead(b"", self._response.length)
        self._whole = not found
        return found

    def body(self, most: int) -> bytes:
        """At most so many bytes; the rest is not read."""
        parts: list[bytes] = []
        size = 0
        while size < most and (part := self.part()):
            parts.append(part)
            size += len(part)
        return b"".join(parts)[:most]

    def done(self) -> None:
        """Keep the connection for the next request, where the whole body was read, or close it."""
        if self._whole and not self._response.will_close:
            self._response.close()  # Python 3.11 sends no other request while an answer with a length is open
            self._give_back()
        else:
            self.line.end()


class Wire:
    """Connections to whatever address; those that are idle are used again."""

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        trust_env: bool = True,
        elsewhere: Mapping[tuple[str, str, int], Address] | None = None,
    ) -> None:
        self._tls = tls
        self._trust_env = trust_env
        self._elsewhere = elsewhere or {}
        self._idle: dict[tuple[str, str, int], _Connection] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()

    def send(self, request: Request, until: float, opened: Callable[[Line], None] | None = None) -> Arriving:
        """Send a request, and return its answer when the headers are there; `opened` gets the line before that.

        Raises one of FAILURES, which has `sent` where the service may have got the request; UntrustedError for good.
        """
        url = urlsplit(request.url)
        key = exchange.origin(url)
        if self._process != os.getpid():  # a fork: these connections, and whoever held the lock, are of the parent
            self._process, self._lock, self._idle = os.getpid(), threading.Lock(), {}
        with self._lock:
            connection = self._idle.pop(key, None)
        if connection and not connection.line.rests:  # the service, or a proxy before it, has closed it meanwhile
            connection.line.end()
            connection = None
        try:
            connection = connection or self._connect(url, until)
        except ssl.SSLCertVerificationError as error:
            raise untrusted(url.hostname or "", error) from None
        except OSError as error:
            error.sent = False  # pyright: ignore[reportAttributeAccessIssue]
            raise
        line = connection.line
        line.until = until
        if opened:
            opened(line)
        try:
            response = self._answer(connection, request, url)
        except BaseException:
            line.end()
            raise
        headers = {name.lower(): value for name, value in response.headers.items()}

        def give_back() -> None:
            with self._lock:
                before = self._idle.get(key)
                self._idle[key] = connection
            if before:
                before.line.end()

        return Arriving(Answer(response.status, headers), line, response, give_back)

    def _answer(self, connection: _Connection, request: Request, url: SplitResult) -> http.client.HTTPResponse:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        proxy = self._proxy(url)
        if proxy and url.scheme == "http":
            target = f"http://{url.netloc}{target}"
        connection.putrequest(request.method, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", url.netloc)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        if request.body is not None:
            connection.putheader("Content-Length", str(len(request.body)))
        if proxy and proxy.username is not None and url.scheme == "http":
            connection.putheader("Proxy-Authorization", _basic(proxy))
        connection.endheaders(request.body)
        response = connection.getresponse()
        if connection.line.ended:  # http.client takes the headers that came for all of them
            raise http.client.IncompleteRead(b"")
        return response

    def _connect(self, url: SplitResult, until: float) -> _Connection:
        scheme, host, port = exchange.origin(url)
        proxy = self._proxy(url)
        address = exchange.origin(proxy)[1:] if proxy else self._elsewhere.get((scheme, host, port), (host, port))
        seconds = min(CONNECT_SECONDS, max(0.001, until - time.monotonic()))
        connected = _connected(address, seconds)
        connection = _Connection(host, port)
        try:
            if proxy and scheme == "https":
                _tunnel(Line(connected), f"[{host}]:{port}" if ":" in host else f"{host}:{port}", proxy)
            if scheme == "https":
                self._tls = self._tls or ssl.create_default_context()
                connected = self._tls.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise
        connection.line = Line(connected)
        connection.sock = cast("Any", connection.line)
        return connection

    def _proxy(self, url: SplitResult) -> SplitResult | None:
        if exchange.origin(url) in self._elsewhere or not self._trust_env:
            return None
        address = proxy_of(url.scheme, url.hostname or "")
        return urlsplit(address) if address else None

    def close(self) -> None:
        """Close the connections that are idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connection in idle.values():
            connection.line.end()


def _connected(address: Address, seconds: float) -> socket.socket:
    """A connection to a host and port, or whatever the caller connects by."""
    if callable(address):
        return address()
    made = socket.create_connection(address, timeout=seconds)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return made


def untrusted(host: str, error: Exception) -> UntrustedError:
    """The error for a certificate that is not trusted."""
    return UntrustedError(host, getattr(error, "verify_message", "") or str(error))


def proxy_of(scheme: str, host: str) -> str:
    """The address of the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY), or empty."""
    known: Any = urllib.request  # these two are documented for Python, and not in its types
    named: dict[str, str] = known.getproxies_environment()
    found = named.get(scheme) or named.get("all") or ""
    if not found or host in ("localhost", "127.0.0.1", "::1") or known.proxy_bypass_environment(host, named):
        return ""
    if _is_named(host.lower(), named.get("no", "").lower()):
        return ""
    found = found if "://" in found else f"http://{found}"
    try:
        parts = urlsplit(found)
        usable = parts.scheme == "http" and exchange.is_address(parts)
    except ValueError:
        usable = False
    return found if usable else ""


def _is_named(host: str, listed: str) -> bool:
    """Tell whether NO_PROXY names a host as curl and others read it, and Python does not: by a network, or *.domain."""
    found = listed.replace(",", " ").split()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domains = [one.removeprefix("*").lstrip(".") for one in found]
        return any(host == one or host.endswith(f".{one}") for one in domains if one)
    for one in found:
        with suppress(ValueError):  # a name
            if address in ipaddress.ip_network(one.strip("[]"), strict=False):
                return True
    return False


def _basic(proxy: SplitResult) -> str:
    text = f"{unquote(proxy.username or '')}:{unquote(proxy.password or '')}"
    return "Basic " + base64.b64encode(text.encode()).decode()


def _tunnel(line: Line, target: str, proxy: SplitResult) -> None:
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"Proxy-Authorization: {_basic(proxy)}"] if proxy.username is not None else []
    line.sendall("\r\n".join([*lines, "", ""]).encode())
    response = _Response(cast("Any", line), method="CONNECT")
    response.begin()
    if response.status != 200:
        raise OSError(f"the proxy answered {response.status} {response.reason}")
