"""Starting points and pages of history, each compared with what the log holds: with small blocks, rings and windows."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from sse_harness import Replicas, Stream, eventually

from sse_app.http.stream_request import since
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Bounds, Draft
from sse_app.resume import blocks, past

WINDOW = 100
CHANNELS = ["a", "b", "rare"]


class Held:
    """A log that was written directly, and the events that are in it."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        ring = self.source.choice([10, 40, 1000])
        self.replicas = Replicas(2, ring_events=ring, dedupe_window=WINDOW, dedupe_seconds=10, retention_seconds=60)
        self.index, self.fences = 0, 0  # of the replica that is asked
        self.events: list[tuple[str, str, str, int]] = []  # id, channel, data, time

    def fill(self, count: int) -> None:
        log: EmbeddedLog = self.replicas.log
        keys = [f"{n}".encode() for n in range(count)]
        for n in range(count):
            twice = n > 3 and self.source.random() < 0.2
            key = keys[self.source.randrange(max(0, n - 30), n)] if twice else keys[n]
            channel = self.source.choices(CHANNELS, [10, 10, 1])[0]
            self.replicas.wait(log.append([Draft(key, channel, "e", b"%d" % n, b"")]))
            if n % 50 == 0:
                time.sleep(0.002)  # so that times differ
        eventually(lambda: all(one.hub.ring.end == len(log._records) for one in self.replicas.services))
        seen = set[bytes]()
        for record in log._records:
            if record.draft.channel and record.draft.key not in seen:
                id_ = f"{record.offset}-{record.fingerprint}"
                self.events.append((id_, record.draft.channel, record.draft.data.decode(), record.timestamp))
            seen.add(record.draft.key)

    def of(self, channel: str) -> list[str]:
        return [id_ for id_, name, _, _ in self.events if name == channel]

    def page(self, channel: str, **query: Any) -> dict[str, Any]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        answer = self.replicas.get(f"/api/v1/channels/{channel}/history?{asked}", self.index)
        assert answer.status == 200, answer
        return answer.json

    def read(self, channel: str | list[str], **query: Any) -> list[str]:
        """The ids that a stream gives before a last event, which tells where it ends."""
        self.fences += 1
        name = f"fence.{self.fences}"
        [fence] = self.replicas.publish({"channel": name, "data": 0})
        names = channel if isinstance(channel, list) else [channel]
        with self.replicas.stream([*names, name], index=self.index, **query) as stream:
            return ids_before(stream, fence)


def ids_before(stream: Stream, fence: str) -> list[str]:
    found: list[str] = []
    while (event := stream.events(1)[0]).id != fence:
        assert event.event == "e", event
        found.append(event.id or "")
    return found


@pytest.fixture(params=range(4))
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    monkeypatch.setattr(blocks, "_BLOCK", 16)
    monkeypatch.setattr(blocks, "_READ", 40)
    monkeypatch.setattr(blocks, "_CACHE_BYTES", 8000)
    made = Held(request.param)
    with made.replicas:
        made.fill(400)
        yield made


def test_history_is_paged_in_both_directions_and_every_event_comes_once(held: Held) -> None:
    for channel in (*CHANNELS, "nobody"):
        for limit in (1, 7, 1000) if channel == "rare" else (13, 1000):
            backward: list[str] = []
            page = held.page(channel, limit=limit)
            while True:
                backward = [event["id"] for event in page["events"]] + backward
                if "before" not in page:
                    break
                page = held.page(channel, limit=limit, before=page["before"])
            assert backward == held.of(channel)
            if not backward:
                continue
            forward, after = backward[:1], backward[0]
            while True:
                page = held.page(channel, limit=limit, after=after)
                forward += [event["id"] for event in page["events"]]
                assert page["cursor"] == page.get("after", page["cursor"])
                if "after" not in page:
                    break
                after = page["after"]
            assert forward == backward


def test_history_and_then_live_has_no_hole_also_where_history_is_empty(held: Held) -> None:
    for channel in ("nobody", "rare"):
        cursor = held.page(channel)["cursor"]
        [first] = held.replicas.publish({"channel": channel, "event": "e", "data": 1})
        assert held.read(channel, cursor=cursor) == [first]
        page = held.page(channel, after=cursor)
        assert [event["id"] for event in page["events"]] == [first]
        assert held.page(channel, after=page["cursor"])["events"] == []


def test_a_stream_begins_with_the_newest_so_many_events(held: Held) -> None:
    for wanted in (["a"], ["rare"], CHANNELS, ["nobody"]):
        ids = [id_ for id_, name, _, _ in held.events if name in wanted]
        for count in (0, 1, 3, 50, 999):
            assert held.read(wanted, last=count + 1) == ids[max(0, len(ids) - count) :]


