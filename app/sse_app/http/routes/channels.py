"""The channels that a client may read, and the events of one, page by page."""

import asyncio
import re
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator
from pydantic.config import JsonDict

from sse_app.access.authority import Authority
from sse_app.base.channels import exactly
from sse_app.base.outcomes import GapReason
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.ring import Entry, Ring
from sse_app.http import openapi
from sse_app.http.answers import PAGE_BYTES
from sse_app.log.cursor import Cursor
from sse_app.log.interface import LogUnavailableError
from sse_app.resume.past import Past

_DIGITS = re.compile("[0-9]{1,9}")
_NAMES = 1000  # in one page of channels, of at most 200 bytes each
_EVENT: JsonDict = {"id": openapi.ID, "event": "created", "data": '{"n":1}'}


def _digits(given: object) -> object:
    """Refuse what is a number to Python alone, such as 1_0, 1.0 and one with spaces around it."""
    if isinstance(given, str) and not _DIGITS.fullmatch(given):
        raise ValueError("expected a number of one to nine digits")
    return given


class Channels(BaseModel):
    """The newest id of each channel, in the order of the names; `next` is there where more names follow."""

    model_config = {"json_schema_extra": {"examples": [{"channels": {"orders": openapi.ID}}]}}

    channels: dict[str, str]
    next: str | None = None


class HistoryEvent(BaseModel):
    """One event as delivered, with the traceparent of its publisher if it sent one; with `meta=1` also its time."""

    id: str
    event: str
    data: str
    traceparent: str | None = None
    channel: str | None = None
    time: str | None = None


class HistoryGap(BaseModel):
    """Why the log cannot go on after the id that was asked for."""

    requested: str
    reason: GapReason


class HistoryOf(BaseModel):
    """Events of a channel, oldest first, and where the last of them to be looked for were found.

    `cursor` is where the page ends: a stream or a page that goes on after it has what follows, without a hole. `before`
    and `after` are there where a page before or after this one may hold more: ask with them. A `gap` says that the id
    that was asked for no longer counts; the events are then the newest.
    """

    model_config = {
        "json_schema_extra": {
            "examples": [{"channel": "orders", "source": "memory", "events": [_EVENT], "cursor": openapi.ID}]
        }
    }

    channel: str
    source: Literal["redis", "memory", "log"]
    events: list[HistoryEvent]
    cursor: str
    before: str | None = None
    after: str | None = None
    gap: HistoryGap | None = None


def router(settings: Settings, authority: Authority, ring: Ring, past: Past) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1/channels")

    @made.get("", responses=openapi.problems(400, 401, 503), response_model=Channels)
    async def channels(
        request: Request,
        after: Annotated[str, Query(pattern=openapi.CHANNEL_OR_NONE, examples=["orders"])] = "",
        limit: Annotated[int, Query(ge=1, le=_NAMES), BeforeValidator(_digits)] = _NAMES,
    ) -> Response:
        """Channels with events in the memory of this replica that the client may read, each with its newest id.

        A page has at most 1000 names, those after the name `after`.
        """
        readable = authority.access(request.scope).principal.subscribe.matches
        await past.feed.refresh()
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
        limit: Annotated[int, Query(ge=1, le=1000), BeforeValidator(_digits)] = 50,
        before: Annotated[str, Query(pattern=openapi.ID_PATTERN, examples=[openapi.ID])] = "",
        after: Annotated[str, Query(pattern=openapi.ID_PATTERN, examples=[openapi.ID])] = "",
        meta: Annotated[Literal["0", "1"], Query()] = "0",
    ) -> HistoryOf:
        """The newest events of a channel, the newest before an id, or the oldest after one; at most 1 MiB of them.

        With `meta=1`, each event has its channel and its time by the clock of the log, as in a stream with `meta=1`.
        """
        wanted = exactly([channel])
        authority.access(request.scope).require("subscribe", wanted)
        if before and after:
            raise Problem(400, "after: only one of before and after may be given")
        try:
            async with asyncio.timeout(settings.hold_seconds):
                cursor = Cursor.parse(after or before)
                if after and cursor is not None:
                    page = await past.after(wanted, limit, PAGE_BYTES, cursor)
                else:
                    page = await past.before(wanted, limit, PAGE_BYTES, cursor)
                    page.gap = "malformed" if after else None  # no log has an offset of so many digits
        except (LogUnavailableError, TimeoutError):
            raise Problem(503, "the log is not available now; try again", {"retry-after": "1"}) from None
        return HistoryOf(
            channel=channel,
            source=page.source,
            events=[_event(one, meta == "1") for one in page.events],
            cursor=str(page.cursor),
            before=str(page.before) if page.before else None,
            after=str(page.after) if page.after else None,
            gap=HistoryGap(requested=after, reason=page.gap) if page.gap else None,
        )

    _ = channels, history
    return made


def _event(entry: Entry, described: bool) -> HistoryEvent:
    name, data = event_stream.parse(entry.frame or b"")
    shown = HistoryEvent(id=str(entry.cursor), event=name, data=data, traceparent=entry.traceparent or None)
    if described:
        shown.channel, shown.time = entry.channel, event_stream.time_of(entry.timestamp)
    return shown
