"""The text of an event stream (WHATWG HTML, section 9.2, server-sent events)."""

import json
import random
from datetime import UTC, datetime
from typing import Literal

from sse_app.base.outcomes import GapReason, Source

Heartbeat = Literal["id", "event", "comment"]
COMMENT = b":\n\n"  # a heartbeat that moves no cursor
_CONTROLS = bytes({*range(32)} - {*b"\n"})  # a line end is short in JSON, and long in a frame
_LATEST = 253_402_300_799_000  # milliseconds; floating-point numbers are exact enough there


def frame(event: str, data: bytes, id_: str) -> bytes:
    """One event. Its id is the last field, so that a frame cut short moves no cursor."""
    head = b"" if event == "message" else b"event: %b\n" % event.encode()
    if b"\r" in data:  # the three line ends of an event stream
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" in data:  # not by an expression: for a record of a megabyte of them, all streams would stand still
        data = data.replace(b"\n", b"\ndata: ")
    return b"%bdata: %b\nid: %b\n\n" % (head, data, id_.encode())


def frame_size(event: str, data: bytes) -> int:
    """Bytes of a frame() without its id: each line of the data takes a field of its own."""
    lines = 1 + data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    return len("event: \n") + len(event.encode()) + len(data) + len("data: ") * lines


def traced(encoded: bytes, traceparent: str) -> bytes:
    """A frame after the traceparent of its publisher, which is an event without an id: every client can read it."""
    return b"event: traceparent\ndata: %b\n\n%b" % (traceparent.encode(), encoded) if traceparent else encoded


def described(encoded: bytes, channel: str, timestamp: int) -> bytes:
    """A frame after its channel and its time by the clock of the log, as an event without an id."""
    said = (channel.encode(), time_of(timestamp).encode(), encoded)
    return b'event: meta\ndata: {"channel":"%b","time":"%b"}\n\n%b' % said


def time_of(timestamp: int) -> str:
    """A time of the log, which counts milliseconds since 1970, as RFC 3339 writes it: from 1970 to the year 9999."""
    within = min(max(timestamp, 0), _LATEST)  # a record from before the topic was ours may have any
    return datetime.fromtimestamp(within / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse(encoded: bytes) -> tuple[str, str]:
    """The event name and the data of a frame() of ours."""
    name, text = "message", encoded.decode()
    if text.startswith("event: "):
        line, _, text = text.partition("\n")
        name = line[7:]
    data = text.removeprefix("data: ").rpartition("\nid: ")[0]  # whatever is in the data, its lines begin with "data: "
    return name, data.replace("\ndata: ", "\n")  # a loop over lines took 23 ms for a page of empty ones


def json_size(encoded: bytes) -> int:
    """About the bytes of a frame() as JSON text (RFC 8259, section 7): a control character is six of them there."""
    escaped = len(encoded) - len(encoded.translate(None, _CONTROLS))
    return len(encoded) + 5 * escaped + encoded.count(b'"') + encoded.count(b"\\")


def control(event: str, data: dict[str, str], id_: str | None = None, retry: int | None = None) -> bytes:
    """An event of the stream itself; json.dumps leaves no line end in its data."""
    head = "" if retry is None else f"retry: {retry}\n"
    tail = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n{tail}\n".encode()


def gap(reason: GapReason, requested: str, resumed_from: str | None, retry: int | None = None) -> bytes:
    """Tell a subscriber that it has lost the events between the two ids."""
    data = {"requested": requested[:100], "resumed_from": resumed_from or "", "reason": reason}
    return control("gap", data, resumed_from, retry)


def opening(retry: int, id_: str, source: Source | None = None) -> bytes:
    """The first block of a stream that begins or resumes without a gap.

    :param source: where what it missed comes from, for a subscriber that asked for `meta`

    It is an event, because many clients take an id only from an event. Otherwise one that is cut before its first event
    would come back without a cursor, and miss events in silence. It has a name, so that no onmessage sees it.
    """
    said = b"{}" if source is None else b'{"source":"%b"}' % source.encode()
    return b"retry: %d\nevent: cursor\ndata: %b\nid: %b\n\n" % (retry, said, id_.encode())


def heartbeat(kind: Heartbeat, id_: str) -> bytes:
    """Move the cursor of a quiet subscriber by an event, or by a block without data, which many clients ignore.

    A comment moves no cursor. It is for clients that fail on the other two, and resume from their last event.
    """
    if kind == "id":
        return b"id: %b\n\n" % id_.encode()
    return control("cursor", {}, id_) if kind == "event" else COMMENT


def retry_only(retry: int) -> bytes:
    """The whole answer of a replica that cannot serve a stream now: the client comes back, to any replica."""
    return b"retry: %d\n\n" % retry


def jittered(milliseconds: int) -> int:
    """Spread reconnects over half to one and a half times the given time."""
    return random.randint(milliseconds // 2, milliseconds * 3 // 2)  # noqa: S311 - spreads load, guards nothing
