"""What the engine is told of a container that differs between its versions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import early_checks


@pytest.mark.parametrize(
    ("command", "interval", "api", "told"),
    [
        (["true"], 30, "1.41", {}),
        (["true"], 30, "1.44", {"StartInterval": 3 * 10**9}),
        (["true"], 2, "1.51", {"StartInterval": 2 * 10**9}),
        (None, 30, "1.51", {}),
    ],
    ids=["too old", "new enough", "often anyway", "no command"],
)
def test_an_engine_that_can_checks_a_starting_container_more_often(
    command: list[str] | None, interval: int, api: str, told: dict[str, int]
) -> None:
    check: Any = {"command": command, "interval": interval}
    assert early_checks(check, api) == told
