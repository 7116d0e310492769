"""Reads an event stream (WHATWG HTML, section 9.2.6) from bytes that may be cut at any place."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from sse_client.errors import TooLongError
from sse_client.events import Cursor, Message

LONGEST = 16 * 2**20  # characters: twice the largest event that the service can be configured to accept
_MOST_RETRY = 10**10  # ms; whatever is longer counts as this
_DIGITS = re.compile(r"[0-9]+")
_LINE_END = re.compile(r"\r\n|\r|\n")


class Reader:
    """The bytes of one connection; a reconnect needs `last_event_id` and `retry` (ms)."""

    def __init__(self, last_event_id: str = "", longest: int = LONGEST) -> None:
        self.last_event_id: str = last_event_id
        self.retry: int | None = None
        self._longest = longest
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []
        self._identified = False  # this block has an id of its own
        # utf-8-sig removes one byte order mark, as the section demands.
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._line: list[str] = []  # the parts of a line that has not ended
        self._line_length = 0
        self._block_length = 0  # of the lines that have ended
        self._after_return = False

    def feed(self, part: bytes) -> Iterator[Message | Cursor]:
        """The events that end in this part, and a Cursor for each block that has an id and no data.

        Raises TooLongError for a line or an event without end.
        """
        text = self._decode(part)
        if self._after_return and text[:1] == "\n":
            text = text[1:]
            self._after_return = False
        if not text:
            return
        self._after_return = text[-1] == "\r"
        first, *lines = _LINE_END.split(text)
        self._line.append(first)
        self._line_length += len(first)
        for following in lines:  # each one says that the line before it has ended
            self._require_room()
            line = "".join(self._line)
            self._block_length += self._line_length
            self._line, self._line_length = [following], len(following)
            if line:
                self._field(line)
            else:
                yield from self._block()
        self._require_room()

    def _require_room(self) -> None:
        if self._block_length + self._line_length > self._longest:
            raise TooLongError(self._longest)

    def _block(self) -> Iterator[Message | Cursor]:
        self.last_event_id = self._id
        event, data, identified = self._event, self._data, self._identified
        self._event, self._data, self._identified, self._block_length = "", [], False, 0
        if data:
            yield Message(event or "message", "\n".join(data), self._id)
        elif identified:
            yield Cursor(self._id)

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id, self._identified = value, True
        elif name == "retry" and _DIGITS.fullmatch(value):
            digits = value.lstrip("0")
            self.retry = int(digits or "0") if len(digits) <= 10 else _MOST_RETRY
