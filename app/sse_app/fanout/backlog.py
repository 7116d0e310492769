"""One budget for what all readers together have not taken, and one for what all filters take.

A stream that nobody reads holds some hundred KB: what its socket has taken, and what its transport keeps beside that.
A thousand of them would end the replica for its memory. Once the budget is spent, those that hold most are cut, until a
quarter of it is free. Their clients resume by their ids, and lose nothing.
"""

from typing import Protocol

from sse_app.base.channels import Filter

_FREE = 0.75  # of the budget: what is left to the others after a cut
_NAME_BYTES = 600  # of memory for a name of a filter beside its text, measured: sets, indexes and groups
_FEW_NAMES = 10  # a filter of so few is always taken: SSE_MAX_STREAMS bounds these


class Writer(Protocol):
    """A connection whose transport may hold something back."""

    @property
    def size(self) -> int:
        """Bytes that the transport holds."""
        ...

    def cut(self) -> None:
        """End the connection, because its reader is slow."""
        ...


class Backlog:
    """What the transports of all streams hold."""

    def __init__(self, budget: int, socket_bytes: int) -> None:
        """`budget` is SSE_BACKLOG_BYTES; `socket_bytes` are what the kernel holds of a socket that is full."""
        self._budget = budget
        self._socket_bytes = socket_bytes
        self._writers: dict[Writer, None] = {}  # those that may hold something, the longest first
        self._most = 0  # what they hold now is at most this: it was not looked up since

    def hold(self, writer: Writer, size: int) -> None:
        """Take note that a transport has been given this many bytes to keep."""
        if writer not in self._writers:
            self._writers[writer] = None
            size += self._socket_bytes
        self._most += size
        if self._most > self._budget:
            self._look()

    def forget(self, writer: Writer) -> None:
        """Take note that a connection is gone."""
        self._writers.pop(writer, None)

    @property
    def bytes(self) -> int:
        """What they hold now."""
        self._look()
        return self._most

    def _look(self) -> None:
        sizes = {writer: size for writer in self._writers if (size := writer.size)}
        self._writers = dict.fromkeys(sizes)
        self._most = sum(sizes.values()) + len(sizes) * self._socket_bytes
        if self._most <= self._budget:
            return
        for writer in sorted(sizes, key=sizes.__getitem__, reverse=True):  # of equals, the one that has waited longest
            if self._most <= self._budget * _FREE:
                break
            self._most -= sizes[writer] + self._socket_bytes
            del self._writers[writer]
            writer.cut()


class Filters:
    """The filters of all streams; equal ones are one object."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: dict[Filter, tuple[Filter, int]] = {}  # with the number of its streams
        self.bytes = 0

    def admits(self, wanted: Filter) -> bool:
        """Whether there is memory for one more stream with this filter."""
        names = len(wanted.exact) + len(wanted.prefixes)
        return names <= _FEW_NAMES or wanted in self._held or self.bytes + _cost(wanted) <= self._budget

    def add(self, wanted: Filter) -> Filter:
        """Count a stream in; return the one object for its filter."""
        one, count = self._held.get(wanted, (wanted, 0))
        self._held[one] = one, count + 1
        if not count:
            self.bytes += _cost(one)
        return one

    def remove(self, wanted: Filter) -> None:
        """Count a stream out."""
        one, count = self._held.pop(wanted)
        if count > 1:
            self._held[one] = one, count - 1
        else:
            self.bytes -= _cost(one)


def _cost(wanted: Filter) -> int:
    return sum(_NAME_BYTES + len(name) for names in (wanted.exact, wanted.prefixes) for name in names)
