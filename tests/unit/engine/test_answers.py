"""What is read of the engine's answers."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import ListedContainer, from_listing


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
