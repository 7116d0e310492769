"""The channels that a client may read, and the newest events of one."""

from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, TypeAdapter
from pydantic.config import JsonDict

from sse_app.access.authority import Authority
from sse_app.base.channels import exactly
from sse_app.fanout import event_stream
from sse_app.fanout.ring import Ring
from sse_app.http import openapi
from sse_app.http.answers import PAGE_BYTES
from sse_app.log.cursor import Cursor
from sse_app.resume.redis_history import RedisHistory

_NAMES = 1000  # in one page of channels, of at most 200 bytes each
_EVENT: JsonDict = {"id": openapi.ID, "event": "created", "data": '{"n":1}'}


class Channels(BaseModel):
    """The newest id of each channel, in the order of the names; `next` is there where more names follow."""

    model_config = {"json_schema_extra": {"examples": [{"channels": {"orders": openapi.ID}}]}}

    channels: dict[str, str]
    next: str | None = None


class HistoryEvent(BaseModel):
    """One event as delivered, with the traceparent of its publisher if it sent one."""

    id: str
    event: str
    data: str
    traceparent: str | None = None


class HistoryOf(BaseModel):
    """Events of a channel, oldest first, and whether Redis or the memory of this replica gave them.

    Where the page may not be the last, `before` is the id of its oldest event: ask with it for the page before.
    """

    model_config = {"json_schema_extra": {"examples": [{"channel": "orders", "source": "redis", "events": [_EVENT]}]}}

    channel: str
    source: Literal["redis", "memory"]
    events: list[HistoryEvent]
    before: str | None = None


_EVENTS = TypeAdapter(list[HistoryEvent])


def router(authority: Authority, ring: Ring, redis_history: RedisHistory) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1/channels")

    @made.get("", responses=openapi.problems(400, 401, 503), response_model=Channels)
    async def channels(
        request: Request,
        after: Annotated[str, Query(max_length=200, examples=["orders"])] = "",
        limit: Annotated[int, Query(ge=1, le=_NAMES)] = _NAMES,
    ) -> Response:
        """Channels with events in the memory of this replica that the client may read, each with its newest id.

        A page has at most 1000 names, those after the name `after`.
        """
        readable = authority.access(request.scope).principal.subscribe.matches
        page = list(islice((entry for entry in ring.newest(after) if readable(entry.channel)), limit + 1))
        found = Channels(
            channels={entry.channel: str(entry.cursor) for entry in page[:limit]},
            next=page[limit - 1].channel if len(page) > limit else None,
        )
        # The framework would check all names once more, which takes as long as everything else.
        return Response(found.model_dump_json(exclude_none=True), media_type="application/json")

    @made.get(
        "/{channel:path}/history", responses=openapi.problems(400, 401, 403, 503), response_model_exclude_none=True
    )
    async def history(
        request: Request,
        channel: Annotated[str, Path(pattern=openapi.CHANNEL_PATTERN, examples=["orders"])],
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
        before: Annotated[str, Query(pattern=openapi.ID_PATTERN, examples=[openapi.ID])] = "",
    ) -> HistoryOf:
        """The newest events of a channel, or the newest before an id; at most 1 MiB of them."""
        authority.access(request.scope).require("subscribe", exactly([channel]))
        cursor = Cursor.parse(before)
        stop = None if cursor is None else cursor.offset
        events = await redis_history.read(channel, limit, PAGE_BYTES, stop)
        source: Literal["redis", "memory"] = "memory" if events is None else "redis"
        found = _from_memory(ring, channel, limit, stop) if events is None else _EVENTS.validate_python(events)
        return HistoryOf(channel=channel, source=source, events=found, before=found[0].id if found else None)

    _ = channels, history
    return made


def _from_memory(ring: Ring, channel: str, limit: int, stop: int | None) -> list[HistoryEvent]:
    end = ring.end if stop is None else max(ring.start, min(stop, ring.end))
    held = [entry for entry in ring.slice(ring.start, end) if entry.frame is not None and entry.channel == channel]
    found: list[HistoryEvent] = []
    size = 0
    for entry in reversed(held[-limit:]):
        frame = entry.frame or b""
        size += len(frame)
        if found and size > PAGE_BYTES:
            break
        name, data = event_stream.parse(frame)
        found.append(HistoryEvent(id=str(entry.cursor), event=name, data=data, traceparent=entry.traceparent or None))
    return found[::-1]
