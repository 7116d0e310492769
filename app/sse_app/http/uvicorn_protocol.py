"""uvicorn's HTTP protocol, which lends its transport to a stream and bounds the head of a request."""

import asyncio
import contextvars
import logging
import re
from collections.abc import Iterable
from functools import cache, partialmethod
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from httptools.parser.errors import HttpParserError, HttpParserInvalidMethodError, HttpParserUpgrade
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sse_app.base import request_context
from sse_app.base.asgi import Scope
from sse_app.base.problem import Problem
from sse_app.fanout.subscriber import Subscriber

EXTENSION = "sse_app.connection"  # in the extensions of a scope: the StreamProtocol of the request
_HEAD_BYTES = 65_536  # request line and headers; NGINX allows 32 KB
_FIELDS = 200  # headers and trailers: each costs a microsecond and more before anybody knows whose request it is
_URL_BYTES = 65_535  # the parser's own bound of an address
_HEAD_SECONDS = 20.0  # from a new connection, or the first byte of a later request, to the end of its head
_PIPELINED = 100  # requests that wait for the answers to earlier ones: about 3 KB each; browsers send none
_FRAMING = 8  # bytes received for a byte of body, if each byte comes as a chunk of its own
# A name, an address of IPv6 or nothing, and a port (RFC 9112, section 3.2). A comma would be two hosts in one line.
_HOST = re.compile(rb"([A-Za-z0-9._~!$&'()*+;=%-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?")
# A request line, and not the one of a request that came before in the same bytes.
_UNKNOWN_METHOD = re.compile(
    rb"^(?!(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) )[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/1\.[01]\r?$",
    re.MULTILINE,
)
logger = logging.getLogger(__name__)


class Flow(FlowControl):
    """uvicorn's flow control, with an asyncio.Event only while somebody may wait for it: its deque takes 760 bytes."""

    _writable: asyncio.Event | None = None

    def __init__(self, transport: asyncio.Transport) -> None:  # that of the base class would make the event
        self._transport = transport
        self.read_paused = self.write_paused = False

    async def drain(self) -> None:
        """Wait until the transport takes more."""
        if self._writable is not None:
            await self._writable.wait()

    def pause_writing(self) -> None:
        """Take note that the buffer of the transport is over its limit."""
        if self._writable is None:
            self.write_paused, self._writable = True, asyncio.Event()

    def resume_writing(self) -> None:
        """Take note that the buffer of the transport is nearly empty again."""
        if self._writable is not None:
            self._writable.set()
            self.write_paused, self._writable = False, None


class Pipeline(list[Any]):
    """In the place of uvicorn's deque: it takes 700 bytes less where no request waits."""

    appendleft = partialmethod(list[Any].insert, 0)


@cache
def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())


def _lines(state: Any) -> bytes:
    """The headers that uvicorn gives to every answer, as they are written; it replaces their list each second."""
    headers = state.default_headers
    known = getattr(state, "written", None)  # the list, and what became of it
    if known is None or known[0] is not headers:
        known = state.written = headers, b"".join([b"%b: %b\r\n" % header for header in headers])
    return known[1]


def _problem(error: HttpParserError, data: bytes) -> Problem:
    """What is wrong with bytes that the parser refuses; its own words hold nothing of them."""
    cause = error.__context__  # a callback of the parser has failed
    if isinstance(cause, Problem):
        return cause
    if isinstance(error, HttpParserInvalidMethodError) and _UNKNOWN_METHOD.search(data):
        return Problem(501, "the method of the request is unknown: expected GET, HEAD or POST")
    if str(error) == "Invalid HTTP version":
        return Problem(505, "expected HTTP/1.1")
    said = "its address makes no sense" if isinstance(cause, HttpParserError) else str(error)
    return Problem(400, f"this is no request of HTTP/1.1: {said}")


_NO_EVENT = SimpleNamespace(set=lambda: None)  # in the place of an asyncio.Event that nobody waits for


