"""What a publisher may send, and the bytes a subscriber gets (WHATWG HTML, section 9.2, server-sent events)."""

from __future__ import annotations

import json
import random
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from sse_app.base.channels import CHANNEL

_NAME = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"  # no control character, no line end in any reading of it
RESERVED = frozenset({"gap", "bye", "cursor", "traceparent"})  # the stream's own events: nobody may forge them

Reason = Literal["expired", "truncated", "malformed"]
Heartbeat = Literal["id", "event", "comment"]
COMMENT = b":\n\n"  # a heartbeat where no cursor can be told
_LINE_END = re.compile(rb"\r\n|\r|\n")  # the three line ends of an event stream; str.splitlines knows more


class Event(BaseModel):
    """One event as published."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"channel": "orders", "event": "created", "data": {"n": 1}}]},
    )

    channel: Annotated[str, StringConstraints(pattern=rf"^{CHANNEL.pattern}$")]
    event: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NAME)] = "message"
    data: Any = Field(description="A string goes out as it is, anything else as compact JSON")

    @field_validator("event")
    @classmethod
    def _name(cls, value: str) -> str:
        if value in RESERVED:
            raise ValueError("the name is reserved for the stream itself")
        return value

    def payload(self) -> bytes:
        """The data as UTF-8; ValueError for what UTF-8 or JSON (RFC 8259) cannot say."""
        if isinstance(self.data, str):
            return self.data.encode()
        return json.dumps(self.data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def frame(event: str, data: bytes, id_: str) -> bytes:
    """One event of a stream. `id` is last, so that a frame cut short moves no cursor."""
    head = b"" if event == "message" else b"event: %b\n" % event.encode()
    if b"\n" in data or b"\r" in data:
        data = _LINE_END.sub(b"\ndata: ", data)
    return b"%bdata: %b\nid: %b\n\n" % (head, data, id_.encode())


def frame_size(event: str, data: bytes) -> int:
    """Bytes of a frame() without its id: each line of the data takes a field of its own."""
    lines = 1 + data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    return len("event: \n") + len(event.encode()) + len(data) + len("data: ") * lines


def traced(encoded: bytes, traceparent: str) -> bytes:
    """A frame after its publisher's traceparent: an event, so that any client can read it, which moves no cursor."""
    return b"event: traceparent\ndata: %b\n\n%b" % (traceparent.encode(), encoded) if traceparent else encoded


def parse(encoded: bytes) -> tuple[str, str]:
    """The event name and data of a frame() of ours."""
    name, lines = "message", list[str]()
    for line in encoded.decode().split("\n"):
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            lines.append(line[6:])
    return name, "\n".join(lines)


def control(event: str, data: dict[str, str], id_: str | None = None, retry: int | None = None) -> bytes:
    """A frame of the stream's own; json.dumps leaves no line end in it."""
    head = "" if retry is None else f"retry: {retry}\n"
    tail = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data, separators=(',', ':'))}\n{tail}\n".encode()


def gap(reason: Reason, requested: str, resumed_from: str | None, retry: int | None = None) -> bytes:
    """Tell a subscriber that events between the two ids are lost to it."""
    data = {"requested": requested[:100], "resumed_from": resumed_from or "", "reason": reason}
    return control("gap", data, resumed_from, retry)


def opening(retry: int, id_: str) -> bytes:
    """First frame of a stream that resumes, or begins, without a gap."""
    return b"retry: %d\nid: %b\n\n" % (retry, id_.encode())


def heartbeat(kind: Heartbeat, id_: str) -> bytes:
    """Advance the cursor of a quiet subscriber; `event` for clients that ignore a block with no data.

    A comment advances nothing: for clients that choke on both, and resume from their last event.
    """
    if kind == "id":
        return b"id: %b\n\n" % id_.encode()
    return control("cursor", {}, id_) if kind == "event" else COMMENT


def retry_only(retry: int) -> bytes:
    """All that a replica says which cannot serve now: come back, to any replica."""
    return b"retry: %d\n\n" % retry


def jittered(milliseconds: int) -> int:
    """Spread reconnects over half to one and a half times the given time."""
    return random.randint(milliseconds // 2, milliseconds * 3 // 2)  # noqa: S311 - spreads load, guards nothing
