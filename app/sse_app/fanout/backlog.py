"""One budget for what all readers together have not taken, and one for what all filters take.

A stream that nobody reads holds some hundred KB: what its socket has taken, and what its transport keeps beside that.
A thousand of them would end the replica for its memory. Once the budget is spent, those that hold most are cut, until a
quarter of it is free. Their clients resume by their ids, and lose nothing.

Many clients that come back at once are no such readers: each takes what it gets, only not all of them at the same
moment. So they take turns in half of the budget. Where none gets free, those that read nothing meanwhile lose theirs.
"""

import asyncio
from collections import deque
from time import monotonic
from typing import NamedTuple, Protocol

from sse_app.base.channels import Filter

_FREE = 0.75  # of the budget: what is kept after a cut
_TURNS = 0.5  # of the budget: what those that catch up may hold
_PATIENCE_SECONDS = 1.0  # of who waits for a turn, until it takes that of a reader which has taken nothing for so long
_LOOK_SECONDS = 0.01  # between two looks while somebody waits: of a crowd of 1,000, each look costs 0.2 ms
_NAME_BYTES = 600  # of memory for a name of a filter beside its text, measured: sets, indexes and groups
_FEW_NAMES = 10  # a filter of so few is always taken: SSE_MAX_STREAMS bounds these


class Writer(Protocol):
    """A connection whose transport may hold something back."""

    @property
    def size(self) -> int:
        """Bytes that the transport holds."""
        ...

    def cut(self) -> None:
        """End the connection, because its reader is slow."""
        ...


class _Turn(NamedTuple):
    held: int  # bytes that its stream may hold then
    until: float  # seconds of the monotonic clock: longer than that it does not wait
    admitted: asyncio.Future[None]


class Backlog:
    """What the transports of all streams hold."""

    def __init__(self, budget: int, socket_bytes: int) -> None:
        """`budget` is SSE_BACKLOG_BYTES; `socket_bytes` are what the kernel holds of a socket that is full."""
        self._budget = budget
        self._socket_bytes = socket_bytes
        # Those that may hold something, with the time since when nothing was taken; the longest first.
        self._writers: dict[Writer, float] = {}
        self._most = 0  # what they hold now is at most this: it was not looked up since
        self._turns: deque[_Turn] = deque()

    def hold(self, writer: Writer, size: int, *, anew: bool = False) -> None:
        """Take note that a transport has been given this many bytes to keep; `anew`: it held nothing before."""
        if anew or writer not in self._writers:
            if self._writers.pop(writer, None) is None:
                size += self._socket_bytes
            self._writers[writer] = monotonic()
        self._most += size
        if self._most > self._budget:
            self._look()
            if self._most > self._budget:
                self._cut_largest()

    def forget(self, writer: Writer) -> None:
        """Take note that a connection is gone."""
        self._writers.pop(writer, None)

    @property
    def bytes(self) -> int:
        """What they hold now."""
        self._look()
        return self._most

    async def turn(self, size: int) -> None:
        """Wait until a stream that catches up may be given so many bytes more."""
        held = min(size + self._socket_bytes, int(self._budget * _TURNS))  # so that there is room for one at least
        if not self._turns and self._room(held):
            return
        loop = asyncio.get_running_loop()
        turn = _Turn(held, monotonic() + _PATIENCE_SECONDS, loop.create_future())
        if not self._turns:
            loop.call_later(_LOOK_SECONDS, self._admit, loop)
        self._turns.append(turn)
        await turn.admitted

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        self._look()
        given, now = 0, monotonic()
        while self._turns:
            turn = self._turns[0]
            given += turn.held
            if turn.until <= now and not self._room(given):
                self._cut_unread(given, now)
            elif not self._room(given):
                loop.call_later(_LOOK_SECONDS, self._admit, loop)
                break
            self._turns.popleft()
            if not turn.admitted.done():
                turn.admitted.set_result(None)

    def _room(self, size: int) -> bool:
        return self._most + size <= self._budget * _TURNS

    def _look(self) -> None:
        sizes = {writer: size for writer in self._writers if (size := writer.size)}
        self._writers = {writer: since for writer, since in self._writers.items() if writer in sizes}
        self._most = sum(sizes.values()) + len(sizes) * self._socket_bytes

    def _cut_largest(self) -> None:
        for writer in sorted(self._writers, key=lambda one: one.size, reverse=True):  # of equals, the longest first
            if self._most <= self._budget * _FREE:
                break
            self._cut(writer)

    def _cut_unread(self, wanted: int, now: float) -> None:
        for writer, since in list(self._writers.items()):
            if since > now - _PATIENCE_SECONDS or self._room(wanted):
                break
            self._cut(writer)

    def _cut(self, writer: Writer) -> None:
        self._most -= writer.size + self._socket_bytes
        del self._writers[writer]
        writer.cut()


class Filters:
    """The filters of all streams; equal ones are one object."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: dict[Filter, tuple[Filter, int]] = {}  # with the number of its streams
        self.bytes = 0

    def admits(self, wanted: Filter) -> bool:
        """Whether there is memory for one more stream with this filter."""
        names = len(wanted.exact) + len(wanted.prefixes)
        return names <= _FEW_NAMES or wanted in self._held or self.bytes + _cost(wanted) <= self._budget

    def add(self, wanted: Filter) -> Filter:
        """Count a stream in; return the one object for its filter."""
        one, count = self._held.get(wanted, (wanted, 0))
        self._held[one] = one, count + 1
        if not count:
            self.bytes += _cost(one)
        return one

    def remove(self, wanted: Filter) -> None:
        """Count a stream out."""
        one, count = self._held.pop(wanted)
        if count > 1:
            self._held[one] = one, count - 1
        else:
            self.bytes -= _cost(one)


def _cost(wanted: Filter) -> int:
    return sum(_NAME_BYTES + len(name) for names in (wanted.exact, wanted.prefixes) for name in names)
