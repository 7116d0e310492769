"""The newest records, encoded once and shared by every subscriber of this replica."""

import bisect
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from sse_app.base.channels import Filter
from sse_app.fanout import event_stream
from sse_app.log.cursor import Cursor
from sse_app.log.interface import CUT, MARKER, Record

_CUT = "cut="  # in the place of the traceparent, which a record without a frame has not: Redis keeps it, too
# Whoever may write to the topic may write a marker: Python refuses to read a number of thousands of digits.
_OFFSET = re.compile(rb"[0-9]{1,19}")


class Entry(NamedTuple):
    """A record as it is sent; without a frame where every subscriber skips it: a marker, a duplicate, no event."""

    cursor: Cursor
    timestamp: int
    channel: str
    frame: bytes | None
    traceparent: str = ""

    @property
    def cut(self) -> int | None:
        """For a marker of a lost end: the first offset that was lost, and given again."""
        if self.frame is not None or not self.traceparent.startswith(_CUT):
            return None
        return int(self.traceparent[len(_CUT) :])

    def dressed(self, extras: Sequence[str]) -> bytes:
        """The frame after what a subscriber asked for to come before it."""
        frame = self.frame or b""
        if "trace" in extras:
            frame = event_stream.traced(frame, self.traceparent)
        return event_stream.described(frame, self.channel, self.timestamp) if "meta" in extras else frame


def entry(record: Record, duplicate: bool) -> Entry:
    """Encode a record; a duplicate keeps its place in the sequence but no content."""
    cursor, draft = Cursor(record.offset, record.fingerprint), record.draft
    if not duplicate and (draft.channel, draft.event) == (MARKER, CUT) and _OFFSET.fullmatch(draft.data):
        return Entry(cursor, record.timestamp, MARKER, None, f"{_CUT}{int(draft.data)}")
    if duplicate or draft.channel == MARKER:
        return Entry(cursor, record.timestamp, draft.channel, None)
    frame = event_stream.frame(draft.event, draft.data, str(cursor))
    return Entry(cursor, record.timestamp, draft.channel, frame, draft.traceparent)


class Ring:
    """Consecutive offsets [start, end), bounded by number and by bytes."""

    def __init__(self, events: int, size: int) -> None:
        self.max_events = events
        self._max_bytes = size
        self._entries: list[Entry] = []
        self._dropped = 0  # entries at the head of the list that no longer count
        self._newest: dict[str, Entry] = {}  # of each channel, those with a frame
        self._names: list[str] | None = None  # of these channels, sorted; None: to be sorted anew
        self.end = 0
        self.bytes = 0

    @classmethod
    def unbounded(cls) -> Self:
        """A ring for a reader that knows its own bounds."""
        return cls(sys.maxsize, sys.maxsize)

    @property
    def start(self) -> int:
        """The first offset held."""
        return self.end - len(self)

    @property
    def seconds(self) -> float:
        """Age of the oldest record held, by the clock of the log."""
        oldest = self.at(self.start)
        return 0.0 if oldest is None else max(0.0, time.time() - oldest.timestamp / 1000)

    def __len__(self) -> int:
        return len(self._entries) - self._dropped

    def clear(self, end: int) -> None:
        """Drop everything; `end` is the next offset to come."""
        self._entries.clear()
        self._newest.clear()
        self._names = None
        self._dropped = self.bytes = 0
        self.end = end

    def append(self, new: Entry) -> None:
        """Take the next entry; an offset that the log itself skips (end of a foreign transaction) gets an empty one.

        The empty one has the cursor of the record before it, since every id that a client gets must name a real record.
        """
        if not self._entries:
            self.end = new.cursor.offset
        while self.end < new.cursor.offset:
            self._entries.append(Entry(self._entries[-1].cursor, new.timestamp, MARKER, None))
            self.end += 1
        self._entries.append(new)
        self.end += 1
        self.bytes += len(new.frame or b"")
        if new.frame is not None:
            if new.channel not in self._newest:
                self._names = None
            self._newest[new.channel] = new

    def trim(self, keep_from: int) -> None:
        """Drop the oldest until the bounds hold, but keep what subscribers have not been given yet."""
        while (
            len(self) > 1 and self.start < keep_from and (len(self) > self.max_events or self.bytes > self._max_bytes)
        ):
            dropped = self._entries[self._dropped]
            self.bytes -= len(dropped.frame or b"")
            if self._newest.get(dropped.channel) is dropped:
                del self._newest[dropped.channel]
                self._names = None
            self._dropped += 1
        if self._dropped > len(self):  # rarely, because to shift a list costs its length
            del self._entries[: self._dropped]
            self._dropped = 0

    def at(self, offset: int) -> Entry | None:
        """The entry at an offset, if held."""
        return self._entries[offset - self.end] if self.start <= offset < self.end else None

    def newest(self, after: str) -> Iterator[Entry]:
        """The newest event of each channel whose name comes after this one, in the order of the names."""
        if self._names is None:  # a page costs its length, and no walk through the ring
            self._names = sorted(self._newest)
        names = self._names
        for index in range(bisect.bisect_right(names, after), len(names)):
            yield self._newest[names[index]]

    def slice(self, start: int, stop: int) -> Sequence[Entry]:
        """The entries [start, stop), which must lie within the ring."""
        base = self.end - len(self._entries)
        return self._entries[start - base : stop - base]

    def collect(self, start: int, stop: int, wanted: Filter, limit: int) -> tuple[bytes, int]:
        """Frames for a filter from `start`, about `limit` bytes of them, and the offset to go on from.

        The marker of a lost end is the last record that they pass.
        """
        frames, size = list[bytes](), 0
        for held in self.slice(start, min(stop, start + 1000)):  # 1000: about 0.2 ms before others get their turn
            start += 1
            if held.frame is None:
                if held.traceparent and held.cut is not None:
                    break
            elif wanted.matches(held.channel):
                frames.append(held.dressed(wanted.extras) if wanted.extras else held.frame)
                size += len(held.frame)
                if size >= limit:
                    break
        return b"".join(frames), start
