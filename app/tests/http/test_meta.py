"""Channel and time of an event reach whoever asks for them, by every way that an event can take, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis_server
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_server import RedisServer
from sse_harness import Block, Replicas, Stream, blocks, eventually

from sse_app import keys
from sse_app.base import channels
from sse_app.fanout.ring import Entry, Ring, entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Draft, Record

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DESCRIBED = ("meta", "traceparent")


def plain(found: list[Block]) -> list[list[tuple[str, str]]]:
    return [block.fields for block in found if block.event not in DESCRIBED]


def channels_told(found: list[Block]) -> dict[str, str]:
    """The channel that was told for each id; a meta belongs to the event with an id that comes next."""
    told: dict[str, str] = {}
    channel = ""
    for block in found:
        if block.event == "meta":
            assert (channel, block.id) == ("", None)
            channel = block.json["channel"]
        elif block.id is not None:
            told[block.id], channel = channel, ""
    return told


names = st.sampled_from(["a", "a.b", "a.c", "b", "stock.eu", "stock.us"])
patterns = st.sampled_from(["a", "a.*", "b", "stock.*", "*"])


@settings(deadline=None)
@given(
    st.lists(st.tuples(names, st.text(max_size=20), st.booleans()), max_size=30),
    st.lists(patterns, min_size=1, max_size=3),
    st.sets(st.sampled_from(channels.EXTRAS)),
)
def test_what_is_asked_for_comes_before_each_event_and_changes_nothing_of_it(
    published: list[tuple[str, str, bool]], asked: list[str], extras: set[str]
) -> None:
    ring = Ring(100, 2**20)
    for offset, (channel, data, traced) in enumerate(published):
        draft = Draft(b"k%d" % offset, channel, "message", data.encode(), b"", TRACE if traced else "")
        ring.append(entry(Record(offset, 1_700_000_000_000 + offset, f"{offset:08x}", draft), False))
    wanted = channels.parse(asked, [name for name in channels.EXTRAS if name in extras])
    with_them, _ = ring.collect(ring.start, ring.end, wanted, 2**20)
    without, _ = ring.collect(ring.start, ring.end, channels.parse(asked), 2**20)
    found = blocks(with_them.decode())
    assert plain(found) == plain(blocks(without.decode()))
    mine = [one for one in enumerate(published) if wanted.matches(one[1][0])]
    if "meta" in extras:
        assert channels_told(found) == {f"{offset}-{offset:08x}": channel for offset, (channel, _, _) in mine}
    traces = [block.data for block in found if block.event == "traceparent"]
    assert traces == [TRACE for _, (_, _, traced) in mine if traced and "trace" in extras]


@pytest.fixture(scope="module")
def redis_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(params=["live", "ring", pytest.param("redis", marks=redis_server.needed), "log"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def replicas(way: str, tmp_path: Path) -> Iterator[Replicas]:
    server = RedisServer(tmp_path) if way == "redis" else None
    try:
        with Replicas(2, ring_events=10, **(server.settings if server else {})) as started:
            if server:
                eventually(lambda: all(one.redis_history.state == "ok" for one in started.services))
            yield started
    finally:
        if server:
            server.stop()


def test_who_asks_gets_them_by_every_way_and_who_does_not_gets_the_same_bytes_as_ever(
    replicas: Replicas, way: str
) -> None:
    [cursor] = replicas.publish({"channel": "a.first", "data": 0})
    queries: list[dict[str, Any]] = [{"meta": "1"}, {"meta": "1", "trace": "1"}, {}, {"meta": "0"}]
    streams: list[Stream] = []
    openings: list[Block | None] = []
    if way == "live":
        streams = [replicas.stream("a.*", index=1, **query) for query in queries]
        openings = [stream.block() for stream in streams]
    replicas.post([{"channel": "a.x", "data": 1}, {"channel": "b", "data": 2}], traceparent=TRACE)
    replicas.publish({"channel": "a.y", "event": "e", "data": 3})
    if way in ("redis", "log"):
        replicas.publish(*({"channel": "other", "data": 0} for _ in range(30)))
    if way == "redis":
        eventually(lambda: all(not one.redis_history._pending for one in replicas.services))
        replicas.log.available = False
    if way != "live":
        streams = [replicas.stream("a.*", cursor, 1, **query) for query in queries]
        openings = [stream.block() for stream in streams]
    source = {"live": "new"}.get(way, way)
    assert [one and one.json for one in openings] == [{"source": source}, {"source": source}, {}, {}]
    meta, both, none, off = [stream.events(count) for stream, count in zip(streams, (4, 5, 2, 2), strict=True)]
    assert [block.event for block in meta] == ["meta", "message", "meta", "e"]
    assert [block.event for block in both] == ["meta", "traceparent", "message", "meta", "e"]
    assert [block.json["channel"] for block in meta if block.event == "meta"] == ["a.x", "a.y"]
    assert plain(meta) == plain(both) == plain(none) == [block.fields for block in off]
    times = [datetime.fromisoformat(block.json["time"]) for block in meta if block.event == "meta"]
    assert all(abs((datetime.now(UTC) - one).total_seconds()) < 600 for one in times)
    for stream in streams:
        stream.__exit__()


def test_filters_that_ask_for_the_same_share_one_encoding(replica: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    dressed = Entry.dressed

    def counted(self: Entry, extras: Any) -> bytes:
        made.append(self.channel)
        return dressed(self, extras)

    monkeypatch.setattr(Entry, "dressed", counted)
    asked = [["shared"], ["shared"], ["shared", "more"], ["*"]]
    streams = [replica.stream(one, meta="1") for one in asked] + [replica.stream(["shared"])]
    assert all(stream.block() for stream in streams)
    replica.publish({"channel": "shared", "data": 1})
    for stream in streams[:-1]:
        assert [block.event for block in stream.events(2)] == ["meta", "message"]
    assert [block.event for block in streams[-1].events(1)] == ["message"]
    assert made == ["shared"]
    for stream in streams:
        stream.__exit__()


def test_a_page_of_history_has_them_where_they_are_asked_for(replica: Replicas, channel: str) -> None:
    [id_] = replica.publish({"channel": channel, "data": 1})
    path = f"/api/v1/channels/{channel}/history"
    [before] = replica.get(path).json["events"]
    assert before == {"id": id_, "event": "message", "data": "1"}
    [event] = replica.get(f"{path}?meta=1").json["events"]
    assert event == {**before, "channel": channel, "time": event["time"]}
    assert abs((datetime.now(UTC) - datetime.fromisoformat(event["time"])).total_seconds()) < 600
    assert replica.get(f"{path}?meta=yes").status == 400


def test_nobody_learns_of_a_channel_that_they_may_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.json"
    found: list[str] = []
    for name, rights in (("all", "*"), ("some", "a.*")):
        assert keys.main([str(file), name, "--publish", rights, "--subscribe", rights]) == 0
        found.append(capsys.readouterr().out.strip().splitlines()[-1])
    whole, part = ({"Authorization": f"Bearer {key}"} for key in found)
    with Replicas(auth=True, keys_files=str(file)) as guarded:
        with Stream(guarded.port, "*", headers=part, meta="1") as refused:
            assert refused.status == 403
        with Stream(guarded.port, "a.*", headers=part, meta="1") as stream:
            assert stream.block()
            for channel in ("b.secret", "a.mine"):
                assert guarded.post({"channel": channel, "data": 1}, **whole).status == 202
            meta, _ = stream.events(2)
            assert meta.json["channel"] == "a.mine"
            assert "secret" not in stream.text


def test_nobody_can_publish_one(replica: Replicas, channel: str) -> None:
    forged = {"channel": channel, "event": "meta", "data": json.dumps({"channel": "other"})}
    assert replica.post(forged).status == 422
    assert Cursor.parse("meta") is None
