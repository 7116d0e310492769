"""The traceparent of a publish, carried to its subscribers as it came (https://www.w3.org/TR/trace-context/).

This service makes no spans of its own: it hands the publisher's context on, and never invents one, because a trace that
no collector has heard of helps nobody.
"""

from __future__ import annotations

import re

# Version 00; a later version may add fields after another "-" (section 3.2.4), which are not handed on.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def parse(header: bytes) -> str:
    """The traceparent as version 00, or "" for one that is not valid."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or (match[1] == b"00" and match[5] is not None):
        return ""
    return b"-".join((b"00", *match.group(2, 3, 4))).decode()


def trace_id(traceparent: str) -> str:
    """The part by which collectors find a trace."""
    return traceparent[3:35]
