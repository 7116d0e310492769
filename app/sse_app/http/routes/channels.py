"""The channels that a client may read, and the newest events of one."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from pydantic.config import JsonDict

from sse_app.access.authority import Authority
from sse_app.base.channels import exactly
from sse_app.fanout import event_stream
from sse_app.fanout.ring import Ring
from sse_app.http import openapi
from sse_app.resume.redis_history import RedisHistory

_EVENT: JsonDict = {"id": openapi.ID, "event": "created", "data": '{"n":1}'}


class Channels(BaseModel):
    """The newest id of each channel."""

    model_config = {"json_schema_extra": {"examples": [{"channels": {"orders": openapi.ID}}]}}

    channels: dict[str, str]


class HistoryEvent(BaseModel):
    """One event as delivered, with the traceparent of its publisher if it sent one."""

    id: str
    event: str
    data: str
    traceparent: str | None = None


class HistoryOf(BaseModel):
    """The newest events of a channel, oldest first, and whether Redis or the memory of this replica gave them."""

    model_config = {"json_schema_extra": {"examples": [{"channel": "orders", "source": "redis", "events": [_EVENT]}]}}

    channel: str
    source: Literal["redis", "memory"]
    events: list[HistoryEvent]


def router(authority: Authority, ring: Ring, redis_history: RedisHistory) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1/channels")

    @made.get("", responses=openapi.problems(401))
    async def channels(request: Request) -> Channels:
        """Channels with events in the memory of this replica that the client may read, each with its newest id."""
        readable = authority.access(request.scope).principal.subscribe.matches
        held = (entry for entry in ring.slice(ring.start, ring.end) if entry.frame is not None)
        return Channels(channels={entry.channel: str(entry.cursor) for entry in held if readable(entry.channel)})

    @made.get("/{channel:path}/history", responses=openapi.problems(400, 401, 403), response_model_exclude_none=True)
    async def history(
        request: Request,
        channel: Annotated[str, Path(pattern=openapi.CHANNEL_PATTERN, examples=["orders"])],
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> HistoryOf:
        """The newest events of a channel."""
        authority.access(request.scope).require("subscribe", exactly([channel]))
        events = await redis_history.read(channel, limit)
        if events is not None:
            return HistoryOf.model_validate({"channel": channel, "source": "redis", "events": events})
        return HistoryOf(channel=channel, source="memory", events=_from_memory(ring, channel, limit))

    _ = channels, history
    return made


def _from_memory(ring: Ring, channel: str, limit: int) -> list[HistoryEvent]:
    held = ring.slice(ring.start, ring.end)
    newest = [entry for entry in held if entry.frame is not None and entry.channel == channel][-limit:]
    parsed = [(entry, *event_stream.parse(entry.frame or b"")) for entry in newest]
    return [
        HistoryEvent(id=str(entry.cursor), event=name, data=data, traceparent=entry.traceparent or None)
        for entry, name, data in parsed
    ]
