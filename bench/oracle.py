"""What must hold, whatever dies: the ledger of what was published, and what each subscriber may see of it.

Every accepted event reaches every subscriber once and in its channel's order, or the subscriber is told of a gap; all
subscribers and the publisher get the same id for it; a stream is never refused.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

_TRAIL = 12
_EXAMPLES = 20  # a broken run breaks for everybody: a few tell what is wrong


@dataclass
class Verdict:
    """Violations, counted by kind, with a few of them in words."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, kind: str, what: str) -> None:
        """Count one."""
        self.counts[kind] += 1
        if self.counts[kind] <= _EXAMPLES // 4 and len(self.examples) < _EXAMPLES:
            self.examples.append(f"{kind}: {what}")


class Ledger:
    """Events as (channel, number); numbers count from 0 in each channel, each begun when the one before is accepted."""

    def __init__(self, channels: int, verdict: Verdict) -> None:
        self.begun = [0] * channels
        self.accepted = [0] * channels
        self.verdict = verdict
        self._ids: dict[tuple[int, int], str] = {}

    def begin(self, channel: int) -> int:
        """Number the next event of a channel."""
        self.begun[channel] += 1
        return self.begun[channel] - 1

    def accept(self, channel: int, number: int, id_: str) -> None:
        """Take the publisher's answer."""
        self.accepted[channel] = number + 1
        self.identify(channel, number, id_, "its publisher")

    def identify(self, channel: int, number: int, id_: str, who: str) -> None:
        """See that an event has one id, whoever is told of it."""
        known = self._ids.setdefault((channel, number), id_)
        if known != id_:
            self.verdict.add("two ids", f"event {number} of channel {channel} is {known}, and {id_} to {who}")


class Reader:
    """What one subscriber has seen."""

    def __init__(self, name: str, channels: tuple[int, ...], ledger: Ledger) -> None:
        self.name = name
        self.next = dict.fromkeys(channels, 0)
        self.trail: deque[str] = deque(maxlen=_TRAIL)  # what it was told last, for the examples
        self._ledger = ledger
        self._told = set[int]()  # channels in which a gap event excuses the next jump
        self._offset = -1

    def event(self, channel: int, number: int, id_: str) -> None:
        """Judge an event."""
        verdict, expected = self._ledger.verdict, self.next.get(channel)
        what = f"{self.name} got event {number} of channel {channel} (id {id_})"
        if expected is None:
            verdict.add("not asked for", what)
            return
        if number >= self._ledger.begun[channel]:
            verdict.add("never published", what)
            return
        if number < expected:
            verdict.add("doubled", f"{what} after {expected - 1}")
            return
        if number > expected and channel not in self._told:
            verdict.add("lost without a gap", f"{what} after {expected - 1}; before: {', '.join(self.trail)}")
        offset = int(id_.partition("-")[0])
        if offset <= self._offset:
            verdict.add("out of order", f"{what} after offset {self._offset}")
        self._ledger.identify(channel, number, id_, self.name)
        self._told.discard(channel)
        self._offset = offset
        self.next[channel] = number + 1

    def gap(self) -> None:
        """Take a gap event."""
        self._told.update(self.next)

    def has(self, counts: list[int]) -> bool:
        """Whether it has come as far in all of its channels."""
        return all(number >= counts[channel] for channel, number in self.next.items())

    def end(self) -> None:
        """Judge what never came."""
        for channel, number in self.next.items():
            missing = self._ledger.accepted[channel] - number
            if missing > 0 and channel not in self._told:
                self._ledger.verdict.add(
                    "lost without a gap", f"{self.name} never got the last {missing} of channel {channel}"
                )
