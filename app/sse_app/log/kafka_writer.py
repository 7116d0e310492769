"""Writes to Kafka's log: one request at a time, and what comes meanwhile goes together in the next (a group commit).

aiokafka's producer wakes several tasks for each request: one record in a request took 300 us of 450. So its client is
used here, as in kafka_tail.py.
"""

import asyncio
import importlib
from collections import deque
from collections.abc import Sequence
from typing import Any

from sse_app.log.interface import Draft, TooLargeError

_errors: Any = importlib.import_module("aiokafka.errors")  # without types
_produce: Any = importlib.import_module("aiokafka.protocol.produce")
_default: Any = importlib.import_module("aiokafka.record.default_records")

RECORD_OVERHEAD = 320  # bytes, generously: framing, header names, digest and traceparent of a record
_RETRY_SECONDS = 0.05
_GATHER_SECONDS = (0.001, 0.01)  # left before a request, where requests come fast and bring several publishes each
_FAST_SECONDS = 0.025  # requests that begin closer than this on average come fast
_SEVERAL = 1.2  # publishes in a request on average: one publisher that waits for each answer never has more than 1
_WEIGHT = 0.05  # of the newest request in every average
_EVEN = 0.75  # averages of publishes that come evenly differ by chance; from this on they count as even
_MAGIC, _NO_COMPRESSION = 2, 0
_ALL = -1  # acks


class _Batch:
    """Whole publishes that become one record batch, which the broker stores as a whole or not at all."""

    def __init__(self, most_bytes: int, expires: float) -> None:
        self.expires = expires  # by the clock of the loop
        self.bytes = 0  # of its records, generously
        self.waiting: list[tuple[asyncio.Future[int], int]] = []  # each publish, and the place of its first record
        self._places = 0
        self._builder: Any = _default.DefaultRecordBatchBuilder(
            *(_MAGIC, _NO_COMPRESSION), 0, -1, -1, 0, most_bytes
        )  # neither transactional nor idempotent

    def add(self, drafts: Sequence[Draft], size: int, future: asyncio.Future[int]) -> bool:
        """Take a publish; False where its records do not fit, and then the batch is of no use."""
        first = self._places
        for draft in drafts:
            key, headers = draft.channel.encode(), _headers(draft)
            if self._builder.append(self._places, None, key, draft.data, headers) is None:
                return False
            self._places += 1
        self.waiting.append((future, first))
        self.bytes += size
        return True

    def content(self) -> bytes:
        """What the broker stores; the batch takes nothing more."""
        return bytes(self._builder.build())

    def done(self, offset: int) -> None:
        """Tell each publish where its first record is."""
        for future, place in self.waiting:
            if not future.done():
                future.set_result(offset + place)

    def fail(self, error: Exception) -> None:
        """Tell each publish that its outcome is not known."""
        for future, _ in self.waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waited may be gone: asyncio would log that nobody has looked at it


