"""The durable log as the service sees it: one ordered sequence of records, kept by Kafka or by this process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

MARKER = ""  # the channel of a record that everybody skips: it keeps the log from being empty


class Draft(NamedTuple):
    """A record before the log has given it an offset."""

    key: bytes  # unique: principal, idempotency key and index in its batch; empty for a foreign record
    channel: str
    event: str
    data: bytes
    digest: bytes  # of the whole publish: the same key with another body is a mistake
    traceparent: str = ""  # of its publisher, where it had one


class Record(NamedTuple):
    """A record at its offset; the timestamp (ms) is the log's own."""

    offset: int
    timestamp: int
    fingerprint: str
    draft: Draft


class Bounds(NamedTuple):
    """First offset kept and next offset to be given."""

    start: int
    end: int


class Fetched(NamedTuple):
    """Records in order; `unbroken` is False when the broker may have come back with another history since."""

    records: Sequence[Record]
    unbroken: bool
    end: int  # the log's end as last heard


class LogUnavailableError(Exception):
    """The log did not answer: what was asked of it may or may not have happened."""


class OutOfRangeError(Exception):
    """The log does not hold that offset."""


class TooLargeError(Exception):
    """The log refuses a batch of this size."""


class Tail(Protocol):
    """A reader that waits for what comes."""

    async def fetch(self) -> Fetched:
        """Records after the last ones, or none after about a second."""
        ...


class Log(Protocol):
    """Every method but close() raises LogUnavailableError when the log does not answer."""

    kind: str

    async def prepare(self) -> None:
        """Make sure that the log exists and is fit for use."""
        ...

    async def bounds(self) -> Bounds:
        """What is kept now."""
        ...

    async def read(self, offset: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `offset`, none at the end; OutOfRangeError outside the bounds."""
        ...

    async def append(self, drafts: Sequence[Draft]) -> int:
        """Write all or none at consecutive offsets; return the first once every replica of the log holds them."""
        ...

    def tail(self, offset: int) -> AbstractAsyncContextManager[Tail]:
        """Follow the log from an offset; fetch() raises OutOfRangeError when the log no longer holds it."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
