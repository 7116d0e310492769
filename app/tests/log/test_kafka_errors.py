"""No exception of Kafka's client leaves log/kafka.py; tests/integration pauses a real broker under publishers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sse_app.base.settings import Settings
from sse_app.log.interface import Draft, LogUnavailableError
from sse_app.log.kafka import KafkaLog

DRAFT = Draft(b"k", "orders", "message", b"1", b"d")


def raising(error: Exception) -> Any:
    async def send(*_: object, **__: object) -> None:
        raise error

    return SimpleNamespace(send=send, start=send)


@pytest.mark.parametrize("error", [KeyError("tp"), RuntimeError("closed"), OSError("reset"), TimeoutError()])
def test_whatever_a_producer_raises_the_outcome_is_unknown(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer that one publisher's deadline discards gives those who wait in it a KeyError."""

    async def run() -> None:
        log = KafkaLog(Settings(kafka_brokers="127.0.0.1:1"))
        monkeypatch.setattr(log, "_producer", raising(error))
        monkeypatch.setattr(log, "_discard", lambda _: None)
        with pytest.raises(LogUnavailableError, match="Kafka: "):
            await log.append([DRAFT])

    asyncio.run(run())


@pytest.mark.parametrize("error", [KeyError("tp"), AssertionError(), OSError("reset")])
def test_whatever_a_consumer_raises_the_log_is_unavailable(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    async def consumer() -> None:
        raise error

    async def run() -> None:
        log = KafkaLog(Settings(kafka_brokers="127.0.0.1:1"))
        monkeypatch.setattr(log, "_consumer", consumer)
        with pytest.raises(LogUnavailableError):
            await log.bounds()
        with pytest.raises(LogUnavailableError):
            async with log.tail(0):
                pass

    asyncio.run(run())
