from __future__ import annotations

import random

import pytest

from sse_app.fanout.ring import Entry, Ring, entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import CUT, MARKER, Draft, Record


@pytest.mark.parametrize(
    ("data", "cut"), [(b"7", 7), (b"9" * 5000, None), ("\u0667".encode(), None), (b"-1", None), (b"", None)]
)
def test_a_marker_of_another_producer_that_names_no_offset_is_one_that_says_nothing(
    data: bytes, cut: int | None
) -> None:
    made = entry(Record(9, 0, "00000000", Draft(b"", MARKER, CUT, data, b"")), duplicate=False)
    assert (made.frame, made.cut) == (None, cut)


@pytest.mark.parametrize("seed", range(4))
def test_the_newest_event_of_each_channel_is_that_of_the_entries_held(seed: int) -> None:
    chance = random.Random(seed)
    ring = Ring(30, 2**20)
    for step in range(2_000):
        frame = None if chance.random() < 0.1 else b"x"
        ring.append(Entry(Cursor(ring.end, f"{step:08}"), 0, f"c{chance.randrange(40):02}", frame))
        if chance.random() < 0.5:
            ring.trim(ring.end - chance.randrange(3))
        if chance.random() < 0.005:
            ring.clear(ring.end + 5)
        if chance.random() < 0.2:
            after = chance.choice(["", "c07", "c2", "d"])
            held = {one.channel: one for one in ring.slice(ring.start, ring.end) if one.frame is not None}
            assert list(ring.newest(after)) == [held[name] for name in sorted(held) if name > after]