class KafkaWriter:
    """Writes to one partition, by a client of its own."""

    def __init__(self, client: Any, partition: Any, most_bytes: int, answer_seconds: float) -> None:
        """Give up a batch that the broker has not taken after `answer_seconds`."""
        self.client = client
        self._partition = partition
        self._most_bytes = most_bytes
        self._answer_seconds = answer_seconds
        self._batches: deque[_Batch] = deque()
        self._under_way: _Batch | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped: Exception | None = None
        self._begun = 0.0  # when the last request began, by the clock of the loop
        self._interval = 1.0  # average seconds between two requests
        self._found = 1.0  # average publishes in a request
        self._flight = 1.0  # average seconds until a request is answered
        self._meanwhile = 0.0  # average publishes that come until then
        self._came = 0  # publishes since the last request began

    async def append(self, drafts: Sequence[Draft]) -> int:
        """Write all or none at consecutive offsets, and return the first; TooLargeError where they are too many bytes.

        Every other error is of the library, and says that the outcome is not known.
        """
        if self._stopped is not None:
            raise self._stopped
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        size = sum([len(one.key) + len(one.channel) + 4 * len(one.event) + len(one.data) for one in drafts])
        size += len(drafts) * RECORD_OVERHEAD
        self._came += 1
        last = self._batches[-1] if self._batches else None
        if last is not None and last.bytes + size <= self._most_bytes and last.add(drafts, size, future):
            return await future
        made = _Batch(self._most_bytes, loop.time() + self._answer_seconds)
        if not made.add(drafts, size, future):
            raise TooLargeError(f"the batch takes more than {self._most_bytes} bytes in Kafka")
        self._batches.append(made)
        if self._task is None:
            self._task = asyncio.create_task(self._write(), name="kafka writer")
        return await future

    async def _write(self) -> None:
        """Send what waits, batch by batch."""
        while self._batches:
            await self._gather()
            batch = self._under_way = self._batches.popleft()
            try:
                offset = await self._sent(batch)
            except Exception as error:  # noqa: BLE001 - each publish of the batch raises it
                batch.fail(error)
            else:
                self._observe_flight()
                batch.done(offset)
        self._task = self._under_way = None

    async def _gather(self) -> None:
        """Let more publishes join the next request, where that saves requests: the broker flushes for each one.

        Publishers who wait for answers send the next publish right after one, and none while a request is under way:
        then a longer wait brings nothing but a lower rate. Others send at all times. How evenly publishes come is
        their rate while requests are under way, as a part of their rate at all times.
        """
        if self._interval < _FAST_SECONDS and self._found > _SEVERAL and len(self._batches) == 1:
            evenly = min(1.0, self._meanwhile / self._flight / (self._found / self._interval) / _EVEN)
            least, most = _GATHER_SECONDS
            await asyncio.sleep(least + (most - least) * evenly**2)
        now = asyncio.get_running_loop().time()
        self._interval += (min(now - self._begun, 1.0) - self._interval) * _WEIGHT
        self._found += (len(self._batches[0].waiting) - self._found) * _WEIGHT
        self._begun, self._came = now, 0

    def _observe_flight(self) -> None:
        """Take note of how long the request was under way that is answered now, and of what came meanwhile."""
        self._flight += (asyncio.get_running_loop().time() - self._begun - self._flight) * _WEIGHT
        self._meanwhile += (self._came - self._meanwhile) * _WEIGHT

    async def _sent(self, batch: _Batch) -> int:
        """The offset of the first record, once the broker has stored all; what may be repeated is, until it is late.

        A repetition may store the batch twice: see duplicates.py.
        """
        content, clock = batch.content(), asyncio.get_running_loop().time
        while True:
            try:
                return await self._ask(content)
            except _errors.KafkaError as error:
                if not error.retriable or clock() > batch.expires:
                    raise
                if error.invalid_metadata:
                    self.client.force_metadata_update()
            await asyncio.sleep(_RETRY_SECONDS)
            await self.client._maybe_wait_metadata()  # noqa: SLF001 - as aiokafka's own sender does

    async def _ask(self, content: bytes) -> int:
        name, number = self._partition
        leader = self.client.cluster.leader_for_partition(self._partition)
        if leader is None or leader < 0:
            raise _errors.LeaderNotAvailableError
        topics = [(name, [(number, content)])]
        request = _produce.ProduceRequest(None, _ALL, int(self._answer_seconds * 1000), topics)
        answer = await self.client.send(leader, request)
        [(_, [(_, code, offset, *_)])] = answer.topics
        if code:
            raise _errors.for_code(code)(f"the batch was refused by error {code}")
        return offset

    def stop(self, error: Exception) -> None:
        """Give up everything that is not written; each publish raises this error."""
        self._stopped = error
        if self._task is not None:
            self._task.cancel()
        for batch in (*([self._under_way] if self._under_way else []), *self._batches):
            batch.fail(error)
        self._batches.clear()

    async def finish(self) -> None:
        """Write what waits, then close the client."""
        if self._task is not None:
            await asyncio.wait((self._task,))
        await self.client.close()


def _headers(draft: Draft) -> list[tuple[str, bytes]]:
    headers = [("key", draft.key), ("event", draft.event.encode()), ("digest", draft.digest)]
    if draft.traceparent:  # the header name of OpenTelemetry's Kafka clients
        headers.append(("traceparent", draft.traceparent.encode()))
    return headers
