"""Spans as OTLP has them: protobuf, written by hand, because a library for it would be five packages.

The source is opentelemetry/proto/trace/v1/trace.proto; a test reads what this writes with the code that is made of it.
"""

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

SERVER, INTERNAL, CONSUMER = 2, 1, 5  # SpanKind
_ERROR = 2  # StatusCode
Attributes = Mapping[str, str | int]


class Span(NamedTuple):
    """One span that has ended. Ids are hexadecimal, as in a traceparent; times are nanoseconds since 1970."""

    trace_id: str
    id: str
    parent: str  # empty for the first span of a trace
    name: str
    kind: int
    begun: int
    ended: int
    attributes: Attributes
    error: str = ""


def _number(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _bytes(field: int, value: bytes) -> bytes:
    return b"".join((_number(field << 3 | 2), _number(len(value)), value))


def _int(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value & 0xFFFFFFFFFFFFFFFF)


def _attributes(field: int, attributes: Attributes) -> bytes:
    written: list[bytes] = []
    for key, value in attributes.items():
        any_value = _bytes(1, value.encode()) if isinstance(value, str) else _int(3, value)
        written.append(_bytes(field, _bytes(1, key.encode()) + _bytes(2, any_value)))
    return b"".join(written)


def _span(span: Span) -> bytes:
    return b"".join(
        (
            _bytes(1, bytes.fromhex(span.trace_id)),
            _bytes(2, bytes.fromhex(span.id)),
            _bytes(4, bytes.fromhex(span.parent)) if span.parent else b"",
            _bytes(5, span.name.encode()),
            _int(6, span.kind),
            struct.pack("<BQ", 7 << 3 | 1, span.begun),
            struct.pack("<BQ", 8 << 3 | 1, span.ended),
            _attributes(9, span.attributes),
            _bytes(15, _bytes(2, span.error.encode()) + _int(3, _ERROR)) if span.error else b"",
        )
    )


def request(resource: Attributes, scope: str, spans: Iterable[Span]) -> bytes:
    """The body of a request with these spans (ExportTraceServiceRequest)."""
    held = _bytes(1, _bytes(1, scope.encode())) + b"".join([_bytes(2, _span(span)) for span in spans])
    return _bytes(1, _bytes(1, _attributes(1, resource)) + _bytes(2, held))
