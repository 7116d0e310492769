"""The table of what runs fits its screen, from 20 columns on, and says the worst in any width."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.views import status_table

UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("exit_code", "restarts", "uptime_seconds", "release", "cpu_percent", "memory_bytes", "memory_limit_bytes")
)
UNKNOWN |= {"addresses": [], "ports": [], "image": ""}
PORT = {"host_ip": "127.0.0.1", "host_port": 8080, "port": 80, "protocol": "tcp"}
NGINX = {
    **UNKNOWN,
    "name": "sse-nginx",
    "state": "healthy",
    "addresses": ["10.99.0.10"],
    "ports": [PORT, {**PORT, "host_port": 8443, "port": 443}],
    "image": "sse.platform/nginx:1.26.3-0123456789ab",
    "restarts": 0,
    "uptime_seconds": 3 * 86400,
    "release": 12,
    "cpu_percent": 1.25,
    "memory_bytes": 9 * 2**20,
    "memory_limit_bytes": 64 * 2**20,
}
STATUS: Any = {
    "stack": "sse",
    "time": "2026-11-29T04:00:00Z",
    "paused": ["PUBLISHING IS PAUSED by ana since noon: `./sse resume publishing` lets it go on"],
    "problems": ["sse-keeper: there is no new certificate."],
    "containers": [
        NGINX,
        {**NGINX, "name": "sse-a-very-long-name-of-a-container", "state": "unhealthy"},
        {**UNKNOWN, "name": "sse-app-2", "state": "exited", "exit_code": 137},
    ],
    "open": ["  Grafana (admin; password in /var/lib/sse-platform/secrets/grafana)  http://127.0.0.1:3000"],
    "note": "",
}


@pytest.mark.parametrize("width", range(20, 201, 3))
def test_no_line_is_longer_than_the_screen(width: int) -> None:
    lines = status_table.lines(STATUS, width)
    assert max(map(len, lines)) <= width
    table = "\n".join(lines)
    assert "STATE" in table
    for state in ("healthy", "unhealthy", "exit"):
        assert state[:4] in table


def test_the_wider_the_screen_the_more_columns_and_none_goes() -> None:
    def head(width: int) -> list[str]:
        return next(line for line in status_table.lines(STATUS, width) if "STATE" in line).split()

    for narrow, wide in itertools.pairwise((40, 80, 120, 160, 200)):
        assert set(head(narrow)) <= set(head(wide))
    assert head(0) == list(status_table.COLUMNS)


def test_a_file_gets_everything_and_no_colour() -> None:
    table = "\n".join(status_table.lines(STATUS))
    for shown in ("1.2 %", "9M / 64M", "127.0.0.1:8080->80 127.0.0.1:8443->443", NGINX["image"], "3 d", "exited (137)"):
        assert shown in table
    assert "\x1b" not in table


def test_the_state_alone_has_a_colour_and_the_columns_stay_in_line() -> None:
    def paint(text: str, mood: str) -> str:
        return f"<{mood}>{text}</>"

    painted = status_table.lines(STATUS, 80, paint)
    bare = status_table.lines(STATUS, 80)
    assert [re.sub(r"<[a-z/]*>", "", line) for line in painted] == bare
    assert sum("<bad>" in line for line in painted) == 2
    assert sum("<good>healthy</>" in line for line in painted) == 1


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3 * 86400, "3 d"), (47 * 3600, "47 h"), (180, "3 m"), (90, "90 s"), (0, "0 s")]
)
def test_a_time_is_shown_in_its_largest_unit_of_which_there_are_two(seconds: int, shown: str) -> None:
    assert status_table.duration(seconds) == shown


@pytest.mark.parametrize(("used", "shown"), [(5 * 2**20, "5M"), (1536 * 2**20, "1.5G"), (2**30, "1G"), (0, "0M")])
def test_memory_is_shown_as_people_say_it(used: int, shown: str) -> None:
    assert status_table.size(used) == shown


def test_a_swarm_is_shown_by_its_lines_below_what_is_paused() -> None:
    seen: Any = {"paused": ["PAUSED"], "problems": [], "guests": [], "lines": ["NODE  ADDRESS", "a     192.0.2.1"]}
    assert status_table.lines(seen) == ["PAUSED", "NODE  ADDRESS", "a     192.0.2.1"]
    assert status_table.lines(seen, 10) == ["PAUSED", "NODE  ADD~", "a     192~"]
