"""The traceparent of a publish, which its subscribers get (W3C Trace Context, https://www.w3.org/TR/trace-context/).

Section numbers are those of the Recommendation of 23 November 2021. What is valid is handed on as version 00, with the
ids and the flags that came. A header that is invalid is ignored (sections 3.2.2.3 and 3.2.2.4), and so are two of them.
A tracestate is not handed on: a trace is found without it. No traceparent is made here; where spans are exported,
base/spans.py begins a trace for one in `SSE_OTLP_SAMPLE` publishes without a traceparent.
"""

import re

# Sections 3.2.2.1 to 3.2.2.5: the version ff is invalid, so are ids of zeros alone, and letters are in lower case. A
# later version than 00 may add fields after another "-" (section 3.2.4, Versioning of traceparent): not handed on.
_TRACEPARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def parse(header: bytes) -> str:
    """The traceparent as version 00 (55 characters), or "" for an invalid one.

    :param header: the value of the header traceparent, as it came
    """
    match = _TRACEPARENT.fullmatch(header)
    if match is None or (match[1] == b"00" and match[5] is not None):
        return ""
    return b"-".join((b"00", *match.group(2, 3, 4))).decode()


def trace_id(traceparent: str) -> str:
    """The part by which collectors find a trace: 32 hexadecimal digits (section 3.2.2.3, trace-id).

    :param traceparent: what parse() returned, not empty
    """
    return traceparent[3:35]