def test_a_stream_begins_with_all_that_the_log_holds(held: Held) -> None:
    assert held.read(CHANNELS, **{"from": "earliest"}) == [id_ for id_, _, _, _ in held.events]
    first = held.replicas.log._records[0]
    with held.replicas.stream("nobody", **{"from": "earliest"}) as stream:
        assert stream.block().id == f"{first.offset}-{first.fingerprint}"


def test_a_stream_begins_with_the_first_event_of_a_time(held: Held) -> None:
    times = sorted({at for _, _, _, at in held.events})
    assert len(times) > 5
    for at in [times[0] - 5, *times[1:4], *times[-3:], times[-1] + 1]:
        ids = [id_ for id_, _, _, stamp in held.events if stamp >= at]
        assert held.read(CHANNELS, since=f"{at / 1000:.3f}") == ids
    for earlier, later in pairwise(times[:4]):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(later // 1000)) + f".{later % 1000:03}Z"
        assert held.read(CHANNELS, since=moment) == [i for i, _, _, at in held.events if at > earlier]


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59"])
def test_a_time_before_1970_is_the_beginning_because_kafka_refuses_it(text: str) -> None:
    assert since(text).milliseconds == 0


def test_a_cursor_wins_over_a_starting_point_so_that_one_address_serves_every_reconnect(held: Held) -> None:
    ids = held.of("a")
    for query in ({"from": "earliest"}, {"last": 3}, {"since": 0}):
        assert held.read("a", cursor=ids[-2], **query) == ids[-1:]


def test_what_retention_took_is_said_and_the_rest_is_given(held: Held) -> None:
    log = held.replicas.log
    held.replicas.call(lambda: log.trim(150))
    kept = [id_ for id_ in (id_ for id_, _, _, _ in held.events) if int(id_.split("-")[0]) >= 150]
    late, held.index = held.replicas.services[1], 1  # as a replica that starts now, and has read nothing before
    held.replicas.wait(late.hub.restart(lambda: late.feed._load(Bounds(150, 401), late.hub.ring.end)))
    found = held.read(CHANNELS, **{"from": "earliest"})
    assert found == kept[-len(found) :]
    assert int(found[0].split("-")[0]) <= 150 + WINDOW + 16
    given = [event["id"] for event in held.page("a", limit=1000)["events"]]
    assert given == [id_ for id_ in found if id_ in held.of("a")]
    with held.replicas.stream(CHANNELS, index=1, since="0") as stream:
        gap = stream.block()
    assert (gap.event, gap.json["requested"], gap.json["reason"]) == ("gap", "since=0", "expired")
    page = held.page("a", after=held.events[0][0])
    assert page["gap"] == {"requested": held.events[0][0], "reason": "expired"}
    assert page["events"]


def test_an_answer_looks_through_a_bounded_part_and_says_where_to_look_on(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "MOST_RECORDS", 60)
    page, found, pages = held.page("rare"), list[str](), 0
    while True:
        found = [event["id"] for event in page["events"]] + found
        if "before" not in page:
            break
        page, pages = held.page("rare", before=page["before"]), pages + 1
    assert found == held.of("rare")
    if held.replicas.settings.ring_events < 100:
        assert pages > 3
        with held.replicas.stream("nobody", last=5) as stream:
            assert stream.block().json["requested"] == "last=5"


def test_history_is_given_from_memory_while_the_log_is_away(held: Held) -> None:
    held.replicas.log.available = False
    newest = held.of("a")[-1]
    page = held.page("a", limit=1)
    assert [event["id"] for event in page["events"]] == [newest]
    page = held.page("nobody")
    assert (page["events"], "before" in page) == ([], held.replicas.service.hub.ring.start > 0)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("last=-1", "last"), ("last=1001", "last"), ("last=x", "last"), ("last=", "last"), ("from=now", "from"),
        ("since=yesterday", "since"), ("since=2026-11-28", "since"), ("since=2026-11-28T20:00:00", "since"),
        ("since=2026-02-30T20:00:00Z", "since"), ("since=1790000000000", "since"), ("since=-1", "since"),
        ("last=1&since=1", "only one"), ("from=earliest&last=1", "only one"),
    ],
)  # fmt: skip
def test_a_starting_point_that_is_none_is_refused(replica: Replicas, query: str, said: str) -> None:
    answer = replica.get(f"/api/v1/stream?channel=a&{query}")
    assert answer.status == 400
    assert said in answer.json["detail"]


def test_a_page_goes_one_way(replica: Replicas) -> None:
    answer = replica.get("/api/v1/channels/a/history?before=1-0123abcd&after=1-0123abcd")
    assert (answer.status, "only one" in answer.json["detail"]) == (400, True)
