"""Certificates that end, and what services say of themselves."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Told
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    CERTIFICATE,
    Changes,
    expect_finding,
    short,
)

DAY = 86400.0


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        ({"certificates": [CERTIFICATE._replace(ends=900.0)]}, "certificate", "sse-nginx", "ended on 1970", "./sse up"),
        (
            {"certificates": [CERTIFICATE._replace(ends=9 * DAY, begins=-90 * DAY)]},
            "certificate",
            "sse-nginx",
            "ends on",
            "",
        ),
        ({"certificates": [CERTIFICATE._replace(begins=9e4)]}, "certificate", "sse-nginx", "not count yet", "./sse up"),
        (
            {"certificates": [CERTIFICATE._replace(ends=0.0, error="refused")]},
            "certificate",
            "sse-nginx",
            "port 443 gives no certificate: refused",
            "./sse up",
        ),
        ({"told": [Told("sse-app-1", "it is late", "http://x")]}, "told", "sse-app-1", "it is late", "logs"),
        (
            {"told": [Told("sse-app-1", "Log at a.example:1: no way", "", "# ask who runs Log")]},
            "told",
            "sse-app-1",
            "Log at a.example:1: no way",
            "# ask who runs Log",
        ),
    ],
    ids=short,
)
def test_a_fault_gives_one_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    expect_finding(changes, rule, subject, said, mend)


def test_a_certificate_of_six_days_is_not_reported_while_more_than_a_quarter_is_left() -> None:
    short_lived = CERTIFICATE._replace(begins=0.0, ends=6 * DAY)
    assert short_lived.problem(4.4 * DAY) == ""
    assert "ends on" in short_lived.problem(4.6 * DAY)
