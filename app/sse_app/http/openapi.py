"""What the OpenAPI document says beyond the code: every answer that is an error, the streams, and examples."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from sse_app.base.event import CHANNEL, RESERVED, Event
from sse_app.base.problem import SCHEMA, Problem

ID = "41-9f2c0b1e"
CHANNEL_PATTERN = rf"^{CHANNEL.pattern}$"
_FILTER_PATTERN = rf"^({CHANNEL.pattern}|[A-Za-z0-9._:/-]{{0,199}}\.\*|\*)$"

_DESCRIPTION = """
Publish events by POST, read them as server-sent events (WHATWG HTML, section 9.2), resume with nothing lost and nothing
doubled. Errors are problem details (RFC 9457). Every answer carries `X-Replica`, the name of the replica that gave it.

An id is opaque. A stream that ends is resumed at any replica with the last id as `Last-Event-ID`.
"""

_WHY = {
    400: Problem(400, "channel: at least one is needed, as in ?channel=orders&channel=stock.*"),
    401: Problem(401, "a credential is needed: Authorization: Bearer, a ticket or a session"),
    403: Problem(403, "channel orders: this credential may not publish there", channel="orders"),
    408: Problem(408, "the body did not arrive within 15 s"),
    413: Problem(413, "the body is over 262144 bytes"),
    422: Problem(
        422, "0.data: Field required", errors=[{"field": "0.data", "detail": "Field required"}]
    ),
    429: Problem(429, "over 100 events per second (bursts of 1000); try again in 2 s"),
    503: Problem(
        503,
        "the log is not available: the events may or may not have been stored; repeat the request with the same"
        " Idempotency-Key",
        outcome="unknown",
    ),
}  # fmt: skip
_SAID = {
    400: "The request makes no sense: the field is named.",
    401: "No credential that is accepted. Final for an EventSource. Never answered where authorization is off.",
    403: "The credential is accepted and does not allow this: the channel is named. Final for an EventSource.",
    408: "The body took too long.",
    413: "The body, or what would be stored, is over the limit.",
    422: "JSON, but no event; or the key was used before with another body. Nothing was stored.",
    429: "Over the publisher's rate; Retry-After says when to come back. Nothing was stored.",
    503: "The outcome is unknown: repeat with the same Idempotency-Key.",
}

_STREAM = f"""retry: 1840
id: {ID}

event: created
data: {{"n":1}}
id: 42-03c1d2ab

"""
_GAP = f"""retry: 2210
event: gap
data: {{"requested":"7-00000000","resumed_from":"{ID}","reason":"truncated"}}
id: {ID}

"""
_BYE = f"""retry: 2950
event: bye
data: {{"reason":"draining"}}
id: {ID}

"""
_LATER = "retry: 1320\n\n"
_STATS = """retry: 1840
event: stats
data: {"replica":"sse-app-1","subscribers":200,"...":"as GET /api/v1/stats"}

"""


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer these errors."""
    return {
        status: {
            "description": _SAID[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "example": _WHY[status].document,
                }
            },
        }
        for status in statuses
    }


def _event_stream(description: str, **examples: str) -> dict[int | str, dict[str, Any]]:
    shown = {name: {"value": text} for name, text in examples.items()}
    content = {"text/event-stream": {"schema": {"type": "string"}, "examples": shown}}
    return {200: {"description": description, "content": content}}


STREAM: dict[int | str, dict[str, Any]] = {
    **_event_stream(
        "A stream that goes on until one side ends it. Its first block has `retry` and the cursor as `id`, or is a"
        " `gap`. A replica that cannot serve now answers 200, `retry` and the end: an EventSource comes back after any"
        " 200, and gives up for ever after anything else.",
        events=_STREAM,
        gap=_GAP,
        bye=_BYE,
        later=_LATER,
    ),
    **problems(400, 401, 403),
}
STATS_STREAM: dict[int | str, dict[str, Any]] = {
    **_event_stream(
        "An event `stats` a second, with what GET /api/v1/stats answers; no ids, since there is nothing to resume.",
        stats=_STATS,
        later=_LATER,
    ),
    **problems(401, 403),
}

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names this publish: a repetition with the same key and body stores nothing and gets the same ids."
    " Empty is as good as none.",
    "schema": {"type": "string", "pattern": "^[!-~]{0,200}$"},
    "example": "7d3c6f1a-order-1",
}
_TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "description": "The publisher's trace (W3C Trace Context), kept with the events; one that is not valid is ignored.",
    "schema": {"type": "string"},
    "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}


def publish(max_batch_events: int) -> dict[str, Any]:
    """Request body and header of a publish, which the code reads by itself."""
    one = Event.model_json_schema()
    one["properties"]["event"]["not"] = {"enum": sorted(RESERVED)}
    schema = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": max_batch_events}]}
    order = {"channel": "orders", "event": "created", "data": {"n": 1}}
    examples = {
        "one": {"summary": "One event", "value": order},
        "text": {"summary": "Data that is text goes out as it is", "value": {"channel": "news", "data": "two\nlines"}},
        "batch": {"summary": "All or none", "value": [order, {"channel": "stock.eu", "data": 7}]},
    }
    content = {"application/json": {"schema": schema, "examples": examples}}
    return {"parameters": [_KEY, _TRACEPARENT], "requestBody": {"required": True, "content": content}}


def stream(max_channels: int) -> dict[str, Any]:
    """Parameters of a stream, which stream.py reads before the framework is asked."""

    def query(name: str, schema: dict[str, Any], description: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": description, "schema": schema, **more}

    channels = {"type": "array", "minItems": 1, "maxItems": max_channels}
    resume = "The last id received"
    ticket = "From POST /api/v1/tickets, for clients that can set no header"
    return {
        "parameters": [
            query(
                "channel",
                {**channels, "items": {"type": "string", "pattern": _FILTER_PATTERN}},
                "A name, a pattern `prefix.*`, or `*` for all; repeated for several",
                required=True,
                explode=True,
                example=["orders", "stock.*"],
            ),
            query(
                "last_event_id",
                {"type": "string"},
                f"{resume}, where no header can be set; the header wins",
                example=ID,
            ),
            query(
                "heartbeat",
                {"type": "string", "enum": ["id", "event", "comment"], "default": "id"},
                "`id`: a block with nothing but the cursor; `event`: an event `cursor` with data `{}`, for clients that"
                " ignore such a block; `comment`: a comment, which moves no cursor",
            ),
            query(
                "trace",
                {"type": "string", "enum": ["0", "1"], "default": "0"},
                "`1`: an event `traceparent` comes before each event that was published with one, with it as data",
            ),
            query("ticket", {"type": "string"}, ticket, example="WyJ0aWNrZXQi..."),
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": f"{resume}; without it the stream begins with what comes next",
                "schema": {"type": "string"},
                "example": ID,
            },
        ]
    }


def describe(app: FastAPI) -> None:
    """Have the application's document carry the description, the problem schema and one server: the replica asked."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            made["components"]["schemas"]["Problem"] = SCHEMA
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document
