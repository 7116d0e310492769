"""Errors as problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from sse_app.base import request_context

logger = logging.getLogger(__name__)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457)",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What is wrong, and what is accepted"},
        "request_id": {"type": "string", "description": "By which the log of the replica knows the request"},
        "outcome": {"const": "unknown", "description": "Whether the events were stored is not known"},
        "channel": {"type": "string", "description": "The channel that the credential does not cover"},
        "errors": {
            "type": "array",
            "description": "The fields that are wrong, at most ten",
            "items": {
                "type": "object",
                "required": ["field", "detail"],
                "properties": {
                    "field": {"type": "string"},
                    "pointer": {
                        "type": "string",
                        "description": "Into the event (RFC 6901), where a schema is violated",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """An answer that is an error; `members` are further members of the document."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {"content-type": "application/problem+json", "cache-control": "no-store", **(headers or {})}
        self.document = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **members,
        }

    @classmethod
    def unexpected(cls) -> Problem:
        """What is said of an error of ours."""
        return cls(500, "an unexpected error; the log of this replica has it")

    def body(self) -> bytes:
        """The document, with the id by which the log knows the request."""
        id_ = request_context.request_id()
        return json.dumps({**self.document, "request_id": id_} if id_ else self.document).encode()


def report(problem: Problem, scope: MutableMapping[str, Any]) -> None:
    """A line in the log for a request that gets one."""
    level = logging.WARNING if problem.status >= 500 else logging.INFO
    logger.log(level, "%d to %s %s: %s", problem.status, scope["method"], scope["path"], problem)
