"""Bounds what large answers hold in memory: few at once, a share for each address, and a time to be read.

A page takes up to PAGE_BYTES, some times as much while it is made, and stays in the buffer of its connection until the
client has read it. Without these bounds, clients that ask for pages and read none end the replica for its memory.

Who waits for a place gets it before those whose address holds more of them. Where none gets free, slow readers lose
theirs: one whose address holds more places than the address of who waits, or one that would not end in time at its
pace. Thus who reads nothing keeps others waiting for a second, and not for SSE_SLOW_READER_SECONDS.
"""

import asyncio
import fcntl
import sys
import termios
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from operator import itemgetter
from time import monotonic
from typing import NamedTuple

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
_WAITING = 100  # requests of one address that wait for their turn
_WAITING_ALL = 1000  # requests of all addresses, of about 10 KB each
_PATIENCE_SECONDS = 1.0  # of who waits, until a slow reader loses its place, and then once more; and of who reads
_RESTING_BYTES = 65_536  # asyncio's own bound of a transport's buffer


class _Reading(NamedTuple):
    """An answer that its client has not read to the end."""

    address: str
    connection: StreamProtocol
    begun: float
    bytes: int

    def slow(self, now: float, seconds: float) -> bool:
        """Whether the client takes so little that it would not have the whole answer within so many seconds."""
        return self.bytes - _unsent(self.connection) < (now - self.begun) * self.bytes / seconds


class Answers:
    """ASGI application: hands requests on; those with large answers get their turn first."""

    def __init__(self, settings: Settings, otherwise: Application) -> None:
        self._settings = settings
        self._otherwise = otherwise
        self.held: Counter[str] = Counter()  # answers by address
        self._queue: dict[asyncio.Future[None], str] = {}  # addresses of requests that wait, in the order of arrival
        self._waiting: Counter[str] = Counter()
        self._readings: set[_Reading] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path."""
        if scope["type"] != "http" or not scope["path"].startswith(_LARGE):
            await self._otherwise(scope, receive, send)
            return
        connection = connection_of(scope)
        address = client_address(scope, self._settings.proxies)
        try:
            async with self._turn(address):
                if connection is not None:
                    _bound(connection, 0)  # so that drain() waits for the last byte
                await self._otherwise(scope, receive, _counted(scope, send))
                if connection is not None:
                    await self._read(address, connection)
        except Problem as problem:
            await problem.answer(send)

    @asynccontextmanager
    async def _turn(self, address: str) -> AsyncGenerator[None]:
        """Wait until this address may have one more large answer; raises Problem 503 where that takes too long."""
        queue, waiting = self._queue, self._waiting
        if len(queue) >= _WAITING_ALL or waiting[address] >= _WAITING:
            raise _busy()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue[place] = address
        waiting[address] += 1
        try:
            self._give()
            await asyncio.wait((place,), timeout=_PATIENCE_SECONDS)
            if not place.done():
                self._make_room(address)
                await asyncio.wait((place,), timeout=_PATIENCE_SECONDS)
                if not place.done():
                    raise _busy()
            yield
        finally:
            if queue.pop(place, None) is None:  # it was given
                _decrease(self.held, address)
                self._give()
            else:
                _decrease(waiting, address)

    def _give(self) -> None:
        """Give the free places to those who wait: first to the addresses that hold the fewest."""
        held = self.held
        while held.total() < AT_ONCE:
            fitting = [(held[address], place) for place, address in self._queue.items() if held[address] < PER_ADDRESS]
            if not fitting:
                return
            _, place = min(fitting, key=itemgetter(0))  # of equals the one that waits longest
            address = self._queue.pop(place)
            _decrease(self._waiting, address)
            held[address] += 1
            place.set_result(None)

    def _make_room(self, address: str) -> None:
        """Cut a slow reader, to free a place for this address."""
        held, now, seconds = self.held, monotonic(), self._settings.slow_reader_seconds
        readings = [one for one in self._readings if now - one.begun >= _PATIENCE_SECONDS]
        if held[address] >= PER_ADDRESS:
            readings = [one for one in readings if one.address == address and one.slow(now, seconds)]
        else:
            readings = [one for one in readings if held[one.address] > held[address] + 1 or one.slow(now, seconds)]
        if readings:
            worst = max(readings, key=lambda one: (held[one.address], one.slow(now, seconds), now - one.begun))
            self._readings.discard(worst)  # nobody else waits for its place
            worst.connection.transport.abort()

    async def _read(self, address: str, connection: StreamProtocol) -> None:
        """Wait until the client has taken the answer; cut one that does not take it in SSE_SLOW_READER_SECONDS."""
        reading = _Reading(address, connection, monotonic(), _unsent(connection))
        self._readings.add(reading)
        try:
            async with asyncio.timeout(self._settings.slow_reader_seconds):
                await connection.flow.drain()
        except TimeoutError:
            connection.transport.abort()
        finally:
            self._readings.discard(reading)
        if connection.stream is None:  # a stream that came meanwhile on this connection has a bound of its own
            _bound(connection, _RESTING_BYTES)


def _bound(connection: StreamProtocol, size: int) -> None:
    """Set the bytes above which drain() waits; a transport takes no bound once its client has left."""
    if not connection.transport.is_closing():
        connection.transport.set_write_buffer_limits(high=size)


def _unsent(connection: StreamProtocol) -> int:
    """The bytes of an answer that its client, or the proxy before it, has not got: here and in the kernel."""
    transport = connection.transport
    if transport.is_closing():
        return 0
    held = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    return transport.get_write_buffer_size() + int.from_bytes(held, sys.byteorder)


def _decrease(numbers: Counter[str], address: str) -> None:
    numbers[address] -= 1
    if not numbers[address]:
        del numbers[address]


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
