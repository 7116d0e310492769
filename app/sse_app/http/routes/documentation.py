"""What the service says about itself: the index, the documentation, the metrics.

Publishing and streams stand here for the documentation alone: http/publish.py and http/stream.py answer them.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.http import docs_page, openapi
from sse_app.http.publish import PATH as PUBLISH_PATH
from sse_app.http.stream import PATH as STREAM_PATH

_ELSEWHERE = "answered before this application is asked; it stands here for the documentation"
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
    """The ids of the events, in the order of the request."""

    model_config = {"json_schema_extra": {"examples": [{"ids": [openapi.ID]}]}}

    ids: list[str]


def router(settings: Settings, metrics: Metrics) -> APIRouter:
    """The routes."""
    made = APIRouter()

    @made.post(
        PUBLISH_PATH,
        status_code=202,
        response_description="The log holds the events, and this replica has read them back.",
        responses=openapi.problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
        openapi_extra=openapi.publish(settings.max_batch_events),
    )
    async def publish() -> Accepted:
        """Publish one event or a batch (all or none). After a 503, repeat with the same Idempotency-Key."""
        raise NotImplementedError(_ELSEWHERE)

    @made.get(
        STREAM_PATH,
        response_class=Response,
        responses=openapi.STREAM,
        openapi_extra=openapi.stream(settings.max_channels_per_stream),
    )
    async def stream() -> Response:
        """Subscribe to channels: live, or after the last id received."""
        raise NotImplementedError(_ELSEWHERE)

    @made.post(
        STREAM_PATH,
        response_class=Response,
        responses={**openapi.STREAM, **openapi.problems(408, 413, 415, 422)},
        openapi_extra=openapi.stream_by_post(settings.max_channels_per_stream),
    )
    async def streambody() -> Response:
        """The same as GET, with a JSON body: for more channels than an address can hold (8 KB through NGINX)."""
        raise NotImplementedError(_ELSEWHERE)

    @made.get("/api/v1", include_in_schema=False)
    @made.get("/api/v1/")
    async def index() -> dict[str, str]:
        """Where to go from here."""
        return _INDEX

    @made.get("/metrics", include_in_schema=False)
    async def scrape() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @made.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        page = docs_page.page(request.app.openapi())
        return HTMLResponse(page, headers={"content-security-policy": docs_page.POLICY})

    _ = publish, stream, streambody, index, scrape, docs
    return made
