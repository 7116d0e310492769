"""Everything but the stream itself: publishing, history, health, metrics, documentation."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from sse_app import event
from sse_app.event import CHANNEL, Event
from sse_app.problem import Problem
from sse_app.stream import PATH as STREAM_PATH

if TYPE_CHECKING:
    from sse_app.service import Service

_BODY_SECONDS = 15.0  # for a whole body of at most SSE_MAX_BODY_BYTES
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_BATCH: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


class Accepted(BaseModel):
    """The ids of the events, in their order."""

    ids: list[str]


class HistoryEvent(BaseModel):
    """One event as delivered."""

    id: str
    event: str
    data: str


class HistoryOf(BaseModel):
    """The newest events of a channel, oldest first, and whether Redis or this replica's memory gave them."""

    channel: str
    source: str
    events: list[HistoryEvent]


class Health(BaseModel):
    """ok, degraded (works, but something is missing) or unavailable."""

    status: str
    checks: dict[str, str]


def build(service: Service, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """The framework's part of the service."""
    settings, hub, metrics = service.settings, service.hub, service.metrics
    app = FastAPI(
        title="SSE service",
        version="1",
        lifespan=lifespan,
        responses={"default": {"description": "RFC 9457 problem details", "content": {"application/problem+json": {}}}},
    )
    _problems(app)

    body = {"oneOf": [Event.model_json_schema(), {"type": "array", "items": Event.model_json_schema(), "minItems": 1}]}
    publish_docs = {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}

    @app.post("/api/v1/events", status_code=202, openapi_extra=publish_docs)
    async def publish(request: Request, response: Response) -> Accepted:
        """Publish one event or a batch (all or none). Repeat after a 503 with the same Idempotency-Key."""
        if hub.draining:
            metrics.publishes["draining"] += 1
            raise Problem(
                503, "this replica is going away", {"connection": "close", "retry-after": "0"}, outcome="unknown"
            )
        key = request.headers.get("idempotency-key") or request.headers.get("x-request-id") or str(uuid.uuid4())
        try:
            _check_key(key)
            events = _events(await _body(request, settings.max_body_bytes), settings.max_batch_events)
        except Problem:
            metrics.publishes["invalid"] += 1
            raise
        ids = await service.publisher.publish(events, principal="anonymous", key=key)
        response.headers["idempotency-key"] = key
        return Accepted(ids=ids)

    @app.get(STREAM_PATH, response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def stream(  # pyright: ignore[reportUnusedFunction]
        channel: Annotated[list[str], Query(description="A name, prefix.* or *")],
        last_event_id: str = "",
        heartbeat: Annotated[str, Query(pattern="^(id|event)$")] = "id",
    ) -> Response:
        """Subscribe. Served before this application is asked (see stream.py); here for the documentation."""
        raise NotImplementedError((channel, last_event_id, heartbeat))

    @app.get("/api/v1/")
    async def index() -> dict[str, str]:
        """Where to go from here."""
        return {
            "publish": "POST /api/v1/events",
            "subscribe": f"GET {STREAM_PATH}?channel=NAME",
            "channels": "GET /api/v1/channels",
            "history": "GET /api/v1/channels/NAME/history",
            "stats": "GET /api/v1/stats",
            "health": "GET /api/v1/health/ready",
        }

    @app.get("/api/v1/channels")
    async def channels() -> dict[str, dict[str, str]]:
        """Channels with events in this replica's memory, each with its newest id."""
        held = hub.ring.slice(hub.ring.start, hub.ring.end)
        return {"channels": {entry.channel: str(entry.cursor) for entry in held if entry.frame is not None}}

    @app.get("/api/v1/channels/{channel:path}/history")
    async def history(channel: str, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> HistoryOf:
        """The newest events of a channel."""
        if not CHANNEL.fullmatch(channel):
            raise Problem(400, "channel: 1-200 of A-Z a-z 0-9 . _ : / -")
        events = await service.history.read(channel, limit)
        if events is not None:
            return HistoryOf.model_validate({"channel": channel, "source": "redis", "events": events})
        held = hub.ring.slice(hub.ring.start, hub.ring.end)
        newest = [entry for entry in held if entry.frame is not None and entry.channel == channel][-limit:]
        parsed = [(str(entry.cursor), *event.parse(entry.frame or b"")) for entry in newest]
        return HistoryOf(
            channel=channel,
            source="memory",
            events=[HistoryEvent(id=id_, event=name, data=data) for id_, name, data in parsed],
        )

    @app.get("/api/v1/stats")
    async def stats() -> dict[str, Any]:
        """What this replica does now."""
        return {
            "replica": settings.replica,
            "uptime_seconds": round(time.monotonic() - service.begun, 1),
            "subscribers": len(hub.streams),
            "events": metrics.events,
            "deliveries": metrics.deliveries,
            "publishes": dict(metrics.publishes),
            "gaps": dict(metrics.gaps),
            "resumes": dict(metrics.resumes),
            "slow_readers_dropped": metrics.ends["slow"],
            "ring": {"events": len(hub.ring), "bytes": hub.ring.bytes, "newest": hub.id_at(hub.ring.end - 1)},
            "log": {"kind": service.log.kind, "state": service.feed.error or "ok", "lag": service.feed.lag},
            "redis": service.history.state,
        }

    for prefix in ("", "/api/v1"):

        @app.get(f"{prefix}/health/live", include_in_schema=bool(prefix))
        async def live() -> Health:  # pyright: ignore[reportUnusedFunction]
            """Whether the process works."""
            return Health(status="ok", checks={})

        @app.get(f"{prefix}/health/ready", include_in_schema=bool(prefix), responses={503: {"model": Health}})
        async def ready(response: Response) -> Health:  # pyright: ignore[reportUnusedFunction]
            """Whether this replica should be given traffic; Redis alone never decides it."""
            health, response.status_code = service.health()
            return health

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    _ = publish, channels, history, stats, scrape
    return app


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise Problem(400, "Idempotency-Key: 1 to 200 visible ASCII characters")


async def _body(request: Request, limit: int) -> bytes:
    too_large = Problem(413, f"the body is over {limit} bytes", {"connection": "close"})
    if int(request.headers.get("content-length", "0")) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except ClientDisconnect as error:
        raise Problem(400, "the body ended early") from error
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {_BODY_SECONDS:g} s", {"connection": "close"}) from error
    return bytes(body)


def _events(body: bytes, limit: int) -> list[Event]:
    try:
        document: Any = json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
        events = _BATCH.validate_python(document if isinstance(document, list) else [document])
    except RecursionError as error:
        raise Problem(400, "the body is nested too deeply") from error
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, item["loc"])), "detail": item["msg"]} for item in error.errors()[:10]]
        raise Problem(422, f"{fields[0]['field']}: {fields[0]['detail']}", errors=fields) from error
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if not 1 <= len(events) <= limit:
        raise Problem(422, f"a batch holds 1 to {limit} events, this one {len(events)}")
    return events


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return document


def _problems(app: FastAPI) -> None:
    def answer(problem: Problem) -> Response:
        return Response(problem.body(), problem.status, problem.headers)

    @app.exception_handler(Problem)
    async def known(_: Request, error: Problem) -> Response:
        return answer(error)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return answer(Problem(error.status_code, error.detail, error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return answer(Problem(422, f"{first['loc'][-1]}: {first['msg']}"))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        return answer(Problem(500, "an unexpected error; the log of this replica has it"))

    _ = known, http, invalid, unexpected
