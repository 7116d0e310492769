"""The client for programs with threads: it needs only Python's standard library."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from time import sleep
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from sse_client import call, exchange
from sse_client.call import Call
from sse_client.events import Page, StreamEvent, Ticket
from sse_client.exchange import Again
from sse_client.reader import LONGEST
from sse_client.subscription import CutError, Subscription, start_of
from sse_client.wire import FAILURES, Address, Arriving, Line, Wire

SILENCE_SECONDS = 60.0  # four default heartbeats: after this silence a connection is dead
FIRST_BYTE_SECONDS = 20.0  # a replica that hangs says nothing at all
BODY_SECONDS = 5.0  # for the beginning of an answer that is no stream

Token = str | Callable[[], str]
Waiting = Callable[[Again], None]


class Client:
    """A client of the service at an address, such as https://sse.example.org.

    token: an API key, a JWT, or a function that returns one, which is kept; after a 401 it is asked once more.
    tls: for a certificate of your own: ssl.create_default_context(cafile=...).
    trust_env: use the proxy that HTTPS_PROXY and the like name.
    connect_to: connect to this address and port, or by this function, whatever the name in `url` resolves to.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        trust_env: bool = True,
        connect_to: Address | None = None,
    ) -> None:
        self._base = exchange.base_of(url)
        self._headers = exchange.own_headers(headers or {})
        self._token = token
        self._made: str | None = None  # by the function
        home = exchange.origin(urlsplit(self._base))
        self._wire = Wire(tls, trust_env=trust_env, elsewhere={home: connect_to} if connect_to else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are idle. A stream is closed by itself."""
        self._wire.close()

    def publish(
        self,
        channel: str,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        ticket: str = "",
        seconds: float = 30,
    ) -> str:
        """Publish one event and return its id once it is stored; see publish_batch."""
        one: dict[str, Any] = {"channel": channel, "data": data}
        one |= {"event": event} if event is not None else {}
        return self.publish_batch([one], key=key, ticket=ticket, seconds=seconds)[0]

    def publish_batch(
        self, events: Iterable[Mapping[str, Any]], *, key: str | None = None, ticket: str = "", seconds: float = 30
    ) -> list[str]:
        """Publish events, all or none, and return their ids once they are stored.

        Each event has `channel`, `data` and, if you like, `event`. An attempt that fails is repeated with the same key
        for `seconds`, so that the events are stored once.

        Raises:
            RefusedError: nothing was stored, and another attempt would not change that.
            UnexpectedAnswerError: something else than the service answered.
            UnreachableError: there was no connection in time, and nothing was stored.
            OutcomeUnknownError: there was no answer in time.
        """
        events = call.batch(events)
        made = call.publish(self._base, events, str(uuid.uuid4()) if key is None else key, ticket)
        return call.ids(self._asked(made, seconds), made, len(events))

    def history(self, channel: str, *, limit: int = 50, before: str = "", after: str = "", seconds: float = 30) -> Page:
        """The newest events of a channel, the newest before an id, or the oldest after one."""
        made = call.history(self._base, channel, limit, before, after)
        return call.page(self._asked(made, seconds), made)

    def pages(self, channel: str, *, limit: int = 50, before: str = "", after: str | None = None) -> Iterator[Page]:
        """Pages of the history: the newest first, or with `after` those that follow an id, the oldest first."""
        forward, after = after is not None, after or ""
        while True:
            found = self.history(channel, limit=limit, before=before, after=after)
            if found.events:
                yield found
            before, after = call.next_page(found, forward=forward)
            if not before and not after:
                return

    def ticket(
        self,
        *,
        subscribe: Sequence[str] | None = None,
        publish: Sequence[str] | None = None,
        ttl: int | None = None,
        seconds: float = 30,
    ) -> Ticket:
        """A ticket for a browser: without names, it may subscribe to all that the credential may; `ttl` needs names."""
        made = call.ticket(self._base, subscribe, publish, ttl)
        return call.issued(self._asked(made, seconds), made)

    def stream(
        self,
        *channels: str,
        last_event_id: str = "",
        from_earliest: bool = False,
        last: int | None = None,
        since: datetime | float | str | None = None,
        ticket: str = "",
        cursors: bool = False,
        meta: bool = False,
        longest: int = LONGEST,
        silence_seconds: float = SILENCE_SECONDS,
        on_wait: Waiting | None = None,
    ) -> Stream:
        """Events of these channels (names, `prefix.*`, `*`), without end.

        It begins with the next event, after `last_event_id`, or with the oldest event that is kept, the newest `last`
        ones, or those `since` a time. It reconnects by itself, at the time that the service asks for, and resumes after
        the last event that it gave. `cursors` gives a Cursor for the opening and for heartbeats, too. With `meta`,
        each Message has its channel and its time. `on_wait` is called before each new attempt, with the reason; what it
        raises ends the stream.
        """
        start = start_of(from_earliest=from_earliest, last=last, since=since)
        silence_seconds = call.checked_seconds(silence_seconds, "silence_seconds")
        subscription = Subscription(
            self._base,
            channels,
            last_event_id=last_event_id,
            start=start,
            ticket=ticket,
            cursors=cursors,
            meta=meta,
            longest=longest,
        )
        return Stream(self, subscription, silence_seconds, on_wait)

    # -- what the stream of this file uses, too

    def credential(self, *, refresh: bool = False) -> dict[str, str | bytes]:
        """The headers of every request to the service itself; with `refresh`, a token is made anew."""
        if callable(self._token) and (refresh or self._made is None):
            self._made = self._token()
        token = self._made if callable(self._token) else self._token
        return {**self._headers, **(exchange.authorization(token) if token else {})}

    @property
    def can_refresh(self) -> bool:
        """Tell whether another token can be asked for."""
        return callable(self._token)

    @property
    def wire(self) -> Wire:
        """The connections."""
        return self._wire

    def _asked(self, made: Call, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + call.checked_seconds(seconds)
        headers = self.credential()
        while (left := until - time.monotonic()) > 0:
            step = self._attempt(made, headers, time.monotonic() + min(left, call.ATTEMPT_SECONDS))
            if not isinstance(step, Again):
                return step
            if step.refresh:
                headers = self.credential(refresh=True)
            if step.seconds >= until - time.monotonic():  # there will be no other attempt
                break
            sleep(step.seconds)
        raise made.expired()

    def _attempt(self, made: Call, headers: Mapping[str, str | bytes], until: float) -> dict[str, Any] | Again:
        try:
            arriving = self._wire.send(made.request(headers), until)
            try:
                answer = arriving.answer.with_body(arriving.body(call.LONGEST_ANSWER), call.LONGEST_ANSWER)
            finally:
                arriving.done()
        except FAILURES as error:
            return made.failed(said(error), sent=getattr(error, "sent", True))
        return made.answered(answer, can_refresh=self.can_refresh)


class Stream:
    """The events of one stream: iterate over it in one thread; any thread may close it."""

    def __init__(
        self, client: Client, subscription: Subscription, silence_seconds: float, on_wait: Waiting | None
    ) -> None:
        self._client = client
        self._subscription = subscription
        self._silence = silence_seconds
        self._on_wait = on_wait
        self._closed = threading.Event()
        self._line: Line | None = None
        self._events = self._run()
        self._iterating = threading.Lock()

    @property
    def last_event_id(self) -> str:
        """The cursor after what was given so far."""
        return self._subscription.last_event_id

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        with self._iterating:
            return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the stream: an iteration that waits in another thread ends as if there were no more events."""
        self._closed.set()
        if line := self._line:
            line.shut()
        if self._iterating.acquire(blocking=False):  # nobody else is about to tidy up
            try:
                self._events.close()
            finally:
                self._iterating.release()

    def _run(self) -> Generator[StreamEvent]:
        headers = self._client.credential()
        while not self._closed.is_set():
            try:
                step = yield from self._connection(headers)
            finally:
                self._line = None
            if step is None or self._closed.is_set():
                return
            if self._on_wait and step.seconds:
                self._on_wait(step)
            self._closed.wait(step.seconds)
            if step.refresh:
                headers = self._client.credential(refresh=True)

    def _connection(self, headers: Mapping[str, str | bytes]) -> Generator[StreamEvent, None, Again | None]:
        """One connection to its end; returns when to connect again, or None for never."""
        subscription = self._subscription
        arriving = None
        try:
            request = subscription.request(headers)
            arriving = self._client.wire.send(request, time.monotonic() + FIRST_BYTE_SECONDS, self._opened)
            if not subscription.opens(arriving.answer):
                arriving.line.until = time.monotonic() + BODY_SECONDS
                answer = arriving.answer.with_body(_beginning(arriving), exchange.EXCERPT_BYTES)
                return subscription.answered(answer, can_refresh=self._client.can_refresh)
            arriving.line.until, arriving.line.silence = None, self._silence
            while part := arriving.part():
                for found in subscription.feed(part):
                    yield found
                    if self._closed.is_set():
                        return None
            return subscription.ended("the connection was closed")
        except (*FAILURES, CutError) as error:
            return subscription.ended(said(error))
        finally:
            if arriving:
                arriving.done()

    def _opened(self, line: Line) -> None:
        self._line = line
        if self._closed.is_set():
            line.shut()


def _beginning(arriving: Arriving) -> bytes:
    """How an answer that is no stream begins."""
    parts: list[bytes] = []
    try:
        while sum(map(len, parts)) < exchange.EXCERPT_BYTES and (part := arriving.part()):
            parts.append(part)
    except FAILURES:
        pass  # what came until then says enough
    return b"".join(parts)


def said(error: BaseException) -> str:
    """What went wrong, for people."""
    if isinstance(error, TimeoutError):
        return str(error) or "no answer in time"
    if isinstance(error, (http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "the connection was cut"
    if isinstance(error, http.client.HTTPException):
        return f"the answer is not HTTP ({str(error)[:80]!r})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
