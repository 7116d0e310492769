"""The judge of the promise (tests/judging/ledger.py) sees each way of breaking it, and nothing where it holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from judging.ledger import Account, Gap, Ledger, Listener, covers, wants


def judged(happens: Callable[[Ledger, Listener], None]) -> dict[str, int]:
    """Three events are accepted at the offsets 5 to 7, of which the last is in no channel of the subscriber."""
    account = Account()
    ledger, listener = Ledger(account), Listener("one", ("p.a", "p.b.*"), account)
    listener.opened("4-x")
    for number, channel in ((5, "p.a"), (6, "p.b.c"), (7, "p.c")):
        ledger.accept(f"e{number}", channel, f"{number}-x", number)
    happens(ledger, listener)
    listener.close(ledger)
    return {kind: count for kind, count in account.counts.items() if kind != "delivered"}


def hear(listener: Listener, *numbers: int) -> None:
    for number in numbers:
        listener.event(f"e{number}", {5: "p.a", 6: "p.b.c", 7: "p.c"}[number], f"{number}-x")


@pytest.mark.parametrize(
    ("happens", "found"),
    [
        (lambda _, one: hear(one, 5, 6), {}),
        (lambda _, one: hear(one, 5), {"silent holes": 1}),
        (lambda _, __: None, {"silent holes": 2}),
        (lambda _, one: hear(one, 6, 5), {"disordered": 1}),
        (lambda _, one: hear(one, 5, 5, 6), {"doubled": 1}),
        (lambda _, one: hear(one, 5, 6, 7), {"not asked for": 1}),
        (lambda ledger, one: (hear(one, 5, 6), ledger.accept("e5", "p.a", "9-y", 9)), {"two ids": 1}),
        (lambda _, one: (hear(one, 6), one.event("e5", "p.a", "8-y")), {"two ids": 1}),
        (
            lambda _, one: (one.gap("4-x", "5-x", "expired", 9), hear(one, 6)),
            {"gaps told": 1, "gaps told: expired": 1, "lost and told": 1},
        ),
        # A gap beside the loss excuses nothing.
        (
            lambda _, one: (hear(one, 5), one.gap("6-x", "9-x", "expired", 9)),
            {"gaps told": 1, "gaps told: expired": 1, "silent holes": 1},
        ),
    ],
)
def test_each_way_of_breaking_the_promise_is_seen(
    happens: Callable[[Ledger, Listener], None], found: dict[str, int]
) -> None:
    assert judged(happens) == found


def test_a_lost_end_of_the_log_excuses_what_was_accepted_before_it_was_told() -> None:
    told = Gap(requested=9, resumed=4, reason="truncated", time=10)
    assert covers(told, 7, accepted=9)
    assert not covers(told, 7, accepted=11)


def test_a_subscriber_that_was_told_of_a_loss_is_still_waited_for() -> None:
    """Else a run of losses ends before the last events have come, and calls them lost in silence."""

    def happens(ledger: Ledger, one: Listener) -> None:
        one.gap("4-x", "4-x", "truncated", 6.5)  # so the event of 5 is lost, and that of 8 is not
        ledger.accept("e8", "p.a", "8-x", 8)
        assert one.holes(ledger) == ["e8"]
        one.event("e8", "p.a", "8-x")
        assert one.holes(ledger) == []

    assert judged(happens) == {"gaps told": 1, "gaps told: truncated": 1, "lost and told": 2}


def test_a_pattern_is_a_prefix() -> None:
    assert wants(("p.*",), "p.a")
    assert not wants(("p.*",), "p")
    assert not wants(("p.a",), "p.a.b")
