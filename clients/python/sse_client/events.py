"""What a stream gives: messages, and what the service says about the stream itself (docs/events.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Message:
    """An event; `id` is the cursor after it. A stream with `meta=True` also tells its channel and its time."""

    event: str
    data: str
    id: str
    channel: str = field(default="", repr=False)
    time: str = field(default="", repr=False)

    def json(self) -> Any:
        """The data as JSON; ValueError where it is not JSON."""
        return json.loads(self.data)


@dataclass(frozen=True, slots=True)
class Gap:
    """This reader has lost the events after `requested`; it goes on after `resumed_from`."""

    requested: str
    resumed_from: str
    reason: str  # expired, truncated or malformed; a later service may have more
    more: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)  # fields that are new


@dataclass(frozen=True, slots=True)
class Bye:
    """The service ends the stream, and the client comes back by itself."""

    reason: str  # draining, expired, revoked or limit; a later service may have more
    more: Mapping[str, Any] = field(default_factory=dict[str, Any], compare=False)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The stream is alive and has read up to `id`: its opening, or a heartbeat."""

    id: str


StreamEvent = Message | Gap | Bye | Cursor


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the history of a channel, oldest event first.

    A page may be empty and not the last one, because the service looks through a limited number of records for each.
    """

    events: list[Message]
    cursor: str  # a stream that resumes from here misses nothing after this page
    before: str  # the page before this one is asked for with it; empty where the service knows that there is none
    after: str = ""  # the same for the page after this one
    gap: str = (
        ""  # why the log cannot go on after the id that was asked for, as in Gap; then these are the newest events
    )


@dataclass(frozen=True, slots=True)
class Ticket:
    """A short credential for the address of a stream, as browsers need it; times are Unix seconds."""

    ticket: str = field(repr=False)
    begins_until: int
    expires: int


def understood(message: Message) -> StreamEvent:
    """Tell what the stream says about itself from what was published. A field that is new or missing is no error."""
    if message.event == "gap":
        fields = document(message.data)
        return Gap(*(_taken(fields, name) for name in ("requested", "resumed_from", "reason")), more=fields)
    if message.event == "bye":
        fields = document(message.data)
        return Bye(_taken(fields, "reason"), more=fields)
    return Cursor(message.id) if message.event == "cursor" else message


def document(text: str | bytes) -> dict[str, Any]:
    """A JSON object; empty where the text is another thing."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _taken(fields: dict[str, Any], name: str) -> str:
    value = fields.pop(name, "")
    return value if isinstance(value, str) else json.dumps(value)
