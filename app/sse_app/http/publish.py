"""Publishing over HTTP, without the framework: of what a publish costs here, its routes and middleware took a third."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

from sse_app.base import request_context
from sse_app.base.channels import exactly
from sse_app.base.metrics import Outcome
from sse_app.base.problem import Problem, report
from sse_app.http import body
from sse_app.http.stream import Application, Receive, Scope, Send, answer

if TYPE_CHECKING:
    from sse_app.service import Service

logger = logging.getLogger(__name__)
PATH = "/api/v1/events"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_REFUSED: dict[int, Outcome] = {401: "unauthorized", 403: "forbidden", 429: "limited"}


class Intake:
    """ASGI application: takes publishes itself and hands everything else on."""

    def __init__(self, service: Service, otherwise: Application) -> None:
        self._service = service
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch; another method is the framework's to refuse."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._otherwise(scope, receive, request_context.answering(send))
            return
        try:
            key, ids = await self._publish(scope, receive)
        except Problem as problem:
            report(problem, scope)
            await answer(send, problem.status, problem.headers, problem.body())
        except Exception:
            problem = Problem.unexpected()
            report(problem, scope)
            await answer(send, problem.status, problem.headers, problem.body())
            raise  # the server logs it
        else:
            headers = {"content-type": "application/json", "idempotency-key": key}
            await answer(send, 202, headers, json.dumps({"ids": ids}, separators=(",", ":")).encode())

    async def _publish(self, scope: Scope, receive: Receive) -> tuple[str, list[str]]:
        service, settings = self._service, self._service.settings
        if service.hub.draining:
            service.metrics.publishes["draining"] += 1
            raise Problem(
                503, "this replica is going away", {"connection": "close", "retry-after": "0"}, outcome="unknown"
            )
        try:
            access = service.authority.access(scope)
            key = _key(scope)
            events = body.events(await body.read(scope, receive, settings.max_body_bytes), settings.max_batch_events)
            access.require("publish", exactly(one.channel for one in events))
            await service.limits.publish(access.publisher, len(events))
            if service.schemas is not None:
                await service.schemas.check(events)
        except Problem as problem:
            service.metrics.publishes[_REFUSED.get(problem.status, "invalid")] += 1
            raise
        return key, await service.publisher.publish(events, principal=access.principal.name, key=key)


def _key(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"idempotency-key"), b"")
    key = given.decode("latin-1") or request_context.request_id()
    if not _KEY.fullmatch(key):
        raise Problem(400, "Idempotency-Key: 1 to 200 visible ASCII characters")
    return key
