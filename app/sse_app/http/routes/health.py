"""Whether the process works, and whether this replica should get traffic."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from sse_app.access.authority import Authority
from sse_app.base.settings import Settings
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.http.pause import Pause
from sse_app.log.interface import Log
from sse_app.resume.redis_history import RedisHistory


class Health(BaseModel):
    """ok, degraded (it works, but something is missing), draining or unavailable."""

    model_config = {
        "json_schema_extra": {"examples": [{"status": "degraded", "checks": {"kafka": "ok", "redis": "unavailable"}}]}
    }

    status: Literal["ok", "degraded", "draining", "unavailable"]
    checks: dict[str, str]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether this replica should get traffic; Redis alone never decides it."""

    settings: Settings
    log: Log
    feed: Feed
    hub: Hub
    redis_history: RedisHistory
    authority: Authority
    pause: Pause

    def check(self) -> tuple[Health, int]:
        """The health, and its HTTP status."""
        error = self.feed.error or ("" if self.hub.open else "catching up")
        redis = self.redis_history.state
        checks = {"kafka" if self.log.kind == "kafka" else "log": error or "ok", "redis": redis}
        if self.settings.auth:
            checks["credentials"] = self.authority.state
        if self.pause.active:
            checks["publishing"] = "paused"
        if error or self.hub.draining:
            return Health(status="draining" if self.hub.draining else "unavailable", checks=checks), 503
        degraded = redis == "unavailable" or bool(self.authority.broken)
        return Health(status="degraded" if degraded else "ok", checks=checks), 200


def router(readiness: Readiness) -> APIRouter:
    """The routes, which stand at the root for the platform too."""
    made = APIRouter()
    for prefix in ("", "/api/v1"):

        @made.get(f"{prefix}/health/live", include_in_schema=bool(prefix))
        async def live() -> Health:  # pyright: ignore[reportUnusedFunction] - the decorator uses it
            """Whether the process works."""
            return Health(status="ok", checks={})

        @made.get(
            f"{prefix}/health/ready",
            include_in_schema=bool(prefix),
            responses={503: {"model": Health, "description": "The replica is not ready, and why"}},
        )
        async def ready(response: Response) -> Health:  # pyright: ignore[reportUnusedFunction] - the decorator uses it
            """Whether this replica should get traffic; Redis alone never decides it."""
            health, response.status_code = readiness.check()
            return health

    return made
