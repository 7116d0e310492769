"""Duplicates are found from the log alone, so that every replica decides the same without shared state.

A record is a duplicate if one of the `size` offsets before it, dropped ones included, has the same key and is not older
than `seconds` by the clock of the log. Without the bound in time, a quiet log would never hold `size` records, and
after retention has trimmed it every resume would get a gap.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections import OrderedDict
from typing import NamedTuple

from sse_app.log.interface import Record

# Whoever may write to the topic may write a key of a megabyte, and the memory of a replica holds 20,000 of them. A hash
# stands for what is longer than the keys of most publishers; two keys share none.
_KEY_BYTES = 128
_DIGEST_BYTES = 16  # of what an event holds, of which publishers write 8
_DROPPED = 1_000_000  # offsets of duplicates in memory, 8 bytes each; older ones are read again from the log


class Seen(NamedTuple):
    """Where a key was first and last seen; times are the log's, in milliseconds."""

    first: int
    last: int
    timestamp: int
    digest: bytes


class Window:
    """The keys of the last `size` offsets, which must be admitted in order."""

    def __init__(self, size: int, seconds: int) -> None:
        self.size = size
        self._milliseconds = seconds * 1000
        self._seen: OrderedDict[bytes, Seen] = OrderedDict()
        self._begun: tuple[int, int] | None = None
        self.complete = False  # whether every record is known that could make the next one a duplicate

    def empty(self) -> "Window":
        """Another window of the same bounds, for a separate reading of the log."""
        return Window(self.size, self._milliseconds // 1000)

    def clear(self) -> None:
        """Forget everything: the next record begins a new reading."""
        self._seen.clear()
        self._begun = None
        self.complete = False

    def admit(self, record: Record) -> int | None:
        """Take the next record; return the offset of its first occurrence if it is a duplicate."""
        offset, timestamp, key = record.offset, record.timestamp, record.draft.key
        self._update_complete(offset, timestamp)
        seen = self._seen
        while seen and next(iter(seen.values())).last < offset - self.size:
            seen.popitem(last=False)
        if not key:
            return None
        key = _bounded(key)
        earlier = seen.pop(key, None)
        if earlier is not None and timestamp - earlier.timestamp <= self._milliseconds:
            seen[key] = earlier._replace(last=offset, timestamp=timestamp)
            return earlier.first
        seen[key] = Seen(offset, offset, timestamp, record.draft.digest[:_DIGEST_BYTES])
        return None

    def find(self, key: bytes) -> Seen | None:
        """What is known of a key."""
        return self._seen.get(_bounded(key))

    def _update_complete(self, offset: int, timestamp: int) -> None:
        if self._begun is None:
            self._begun = (offset, timestamp)
        begun, since = self._begun
        if not self.complete:
            self.complete = begun == 0 or offset - begun >= self.size or timestamp - since > self._milliseconds


def _bounded(key: bytes) -> bytes:
    return key if len(key) <= _KEY_BYTES else b"\0" * _KEY_BYTES + hashlib.sha256(key).digest()


class Dropped:
    """The offsets of the duplicates from `since` on, so that whoever reads old records need not find them again."""

    def __init__(self) -> None:
        self.clear(0)

    def clear(self, since: int) -> None:
        """Know nothing before `since`."""
        self._offsets = array("q")
        self.since = since

    def add(self, offset: int) -> None:
        """Take the next duplicate."""
        self._offsets.append(offset)
        if len(self._offsets) > _DROPPED:
            self._offsets = self._offsets[_DROPPED // 2 :]
            self.since = self._offsets[0]

    def __contains__(self, offset: int) -> bool:
        index = bisect_left(self._offsets, offset)
        return index < len(self._offsets) and self._offsets[index] == offset
