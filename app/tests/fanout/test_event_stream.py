from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sse_harness import blocks

from sse_app.base.event import Event
from sse_app.fanout import event_stream


@pytest.mark.parametrize(
    ("published", "golden"),
    [
        ({"data": "x"}, b"data: x\nid: 1-a\n\n"),
        ({"event": "created",
        "data": {"n": 1, "é": [None, True]}}, 'event: created\ndata: {"n":1,"é":[null,true]}\nid: 1-a\n\n'.encode()),
        ({"data": ""}, b"data: \nid: 1-a\n\n"),
        ({"data": None}, b"data: null\nid: 1-a\n\n"),
        ({"data": "a\nb\r\nc\rd"}, b"data: a\ndata: b\ndata: c\ndata: d\nid: 1-a\n\n"),
        ({"data": "a\rid: 9"}, b"data: a\ndata: id: 9\nid: 1-a\n\n"),
        ({"data": "\n"}, b"data: \ndata: \nid: 1-a\n\n"),
        ({"data": " id: 9\u2028x\x0b\x0cy\x85z"}, "data:  id: 9\u2028x\x0b\x0cy\x85z\nid: 1-a\n\n".encode()),
        ({"data": "\ufeff"}, "data: \ufeff\nid: 1-a\n\n".encode()),
    ],
)  # fmt: skip
def test_frames_are_these_bytes(published: dict[str, Any], golden: bytes) -> None:
    one = Event(channel="c", **published)
    assert event_stream.frame(one.event, one.payload(), "1-a") == golden


hostile = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["\r", "\n", "\0", ":", " ", "id:", "data: ", "event: gap", "retry: 1", "\ufeff", "\n\n",
    "\u2028"])).map("".join),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(hostile, hostile)
def test_no_field_of_an_event_makes_another_frame(name: str, data: str) -> None:
    try:
        one = Event(channel="c", event=name, data=data)
    except ValueError:
        one = Event(channel="c", data=data)  # the name was refused, which is as good
    encoded = event_stream.frame(one.event, one.payload(), "1-a")
    [block] = blocks("retry: 1\nid: 0-a\n\n" + encoded.decode() + ":\n\n")[1:-1]
    assert [name for name, _ in block.fields if name != "data"] == (
        ["id"] if one.event == "message" else ["event", "id"]
    )
    assert (block.event, block.id) == (one.event, "1-a")
    assert block.data == data.replace("\r\n", "\n").replace("\r", "\n")
    assert event_stream.parse(encoded) == (block.event, block.data)


PIECES = ["", "\r", "\n", "\r\n", "\n\n", "\0", ":", " ", "id: 9-0", "data: ", "event: gap", "retry: 1", "\ufeff",
    "\u2028", "\x85", "\x0b", "é", "\U0001f600", "x", "{}"]  # fmt: skip


def test_a_hundred_thousand_hostile_events_are_as_many_frames_each_with_its_own_fields() -> None:
    source = random.Random(20261124)

    def text(pieces: int) -> str:
        return "".join(source.choices(PIECES, k=source.randrange(pieces)))

    for _ in range(100):  # streams of a thousand frames each
        frames: list[bytes] = []
        expected: list[tuple[str, str, str]] = []
        for number in range(1000):
            name, data = text(3), text(6)
            try:
                one = Event(channel="c", event=name, data=data)
            except ValueError:
                one = Event(channel="c", data=data)
            frames.append(event_stream.frame(one.event, one.payload(), f"{number}-a"))
            expected.append((one.event, data.replace("\r\n", "\n").replace("\r", "\n"), f"{number}-a"))
        read = blocks(b"".join(frames).decode())
        assert [(block.event, block.data, block.id) for block in read] == expected


@given(hostile)
def test_a_hostile_cursor_makes_no_frame_within_a_gap(requested: str) -> None:
    [block] = blocks(event_stream.gap("malformed", requested, "1-a", 1000).decode())
    assert [name for name, _ in block.fields] == ["retry", "event", "data", "id"]
    assert block.json == {"requested": requested[:100], "resumed_from": "1-a", "reason": "malformed"}


@pytest.mark.parametrize("name", ["", "a\nb", "a\rb", "a\0b", "gap", "bye", "cursor", "x" * 201, "\u2028", "\ud800"])
def test_event_names_that_break_a_stream_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Event(channel="c", event=name, data=1)


@pytest.mark.parametrize("data", [float("nan"), [float("inf")], "\ud800", {"\udfff": 1}])
def test_data_that_json_or_utf8_cannot_say_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Event(channel="c", data=data).payload()


def test_heartbeats_are_these_bytes() -> None:
    assert event_stream.heartbeat("id", "1-a") == b"id: 1-a\n\n"
    assert event_stream.heartbeat("comment", "1-a") == b":\n\n"
    assert event_stream.heartbeat("event", "1-a") == b"event: cursor\ndata: {}\nid: 1-a\n\n"
    assert event_stream.opening(2000, "1-a") == b"retry: 2000\nevent: cursor\ndata: {}\nid: 1-a\n\n"
    bye = event_stream.control("bye", {"reason": "draining"}, None, 100)
    assert bye == b'retry: 100\nevent: bye\ndata: {"reason":"draining"}\n\n'
    assert json.loads(bye.split(b"data: ")[1]) == {"reason": "draining"}


@pytest.mark.parametrize(
    ("timestamp", "told"),
    [
        (-1, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
        (1_790_000_000_123_456_789, "9999-12-31T23:59:59.000Z"),
        (-(2**63), "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_record_with_an_absurd_time_is_told_of_with_one_that_can_be_written(timestamp: int, told: str) -> None:
    """The time of another producer in nanoseconds, from before the log gave the times."""
    assert event_stream.time_of(timestamp) == told
