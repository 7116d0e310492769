"""Which channels a subscriber asked for: exact names, `prefix.*`, or a lone `*`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHANNEL = re.compile(r"[A-Za-z0-9._:/-]{1,200}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Equal filters are one group: their subscribers get the same bytes."""

    exact: frozenset[str]
    prefixes: frozenset[str]  # "stock." for the pattern stock.*, "" for *
    traced: bool = False  # each event's traceparent before it

    def matches(self, channel: str) -> bool:
        """Whether an event of this channel is for this filter."""
        return channel in self.exact or any(channel.startswith(prefix) for prefix in self.prefixes)

    def lacks(self, other: Filter) -> str | None:
        """A name or pattern of another filter that this one does not cover; None where it covers all."""
        names = (name for name in sorted(other.exact) if not self.matches(name))
        patterns = (
            f"{prefix}*"
            for prefix in sorted(other.prefixes)
            if not any(prefix.startswith(own) for own in self.prefixes)
        )
        return next(itertools.chain(names, patterns), None)

    def names(self) -> list[str]:
        """What parse() makes this filter of."""
        return [*sorted(self.exact), *(f"{prefix}*" for prefix in sorted(self.prefixes))]


def exactly(names: Iterable[str]) -> Filter:
    """The filter of these channels and no other."""
    return Filter(frozenset(names), frozenset())


def parse(names: Iterable[str], traced: bool = False) -> Filter:
    """The filter of a request; ValueError names the channel that is none."""
    exact, prefixes = set[str](), set[str]()
    for name in names:
        if name == "*":
            prefixes.add("")
        elif name.endswith(".*") and CHANNEL.fullmatch(name[:-1]):
            prefixes.add(name[:-1])
        elif CHANNEL.fullmatch(name):
            exact.add(name)
        else:
            raise ValueError(
                f"{name[:200]!r} is no channel: 1-200 of A-Z a-z 0-9 . _ : / - , or a pattern prefix.* or *"
            )
    return Filter(frozenset(exact), frozenset(prefixes), traced)


def prefixes_of(channel: str) -> Iterator[str]:
    """Every prefix by which a pattern could match this channel."""
    yield ""
    position = channel.find(".")
    while position >= 0:
        yield channel[: position + 1]
        position = channel.find(".", position + 1)
