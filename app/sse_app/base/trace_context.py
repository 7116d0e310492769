"""The traceparent of a publish, which its subscribers get unchanged (https://www.w3.org/TR/trace-context/).

This service makes no spans of its own. It hands the publisher's traceparent on and never invents one, because a trace
that no collector knows of helps nobody.
"""

import re

# A later version than 00 may add fields after another "-" (section 3.2.4); these are not handed on.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def parse(header: bytes) -> str:
    """The traceparent as version 00, or "" for an invalid one."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or (match[1] == b"00" and match[5] is not None):
        return ""
    return b"-".join((b"00", *match.group(2, 3, 4))).decode()


def trace_id(traceparent: str) -> str:
    """The part by which collectors find a trace."""
    return traceparent[3:35]
