"""What is read of the engine's answers."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import (
    ExtraLimit,
    ListedContainer,
    from_listing,
    present,
)


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ("Up 3 minutes (healthy)", "healthy"),
        ("Up 1 second (health: starting)", "starting"),
        ("Up 2 hours (unhealthy)", "unhealthy"),
        ("Exited (137) 2 seconds ago", ""),
        ("Up 2 hours (Paused)", ""),
    ],
)
def test_health_is_read_from_the_engines_list(status: str, health: str) -> None:
    entry: ListedContainer = {
        "Names": ["/a"],
        "Id": "1",
        "Image": "i",
        "Labels": None,
        "State": "running",
        "Status": status,
        "Ports": None,
        "NetworkSettings": {"Networks": None},
    }
    [one] = from_listing([entry])
    assert (one.name, one.health) == ("a", health)


# What each limit is that `docker update` can set, where somebody set it; each has an option of that command.
UPDATED: dict[str, int | str] = {
    "NanoCpus": 500_000_000,  # --cpus
    "CpuPeriod": 50_000,
    "CpuQuota": 25_000,
    "CpuRealtimePeriod": 1_000_000,
    "CpuRealtimeRuntime": 950_000,
    "CpusetCpus": "0-1",
    "CpusetMems": "0",
    "BlkioWeight": 300,
    "MemoryReservation": 2**26,
}
UNSET: dict[str, Any] = {name: "" if isinstance(value, str) else 0 for name, value in UPDATED.items()}


def extra(limits: dict[str, Any]) -> dict[str, int | str]:
    usual = {"Memory": 1, "MemorySwap": 1, "PidsLimit": 1, "RestartPolicy": {"Name": "no"}}
    inspected: Any = {
        "Id": "1",
        "State": {"Running": False},
        "HostConfig": {**usual, **limits},
        "NetworkSettings": {"Networks": None},
    }
    return present(inspected, frozenset()).extra_limits


@pytest.mark.parametrize("name", UPDATED)
def test_a_limit_that_somebody_set_and_no_spec_asks_for_is_seen(name: str) -> None:
    assert extra({**UNSET, name: UPDATED[name]}) == {name: UPDATED[name]}


def test_limits_that_nobody_set_are_no_limits_whatever_the_engine_says_of_them() -> None:
    assert set(get_args(ExtraLimit)) == set(UPDATED)
    assert extra(UNSET) == extra({}) == extra(dict.fromkeys(UPDATED)) == {}
