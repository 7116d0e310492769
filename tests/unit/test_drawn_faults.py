"""A seed draws the same faults again, and the engine is killed only where somebody allows it."""

from __future__ import annotations

import random

from judging.faults import draw, kill_engine

PARTS = ("app-1", "nginx", "redis-master", "kafka")


def drawn(losses: bool = False, engine: bool = False) -> list[str]:
    chance = random.Random(154)
    return [" and ".join(map(str, draw(chance, PARTS, losses, engine))) for _ in range(300)]


def test_a_seed_draws_the_same_faults_again() -> None:
    assert drawn() == drawn()
    assert drawn(engine=True) == drawn(engine=True) != drawn()


def test_the_engine_is_killed_only_where_it_may_be_and_then_alone() -> None:
    assert not any(kill_engine.__name__ in one for one in drawn(losses=True))
    killed = [one for one in drawn(engine=True) if kill_engine.__name__ in one]
    assert 20 < len(killed) < 80
    assert not any(" and " in one for one in killed)
