"""A schedule means the same to systemd and to cron."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.schedule import parse


@pytest.mark.parametrize(
    ("text", "calendar", "cron", "seconds"),
    [
        ("hourly", "*-*-* *:30:00", "30 * * * *", 3600),
        ("hourly :05", "*-*-* *:05:00", "5 * * * *", 3600),
        ("daily", "*-*-* 03:30:00", "30 3 * * *", 86400),
        ("daily 23:05", "*-*-* 23:05:00", "5 23 * * *", 86400),
        ("weekly", "Sun *-*-* 03:30:00", "30 3 * * 0", 604800),
        ("weekly thursday", "Thu *-*-* 03:30:00", "30 3 * * 4", 604800),
        ("weekly saturday 00:00", "Sat *-*-* 00:00:00", "0 0 * * 6", 604800),
    ],
)
def test_both_forms(text: str, calendar: str, cron: str, seconds: int) -> None:
    found = parse(text)
    assert (found.calendar, found.cron, found.seconds) == (calendar, cron, seconds)
