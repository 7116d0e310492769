"""The promise that must hold, whatever dies: the ledger of published events, and what a subscriber may see of them.

Every accepted event reaches every subscriber once and in the order of its channel, or the subscriber gets a gap event.
All subscribers and the publisher get the same id for it. A stream is never refused.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

_TRAIL = 12
_EXAMPLES = 20  # a broken run is broken for every subscriber: a few examples say what is wrong


@dataclass
class Verdict:
    """Violations, counted by kind, with a few of them in words."""

    counts: Counter[str] = field(default_factory=Counter[str])
    examples: list[str] = field(default_factory=list[str])

    def add(self, kind: str, what: str) -> None:
        """Count a violation."""
        self.counts[kind] += 1
        if self.counts[kind] <= _EXAMPLES // 4 and len(self.examples) < _EXAMPLES:
            self.examples.append(f"{kind}: {what}")


class Ledger:
    """Events as (channel, number). Numbers count from 0 in each channel; one begins when the last one was accepted."""

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
        """Record the answer that the publisher got."""
        self.accepted[channel] = number + 1
        self.identify(channel, number, id_, "its publisher")

    def identify(self, channel: int, number: int, id_: str, who: str) -> None:
        """Check that an event has one id for everybody."""
        known = self._ids.setdefault((channel, number), id_)
        if known != id_:
            self.verdict.add("two ids", f"event {number} of channel {channel} is {known}, and {id_} to {who}")


class Reader:
    """One subscriber, and the events that it got."""

    def __init__(self, name: str, channels: tuple[int, ...], ledger: Ledger) -> None:
        self.name = name
        self.next = dict.fromkeys(channels, 0)
        self.trail: deque[str] = deque(maxlen=_TRAIL)  # the last things that it got, for the examples
        self._ledger = ledger
        self._told = set[int]()  # channels in which a gap event allows the next jump
        self._offset = -1

    def event(self, channel: int, number: int, id_: str) -> None:
        """Check an event."""
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
        """Record a gap event."""
        self._told.update(self.next)

    def has(self, counts: list[int]) -> bool:
        """Tell whether it has all of these events in all of its channels."""
        return all(number >= counts[channel] for channel, number in self.next.items())

    def end(self) -> None:
        """Check what never came."""
        for channel, number in self.next.items():
            missing = self._ledger.accepted[channel] - number
            if missing > 0 and channel not in self._told:
                self._ledger.verdict.add(
                    "lost without a gap", f"{self.name} never got the last {missing} of channel {channel}"
                )
