"""The Python client against real replicas that are killed under it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sse_client import AsyncClient, Bye, Client, Gap, Message, OutcomeUnknownError, RefusedError
from sse_harness import Process, Replicas, eventually


class Balancer(httpx.AsyncHTTPTransport):
    """Sends each request to the next replica that takes it, as a load balancer in front of them."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__()
        self.ports = ports
        self.turn = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in self.ports:
            self.turn += 1
            request.url = request.url.copy_with(port=self.ports[self.turn % len(self.ports)])
            with suppress(httpx.ConnectError):
                return await super().handle_async_request(request)
        raise httpx.ConnectError("no replica")


def balanced(replicas: Replicas) -> AsyncClient:
    return AsyncClient("http://127.0.0.1", transport=Balancer(replicas.ports))


def direct(port: int) -> AsyncClient:
    return AsyncClient(f"http://127.0.0.1:{port}")


async def test_a_stream_loses_nothing_and_doubles_nothing_while_replicas_die() -> None:
    with Replicas(3, retry_milliseconds=100) as replicas:
        async with balanced(replicas) as client:
            got: list[Any] = []

            async def read() -> None:
                async with aclosing(client.stream("orders")) as events:
                    async for message in events:
                        assert isinstance(message, Message)
                        got.append(message.json())
                        if len(got) == 150:
                            return

            reader = asyncio.create_task(read())
            await asyncio.to_thread(eventually, lambda: any(one.hub.streams for one in replicas.services))
            for n in range(150):
                await client.publish_batch([{"channel": "other", "data": n}, {"channel": "orders", "data": n}])
                if n in (50, 100):
                    await asyncio.to_thread(replicas.kill, n // 50)
            async with asyncio.timeout(20):
                await reader
            assert got == list(range(150))


async def test_what_a_killed_process_took_with_it_shows_as_a_gap_and_the_stream_goes_on() -> None:
    process = Process(SSE_RETRY_MILLISECONDS="100")
    try:
        async with direct(process.port) as client, asyncio.timeout(30):
            await client.publish_batch([{"channel": "c", "data": n} for n in range(5)])
            async with aclosing(client.stream("c", last_event_id="nonsense")) as events:
                first = await anext(events)
                assert isinstance(first, Gap)
                assert (first.requested, first.reason) == ("nonsense", "malformed")
                id_ = await client.publish("c", {"n": 1}, event="e")
                assert await anext(events) == Message("e", '{"n":1}', id_)
                process.process.kill()
                following = asyncio.ensure_future(anext(events))
                await asyncio.to_thread(process.restart)
                gap = await following
                assert isinstance(gap, Gap)
                assert (gap.requested, gap.reason) == (id_, "truncated")
                await client.publish("c", "after")
                after = await anext(events)
                assert isinstance(after, Message)
                assert after.data == "after"
    finally:
        process.process.kill()
        process.process.communicate()


async def test_a_drain_is_told_and_the_stream_goes_on_elsewhere() -> None:
    with Replicas(2, retry_milliseconds=100) as replicas:
        async with balanced(replicas) as client, asyncio.timeout(20):
            first = await client.publish("c", 0)
            async with aclosing(client.stream("c", last_event_id=first)) as events:
                reading = asyncio.ensure_future(anext(events))
                await asyncio.to_thread(eventually, lambda: any(one.hub.streams for one in replicas.services))
                [index] = [index for index, one in enumerate(replicas.services) if one.hub.streams]
                replicas._servers[index].should_exit = True
                assert await reading == Bye("draining")
                await client.publish("c", 1)
                message = await anext(events)
                assert isinstance(message, Message)
                assert message.json() == 1


async def test_what_is_refused_for_good_is_raised_with_the_services_reason(replica: Replicas) -> None:
    async with direct(replica.port) as client:
        with pytest.raises(RefusedError, match="channel: 'a b' is not a channel") as refused:
            await anext(client.stream("a b"))
        assert refused.value.problem["status"] == refused.value.status == 400
        with pytest.raises(RefusedError, match=r"422: 1\.channel"):
            await client.publish_batch([{"channel": "a", "data": 1}, {"channel": "", "data": 1}])


async def test_a_publish_is_repeated_with_its_key_until_the_log_is_back_and_stored_once() -> None:
    with Replicas(publish_deadline_seconds=1) as replica:
        async with direct(replica.port) as client, asyncio.timeout(20):
            replica.log.available = False
            publishing = asyncio.create_task(client.publish("c", 1))
            await asyncio.to_thread(eventually, lambda: replica.service.metrics.publishes["unknown"] >= 1)
            replica.log.available = True
            id_ = await publishing
            assert [block["id"] for block in replica.get("/api/v1/channels/c/history").json["events"]] == [id_]


async def test_a_publish_whose_outcome_stays_unknown_names_the_key_that_settles_it() -> None:
    with Replicas(publish_deadline_seconds=1) as replica:
        async with direct(replica.port) as client:
            replica.log.available = False
            with pytest.raises(OutcomeUnknownError) as unknown:
                await client.publish("c", 1, seconds=0.3)
            replica.log.available = True
            first = await client.publish("c", 1, key=unknown.value.key)
            assert await client.publish("c", 1, key=unknown.value.key) == first


async def test_an_answer_that_is_lost_on_the_way_stores_nothing_twice(replica: Replicas, channel: str) -> None:
    class Lossy(httpx.AsyncHTTPTransport):
        lost = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            if self.lost < 2:
                self.lost += 1
                await answer.aclose()
                raise httpx.ReadError("cut")
            return answer

    async with AsyncClient(f"http://127.0.0.1:{replica.port}", transport=Lossy()) as client:
        ids = await client.publish_batch([{"channel": channel, "data": 1}, {"channel": channel, "data": 2}])
    history = replica.get(f"/api/v1/channels/{channel}/history").json["events"]
    assert [event["id"] for event in history] == ids


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited, without waiting."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def nap(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("sse_client.async_client.sleep", nap)
    return waited


def scripted(answers: Iterator[httpx.Response], asked: list[httpx.Request]) -> AsyncClient:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = next(answers)
        if given.status_code == 599:
            raise httpx.ConnectError("refused")
        return given

    return AsyncClient("http://service", transport=httpx.MockTransport(answer))


def stream(text: str) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=text)


