"""Bounds what large answers hold in memory: few at once, a share for each address, and a time to be read.

A page takes up to PAGE_BYTES, some times as much while it is made, and stays in the buffer of its connection until the
client has read it. Without these bounds, clients that ask for pages and read none end the replica for its memory.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sse_app.base.account import BYTE_SECONDS, SCOPE, Account
from sse_app.base.asgi import Application, Message, Receive, Scope, Send
from sse_app.base.client_address import client_address
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.http.stream_output import connection_of
from sse_app.http.uvicorn_protocol import StreamProtocol

PAGE_BYTES = 2**20  # of the events in one answer; one event alone may take more
_LARGE = ("/api/v1/channels", "/docs", "/openapi.json")
AT_ONCE = 16
PER_ADDRESS = 4
_WAITING = 1000  # requests that wait for their turn, of about 10 KB each
_WAIT_SECONDS = 2.0
_RESTING_BYTES = 65_536  # asyncio's own bound of a transport's buffer


class Answers:
    """ASGI application: hands requests on; those with large answers get their turn first."""

    def __init__(self, settings: Settings, otherwise: Application) -> None:
        self._settings = settings
        self._otherwise = otherwise
        self.held: Counter[str] = Counter()  # answers by address
        self._waiting = 0
        self._changed = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        if scope["type"] != "http" or not scope["path"].startswith(_LARGE):
            await self._otherwise(scope, receive, send)
            return
        connection = connection_of(scope)
        try:
            async with self._turn(client_address(scope, self._settings.proxies)):
                if connection is not None:
                    connection.transport.set_write_buffer_limits(high=0)  # so that drain() waits for the last byte
                await self._otherwise(scope, receive, _counted(scope, send))
                if connection is not None:
                    await self._read(connection)
        except Problem as problem:
            await problem.answer(send)

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncGenerator[None]:
        """Wait until this address may have one more large answer; raises Problem 503 where that takes too long."""
        held = self.held
        if self._waiting >= _WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(_WAIT_SECONDS), self._changed:
                await self._changed.wait_for(lambda: held.total() < AT_ONCE and held[address] < PER_ADDRESS)
                held[address] += 1
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            held[address] -= 1
            if not held[address]:
                del held[address]
            async with self._changed:
                self._changed.notify_all()

    async def _read(self, connection: StreamProtocol) -> None:
        """Wait until the client has taken the answer; cut one that does not take it in SSE_SLOW_READER_SECONDS."""
        try:
            async with asyncio.timeout(self._settings.slow_reader_seconds):
                await connection.flow.drain()
        except TimeoutError:
            connection.transport.abort()
        if connection.stream is None:  # a stream that came meanwhile on this connection has a bound of its own
            connection.transport.set_write_buffer_limits(high=_RESTING_BYTES)


def _counted(scope: Scope, send: Send) -> Send:
    """A send() that charges the bytes of an answer to its address, where somebody counts."""
    account: Account | None = scope.get(SCOPE)
    if account is None:
        return send

    async def send_and_charge(message: Message) -> None:
        account.charge(len(message.get("body", b"")) * BYTE_SECONDS)
        await send(message)

    return send_and_charge


def _busy() -> Problem:
    return Problem(503, "this replica already sends as many large answers as it may; try again", {"retry-after": "1"})
