"""Channels and what a subscriber may ask for: exact names, `prefix.*`, or `*` for all."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHANNEL = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
# Channels of the platform itself, such as those of its checks: `*` does not match them, so no user's stream has them.
RESERVED = "sse-platform."
EXTRAS = ("meta", "trace")  # what may come before each event where it is asked for, in this order


@dataclass(frozen=True, slots=True)
class Filter:
    """The channels that a subscriber wants. Subscribers with equal filters are one group: they get the same bytes."""

    exact: frozenset[str]
    prefixes: frozenset[str]  # "stock." for the pattern stock.*, "" for *
    extras: tuple[str, ...] = ()  # of EXTRAS

    @property
    def empty(self) -> bool:
        """Whether no event passes the filter."""
        return not self.exact and not self.prefixes

    def matches(self, channel: str) -> bool:
        """Whether an event of this channel passes the filter."""
        if not self.prefixes or channel in self.exact:
            return channel in self.exact
        if channel.startswith(RESERVED):
            return any(prefix and channel.startswith(prefix) for prefix in self.prefixes)
        # Not any(): a page asks this for a thousand names, and a tuple is four times as fast.
        return channel.startswith(tuple(self.prefixes))

    @property
    def reserved(self) -> bool:
        """Whether it asks for channels of the platform itself and for no other."""
        return not self.prefixes and all(name.startswith(RESERVED) for name in self.exact)

    def lacks(self, other: "Filter") -> str | None:
        """The first name or pattern of another filter that this one does not cover; None where it covers all."""
        names = (name for name in sorted(other.exact) if not self.matches(name))
        patterns = (f"{prefix}*" for prefix in sorted(other.prefixes) if not self.covers(prefix))
        return next(itertools.chain(names, patterns), None)

    def covers(self, prefix: str) -> bool:
        """Whether whatever begins with this prefix passes the filter."""
        reserved = prefix.startswith(RESERVED)
        return any(prefix.startswith(own) for own in self.prefixes if own or not reserved)

    def within(self, other: "Filter") -> "Filter":
        """The names and patterns of this filter that another one covers."""
        exact = frozenset(name for name in self.exact if other.matches(name))
        return Filter(exact, frozenset(filter(other.covers, self.prefixes)), self.extras)

    def names(self) -> list[str]:
        """The names and patterns from which parse() makes this filter."""
        return [*sorted(self.exact), *(f"{prefix}*" for prefix in sorted(self.prefixes))]


NOTHING = Filter(frozenset(), frozenset())


def exactly(names: Iterable[str]) -> Filter:
    """The filter of these channels and no other."""
    return Filter(frozenset(names), frozenset())


def parse(names: Iterable[str], extras: Iterable[str] = ()) -> Filter:
    """The filter of a request; ValueError quotes the first name that is neither a channel nor a pattern."""
    exact, prefixes = set[str](), set[str]()
    for name in names:
        if name == "*":
            prefixes.add("")
        elif name.endswith(".*") and CHANNEL.fullmatch(name[:-1]):
            prefixes.add(name[:-1])
        elif CHANNEL.fullmatch(name):
            exact.add(name)
        else:
            expected = "1 to 200 of A-Z a-z 0-9 . _ : / - , or a pattern prefix.* or *"
            raise ValueError(f"{name[:200]!r} is not a channel: expected {expected}")
    return Filter(frozenset(exact), frozenset(prefixes), tuple(extras))


def prefixes_of(channel: str) -> Iterator[str]:
    """Every prefix by which a pattern could match this channel, the shortest first."""
    if not channel.startswith(RESERVED):
        yield ""
    position = channel.find(".")
    while position >= 0:
        yield channel[: position + 1]
        position = channel.find(".", position + 1)