async def test_it_comes_back_when_the_service_says_and_less_often_where_nothing_answers(naps: list[float]) -> None:
    asked: list[httpx.Request] = []
    nothing: Callable[[], httpx.Response] = lambda: httpx.Response(599)  # noqa: E731
    answers = [
        stream("retry: 1234\nid: 1-a\n\nid: 5-b\n\n"),  # a cursor, and a heartbeat that advances it
        stream("retry: 777\n\n"),  # a replica that cannot serve now
        *(nothing() for _ in range(12)),
        httpx.Response(503),
        stream("retry: 50\nid: 5-b\n\ndata: x\nid: 6-c\n\n"),
    ]
    async with scripted(iter(answers), asked) as client, aclosing(client.stream("c", "d.*")) as events:
        assert await anext(events) == Message("message", "x", "6-c")
    assert [request.headers.get("last-event-id") for request in asked] == [None, *["5-b"] * 15]
    assert asked[0].url.params.get_list("channel") == ["c", "d.*"]
    assert naps[:2] == [1.234, 0.777]
    assert len(set(naps[2:])) == len(naps[2:])  # spread
    assert all(0.777 * 2**n / 2 <= wait <= 0.777 * 2**n for n, wait in enumerate(naps[2:7], 1))
    assert max(naps) <= 60


async def test_a_later_attempt_waits_as_long_as_retry_after_says(naps: list[float]) -> None:
    asked: list[httpx.Request] = []
    answers = [httpx.Response(429, headers={"retry-after": "7"}), httpx.Response(202, json={"ids": ["1-a"]})]
    async with scripted(iter(answers), asked) as client:
        assert await client.publish("c", 1) == "1-a"
    assert naps == [7]
    assert asked[0].headers["idempotency-key"] == asked[1].headers["idempotency-key"]


def test_a_stream_begins_where_it_is_asked_to_and_pages_meet_it_without_a_hole(replica: Replicas, channel: str) -> None:
    with Client(f"http://127.0.0.1:{replica.port}") as client:
        ids = client.publish_batch([{"channel": channel, "data": n} for n in range(5)])
        before_all = datetime.now(UTC) - timedelta(hours=1)
        starts: list[tuple[dict[str, Any], list[str]]] = [
            ({"from_earliest": True}, ids),
            ({"last": 2}, ids[3:]),
            ({"since": before_all}, ids),
            ({"since": before_all.timestamp()}, ids),
            ({"last_event_id": ids[1]}, ids[2:]),
        ]
        for how, expected in starts:
            with client.stream(channel, **how) as stream:
                found = [next(stream) for _ in expected]
            assert [one.id for one in found if isinstance(one, Message)] == expected, how
        assert [one.id for page in client.pages(channel, limit=2, after=ids[0]) for one in page.events] == ids[1:]
        back = [[one.id for one in page.events] for page in client.pages(channel, limit=2)]
        assert back == [ids[3:], ids[1:3], ids[:1]]
        page = client.history(channel)
        with client.stream(channel, last_event_id=page.cursor) as stream:
            following = client.publish(channel, "next")
            assert next(stream) == Message("message", "next", following)
