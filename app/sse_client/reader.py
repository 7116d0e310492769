"""Event stream interpretation (WHATWG HTML, section 9.2.6) for bytes that are cut anywhere."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LONGEST = 16 * 2**20  # twice what the service may be told to accept
_DIGITS = re.compile(r"[0-9]{1,10}")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Message:
    """An event; `id` is the cursor after it."""

    event: str
    data: str
    id: str

    def json(self) -> Any:
        """The data as JSON; ValueError where it is none."""
        return json.loads(self.data)


class Reader:
    """One connection's bytes; `last_event_id` and `retry` (ms) are what a reconnect goes by."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []
        # utf-8-sig takes off one byte order mark, as the section asks for.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._line: list[str] = []  # parts of one that has not ended
        self._held = 0
        self._after_return = False

    def feed(self, part: bytes) -> Iterator[Message]:
        """Events that end within this part; a block without data is none, but its id counts. ValueError without end."""
        text = self._decode(part)
        if not text:
            return
        if self._after_return and text[0] == "\n":
            text = text[1:]
        self._after_return = text.endswith("\r")
        self._held += len(text)
        if self._held > _LONGEST:
            raise ValueError(f"an event of over {_LONGEST} characters")
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
