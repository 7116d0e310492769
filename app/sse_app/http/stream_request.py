"""The query and the headers of a stream request."""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qs

from sse_app.base import channels
from sse_app.base.asgi import Scope, header_values
from sse_app.base.channels import Filter
from sse_app.base.problem import Problem
from sse_app.fanout.event_stream import Heartbeat


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A valid request for a stream."""

    wanted: Filter
    last_event_id: str
    heartbeat: Heartbeat


def parse(scope: Scope, max_channels: int) -> StreamRequest:
    """Read a request; raises Problem."""
    require_chunks(scope)
    if scope["method"] not in ("GET", "HEAD"):
        raise Problem(405, "streams are read by GET", {"allow": "GET, HEAD"})
    try:
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise Problem(400, "the query is not UTF-8") from error
    names = query.get("channel", [])
    if not names:
        raise Problem(400, "channel: at least one is needed, as in ?channel=orders&channel=stock.*")
    if len(names) > max_channels:
        raise Problem(400, f"channel: {len(names)} given, at most {max_channels} are allowed")
    traced = query.get("trace", ["0"])[-1]
    if traced not in ("0", "1"):
        raise Problem(400, "trace: expected 0 or 1")
    try:
        wanted = channels.parse(names, traced == "1")
    except ValueError as error:
        raise Problem(400, f"channel: {error}") from error
    heartbeat: Any = query.get("heartbeat", ["id"])[-1]
    if heartbeat not in get_args(Heartbeat):
        raise Problem(400, "heartbeat: expected id, event or comment")
    last_event_id = query.get("last_event_id", [""])[-1]
    for value in header_values(scope, b"last-event-id"):
        if value:
            last_event_id = value.decode("utf-8", "replace")
    return StreamRequest(wanted, last_event_id, heartbeat)


def require_chunks(scope: Scope) -> None:
    """Raise a Problem for HTTP/1.0, which has no chunks: a stream is written in chunks."""
    if scope["http_version"] == "1.0":
        raise Problem(505, "streams need HTTP/1.1", {"connection": "close"})
