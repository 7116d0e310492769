"""What this service takes: the bounds that its answers hold clients to, so that they need not be found by refusals."""

from fastapi import APIRouter
from pydantic import BaseModel

from sse_app.base.settings import Settings


class LoadTest(BaseModel):
    """What load tests may do: the rate of all of them together, and how long each may go on. More is refused."""

    events_per_second: float
    seconds: int


class Bounds(BaseModel):
    """The bounds; one that is left out does not exist here. NGINX in front may have bounds of its own."""

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "event_bytes": 61440,
                    "body_bytes": 262144,
                    "batch_events": 500,
                    "channels_per_stream": 100,
                    "publish_rate": 100,
                    "publish_burst": 1000,
                    "streams_per_address": 50,
                    "load_test": {"events_per_second": 500, "seconds": 300},
                }
            ]
        }
    }

    event_bytes: int
    body_bytes: int
    batch_events: int
    channels_per_stream: int
    publish_rate: float | None = None
    publish_burst: int | None = None
    streams_per_address: int | None = None
    load_test: LoadTest | None = None


def router(settings: Settings) -> APIRouter:
    """The route."""
    made = APIRouter(prefix="/api/v1/limits")
    tests = LoadTest(events_per_second=settings.load_test_rate, seconds=settings.load_test_seconds)
    found = Bounds(
        event_bytes=settings.max_event_bytes,
        body_bytes=settings.max_body_bytes,
        batch_events=settings.max_batch_events,
        channels_per_stream=settings.max_channels_per_stream,
        publish_rate=settings.publish_rate or None,
        publish_burst=settings.publish_burst if settings.publish_rate else None,
        streams_per_address=settings.max_streams_per_address or None,
        load_test=tests if settings.load_test_rate else None,
    )

    @made.get("", response_model_exclude_none=True)
    async def limits() -> Bounds:
        """How large an event, a body or a batch may be, and how much one client and all load tests may do."""
        return found

    _ = limits
    return made
