"""The id and the trace of the request at hand, for its answer, its problems and its log lines."""

import os
import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

from sse_app.base import trace_context

HEADER = b"x-request-id"
# Proxies send hexadecimal numbers, UUIDs or "Root=1-...". No character of these means anything in a log or a shell.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")


class _Request(NamedTuple):
    id: str
    traceparent: str


_NONE = _Request("", "")
_current: ContextVar[_Request] = ContextVar("request", default=_NONE)


def request_id() -> str:
    """The id of the request that this task serves; empty outside of a request."""
    return _current.get().id


def traceparent() -> str:
    """The traceparent of that request; empty where it sent none or an invalid one."""
    return _current.get().traceparent


def begin(ids: Sequence[bytes], traces: Sequence[bytes]) -> None:
    """Take the id that the proxy gave to a request, or make one, and its trace; they count for the rest of this task.

    :param ids: values of the header X-Request-ID
    :param traces: values of the header traceparent
    """
    id_ = ids[-1].decode() if ids and _REQUEST_ID.fullmatch(ids[-1]) else os.urandom(16).hex()
    _current.set(_Request(id_, trace_context.parse(traces[0]) if len(traces) == 1 else ""))


def trace(traceparent: str) -> None:
    """Give the request a traceparent of this service's own."""
    _current.set(_Request(request_id(), traceparent))


def header() -> tuple[bytes, bytes]:
    """The header by which every answer names its request."""
    return HEADER, request_id().encode()
