"""Reads an event stream (WHATWG HTML, section 9.2.6) from bytes that may be cut at any place."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LONGEST = 16 * 2**20  # characters: twice the largest event that the service can be configured to accept
_DIGITS = re.compile(r"[0-9]{1,10}")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Message:
    """An event; `id` is the cursor after it."""

    event: str
    data: str
    id: str

    def json(self) -> Any:
        """The data as JSON; ValueError where it is not JSON."""
        return json.loads(self.data)


class Reader:
    """The bytes of one connection; a reconnect needs `last_event_id` and `retry` (ms)."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []
        # utf-8-sig removes one byte order mark, as the section demands.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._line: list[str] = []  # the parts of a line that has not ended
        self._held = 0
        self._after_return = False

    def feed(self, part: bytes) -> Iterator[Message]:
        """The events that end in this part; a block without data is not an event, but its id counts.

        Raises ValueError for an event without end.
        """
        text = self._decode(part)
        if not text:
            return
        if self._after_return and text[0] == "\n":
            text = text[1:]
        self._after_return = text.endswith("\r")
        self._held += len(text)
        if self._held > _LONGEST:
            raise ValueError(f"an event has more than {_LONGEST} characters")
        lines = _LINE_END.split(text)
        self._line.append(lines[0])
        if len(lines) == 1:
            return
        lines[0], rest = "".join(self._line), lines.pop()
        self._line = [rest]
        for line in lines:
            if line:
                self._field(line)
                continue
            self.last_event_id = self._id
            if self._data:
                yield Message(self._event or "message", "\n".join(self._data), self._id)
            self._event, self._data, self._held = "", [], 0

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self.retry = int(value)