class StreamProtocol(HttpToolsProtocol):
    """One connection; it tells its stream when to pause, to resume, and that the client is lost."""

    stream: Subscriber | None = None
    _head_bytes = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _idle_since: float | None = None  # by the clock of the loop; None while a request is read or answered
    _hosts = 0
    _fields = 0
    _wrong: Problem | None = None  # with a header of the request whose head is read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] - as uvicorn types it
        """Allow a bounded time for the first head."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.pipeline = Pipeline()  # type: ignore[assignment] - a deque to uvicorn
        self._start_head_timer()

    def whole_body(self, scope: Scope) -> bytes | None:
        """Take the body of a request where all of it is here: receive() and a deadline cost more than a small body."""
        cycle: Any = self.cycle
        if cycle.scope is not scope or cycle.more_body or cycle.disconnected or cycle.waiting_for_100_continue:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def respond(self, scope: Scope, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write a whole answer at once, as two calls of send() would; return False where only send() can do it.

        :param headers: names and values without a line end, and without Content-Length and Connection
        """
        cycle: Any = self.cycle
        if cycle.scope is not scope or cycle.response_started or cycle.disconnected:
            return False
        if self.flow.write_paused or not cycle.keep_alive:
            return False
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        answer = b"%b%b%bcontent-length: %d\r\n\r\n%b" % (
            *(_status_line(status), _lines(self.server_state), lines, len(body), body),
        )
        cycle.response_started = cycle.response_complete = True
        self.transport.write(answer)
        cycle.message_event.set()
        cycle.on_response()
        return True

    def stream_head(self, scope: Scope, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Take over the head of a stream, to write it together with the first event; None where send() must write it.

        :param headers: names and values without a line end
        """
        cycle: Any = self.cycle
        if cycle.scope is not scope or cycle.response_started or cycle.disconnected:
            return None
        if self.flow.write_paused or not cycle.keep_alive or scope["method"] != "GET":
            return None
        parts = [_status_line(200)]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"transfer-encoding: chunked\r\n\r\n")
        cycle.response_started = cycle.chunked_encoding = True
        cycle.waiting_for_100_continue = False
        return b"".join(parts)

    def begin_stream(self, scope: Scope, subscriber: Subscriber) -> None:
        """Lend the transport to a stream whose head is sent; this empties the scope and frees 2 KB of the request."""
        self.stream = subscriber
        self._stop_idle_timer()
        if self.transport.is_closing():
            subscriber.lose()
        method = scope["method"]
        scope.clear()
        scope["method"] = method  # the last send() needs it
        cycle: Any = self.cycle
        if cycle.scope is scope:  # no other request has come since
            self.headers = []
            cycle.message_event = _NO_EVENT  # a stream never calls receive()

    def end_stream(self) -> None:
        """Take the transport back from the stream."""
        self.stream = None

    def data_received(self, data: bytes) -> None:
        """Refuse a head, or trailers and chunk extensions, that do not end: the parser would keep all of them."""
        self._head_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            parser: Any = self.parser
            parser.feed_data(data)
        except HttpParserUpgrade:
            pass  # nothing else is spoken here: the request is answered as it is, or makes no sense and is refused
        except HttpParserError as error:
            self._refuse(_problem(error, data))
            return
        if self._in_head:  # most heads come in one piece, and need no timer
            self._start_head_timer()
        if self._head_bytes > _HEAD_BYTES:
            self._refuse(
                Problem(431, f"the head of the request, or the framing of its body, is over {_HEAD_BYTES} bytes")
            )

    def on_message_begin(self) -> None:
        """Offer this connection to the application; cut it where too many requests wait for their answers."""
        if len(self.pipeline) >= _PIPELINED:
            self.transport.abort()
            raise ConnectionAbortedError  # so that the parser drops the rest of what was read
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self}
        self._in_head = True
        self._hosts, self._fields, self._wrong = 0, 0, None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; note what the parser lets pass, and a proxy may read otherwise (RFC 9112, 3.2 and 6.1).

        The parser leaves the white space after a value, which is no part of it (RFC 9112, section 5.1).
        """
        self._fields += 1
        if self._fields > _FIELDS:
            raise Problem(431, f"the request has more than {_FIELDS} headers")
        name, value = name.lower(), value.rstrip(b" \t")
        if name == b"host":
            self._hosts += 1
            if not _HOST.fullmatch(value):
                self._wrong = Problem(400, "Host: expected the name of a host or an address, and a port where one is")
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            known = value.lower().endswith(b"chunked")  # else nobody can tell where the body ends
            self._wrong = Problem(501 if known else 400, "Transfer-Encoding: expected chunked, and no other coding")
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Refuse a wrong head. Stop counting: the bytes that follow are a body, which its reader bounds."""
        parser: Any = self.parser
        version = parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise Problem(505, "expected HTTP/1.1")
        if len(self.url) > _URL_BYTES:
            raise Problem(414, f"the address is over {_URL_BYTES} bytes: ask for a stream of many channels by POST")
        if self._hosts != 1 and (self._hosts or version != "1.0"):
            raise Problem(400, f"Host: expected one such header, found {self._hosts or 'none'}")
        if self._wrong is not None:
            raise self._wrong
        super().on_headers_complete()
        self._in_head = False
        self._stop_head_timer()
        self._head_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Count no byte of the body itself: its reader bounds it."""
        super().on_body(body)
        self._head_bytes -= _FRAMING * len(body)

    def on_message_complete(self) -> None:
        """Start counting the next head."""
        super().on_message_complete()
        self._head_bytes = 0
        self.headers = []  # the scope has its own: what follows is another request, and is not known by this one's id

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the stream first, because the transport closes its socket right after this."""
        if self.stream is not None:
            self.stream.lose()
        super().connection_lost(exc)
        self._stop_head_timer()
        self._stop_idle_timer()

    def on_response_complete(self) -> None:
        """Serve the next request that waits, or be idle: as uvicorn does, but with one timer for many requests."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._start_idle_timer(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection where it has been idle for long enough (the name of this method is uvicorn's)."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None or self.transport.is_closing():
            return
        rest = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._start_idle_timer(rest)
        else:
            self.transport.close()

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None  # the timer goes on, and looks at this

    def _start_idle_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_idle_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def pause_writing(self) -> None:
        """Tell the stream that its reader is slow."""
        super().pause_writing()
        if self.stream is not None:
            self.stream.pause()

    def resume_writing(self) -> None:
        """Tell the stream that its reader has caught up."""
        super().resume_writing()
        if self.stream is not None:
            self.stream.resume()

    def _refuse(self, problem: Problem) -> None:
        """Answer what never comes to the application. It has an id of its own, as every request has."""
        contextvars.copy_context().run(self._end_with, problem)

    def _end_with(self, problem: Problem) -> None:
        cycle: Any = self.cycle
        if self.transport.is_closing():
            return
        if self.stream is not None or (cycle and cycle.response_started and not cycle.response_complete):
            self.transport.abort()  # a second answer would be read as a part of the first
            return
        request_context.begin([value for name, value in self.headers or () if name == request_context.HEADER], ())
        logger.warning("%d to a request that was not read: %s", problem.status, problem)
        headers = [*self.server_state.default_headers, request_context.header(), (b"connection", b"close")]
        headers += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
        body = problem.body()
        headers.append((b"content-length", b"%d" % len(body)))
        head = b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(b"%b%b\r\n%b" % (_status_line(problem.status), head, body))
        self.transport.close()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
