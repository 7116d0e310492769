"""Cross-origin requests (WHATWG Fetch, CORS protocol), allowed by configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from sse_app.base.problem import Problem

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from sse_app.http.stream import Application

# EventSource sends Last-Event-ID without asking, fetch asks first.
_REQUEST_HEADERS = ("Authorization", "Idempotency-Key", "Last-Event-ID", "Content-Type", "traceparent")
_RESPONSE_HEADERS = ("X-Replica", "X-Request-ID", "Idempotency-Key", "Retry-After")


class _Cors(CORSMiddleware):
    """A refused preflight request is a problem like any other."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        problem = Problem(response.status_code, bytes(response.body).decode(), {"vary": response.headers["vary"]})
        return Response(problem.body(), problem.status, problem.headers)


def allow(application: Application, origins: str) -> Application:
    """Let pages of these origins (comma-separated, or *) read what the application answers; empty: no page."""
    if not origins:
        return application
    wrapped: Any = application
    return _Cors(
        wrapped,
        allow_origins=origins.split(","),
        allow_methods=["GET", "POST"],
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
    )
