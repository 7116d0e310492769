"""What bench/deploy.py says of its figures."""

from __future__ import annotations

import deploy

TIMES = {
    "empty play": [0.5, 0.4, 0.6],
    "up, nothing to change": [1.6, 1.4, 9.0],
    "plan, nothing to change": [1.0],
    "drift": [0.8],
    "up, one variable of Prometheus changed": [3.1],
    "up, fresh": [11.0],
}


def goals(more: dict[str, list[float]]) -> list[str]:
    figures = deploy.Figures()
    figures.seconds = TIMES | more
    return deploy.sections(figures.report())["goals"].splitlines()[2:]


def test_goals_are_ratios_of_medians_or_seconds_and_none_is_told_of_what_was_not_measured() -> None:
    assert goals({}) == [
        "| up, nothing to change, of empty play: at most 3 x | 3.20 x | **missed** |",
        "| plan, nothing to change, of empty play: at most 4 x | 2.00 x | met |",
        "| drift: at most 1 s | 0.80 s | met |",
        "| up, one variable of Prometheus changed: at most 3 s | 3.10 s | **missed** |",
    ]
    beside = goals({"compose up, nothing to change": [1.6], "compose up, fresh": [10.0]})
    assert "| up, fresh, of compose up, fresh: at most 1.1 x | 1.10 x | met |" in beside
    assert "| up, nothing to change, of compose up, nothing to change: at most 1.3 x | 1.00 x | met |" in beside
