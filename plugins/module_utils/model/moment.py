# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Moments, as everything of a stack writes them: ISO 8601 in UTC, to the second (2026-11-29T04:32:12Z)."""

from __future__ import annotations

import datetime as dt

FORM = "%Y-%m-%dT%H:%M:%SZ"


def text(when: dt.datetime | None = None) -> str:
    """Write a moment, by default now."""
    return (when or dt.datetime.now(dt.timezone.utc)).astimezone(dt.timezone.utc).strftime(FORM)


def seconds(written: str) -> float | None:
    """Return the seconds since 1970 at a moment; None for any other text."""
    try:
        return dt.datetime.strptime(written, FORM).replace(tzinfo=dt.timezone.utc).timestamp()
    except ValueError:
        return None
