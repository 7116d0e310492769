"""The time of a replica: whoever takes more than a share of it waits, and nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sse_harness import Client, Replicas, Stream, eventually

from sse_app.base import account
from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.http import answers, shares
from sse_app.http.shares import Shares

MINE, OTHER = "198.51.100.1", "198.51.100.2"


class Clock:
    """Time that goes on only where somebody computes or sleeps, and processor time."""

    now = 1000.0
    busy = 0.0

    def __call__(self) -> float:
        return self.now

    def computed(self) -> float:
        return self.busy

    def compute(self, seconds: float) -> None:
        self.now += seconds
        self.busy += seconds

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


Work = Callable[[str], Coroutine[Any, Any, None]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(account, "monotonic", made)
    monkeypatch.setattr(shares, "thread_time", made.computed)
    # Only here: replicas of other tests, which live in threads of this process, sleep as ever.
    monkeypatch.setattr(account, "asyncio", SimpleNamespace(sleep=made.sleep, Lock=asyncio.Lock))
    return made


def scope(address: str, path: str = "/api/v1/channels", method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "path": path, "method": method, "headers": [], "client": (address, 1)}


class Asked:
    """A replica of which each request takes a time; what it did, and when."""

    def __init__(self, work: Work, percent: int = 25) -> None:
        self.metrics = Metrics()
        self.shares = Shares(Settings(time_percent_per_address=percent), self.metrics, self._run)
        self.statuses: list[int] = []
        self._work = work

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        await self._work(scope["client"][0])

    async def ask(self, address: str, **of: Any) -> None:
        async def send(message: Any) -> None:
            if "status" in message:
                self.statuses.append(message["status"])

        async def receive() -> Any:
            raise AssertionError

        await self.shares(scope(address, **of), receive, send)


def test_who_took_a_share_waits_until_it_is_paid_for_and_others_pass(clock: Clock) -> None:
    begun: list[tuple[str, float]] = []

    async def work(address: str) -> None:
        begun.append((address, clock.now))
        clock.compute(0.05)

    async def requests() -> None:
        asked = Asked(work)
        for _ in range(40):
            await asked.ask(MINE)
        before = clock.now
        await asked.ask(OTHER)
        assert begun[-1] == (OTHER, before)
        assert asked.metrics.paced > 0
        assert not asked.metrics.limited

    asyncio.run(requests())
    taken = clock.now - 1000
    assert 40 * 0.05 / taken == pytest.approx(0.25, rel=0.1)


def test_steps_count_and_what_a_request_waits_for_does_not(clock: Clock) -> None:
    async def requests() -> None:
        answered = asyncio.Event()

        async def work(_: str) -> None:
            clock.compute(0.01)
            await answered.wait()
            clock.compute(0.02)

        asked = Asked(work)
        task = asyncio.create_task(asked.ask(MINE))
        await asyncio.sleep(0)
        mine = asked.shares._accounts.of(MINE)
        assert (mine.paid - clock.now) * 0.25 == pytest.approx(0.01, abs=0.0005)
        clock.now += 100
        answered.set()
        await task
        assert (mine.paid - clock.now) * 0.25 == pytest.approx(0.02)  # all before was paid for meanwhile

    asyncio.run(requests())


def test_what_leaves_others_their_turn_goes_on_at_its_pace(clock: Clock) -> None:
    """So a stream that replays much of the log takes no more than the share of its address."""

    async def work(_: str) -> None:
        for _ in range(100):
            clock.compute(0.01)
            await asyncio.sleep(0)

    async def requests() -> None:
        await Asked(work).ask(MINE)

    asyncio.run(requests())
    assert 1.0 / (clock.now - 1000) == pytest.approx(0.25, rel=0.15)


def test_errors_and_cancellation_reach_the_request_and_its_caller(clock: Clock) -> None:
    seen: list[str] = []

    async def work(address: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(address)
            raise ValueError(address) from None

    async def requests() -> None:
        task = asyncio.create_task(Asked(work).ask(MINE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ValueError, match=MINE):
            await task

    asyncio.run(requests())
    assert seen == [MINE]


def test_too_many_that_wait_are_refused_at_once(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_WAITING", 3)

    async def work(_: str) -> None:
        clock.compute(1)

    async def requests() -> None:
        asked = Asked(work)
        await asked.ask(MINE)
        await asyncio.gather(*(asked.ask(MINE) for _ in range(10)))
        assert asked.statuses == [429] * 7
        assert asked.metrics.limited == {"time": 7}

    asyncio.run(requests())


def test_publishes_have_a_rate_of_their_own(clock: Clock) -> None:
    async def work(_: str) -> None:
        clock.compute(1)

    async def requests() -> None:
        asked = Asked(work)
        for _ in range(5):
            await asked.ask(MINE, path="/api/v1/events", method="POST")
        assert asked.metrics.paced == 0
        assert clock.now == 1005

    asyncio.run(requests())


def test_the_memory_of_addresses_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "_ADDRESSES", 10)

    async def requests() -> None:
        async def work(_: str) -> None: ...

        asked = Asked(work)
        for number in range(50):
            await asked.ask(f"198.51.100.{number}")
        assert len(asked.shares._accounts) == 10

    asyncio.run(requests())


# --- a whole replica


@pytest.fixture
def replicas(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicas]:
    monkeypatch.setattr(shares, "_WAIT_SECONDS", 0.05)
    with Replicas(time_percent_per_address=25, trusted_proxies="127.0.0.1", retry_milliseconds=1000) as made:
        yield made


def ask(replicas: Replicas, path: str, address: str) -> tuple[int, dict[str, str], str]:
    with Client(replicas.port) as client:
        client.send(f"GET {path} HTTP/1.1\nHost: x\nConnection: close\nX-Forwarded-For: {address}")
        status, headers, _ = client.head()
        while client.receive():
            pass
        return status, headers, client.raw.decode()


def take(replicas: Replicas, address: str, seconds: float) -> None:
    """Have an address take so much of the time of the replica."""
    application: Any = replicas.service.application
    replicas.call(lambda: application._accounts.of(address).charge(seconds))


def test_a_refusal_says_when_to_come_back_and_a_stream_gets_200(replicas: Replicas) -> None:
    take(replicas, MINE, 10)
    status, headers, body = ask(replicas, "/api/v1/channels", MINE)
    assert (status, headers["content-type"]) == (429, "application/problem+json")
    assert 30 <= int(headers["retry-after"]) <= 40
    assert headers["x-request-id"]
    assert "share of this replica's time" in body
    status, headers, body = ask(replicas, "/api/v1/stream?channel=a", MINE)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert 'event: bye\ndata: {"reason":"limit"}\n' in body
    assert 5000 <= int(body.partition("retry: ")[2].partition("\n")[0]) <= 15_000
    assert replicas.service.metrics.limited == {"time": 2}
    assert ask(replicas, "/api/v1/channels", OTHER)[0] == 200
    assert replicas.post({"channel": "a", "data": 1}).status == 202


def test_a_request_that_waited_is_answered(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_WAIT_SECONDS", 60.0)
    take(replicas, MINE, account.SAVED_SECONDS + 0.02)
    assert ask(replicas, "/api/v1/channels", MINE)[0] == 200
    assert replicas.service.metrics.paced == 1


def test_the_work_for_a_request_is_charged_to_its_address(replicas: Replicas) -> None:
    application: Any = replicas.service.application
    replicas.publish(*({"channel": f"c{number}", "data": 1} for number in range(500)))
    ask(replicas, "/api/v1/channels", MINE)
    assert list(application._accounts) == [MINE]
    eventually(lambda: not application._accounts[MINE].waiting)


def test_without_the_setting_nothing_is_measured() -> None:
    assert Settings().time_percent_per_address == 0
    with Replicas() as replicas:
        assert not isinstance(replicas.service.application, Shares)


def test_large_events_reach_every_stream_of_an_address_at_its_pace_and_others_at_once(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "_WAIT_SECONDS", 60.0)

    def streams(address: str, count: int) -> list[Stream]:
        headers = {"X-Forwarded-For": address}
        made = [Stream(replicas.port, ["a", f"own.{address}.{number}"], headers=headers) for number in range(count)]
        for one in made:
            assert one.block(60) is not None  # the id where it begins
        return made

    mine, others = streams(MINE, 30), streams(OTHER, 3)
    held = replicas.service.hub.streams
    eventually(lambda: all(one.live for one in held))
    application: Any = replicas.service.application
    greedy = application._accounts[MINE]
    replicas.wait(greedy.turn.acquire())
    take(replicas, MINE, 1000)
    replicas.publish(*({"channel": "a", "data": f"{number}{'x' * 50_000}"} for number in range(4)))
    for one in others:
        assert [(block.data or "")[0] for block in one.events(4, 60)] == list("0123")
    assert not any(one.live for one in held if one.account is greedy)

    def pay() -> None:
        greedy.paid = 0.0
        greedy.turn.release()

    replicas.call(pay)
    for one in mine:
        assert [(block.data or "")[0] for block in one.events(4, 60)] == list("0123")


def test_the_question_for_an_offer_never_waits(clock: Clock) -> None:
    async def requests() -> None:
        async def work(_: str) -> None:
            clock.compute(5)

        asked = Asked(work)
        await asked.ask(MINE)  # it has taken all of its share for a while
        before = clock.now
        for _ in range(3):
            await asked.ask(MINE, path="/health/stream")
        assert clock.now - before == pytest.approx(15)  # what they took, and no pause

    asyncio.run(requests())


def test_the_bytes_of_a_large_answer_are_charged(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BYTE_SECONDS", 1.0)
    replicas.publish({"channel": "a", "data": "x" * 50_000})
    assert ask(replicas, "/api/v1/channels/a/history", MINE)[0] == 200
    application: Any = replicas.service.application
    assert application._accounts[MINE].wait > 50_000
