"""Reads new records of Kafka's log: one request at a time, which asks for what the last answer has not brought.

aiokafka's consumer fetches by several tasks, and wakes each of them for every answer: with one record in an answer that
took 300 us of 400. So its client is used here, which keeps the connection, signs in and knows the leader.
"""

import asyncio
import importlib
from collections.abc import Iterator
from typing import Any

from sse_app.base import trace_context
from sse_app.base.channels import CHANNEL
from sse_app.base.event import NAME, RESERVED
from sse_app.log.cursor import fingerprint
from sse_app.log.interface import MARKER, Draft, Fetched, LogUnavailableError, OutOfRangeError, Record

_errors: Any = importlib.import_module("aiokafka.errors")  # without types
_fetch: Any = importlib.import_module("aiokafka.protocol.fetch")
_records: Any = importlib.import_module("aiokafka.record.memory_records")

ANSWER_SECONDS = 3.0  # a broker that takes longer counts as away
IDLE_MILLISECONDS = 1000  # for which the broker waits for a record: its answer shows that it is alive
_FORGED = RESERVED - {"meta"}  # that name was free once, so the log may hold events of clients with it
_READ_UNCOMMITTED = 0
_AT_ONCE = 500  # records, which take about 5 ms
# Of another producer: the name of a header is no text, or the batch was compressed before the topic forbade it.
UNREADABLE: tuple[type[Exception], ...] = (UnicodeDecodeError, _errors.UnsupportedCodecError)


class KafkaTail:
    """Follows one partition from an offset; whoever makes it closes its client."""

    def __init__(self, client: Any, partition: Any, offset: int, most_bytes: int) -> None:
        self._client = client
        self._partition = partition
        self._offset = offset  # of the next record
        self._most_bytes = most_bytes
        self._connections: list[Any] | None = None

    async def fetch(self, wait: bool = True) -> Fetched:
        """The records after the last ones, or none after about a second; without `wait`, those that are there now."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                highwater, content = await self._ask(IDLE_MILLISECONDS if wait else 0)
            unbroken = self._unbroken()
            records = await self._unpacked(content)
        except _errors.OffsetOutOfRangeError as error:
            raise OutOfRangeError(str(error)) from error
        except Exception as error:
            raise LogUnavailableError(described(error)) from error
        return Fetched(records, unbroken, highwater)

    async def _ask(self, milliseconds: int) -> tuple[int, bytes]:
        """What one answer of the leader says: the end of the log, and batches of records."""
        name, number = self._partition
        leader = self._client.cluster.leader_for_partition(self._partition)
        if leader is None or leader < 0:
            raise _errors.LeaderNotAvailableError
        asked = [(name, [(number, self._offset, self._most_bytes)])]
        request = _fetch.FetchRequest(milliseconds, 1, self._most_bytes, _READ_UNCOMMITTED, asked)
        answer = await self._client.send(leader, request)
        [(_, [(_, code, highwater, *_, content)])] = answer.topics
        if code:
            raise _errors.for_code(code)(f"the fetch at offset {self._offset} was refused")
        return highwater, content or b""

    async def _unpacked(self, content: bytes) -> list[Record]:
        """The records of batches, of which other programs write a hundred thousand into one: others get their turn."""
        found, before = list[Record](), self._offset
        try:
            for record in self._read(content):
                found.append(record)
                if not len(found) % _AT_ONCE:
                    await asyncio.sleep(0)
        except BaseException:
            self._offset = before  # whoever asks again gets all of them
            raise
        return found

    def _read(self, content: bytes) -> Iterator[Record]:
        batches = _records.MemoryRecords(content)
        while batches.has_next():
            batch = batches.next_batch()
            if not batch.validate_crc():
                raise _errors.CorruptRecordException("the checksum of a batch is wrong")
            if not batch.is_control_batch:  # these end foreign transactions
                yield from self._readable(batch)
            self._offset = max(self._offset, batch.next_offset)

    def _readable(self, batch: Any) -> Iterator[Record]:
        try:
            for message in batch:
                if message.offset >= self._offset:  # a batch comes whole, also where its head is known
                    yield decoded(message)
        except UNREADABLE:
            # The library stops there, so the rest of the batch is one record that is no event. Otherwise nobody would
            # ever come past it.
            last, empty = batch.next_offset - 1, Draft(b"", MARKER, "", b"", b"")
            yield Record(last, batch.max_timestamp, fingerprint(b"unreadable\0%d" % last), empty)

    def _unbroken(self) -> bool:
        """Whether everything came over the connections of the last time: after a new one the log may have lost its end.

        aiokafka reconnects without telling (verified: it then skips new events at reused offsets). The old connection
        objects are kept, so that a new one never has the address of an old one.
        """
        connections = list(self._client._conns.values())  # noqa: SLF001 - nothing public names them
        known, self._connections = self._connections, connections
        return known is not None and all(any(new is old for old in known) for new in connections)


def decoded(message: Any) -> Record:
    """A record of any producer: one without our headers is an event if its key is a channel and its value is text."""
    headers: dict[str, bytes] = {name: value or b"" for name, value in message.headers}  # Kafka allows null
    key, value, channel = headers.get("key", b""), message.value or b"", (message.key or b"").decode("latin-1")
    name = headers.get("event", b"message").decode("utf-8", "replace")
    unique = key or b"%d\0%b\0%b" % (message.timestamp, message.key or b"", value)
    if not CHANNEL.fullmatch(channel) or not NAME.fullmatch(name) or name in _FORGED or not _is_text(value):
        channel = MARKER
    traceparent = trace_context.parse(headers.get("traceparent", b""))
    draft = Draft(key, channel, name or "message", value, headers.get("digest", b""), traceparent)
    return Record(message.offset, message.timestamp, fingerprint(unique), draft)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def described(error: Exception) -> str:
    """An exception of the library in a line."""
    if isinstance(error, (_errors.KafkaError, OSError)) and str(error):
        return f"Kafka: {error}"
    return f"Kafka: {type(error).__name__} {error}".rstrip()
