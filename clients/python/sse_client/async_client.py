"""The client for asyncio, over httpx."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import time
import uuid
from asyncio import sleep
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sse_client import call, exchange
from sse_client.call import Call
from sse_client.client import BODY_SECONDS, FIRST_BYTE_SECONDS, SILENCE_SECONDS, Waiting, said
from sse_client.errors import SseError
from sse_client.events import Page, StreamEvent, Ticket
from sse_client.exchange import Again, Answer, Request
from sse_client.reader import LONGEST
from sse_client.subscription import CutError, Subscription, start_of
from sse_client.wire import CONNECT_SECONDS, proxy_of, untrusted

T = TypeVar("T")
AsyncToken = str | Callable[[], str | Awaitable[str]]
_FAILURES = (httpx.TransportError, TimeoutError)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class _Progress:
    """How far a request has come, as httpx tells it; from a transport that tells nothing, it may have been sent."""

    def __init__(self) -> None:
        self.may_be_sent = True

    async def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """Take note of a step: of a connection that is made, or of the first bytes of the request."""
        if event.startswith("connection.connect_") and event.endswith(".started"):
            self.may_be_sent = False
        elif event.endswith(".send_request_headers.started"):
            self.may_be_sent = True


class AsyncClient:
    """A client of the service at an address; see Client. Use it as an async context manager, in one event loop.

    token: as of Client; the function may be async.
    transport: what httpx sends by, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        token: AsyncToken | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        trust_env: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = exchange.base_of(url)
        self._headers = exchange.own_headers(headers or {})
        self._token = token
        self._made: str | None = None  # by the function
        self._tls = tls
        self._trust_env = trust_env
        self._transport = transport
        self._by_proxy: dict[str, httpx.AsyncBaseTransport] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        for one in self._by_proxy.values():
            await one.aclose()
        self._by_proxy.clear()

    async def publish(
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
        return (await self.publish_batch([one], key=key, ticket=ticket, seconds=seconds))[0]

    async def publish_batch(
        self, events: Iterable[Mapping[str, Any]], *, key: str | None = None, ticket: str = "", seconds: float = 30
    ) -> list[str]:
        """Publish events, all or none, and return their ids once they are stored; see Client.publish_batch."""
        events = call.batch(events)
        made = call.publish(self._base, events, str(uuid.uuid4()) if key is None else key, ticket)
        return call.ids(await self._asked(made, seconds), made, len(events))

    async def history(
        self, channel: str, *, limit: int = 50, before: str = "", after: str = "", seconds: float = 30
    ) -> Page:
        """The newest events of a channel, the newest before an id, or the oldest after one."""
        made = call.history(self._base, channel, limit, before, after)
        return call.page(await self._asked(made, seconds), made)

    async def pages(
        self, channel: str, *, limit: int = 50, before: str = "", after: str | None = None
    ) -> AsyncIterator[Page]:
        """Pages of the history: the newest first, or with `after` those that follow an id, the oldest first."""
        forward, after = after is not None, after or ""
        while True:
            found = await self.history(channel, limit=limit, before=before, after=after)
            if found.events:
                yield found
            before, after = call.next_page(found, forward=forward)
            if not before and not after:
                return

    async def ticket(
        self,
        *,
        subscribe: Sequence[str] | None = None,
        publish: Sequence[str] | None = None,
        ttl: int | None = None,
        seconds: float = 30,
    ) -> Ticket:
        """A ticket for a browser: without names, it may subscribe to all that the credential may; `ttl` needs names."""
        made = call.ticket(self._base, subscribe, publish, ttl)
        return call.issued(await self._asked(made, seconds), made)

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
    ) -> AsyncStream:
        """Events of these channels, without end; see Client.stream. Close it, for instance by `async with`."""
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
        return AsyncStream(self, subscription, silence_seconds, on_wait)

    # -- what the stream of this file uses, too

    async def credential(self, *, refresh: bool = False) -> dict[str, str | bytes]:
        """The headers of every request to the service itself; with `refresh`, a token is made anew."""
        if callable(self._token) and (refresh or self._made is None):
            made = self._token()
            self._made = await made if inspect.isawaitable(made) else made
        token = self._made if callable(self._token) else self._token
        return {**self._headers, **(exchange.authorization(token) if token else {})}

    @property
    def can_refresh(self) -> bool:
        """Tell whether another token can be asked for."""
        return callable(self._token)

    async def send(self, request: Request, silence: float, progress: _Progress | None = None) -> httpx.Response:
        """Send a request; the body of the answer is not read yet."""
        url = httpx.URL(request.url)
        proxy = proxy_of(url.scheme, url.host) if self._trust_env and self._transport is None else ""
        if proxy not in self._by_proxy:
            self._tls = self._tls or ssl.create_default_context()
            limits = httpx.Limits(max_connections=None)  # each stream holds one
            self._by_proxy[proxy] = self._transport or httpx.AsyncHTTPTransport(
                verify=self._tls, proxy=proxy or None, limits=limits
            )
        seconds = httpx.Timeout(silence, connect=CONNECT_SECONDS).as_dict()
        headers = _bytes(request.headers)
        extensions: dict[str, Any] = {"timeout": seconds, **({"trace": progress.trace} if progress else {})}
        built = httpx.Request(request.method, url, headers=headers, content=request.body, extensions=extensions)
        try:
            # Not by httpx.AsyncClient, which adds headers of its own and reads redirects.
            response = await self._by_proxy[proxy].handle_async_request(built)
        except httpx.ConnectError as error:
            cause: BaseException | None = error
            while cause:
                if isinstance(cause, ssl.SSLCertVerificationError):
                    raise untrusted(url.host, cause) from None
                cause = cause.__cause__ or cause.__context__
            raise
        response.request = built
        return response

    async def _asked(self, made: Call, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + call.checked_seconds(seconds)
        headers = await self.credential()
        while (left := until - time.monotonic()) > 0:
            step = await self._attempt(made, headers, min(left, call.ATTEMPT_SECONDS))
            if not isinstance(step, Again):
                return step
            if step.refresh:
                headers = await self.credential(refresh=True)
            if step.seconds >= until - time.monotonic():  # there will be no other attempt
                break
            await sleep(step.seconds)
        raise made.expired()

    async def _attempt(self, made: Call, headers: Mapping[str, str | bytes], seconds: float) -> dict[str, Any] | Again:
        progress = _Progress()
        try:
            async with asyncio.timeout(seconds):
                response = await self.send(made.request(headers), seconds, progress)
                try:
                    body = await _body(response, call.LONGEST_ANSWER)
                finally:
                    await response.aclose()
        except _FAILURES as error:
            return made.failed(_why(error), sent=progress.may_be_sent and not isinstance(error, _NOT_SENT))
        return made.answered(_answer(response).with_body(body, call.LONGEST_ANSWER), can_refresh=self.can_refresh)


class AsyncStream:
    """The events of one stream: iterate over it in one task; any task of the event loop may close it."""

    def __init__(
        self, client: AsyncClient, subscription: Subscription, silence_seconds: float, on_wait: Waiting | None
    ) -> None:
        self._client = client
        self._subscription = subscription
        self._silence = silence_seconds
        self._on_wait = on_wait
        self._closed = False
        self._waits: asyncio.Task[Any] | None = None
        self._given: Iterator[StreamEvent] = iter(())  # what is left of the part that came last
        self._cut: CutError | None = None
        self._next: asyncio.Task[Iterator[StreamEvent] | None] | None = None
        self._parts = self._run()

    @property
    def last_event_id(self) -> str:
        """The cursor after what was given so far."""
        return self._subscription.last_event_id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        while not self._closed:
            for found in self._given:
                return found
            # A task of its own: whoever stops waiting, as by a time-out, ends no stream, and may come back for more.
            waited = self._next = self._next or asyncio.ensure_future(self._following())
            try:
                given = await asyncio.shield(waited)
            finally:
                if waited.done():
                    self._next = None
            if given is None:
                break
            self._given = given
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream: an iteration that waits in another task ends as if there were no more events."""
        self._closed = True
        if self._waits:
            self._waits.cancel()
        if waited := self._next:
            await asyncio.wait({waited})
            _ = waited.cancelled() or waited.exception()  # whoever waits for it is told
        await self._parts.aclose()

    async def _following(self) -> Iterator[StreamEvent] | None:
        async for given in self._parts:
            return given
        return None

    def _read(self, part: bytes) -> Iterator[StreamEvent]:
        try:
            yield from self._subscription.feed(part)
        except CutError as error:
            self._cut = error
        except SseError:  # nothing can be read after it
            self._closed = True
            raise

    async def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait in a task of its own, which aclose() can end; then it raises _ClosedError."""
        if self._closed:
            work.close()
            raise _ClosedError
        self._waits = task = asyncio.ensure_future(work)
        try:
            return await task
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if self._closed and not (here and here.cancelling()):
                raise _ClosedError from None
            raise
        finally:
            self._waits = None

    async def _run(self) -> AsyncGenerator[Iterator[StreamEvent]]:
        with suppress(_ClosedError):
            headers = await self._wait_for(self._client.credential())
            while True:
                step: Again | None = None
                connection = self._connection(headers)
                try:
                    async for found in connection:
                        if isinstance(found, Again):
                            step = found
                        else:
                            yield found
                finally:
                    await connection.aclose()
                if step is None:
                    return
                if self._on_wait and step.seconds:
                    self._on_wait(step)
                await self._wait_for(sleep(step.seconds))
                if step.refresh:
                    headers = await self._wait_for(self._client.credential(refresh=True))

    async def _connection(self, headers: Mapping[str, str | bytes]) -> AsyncGenerator[Iterator[StreamEvent] | Again]:
        """One connection to its end; last comes when to connect again, or nothing for never."""
        subscription = self._subscription
        response = None
        try:
            response = await self._wait_for(self._sent(subscription.request(headers)))
            if not subscription.opens(_answer(response)):
                body = await self._wait_for(_beginning(response))
                answer = _answer(response).with_body(body, exchange.EXCERPT_BYTES)
                if step := subscription.answered(answer, can_refresh=self._client.can_refresh):
                    yield step
                return
            parts = _parts(response)
            while part := await self._wait_for(_next(parts)):
                yield self._read(part)
                if cut := self._cut:
                    self._cut = None
                    raise cut
            yield subscription.ended("the connection was closed")
        except (*_FAILURES, CutError) as error:
            yield subscription.ended(_why(error))
        finally:
            if response:
                await response.aclose()

    async def _sent(self, request: Request) -> httpx.Response:
        async with asyncio.timeout(FIRST_BYTE_SECONDS):
            return await self._client.send(request, self._silence)


class _ClosedError(Exception):
    """The stream was closed while it waited."""


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, dict(response.headers))


