"""Cross-origin requests (WHATWG Fetch, CORS protocol), which only the configuration allows."""

from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from sse_app.base.asgi import Application
from sse_app.base.problem import Problem

# Whatever a page asks for: an allowed page is trusted, and what traces and watches it (Sentry, OpenTelemetry, polyfills
# of EventSource) adds headers of its own to each request. One header that is not allowed ends the page's request.
_REQUEST_HEADERS = ("*",)
_RESPONSE_HEADERS = ("X-Replica", "X-Request-ID", "Idempotency-Key", "Retry-After")


class _Cors(CORSMiddleware):
    """Starlette's, with a refused preflight request as a problem like any other."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        vary = {"vary": response.headers["vary"]}
        return Problem(response.status_code, bytes(response.body).decode(), vary).response()


def allow(application: Application, origins: str) -> Application:
    """Let pages of these origins (separated by commas, or *) read the answers; empty: no page may."""
    if not origins:
        return application
    wrapped: Any = application  # Starlette types ASGI with its own aliases
    return _Cors(
        wrapped,
        allow_origins=origins.split(","),
        allow_methods=["GET", "POST"],
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_RESPONSE_HEADERS,
        # Some browsers ask for this where a page of the Internet comes to a private address.
        allow_private_network=True,
    )
