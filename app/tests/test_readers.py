"""Streams as readers understand them: the rules of WHATWG HTML 9.2.6, our own readers, and httpx-sse.

The same goldens are read in dashboard/wire by the dashboard's reader, eventsource-parser, eventsource and Chromium.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent, connect_sse
from sse_client import Message, Reader
from sse_harness import Replicas, blocks

GOLDENS = json.loads((Path(__file__).parent / "goldens.json").read_text())
Read = list[tuple[str, str, str]]


def by_harness(stream: bytes) -> Read:
    id_, found = "", Read()
    for block in blocks(stream.decode()):
        id_ = id_ if block.id is None else block.id
        if block.data is not None:
            found.append((block.event, block.data, id_))
    return found


def by_client(*parts: bytes) -> Read:
    reader = Reader()
    read = [one for part in parts for one in reader.feed(part)]
    return [(one.event, one.data, one.id) for one in read if isinstance(one, Message)]


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden["name"])
def test_our_readers_read_a_stream_as_the_standard_says_wherever_it_is_cut(golden: dict[str, Any]) -> None:
    stream, expected = golden["stream"].encode(), [tuple(event) for event in golden["events"]]
    assert by_harness(stream) == expected
    assert by_client(stream) == expected
    assert by_client(*(stream[n : n + 1] for n in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert by_client(stream[:cut], stream[cut:]) == expected
    reader = Reader()
    list(reader.feed(stream))
    assert reader.retry == golden.get("retry")


def test_what_is_not_utf_8_is_replaced() -> None:
    assert by_client(b"data: a\xff\xc3", b"\xa9b\n\n") == [("message", "a\ufffd\u00e9b", "")]


@pytest.mark.parametrize("part", [b"x" * 65536, b"data: x\n" * 8192])
def test_an_event_without_end_is_not_kept(part: bytes) -> None:
    with pytest.raises(ValueError, match="an event has more than"):
        by_client(*[part] * 400)


def by_httpx_sse(stream: bytes) -> list[ServerSentEvent]:
    headers = {"content-type": "text/event-stream"}
    return list(EventSource(httpx.Response(200, headers=headers, content=stream)).iter_sse())


# It keeps the mark, and so loses the first field; the service sends none.
DIFFER = {"a byte order mark is taken off"}


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden["name"])
def test_httpx_sse_reads_what_the_service_may_send_as_the_standard_says(golden: dict[str, Any]) -> None:
    read = [(one.event, one.data, one.id) for one in by_httpx_sse(golden["stream"].encode()) if one.data]
    expected = [tuple(event) for event in golden["events"] if event[1]]
    assert (read == expected) == (golden["name"] not in DIFFER)


def sent(replica: Replicas, stack: ExitStack, channel: str, **query: str) -> Any:
    """A stream of the real service as httpx-sse gives it."""
    client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{replica.port}", timeout=10))
    parameters = {"channel": channel, **query}
    source = stack.enter_context(connect_sse(client, "GET", "/api/v1/stream", params=parameters))
    source.response.raise_for_status()
    return source.iter_sse()


def test_httpx_sse_reads_events_a_gap_and_a_bye_of_the_service(replica: Replicas, channel: str) -> None:
    with ExitStack() as stack:
        events = sent(replica, stack, channel, last_event_id="nonsense")
        gap = next(events)
        assert (gap.event, gap.json()["reason"], gap.id) == ("gap", "malformed", gap.json()["resumed_from"])
        assert 1000 <= gap.retry <= 3000
        ids = replica.publish(
            {"channel": channel, "event": "e", "data": "a\nb"}, {"channel": channel, "data": {"n": 1}}
        )
        read = [next(events), next(events)]
        assert [(one.event, one.data, one.id) for one in read] == [
            ("e", "a\nb", ids[0]),
            ("message", '{"n":1}', ids[1]),
        ]
        mine = [one for one in replica.service.hub.streams if channel in one.wanted.exact]
        replica.call(lambda: [one.end("draining") for one in mine])
        bye = next(events)
        assert (bye.event, bye.json(), bye.id) == ("bye", {"reason": "draining"}, ids[1])
        assert list(events) == []


def test_httpx_sse_gives_an_empty_message_for_a_heartbeat_by_id_or_comment_and_an_event_for_one_by_event(
    channel: str,
) -> None:
    with Replicas(heartbeat_seconds=1) as replica, ExitStack() as stack:
        streams = {kind: sent(replica, stack, channel, heartbeat=kind) for kind in ("id", "event", "comment")}
        for kind in ("id", "event", "comment"):
            first = next(streams[kind])
            assert (first.event, first.data) == ("cursor", "{}")  # never a message without data: see event_stream.py
        [id_] = replica.publish({"channel": "other", "data": 1})
        beat = next(one for one in streams["id"] if one.id == id_)  # a second may be over before the publish
        assert (beat.event, beat.data) == ("message", "")
        beat = next(one for one in streams["event"] if one.id == id_)
        assert (beat.event, beat.data) == ("cursor", "{}")
        beat = next(streams["comment"])
        assert (beat.event, beat.data, beat.id == id_) == ("message", "", False)
