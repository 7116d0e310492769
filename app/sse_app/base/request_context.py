"""Who asked: request id and trace of the request at hand, for its answer, its problems and its log lines."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from sse_app.base import trace_context

HEADER = b"x-request-id"
# As proxies make them (hex, UUIDs, "Root=1-..."): nothing that a log, a header or a shell would take for more.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class _Caller(NamedTuple):
    request_id: str
    traceparent: str


_NOBODY = _Caller("", "")
_caller: ContextVar[_Caller] = ContextVar("caller", default=_NOBODY)


def request_id() -> str:
    """The id of the request that this task serves; empty outside of one."""
    return _caller.get().request_id


def traceparent() -> str:
    """The traceparent of that request; empty where it has none that is valid."""
    return _caller.get().traceparent


def begin(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Take a request's id from its proxy, or make one; for the rest of this task."""
    given, traces = b"", list[bytes]()
    for name, value in headers:
        if name == HEADER:
            given = value
        elif name == b"traceparent":
            traces.append(value)
    id_ = given.decode() if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    _caller.set(_Caller(id_, trace_context.parse(traces[0]) if len(traces) == 1 else ""))


def header() -> tuple[bytes, bytes]:
    """What every answer carries."""
    return HEADER, request_id().encode()


def answering(send: Send) -> Send:
    """Have an application that knows nothing of it carry it too."""

    async def identified(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), header()]
        await send(message)

    return identified
