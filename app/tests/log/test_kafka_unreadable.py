"""Records of other producers that the library cannot read: everybody comes past them, and to the same ids."""

from __future__ import annotations

import asyncio
import importlib
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from sse_app.base.settings import Settings
from sse_app.log.interface import MARKER, Bounds, Fetched, LogUnavailableError, Record
from sse_app.log.kafka import KafkaLog
from sse_app.log.kafka_tail import KafkaTail

_default: Any = importlib.import_module("aiokafka.record.default_records")
_util: Any = importlib.import_module("aiokafka.record.util")


def batch(first: int, *names: bytes, codec: int = 0) -> bytes:
    """One record for each name of a header; a name of four bytes need not be text, and nothing is compressed."""
    builder = _default.DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 100_000)
    for place, _ in enumerate(names):
        builder.append(place, 1_000 + place, b"orders", b"%d" % place, [(f"h{place:03}", b"x")])
    raw = bytearray(bytes(builder.build()))
    for place, name in enumerate(names):
        raw = raw.replace(b"h%03d" % place, name)
    raw[0:8], raw[22] = struct.pack(">q", first), codec
    raw[17:21] = struct.pack(">I", _util.calc_crc32c(bytes(raw[21:])))
    return bytes(raw)


def read(content: bytes, offset: int) -> tuple[list[Record], int]:
    tail = KafkaTail(None, ("sse-events", 0), offset, 2**20)
    return asyncio.run(tail._unpacked(content)), tail._offset


GOOD, BAD = b"fine", b"\xff\xfe\xff\xfe"


def test_a_header_whose_name_is_no_text_hides_the_rest_of_its_batch_and_nothing_else() -> None:
    found, following = read(batch(5, GOOD, BAD, GOOD) + batch(8, GOOD), 5)
    assert [(one.offset, one.draft.channel) for one in found] == [(5, "orders"), (7, MARKER), (8, "orders")]
    assert following == 9


async def test_a_batch_of_very_many_records_leaves_others_their_turn_and_is_read_again_whole() -> None:
    """Other programs may write a hundred thousand into one: each replica stood still for seconds."""
    builder = _default.DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 500_000)
    for offset in range(9_000):
        builder.append(offset, 1_000, b"orders", b"1", [])
    tail, turns = KafkaTail(None, ("sse-events", 0), 0, 2**20), 0
    content = bytes(builder.build())
    reading = asyncio.create_task(tail._unpacked(batch(0, GOOD) + content))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert tail._offset == 0
    reading = asyncio.create_task(tail._unpacked(content))
    while not reading.done():
        turns += 1
        await asyncio.sleep(0)
    assert [one.offset for one in await reading] == list(range(9_000))
    assert tail._offset == 9_000
    assert turns > 9


@pytest.mark.parametrize("codec", [2, 3, 4])  # snappy, lz4, zstd: the service has code for none of them
def test_a_batch_that_was_compressed_before_the_topic_forbade_it_is_passed(codec: int) -> None:
    found, following = read(batch(5, GOOD, GOOD, codec=codec) + batch(7, GOOD), 5)
    assert [(one.offset, one.draft.channel) for one in found] == [(6, MARKER), (7, "orders")]
    assert following == 8


@pytest.mark.parametrize("offset", [5, 6, 7])
def test_whoever_reads_it_finds_the_same_record(offset: int) -> None:
    content = batch(5, GOOD, BAD, GOOD)
    [found] = [one for one in read(content, offset)[0] if one.draft.channel == MARKER]
    [other] = [one for one in read(content, 5)[0] if one.draft.channel == MARKER]
    assert found == other


def log(records: list[Record]) -> KafkaLog:
    """One whose consumer cannot read a record, and whose tail finds these."""
    made = KafkaLog(Settings(kafka_brokers="127.0.0.1:1"))
    calls: dict[str, Any] = {name: lambda *_: None for name in ("seek", "resume", "pause", "stop")}

    async def getmany(*_: Any, **__: Any) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    async def fetch(wait: bool = True) -> Fetched:
        assert not wait
        return Fetched(records, False, 9)

    async def bounds(_: Any) -> Bounds:
        return Bounds(0, 9)

    @asynccontextmanager
    async def tail(_: int) -> AsyncGenerator[Any]:
        yield SimpleNamespace(fetch=fetch)

    replaced: Any = made
    replaced._reader, replaced._bounds, replaced.tail = SimpleNamespace(**calls, getmany=getmany), bounds, tail
    return made


def test_a_reader_of_old_records_comes_past_it_too() -> None:
    records = read(batch(5, GOOD, GOOD, BAD), 5)[0]
    assert asyncio.run(log(records).read(5, 2)) == records[:2]
    with pytest.raises(LogUnavailableError):
        asyncio.run(log([]).read(5, 2))
