"""Errors as problem details for HTTP APIs (RFC 9457)."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Self

from starlette.responses import Response

from sse_app.base import request_context
from sse_app.base.asgi import Scope, Send, answer
from sse_app.base.json_value import JsonObject

_PATH = 300  # characters of an address in a line of the log, of which a client may send thousands
logger = logging.getLogger(__name__)
SCHEMA: JsonObject = {
    "type": "object",
    "description": "Problem details (RFC 9457)",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong and what was expected"},
        "request_id": {"type": "string", "description": "The id of the request in the log of the replica"},
        "outcome": {"const": "unknown", "description": "It is not known whether the events were stored"},
        "channel": {"type": "string", "description": "The channel that the credential does not cover"},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong, at most ten",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {
                    "field": {"type": "string"},
                    "pointer": {"type": "string", "description": "The place in the event (RFC 6901)"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class Problem(Exception):  # noqa: N818 - the word of the RFC
    """An answer that is an error; `members` are further members of its document."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {"content-type": "application/problem+json", "cache-control": "no-store", **(headers or {})}
        title = HTTPStatus(status).phrase
        self.document = {"type": "about:blank", "title": title, "status": status, "detail": detail, **members}

    @classmethod
    def unexpected(cls) -> Self:
        """The answer where this service itself has failed."""
        return cls(500, "an unexpected error; the log of this replica describes it")

    def body(self) -> bytes:
        """The document, with the id by which the log knows the request."""
        id_ = request_context.request_id()
        return json.dumps({**self.document, "request_id": id_} if id_ else self.document).encode()

    async def answer(self, send: Send) -> None:
        """Send this problem as the whole answer."""
        await answer(send, self.status, self.headers, self.body())

    def response(self) -> Response:
        """This problem as the framework wants it."""
        return Response(self.body(), self.status, self.headers)


def report(problem: Problem, scope: Scope) -> None:
    """Write a line about a refused request to the log."""
    level = logging.WARNING if problem.status >= 500 else logging.INFO
    path = scope["path"]
    shown = path if len(path) <= _PATH else f"{path[:_PATH]}..."
    logger.log(level, "%d to %s %s: %s", problem.status, scope["method"], shown, problem)
