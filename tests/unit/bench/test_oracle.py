"""The checker of the promise finds each way of breaking it, and nothing where it is kept."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.bench.oracle import Ledger, Reader, Verdict

PUBLISHED = 6  # events 0 to 5 of channel 0, at offsets 10 to 15
GAP = -1  # stands for a gap event
FOREIGN = (1, 0, "20-a")  # an event of a channel that was not asked for


def event(number: int) -> tuple[int, int, str]:
    return (0, number, f"{10 + number}-{number:x}")


def judged(*seen: int | tuple[int, int, str]) -> dict[str, int]:
    verdict = Verdict()
    ledger = Ledger(2, verdict)
    for channel, _, id_ in [*map(event, range(PUBLISHED)), FOREIGN]:
        ledger.accept(channel, ledger.begin(channel), id_)
    reader = Reader("reader", (0,), ledger)
    for one in seen:
        if one == GAP:
            reader.gap()
        else:
            reader.event(*(event(one) if isinstance(one, int) else one))
    reader.end()
    return dict(verdict.counts)


@pytest.mark.parametrize(
    ("seen", "violations"),
    [
        ([0, 1, 2, 3, 4, 5], {}),
        ([0, 1, 3, 4, 5], {"lost without a gap": 1}),
        ([0, 1, 2], {"lost without a gap": 1}),
        ([], {"lost without a gap": 1}),
        ([0, 1, GAP, 4, 5], {}),
        ([0, GAP, 3, 5], {"lost without a gap": 1}),  # one gap event excuses one jump
        ([0, 1, 2, GAP], {}),
        ([0, 1, 1, 2, 3, 4, 5], {"doubled": 1}),
        ([0, 1, GAP, 1, 2, 3, 4, 5], {"doubled": 1}),
        ([0, 2, 1, 3, 4, 5], {"lost without a gap": 1, "doubled": 1}),
        ([0, 1, 2, 3, 4, 5, 6], {"never published": 1}),
        ([0, FOREIGN, 1, 2, 3, 4, 5], {"not asked for": 1}),
        ([0, (0, 1, "11-f"), 2, 3, 4, 5], {"two ids": 1}),
        ([0, (0, 1, "9-1"), 2, 3, 4, 5], {"out of order": 1, "two ids": 1}),
    ],
    ids=str,
)
def test_each_violation_is_found_and_nothing_else(seen: list[int], violations: dict[str, int]) -> None:
    assert judged(*seen) == violations


def test_examples_are_bounded_and_counts_are_not() -> None:
    verdict = Verdict()
    for number in range(1000):
        verdict.add("doubled", str(number))
    assert verdict.counts["doubled"] == 1000
    assert len(verdict.examples) < 10
