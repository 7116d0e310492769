"""The client of aiokafka with a broker that answers nothing: others are asked, and it is given up when it is gone."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError, StaleMetadata

from sse_app.log import kafka_client
from sse_app.log.kafka_client import KafkaClient, first

OPTIONS: dict[str, Any] = {"bootstrap_servers": "one:1,two:2,three:3"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_HEAD_START_SECONDS", "_DOUBT_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(kafka_client, name, 0.01)


def brokers(*numbers: int) -> Any:
    return SimpleNamespace(
        brokers=[(number, "host", number, None) for number in numbers],
        topics=[],
        API_VERSION=1,
        controller_id=1,
    )


class Connection:
    """A connection to a broker, with what it answers; an exception is raised, and None is no answer ever."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.closed = answer, False

    def connected(self) -> bool:
        return not self.closed

    async def send(self, *_: Any, **__: Any) -> Any:
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self, **_: Any) -> None:
        self.closed = True


async def client(**answers: Any) -> Any:
    """A client that knows a broker for each answer, and is connected to it."""
    made = KafkaClient(**OPTIONS)
    numbers = range(1, len(answers) + 1)
    made.cluster.update_metadata(brokers(*numbers))
    made._conns = {(number, 0): Connection(answer) for number, answer in zip(numbers, answers.values(), strict=True)}
    return made


async def test_who_does_not_answer_holds_nobody_up() -> None:
    ended: list[str] = []

    async def silent() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("silent")
        return ""

    async def fails() -> str:
        raise KafkaConnectionError("closed")

    async def answers() -> str:
        return "here"

    assert await first([silent, fails, answers]) == "here"
    await asyncio.sleep(0)
    assert ended == ["silent"]
    with pytest.raises(KafkaConnectionError, match="closed"):
        await first([fails, fails])
    with pytest.raises(NodeNotReadyError):
        await first([])


async def test_who_fails_beside_the_one_that_answers_writes_nothing_into_the_log() -> None:
    told, together = list[Any](), asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    async def fails() -> str:
        await together.wait()
        raise KafkaConnectionError("closed")

    async def answers() -> str:
        asyncio.get_running_loop().call_later(0.05, together.set)
        await together.wait()
        return "here"

    assert await first([*[fails] * 8, answers]) == "here"
    await asyncio.sleep(0.01)
    gc.collect()
    assert told == []


@pytest.mark.parametrize("_", range(5))  # whom it asks first is drawn
async def test_metadata_come_from_whichever_broker_answers(_: int) -> None:
    asks = await client(one=None, two=KafkaConnectionError("closed"), three=brokers(2, 3))
    assert await asyncio.wait_for(asks._metadata_update(asks.cluster, ["t"]), 5)
    assert sorted(broker.nodeId for broker in asks.cluster.brokers()) == [2, 3]
    assert asks.get_random_node() == 3  # any will do, so the one that answers is asked
    asks._conns[3, 0].answer = KafkaConnectionError("closed")
    assert not await asyncio.wait_for(asks._metadata_update(asks.cluster, ["t"]), 5)


async def test_a_broker_that_is_gone_is_waited_for_no_longer() -> None:
    asks = await client(one=None, two=brokers(2))
    lost = asks._conns[1, 0]

    async def look() -> None:
        await asks._metadata_update(asks.cluster, ["t"])

    asks.force_metadata_update = look
    with pytest.raises(StaleMetadata, match="broker 1 is gone"):
        await asyncio.wait_for(asks.send(1, object()), 5)
    assert lost.closed
    assert (1, 0) not in asks._conns


async def test_a_broker_that_is_slow_is_waited_for() -> None:
    asks = await client(one=None, two=brokers(1, 2))
    slow = asks._conns[1, 0]
    looks, seen = list[int](), asyncio.Event()

    async def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            seen.set()

    async def send(*_: Any, **__: Any) -> str:
        await seen.wait()
        return "late"

    asks.force_metadata_update, slow.send = look, send
    assert await asyncio.wait_for(asks.send(1, object()), 5) == "late"
    assert not slow.closed


async def test_the_first_of_the_given_servers_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def bootstrap(one: Any) -> None:
        tried.append(one._bootstrap_servers)
        if one._bootstrap_servers == "one:1":
            await asyncio.Event().wait()
        one.cluster.update_metadata(brokers(2, 3))

    monkeypatch.setattr(kafka_client._Client, "bootstrap", bootstrap)
    asks = KafkaClient(**OPTIONS)
    await asyncio.wait_for(asks.bootstrap(), 5)
    assert tried == ["one:1", "two:2", "two:2"]
