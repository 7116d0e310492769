"""The log kept by Kafka: one topic with one partition, written with acks=all, read without a consumer group.

No exception of the library leaves this module: each becomes one of log/interface.py.
"""

import asyncio
import importlib
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sse_app.base.settings import Settings
from sse_app.log.interface import Bounds, Draft, LogUnavailableError, OutOfRangeError, Record, Tail, TooLargeError
from sse_app.log.kafka_client import KafkaClient
from sse_app.log.kafka_tail import ANSWER_SECONDS, IDLE_MILLISECONDS, UNREADABLE, KafkaTail, decoded, described
from sse_app.log.kafka_writer import RECORD_OVERHEAD, KafkaWriter

_aiokafka: Any = importlib.import_module("aiokafka")  # without types
_admin: Any = importlib.import_module("aiokafka.admin")
_config: Any = importlib.import_module("aiokafka.admin.config_resource")
_errors: Any = importlib.import_module("aiokafka.errors")

_SEGMENT_BYTES = 2**30  # of one file of the log, which Kafka removes as a whole
_SEGMENT_BYTES_LEAST = 2**20
_PASSWORD_SECONDS = 1.0  # how soon a new password counts for connections that the producer makes later
_TOPIC_EXISTS = 36  # an error code of the protocol


def segment_bytes(retention: int) -> int:
    """The size of the files of the log: Kafka removes whole files, so that a small log needs small ones."""
    return min(_SEGMENT_BYTES, max(retention // 8, _SEGMENT_BYTES_LEAST)) if retention >= 0 else _SEGMENT_BYTES


class KafkaLog:
    """One producer, one tail, and one reader for old records; each is replaced after any error."""

    kind = "kafka"
    remote = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._partition: Any = _aiokafka.TopicPartition(settings.topic, 0)
        self._max_batch = settings.max_body_bytes + settings.max_batch_events * (RECORD_OVERHEAD + 200) + 1024
        self._most_fetched = max(2**20, 2 * self._max_batch)  # bytes of one answer
        self._producer: KafkaWriter | None = None
        self._password = ""  # by which the producer signs in
        self._password_read = 0.0
        self._producer_lock = asyncio.Lock()
        self._reader: Any = None
        self._reader_lock = asyncio.Lock()
        self._closing: set[asyncio.Task[None]] = set()

    # --- the topic

    async def prepare(self) -> None:
        """Create the topic where it is missing; refuse one with several partitions, which have no common order."""
        admin = _admin.AIOKafkaAdminClient(**self._client_options())
        admin._client = KafkaClient(**self._client_options())  # noqa: SLF001 - nothing public takes one
        try:
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                await admin.start()
                await self._prepare(admin)
        except LogUnavailableError:
            raise
        except Exception as error:
            raise LogUnavailableError(described(error)) from error
        finally:
            self._dispose(admin.close)

    async def _prepare(self, admin: Any) -> None:
        name = self._settings.topic
        configuration = {
            "cleanup.policy": "delete",
            "retention.ms": str(self._settings.retention_seconds * 1000),
            "retention.bytes": str(self._settings.retention_bytes),
            "segment.bytes": str(segment_bytes(self._settings.retention_bytes)),
            "flush.messages": str(self._settings.flush_messages),
            # The broker unpacks what other producers have compressed, and refuses what is too large then: a record of
            # a megabyte may unpack to gigabytes, and this service has no code for lz4, snappy and zstd.
            "compression.type": "uncompressed",
            "max.message.bytes": str(self._max_batch),
            "message.timestamp.type": "LogAppendTime",  # one clock for all records: see duplicates.py
        }
        there = name in await admin.list_topics()
        if self._settings.topic_given and not there:
            raise LogUnavailableError(f"there is no topic {name}: expected one that somebody else has made")
        if not there:
            topic = _admin.NewTopic(name, 1, self._settings.topic_replication, topic_configs=configuration)
            response = await admin.create_topics([topic])
            for _, code, *message in response.topic_errors:
                if code not in (0, _TOPIC_EXISTS):
                    raise LogUnavailableError(
                        f"topic {name} cannot be created: {_errors.for_code(code).__name__} {message}"
                    )
        described = await admin.describe_topics([name])
        partitions = len(described[0]["partitions"])
        if partitions > 1:
            raise LogUnavailableError(
                f"topic {name} has {partitions} partitions: expected exactly one, to keep the order"
            )
        if self._settings.topic_given:
            return
        resource = _config.ConfigResource(_config.ConfigResourceType.TOPIC, name, configs=configuration)
        [answer] = await admin.describe_configs([resource])
        present = {key: value for key, value, *_ in answer.resources[0][4]}
        if present != configuration:  # the settings have changed since the topic was created
            await admin.alter_configs([resource])

    # --- reading

    async def bounds(self) -> Bounds:
        """The offsets that are kept now."""
        async with self._reading() as reader:
            return await self._bounds(reader)

    async def _bounds(self, consumer: Any) -> Bounds:
        start = await consumer.beginning_offsets([self._partition])
        end = await consumer.end_offsets([self._partition])
        return Bounds(start[self._partition], end[self._partition])

    async def read(self, offset: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `offset`."""
        async with self._reading() as reader:
            bounds = await self._bounds(reader)
            if not bounds.start <= offset <= bounds.end:
                raise OutOfRangeError(offset)
            if offset == bounds.end:
                return ()
            reader.seek(self._partition, offset)  # drops the records that an earlier read has fetched ahead
            reader.resume(self._partition)
            try:
                while True:
                    found = await reader.getmany(self._partition, timeout_ms=IDLE_MILLISECONDS, max_records=limit)
                    if found:
                        return [decoded(message) for message in found[self._partition]]
            except UNREADABLE:
                return await self._read_past(offset, limit)
            finally:
                reader.pause(self._partition)

    async def _read_past(self, offset: int, limit: int) -> Sequence[Record]:
        """Read records among which there is one that the consumer cannot read."""
        async with self.tail(offset) as tail:
            records = (await tail.fetch(wait=False)).records
        if not records:
            raise LogUnavailableError("Kafka gave no records")
        return records[:limit]

    async def offset_at(self, milliseconds: int) -> int:
        """The first offset whose record is not older than a time (Unix); the end where there is none."""
        async with self._reading() as reader:
            found = (await reader.offsets_for_times({self._partition: milliseconds}))[self._partition]
            return (await self._bounds(reader)).end if found is None else found.offset

    @asynccontextmanager
    async def _reading(self) -> AsyncGenerator[Any]:
        async with self._reader_lock:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    if self._reader is None:
                        self._reader = await self._consumer()
                    yield self._reader
            except BaseException as error:
                reader, self._reader = self._reader, None
                if reader is not None:
                    self._dispose(reader.stop)
                if isinstance(error, _errors.OffsetOutOfRangeError):
                    raise OutOfRangeError(str(error)) from error
                if isinstance(error, Exception) and not isinstance(error, (OutOfRangeError, LogUnavailableError)):
                    raise LogUnavailableError(described(error)) from error
                raise

    @asynccontextmanager
    async def tail(self, offset: int) -> AsyncGenerator[Tail]:
        """Follow the log from an offset."""
        client: Any = None
        try:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    client = KafkaClient(**self._client_options(), retry_backoff_ms=50)
                    await client.bootstrap()
                    await client.set_topics([self._settings.topic])
            except Exception as error:
                raise LogUnavailableError(described(error)) from error
            yield KafkaTail(client, self._partition, offset, self._most_fetched)
        finally:
            if client is not None:
                self._dispose(client.close)

    async def _consumer(self) -> Any:
        consumer = _aiokafka.AIOKafkaConsumer(
            **self._client_options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",  # an offset that is gone must raise an error, never be skipped
            max_partition_fetch_bytes=self._most_fetched,
            fetch_max_bytes=self._most_fetched,
            retry_backoff_ms=50,
        )
        consumer._client = KafkaClient(**self._client_options(), retry_backoff_ms=50)  # noqa: SLF001 - as above
        try:
            await consumer.start()
            consumer.assign([self._partition])
        except BaseException:
            self._dispose(consumer.stop)
            raise
        return consumer

    # --- writing

    async def append(self, drafts: Sequence[Draft]) -> int:
        """Write all or none: several are one record batch. After a failure or a cancellation the producer is discarded.

        The producer is not the idempotent one. That one fails for good after the log has lost its end, and it never
        lets a batch expire, so that a publish answered by 503 could be stored a minute later. duplicates.py is enough.
        """
        producer = None
        try:
            producer = self._producer
            if producer is None or self._password_changed():
                producer = await self._producer_ready()
            offset = await producer.append(drafts)
        except _errors.MessageSizeTooLargeError as error:
            raise TooLargeError("Kafka refuses a batch of this size") from error
        except TooLargeError:
            raise
        except Exception as error:
            self._discard(producer)
            raise LogUnavailableError(described(error)) from error
        except asyncio.CancelledError:
            self._discard(producer)
            raise
        if offset < 0:
            raise LogUnavailableError("Kafka acknowledged without an offset")
        return offset

    async def _producer_ready(self) -> KafkaWriter:
        async with self._producer_lock:
            options = self._client_options()
            password = str(options.get("sasl_plain_password", ""))
            if self._producer is not None and password != self._password:
                # The broker closes idle connections, and the client would come back with the password that it has.
                self._dispose(self._producer.finish)
                self._producer = None
            if self._producer is None:
                self._password = password
                client = KafkaClient(**options, retry_backoff_ms=50)
                try:
                    await client.bootstrap()
                    await client.set_topics([self._settings.topic])
                except BaseException:
                    self._dispose(client.close)
                    raise
                seconds = int(options["request_timeout_ms"]) / 1000
                self._producer = KafkaWriter(client, self._partition, self._max_batch, seconds)
            return self._producer

    def _password_changed(self) -> bool:
        now = asyncio.get_running_loop().time()
        if not self._settings.kafka_user or now < self._password_read + _PASSWORD_SECONDS:
            return False
        self._password_read = now
        with suppress(OSError):  # it is being replaced: the next look sees the new one
            return self._settings.kafka_password() != self._password
        return False

    def _discard(self, producer: KafkaWriter | None) -> None:
        """Drop a producer and the records that it holds, so that none is written after its publisher got an answer."""
        if producer is None or producer is not self._producer:
            return
        self._producer = None
        producer.stop(_errors.KafkaConnectionError("the producer was discarded"))
        self._dispose(producer.client.close)

    async def close(self) -> None:
        """Close every connection."""
        if self._producer is not None:
            self._dispose(self._producer.finish)
        if self._reader is not None:
            self._dispose(self._reader.stop)
        self._producer = self._reader = None
        if self._closing:
            await asyncio.wait(self._closing, timeout=ANSWER_SECONDS)

    # --- common

    def _client_options(self) -> dict[str, Any]:
        # Below the publish deadline, so that a batch expires before its publisher gets the outcome "unknown".
        request = int(min(self._settings.publish_deadline_seconds * 0.8, ANSWER_SECONDS) * 1000)
        tls, user = self._settings.kafka_tls, self._settings.kafka_user
        options: dict[str, Any] = {
            "bootstrap_servers": self._settings.kafka_brokers,
            "client_id": self._settings.replica,
            "request_timeout_ms": request,
            "security_protocol": ("SASL_" if user else "") + ("SSL" if tls else "PLAINTEXT"),
        }
        if tls:  # the file is read anew for each client, so that it can change without a restart
            options["ssl_context"] = ssl.create_default_context(cafile=self._settings.kafka_ca_file or None)
        if not user:
            return options
        return options | {
            "sasl_mechanism": self._settings.kafka_mechanism,
            "sasl_plain_username": user,
            "sasl_plain_password": self._settings.kafka_password(),
        }

    def _dispose(self, stop: Any) -> None:
        """Close something in the background: a broker that is away would hold the caller up."""

        async def quietly() -> None:
            with suppress(Exception):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await stop()

        task = asyncio.create_task(quietly())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