def _bytes(headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), one.encode() if isinstance(one, str) else one) for name, one in headers.items()]


def _parts(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; a transport made for tests may have read it before."""
    return response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()


async def _next(parts: AsyncIterator[bytes]) -> bytes:
    """The next bytes; empty at the end."""
    async for part in parts:
        if part:
            return part
    return b""


async def _body(response: httpx.Response, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in _parts(response):
        parts.append(part)
        size += len(part)
        if size >= most:
            break
    return b"".join(parts)[:most]


async def _beginning(response: httpx.Response) -> bytes:
    """How an answer that is no stream begins."""
    parts: list[bytes] = []
    with suppress(*_FAILURES):  # what came until then says enough
        async with asyncio.timeout(BODY_SECONDS):
            async for part in _parts(response):
                parts.append(part)
                if sum(map(len, parts)) >= exchange.EXCERPT_BYTES:
                    break
    return b"".join(parts)


def _why(error: BaseException) -> str:
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return "no answer in time"
    if isinstance(error, httpx.RemoteProtocolError) and "Server disconnected" not in str(error):
        return "the connection was cut" if "peer closed" in str(error) else f"the answer is not HTTP ({error})"
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        return "the connection was cut"
    return said(error) if str(error) or not error.__cause__ else said(error.__cause__)
