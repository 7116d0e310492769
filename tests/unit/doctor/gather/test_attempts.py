"""What is read from the log of a proxy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import attempts

WHILE = 'while connecting to upstream, client: 192.0.2.1, request: "GET / HTTP/1.1", upstream: "'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f'connect() failed (113: No route to host) {WHILE}http://10.0.0.9:8000/x"',
            ("113: No route to host", "10.0.0.9", "8000"),
        ),
        (f'upstream timed out (110: timed out) {WHILE}http://10.0.0.9:80/"', ("110: timed out", "10.0.0.9", "80")),
        ('upstream timed out (110: timed out) while reading response, upstream: "http://10.0.0.9:80/"', None),
        (f'connect() failed (111: refused) {WHILE}http://unix:/run/a.sock:/"', None),
    ],
)
def test_an_upstream_that_was_not_reached_is_read_from_a_log(line: str, expected: Any) -> None:
    match = attempts.UPSTREAM.search(line)
    assert (match.groups() if match else None) == expected
