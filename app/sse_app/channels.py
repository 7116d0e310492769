"""Which channels a subscriber asked for: exact names, `prefix.*`, or a lone `*`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sse_app.event import CHANNEL


@dataclass(frozen=True, slots=True)
class Filter:
    """Equal filters are one group: their subscribers get the same bytes."""

    exact: frozenset[str]
    prefixes: frozenset[str]  # "stock." for the pattern stock.*, "" for *
    traced: bool = False  # each event's traceparent before it

    def matches(self, channel: str) -> bool:
        """Whether an event of this channel is for this filter."""
        return channel in self.exact or any(channel.startswith(prefix) for prefix in self.prefixes)


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
