"""The durable log as the service sees it: one ordered sequence of records, kept by Kafka or by this process."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

MARKER = ""  # the channel of a record that every reader skips: it keeps the log from being empty


CUT = "cut"  # the event of a marker that tells where the log has lost its end: its data is that offset


class Draft(NamedTuple):
    """A record before the log has given it an offset."""

    key: bytes  # unique: principal, idempotency key and index in its batch; empty for a record of another producer
    channel: str
    event: str
    data: bytes
    digest: bytes  # of the whole publish: the same key with another body is a mistake
    traceparent: str = ""  # of its publisher, where it sent one


class Record(NamedTuple):
    """A record at its offset; the timestamp (ms) is by the clock of the log."""

    offset: int
    timestamp: int
    fingerprint: str
    draft: Draft


class Bounds(NamedTuple):
    """The first offset that is kept, and the next offset that will be given."""

    start: int
    end: int


class Fetched(NamedTuple):
    """Records in order; `unbroken` is False when the broker may have come back with other records since."""

    records: Sequence[Record]
    unbroken: bool
    end: int  # of the log, as last heard


class LogUnavailableError(Exception):
    """The log did not answer: the request may or may not have been carried out."""


class OutOfRangeError(Exception):
    """The log does not hold that offset."""


class TooLargeError(Exception):
    """The log refuses a batch of this size."""


class Tail(Protocol):
    """A reader that waits for new records."""

    async def fetch(self, wait: bool = True) -> Fetched:
        """The records after the last ones, or none after about a second; without `wait`, those that are there now."""
        ...


class Log(Protocol):
    """Every method but close() raises LogUnavailableError when the log does not answer."""

    kind: str
    remote: bool  # whether each reading costs a round trip, whatever it brings

    async def prepare(self) -> None:
        """Make sure that the log exists and has the right settings."""
        ...

    async def bounds(self) -> Bounds:
        """The offsets that are kept now."""
        ...

    async def read(self, offset: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `offset`, none at the end; OutOfRangeError outside the bounds."""
        ...

    async def offset_at(self, milliseconds: int) -> int:
        """The first offset whose record is not older than a time (Unix); the end where there is none."""
        ...

    async def append(self, drafts: Sequence[Draft]) -> int:
        """Write all or none at consecutive offsets; return the first once every replica of the log holds them."""
        ...

    def tail(self, offset: int) -> AbstractAsyncContextManager[Tail]:
        """Follow the log from an offset; fetch() raises OutOfRangeError when the log no longer holds it."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
