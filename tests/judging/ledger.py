"""The promise as pure functions of what was published and what one subscriber was told; it knows no HTTP.

Every accepted event of its channels reaches a subscriber once, with the id that its publisher got, in the order of the
log; or a gap tells it that this event is lost. An event that is missing without a gap is a silent hole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES = 10  # a broken run is broken for many: a few examples say what is wrong


@dataclass
class Account:
    """What came of a run: figures, and a few examples of what was wrong in words."""

    counts: Counter[str] = field(default_factory=Counter[str])
    examples: list[str] = field(default_factory=list[str])

    def wrong(self, kind: str, what: str) -> None:
        """Count something that must not be."""
        self.counts[kind] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{kind}: {what}")


class Ledger:
    """The accepted events in the order in which their publishers heard of it: name, channel, id, and when."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.ids: dict[str, str] = {}
        self.channels: dict[str, list[str]] = {}  # the events of each
        self.times: dict[str, float] = {}

    def accept(self, event: str, channel: str, id_: str, now: float) -> None:
        """Record an answer; the same key must give the same id again."""
        known = self.ids.setdefault(event, id_)
        if known != id_:
            self.account.wrong("two ids", f"{event} is {known}, and {id_} to its publisher")
        if event not in self.times:
            self.channels.setdefault(channel, []).append(event)
            self.times[event] = now


def offset(id_: str) -> int:
    """Where an id stands in the log; -1 for none."""
    digits = id_.partition("-")[0]
    return int(digits) if digits.isdecimal() else -1


def wants(patterns: tuple[str, ...], channel: str) -> bool:
    """Whether a stream of these channels and patterns gets an event of the channel."""
    return any(channel == one or (one.endswith("*") and channel.startswith(one[:-1])) for one in patterns)


@dataclass
class Gap:
    """What a subscriber was told of a loss: the last id that it had, where it goes on, and when that was."""

    requested: int
    resumed: int
    reason: str
    time: float


class Listener:
    """What one subscriber was told, over all its streams."""

    def __init__(self, name: str, patterns: tuple[str, ...], account: Account) -> None:
        self.name, self.patterns, self.account = name, patterns, account
        self.begun = -1  # the offset of its first cursor: what was accepted later is due
        self.newest = -1
        self.heard: dict[str, str] = {}  # id, by event
        self.gaps: list[Gap] = []

    def opened(self, id_: str) -> None:
        """Take the first cursor."""
        if self.begun < 0:
            self.begun = self.newest = offset(id_)

    def event(self, event: str, channel: str, id_: str) -> None:
        """Judge an event at the moment when it comes."""
        what = f"{self.name} got {event} with id {id_} after offset {self.newest}"
        if not wants(self.patterns, channel):
            self.account.wrong("not asked for", what)
        if event in self.heard:
            self.account.wrong("doubled", f"{what}, and with id {self.heard[event]} before")
        elif offset(id_) <= self.newest:
            self.account.wrong("disordered", what)
        self.account.counts["delivered"] += 1
        self.heard[event] = id_
        self.newest = offset(id_)

    def gap(self, requested: str, resumed: str, reason: str, now: float) -> None:
        """Take a gap: after it, offsets may be lower than before where the log has lost its end."""
        self.gaps.append(Gap(offset(requested), offset(resumed), reason, now))
        self.newest = offset(resumed)
        self.account.counts["gaps told"] += 1
        self.account.counts[f"gaps told: {reason}"] += 1

    def missing(self, ledger: Ledger) -> list[str]:
        """The accepted events that are due, and did not come."""
        return [
            event
            for channel, events in ledger.channels.items()
            if wants(self.patterns, channel)
            for event in events
            if event not in self.heard and offset(ledger.ids[event]) > self.begun
        ]

    def lacks(self, ledger: Ledger) -> bool:
        """Whether events are still to come, by their number alone: all were published after it had begun."""
        due = sum(len(events) for channel, events in ledger.channels.items() if wants(self.patterns, channel))
        return len(self.heard) < due

    def holes(self, ledger: Ledger) -> list[str]:
        """The events that are missing, and that no gap told of."""
        return [
            event
            for event in self.missing(ledger)
            if not any(covers(one, offset(ledger.ids[event]), ledger.times[event]) for one in self.gaps)
        ]

    def close(self, ledger: Ledger) -> None:
        """Judge at the end what never came, and whether the ids agree."""
        holes = self.holes(ledger)
        if told := len(self.missing(ledger)) - len(holes):
            self.account.counts["lost and told"] += told
        for event in holes:
            what = f"{self.name} ({' '.join(self.patterns)}) never got {event}, id {ledger.ids[event]}; {self.gaps}"
            self.account.wrong("silent holes", what)
        for event, id_ in self.heard.items():
            if ledger.ids.get(event, id_) != id_:
                self.account.wrong("two ids", f"{event} is {ledger.ids[event]}, and {id_} to {self.name}")


def covers(gap: Gap, lost: int, accepted: float) -> bool:
    """Whether a gap tells of an event that was accepted at this offset.

    Where the log has lost its end, the same offsets are used again: so all that was accepted before may be lost.
    """
    if gap.reason == "truncated":
        return accepted <= gap.time
    return gap.requested < lost <= gap.resumed
