"""Everything but the stream itself: publishing, history, statistics, health, metrics, documentation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from sse_app.base import event
from sse_app.base.channels import exactly
from sse_app.base.problem import Problem, report
from sse_app.http import docs_page, openapi, sessions
from sse_app.http.publish import PATH as PUBLISH_PATH
from sse_app.http.stats import Stats
from sse_app.http.stream import PATH as STREAM_PATH

if TYPE_CHECKING:
    from sse_app.service import Service

_ELSEWHERE = "served before this application is asked; here for the documentation"
_INDEX = {
    "publish": f"POST {PUBLISH_PATH}",
    "subscribe": f"GET {STREAM_PATH}?channel=NAME",
    "channels": "GET /api/v1/channels",
    "history": "GET /api/v1/channels/NAME/history",
    "stats": "GET /api/v1/stats",
    "watch": "GET /api/v1/stats/stream",
    "ticket": "POST /api/v1/tickets",
    "session": "POST /api/v1/session",
    "health": "GET /api/v1/health/ready",
}


class Accepted(BaseModel):
    """The ids of the events, in their order."""

    model_config = {"json_schema_extra": {"examples": [{"ids": [openapi.ID]}]}}

    ids: list[str]


class Channels(BaseModel):
    """The newest id of each channel."""

    model_config = {"json_schema_extra": {"examples": [{"channels": {"orders": openapi.ID}}]}}

    channels: dict[str, str]


class HistoryEvent(BaseModel):
    """One event as delivered, with its publisher's traceparent where it had one."""

    id: str
    event: str
    data: str
    traceparent: str | None = None


class HistoryOf(BaseModel):
    """The newest events of a channel, oldest first, and whether Redis or this replica's memory gave them."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "channel": "orders",
                    "source": "redis",
                    "events": [{"id": openapi.ID, "event": "created", "data": '{"n":1}'}],
                }
            ]
        }
    }

    channel: str
    source: Literal["redis", "memory"]
    events: list[HistoryEvent]


class Health(BaseModel):
    """ok, degraded (works, but something is missing), draining or unavailable."""

    model_config = {
        "json_schema_extra": {"examples": [{"status": "degraded", "checks": {"kafka": "ok", "redis": "unavailable"}}]}
    }

    status: Literal["ok", "degraded", "draining", "unavailable"]
    checks: dict[str, str]


def build(service: Service, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    """The framework's part of the service."""
    settings, hub, metrics = service.settings, service.hub, service.metrics
    app = FastAPI(
        title="SSE service",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # the framework's pages load scripts from elsewhere: see docs_page.py
        redoc_url=None,
        redirect_slashes=False,  # a redirect repeats the Host that the client made up
        generate_unique_id_function=lambda route: route.name,
        responses={
            "default": {
                "description": "Any other error",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
        },
    )
    _problems(app)
    openapi.describe(app)

    @app.post(
        PUBLISH_PATH,
        status_code=202,
        response_description="The log holds the events, and this replica has read them back.",
        responses=openapi.problems(400, 401, 403, 408, 413, 422, 429, 503),
        openapi_extra=openapi.publish(settings.max_batch_events),
    )
    async def publish() -> Accepted:
        """Publish one event or a batch (all or none). Repeat after a 503 with the same Idempotency-Key."""
        raise NotImplementedError(_ELSEWHERE)

    @app.get(
        STREAM_PATH,
        response_class=Response,
        responses=openapi.STREAM,
        openapi_extra=openapi.stream(settings.max_channels_per_stream),
    )
    async def stream() -> Response:
        """Subscribe to channels: live, or after the last id received."""
        raise NotImplementedError(_ELSEWHERE)

    @app.get("/api/v1", include_in_schema=False)
    @app.get("/api/v1/")
    async def index() -> dict[str, str]:
        """Where to go from here."""
        return _INDEX

    @app.get("/api/v1/channels", responses=openapi.problems(401))
    async def channels(request: Request) -> Channels:
        """Channels with events in this replica's memory that the asker may read, each with its newest id."""
        readable = service.authority.access(request.scope).principal.subscribe.matches
        held = (entry for entry in hub.ring.slice(hub.ring.start, hub.ring.end) if entry.frame is not None)
        return Channels(channels={entry.channel: str(entry.cursor) for entry in held if readable(entry.channel)})

    @app.get(
        "/api/v1/channels/{channel:path}/history",
        responses=openapi.problems(400, 401, 403),
        response_model_exclude_none=True,
    )
    async def history(
        request: Request,
        channel: Annotated[str, Path(pattern=openapi.CHANNEL_PATTERN, examples=["orders"])],
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> HistoryOf:
        """The newest events of a channel."""
        service.authority.access(request.scope).require("subscribe", exactly([channel]))
        events = await service.history.read(channel, limit)
        if events is not None:
            return HistoryOf.model_validate({"channel": channel, "source": "redis", "events": events})
        held = hub.ring.slice(hub.ring.start, hub.ring.end)
        newest = [entry for entry in held if entry.frame is not None and entry.channel == channel][-limit:]
        parsed = [(entry, *event.parse(entry.frame or b"")) for entry in newest]
        return HistoryOf(
            channel=channel,
            source="memory",
            events=[
                HistoryEvent(id=str(entry.cursor), event=name, data=data, traceparent=entry.traceparent or None)
                for entry, name, data in parsed
            ],
        )

    @app.get("/api/v1/stats", responses=openapi.problems(401, 403))
    async def stats(request: Request) -> Stats:
        """What this replica does now."""
        service.authority.access(request.scope).require_reader()
        return service.statistics.now()

    @app.get("/api/v1/stats/stream", response_class=Response, responses=openapi.STATS_STREAM)
    async def watch(request: Request) -> Response:
        """The same every second, as an event stream."""
        if request.scope["http_version"] == "1.0":  # no chunks there
            raise Problem(505, "streams need HTTP/1.1", {"connection": "close"})
        access = service.authority.access(request.scope)
        access.require_reader()
        return service.statistics.watch(partial(service.authority.lapse, access.principal))

    app.include_router(sessions.router(service.authority))

    for prefix in ("", "/api/v1"):

        @app.get(f"{prefix}/health/live", include_in_schema=bool(prefix))
        async def live() -> Health:  # pyright: ignore[reportUnusedFunction]
            """Whether the process works."""
            return Health(status="ok", checks={})

        @app.get(
            f"{prefix}/health/ready",
            include_in_schema=bool(prefix),
            responses={503: {"model": Health, "description": "Not ready, and why"}},
        )
        async def ready(response: Response) -> Health:  # pyright: ignore[reportUnusedFunction]
            """Whether this replica should be given traffic; Redis alone never decides it."""
            health, response.status_code = service.health()
            return health

    @app.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> Response:
        return HTMLResponse(docs_page.page(app.openapi()), headers={"content-security-policy": docs_page.POLICY})

    _ = publish, stream, index, channels, history, stats, watch, scrape, documentation
    return app


def _problems(app: FastAPI) -> None:
    def answer(request: Request, problem: Problem) -> Response:
        report(problem, request.scope)
        return Response(problem.body(), problem.status, problem.headers)

    @app.exception_handler(Problem)
    async def known(request: Request, error: Problem) -> Response:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, Problem(error.status_code, error.detail, error.headers))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        # path or query: see body.py for bodies
        return answer(request, Problem(400, f"{first['loc'][-1]}: {first['msg']}"))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        return answer(request, Problem.unexpected())

    _ = known, http, invalid, unexpected
