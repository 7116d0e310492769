"""What the OpenAPI document says beyond the code: every answer that is an error, the streams, and examples."""

from itertools import combinations
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from sse_app.base.channels import CHANNEL, EXTRAS
from sse_app.base.event import RESERVED, Event
from sse_app.base.json_value import Json, JsonObject
from sse_app.base.names import PLAIN
from sse_app.base.problem import SCHEMA, Problem
from sse_app.http.stream_request import MOST_LAST, SINCE_PATTERN, STARTING_POINTS
from sse_app.log.cursor import PATTERN

Responses = dict[int | str, dict[str, Any]]  # as FastAPI types them

ID = "41-9f2c0b1e"
CHANNEL_PATTERN = rf"^{CHANNEL.pattern}$"
CHANNEL_OR_NONE = f"^({CHANNEL.pattern})?$"
ID_PATTERN = f"^({PATTERN})?$"  # or nothing
FILTER_PATTERN = rf"^({CHANNEL.pattern}|[A-Za-z0-9._:/-]{{0,199}}\.\*|\*)$"

_DESCRIPTION = """
Publish events by POST, read them as server-sent events (WHATWG HTML, section 9.2), and resume: nothing is lost and
nothing comes twice. Errors are problem details (RFC 9457). Every answer names its replica in `X-Replica`.

Clients do not look into an id. A stream that ends is resumed at any replica, with the last id as `Last-Event-ID`.
"""

_WHY = {
    400: Problem(400, "channel: at least one is needed, as in ?channel=orders&channel=stock.*"),
    401: Problem(401, "a credential is needed: Authorization: Bearer, a ticket or a session"),
    403: Problem(403, "channel orders: this credential may not publish there", channel="orders"),
    408: Problem(408, "the body did not arrive within 15 s"),
    413: Problem(413, "the body is over 262144 bytes"),
    415: Problem(415, "Content-Type: expected application/json, found 'text/plain'"),
    422: Problem(
        422, "0.data: Field required", errors=[{"field": "0.data", "detail": "Field required"}]
    ),
    429: Problem(429, "over 100 events or KiB per second (bursts of 1000); try again in 2 s"),
    503: Problem(
        503,
        "the log is not available: the events may or may not have been stored; repeat the request with the same"
        " Idempotency-Key",
        outcome="unknown",
    ),
}  # fmt: skip
_SAID = {
    400: "The request is invalid: `detail` names the field.",
    401: "The credential is missing or refused. Final for an EventSource. Never sent where authorization is off.",
    403: "The credential is valid but does not allow this: `channel` names the channel; or a page of another origin"
    " publishes where authorization is off. Final for an EventSource.",
    408: "The body took too long to arrive.",
    413: "The body, or what would be stored, is over the limit.",
    415: "The body is packed (Content-Encoding) or not UTF-8 (charset); or, where authorization is off, it is not"
    " sent as application/json. Accept-Encoding or Accept says what is taken.",
    422: "The body is JSON but not an event, or the key was used before with another body. Nothing was stored.",
    429: "The publisher is over its rate; Retry-After says when to try again. Nothing was stored.",
    503: "To a publish: it is paused, or the outcome is unknown; repeat it with the same key. To a page: try again.",
}

_META = (
    "`1`: an event `meta` with channel and time comes before each event, and the `cursor` that begins the stream says"
    " where what it missed comes from: `new`, `ring`, `redis` or `log`"
)
_STREAM = f"""retry: 1840
event: cursor
data: {{}}
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


def _problem(description: str, **example: object) -> dict[str, Any]:
    media = {"schema": {"$ref": "#/components/schemas/Problem"}, **example}
    return {"description": description, "content": {"application/problem+json": media}}


ANY_PROBLEM = _problem("Any other error")


def problems(*statuses: int) -> Responses:
    """The `responses` of a route that may answer these errors."""
    return {status: _problem(_SAID[status], example=_WHY[status].document) for status in statuses}


def _event_stream(description: str, **examples: str) -> Responses:
    shown = {name: {"value": text} for name, text in examples.items()}
    content = {"text/event-stream": {"schema": {"type": "string"}, "examples": shown}}
    return {200: {"description": description, "content": content}}


STREAM: Responses = {
    **_event_stream(
        "A stream that goes on until one side ends it. It begins with `retry` and an event `cursor` or `gap`. A replica"
        " that cannot serve now answers 200 with `retry` and ends the stream, because an EventSource comes back after"
        " any 200 and never after another status.",
        events=_STREAM,
        gap=_GAP,
        bye=_BYE,
        later=_LATER,
    ),
    **problems(400, 401, 403),
}
STATS_STREAM: Responses = {
    **_event_stream(
        "An event `stats` each second, with what GET /api/v1/stats answers. There are no ids, because there is nothing"
        " to resume.",
        stats=_STATS,
        later=_LATER,
    ),
    **problems(401, 403),
}

_RESUME = "The last id received"
_TICKET: JsonObject = {
    "name": "ticket",
    "in": "query",
    "description": "From POST /api/v1/tickets, for clients that cannot set a header",
    "schema": {"type": "string", "pattern": PLAIN},
    "example": "WyJ0aWNrZXQi...",
}
_KEY: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Names this publish. A repetition with the same key and body stores nothing and gets the same ids."
    " An empty key counts as none.",
    "schema": {"type": "string", "pattern": "^[!-~]{0,200}$"},
    "example": "7d3c6f1a-order-1",
}
_TRACEPARENT: JsonObject = {
    "name": "traceparent",
    "in": "header",
    "description": "The trace of the publisher (W3C Trace Context), kept with the events. An invalid one is ignored.",
    "schema": {"type": "string"},
    "example": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
}
_LOAD_TEST: JsonObject = {
    "name": "Load-Test",
    "in": "header",
    "description": "Given: this publish is part of the load test of this name. It has bounds: see GET /api/v1/limits",
    "schema": {"type": "string"},
    "example": "7d3c6f1a",
}


def publish(max_batch_events: int) -> JsonObject:
    """The request body and the headers of a publish, which http/publish.py reads without the framework."""
    one = Event.model_json_schema()
    one["properties"]["event"]["not"] = {"enum": sorted(RESERVED)}
    schema: JsonObject = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": max_batch_events}]}
    order: JsonObject = {"channel": "orders", "event": "created", "data": {"n": 1}}
    examples: JsonObject = {
        "one": {"summary": "One event", "value": order},
        "text": {"summary": "Text is sent as it is", "value": {"channel": "news", "data": "two\nlines"}},
        "batch": {"summary": "All or none", "value": [order, {"channel": "stock.eu", "data": 7}]},
    }
    content: JsonObject = {"application/json": {"schema": schema, "examples": examples}}
    return {"parameters": [_KEY, _TRACEPARENT, _LOAD_TEST], "requestBody": {"required": True, "content": content}}


def body(model: type[BaseModel]) -> JsonObject:
    """The request body of a route that reads it within bounds by itself, and does without one, too."""
    schema = model.model_json_schema()
    [example] = schema["examples"]
    content: JsonObject = {"application/json": {"schema": schema, "examples": {"one": {"value": example}}}}
    return {"requestBody": {"required": False, "content": content}}


def _asked(max_channels: int) -> list[tuple[str, JsonObject, str, Json]]:
    """What a stream may be asked for: name, schema, description and example."""
    filter_: JsonObject = {"type": "string", "pattern": FILTER_PATTERN}
    cursor: JsonObject = {"type": "string", "pattern": PLAIN}
    names: JsonObject = {"type": "array", "minItems": 1, "maxItems": max_channels, "items": filter_}
    switch: JsonObject = {"type": "string", "enum": ["0", "1"], "default": "0"}
    text: JsonObject = {"type": "string", "pattern": SINCE_PATTERN}
    seconds: JsonObject = {"type": "number", "minimum": 0, "maximum": 99_999_999_999}
    new = "Only for a stream without a cursor, so that an address with it can be used for every reconnect"
    since_ = f"The stream begins with the first event of this time: RFC 3339, or seconds since 1970. {new}"
    return [
        ("channel", names, "A name, a pattern `prefix.*`, or `*` for all; several", ["orders", "stock.*"]),
        ("last_event_id", cursor, f"{_RESUME}, for clients that cannot set the header, which wins", ID),
        ("lastEventId", cursor, "The same, as event-source-polyfill sends it; wins over last_event_id", ID),
        (
            "heartbeat",
            {"type": "string", "enum": ["id", "event", "comment"], "default": "event"},
            "`event`: an event `cursor`. `id`: a block with only the cursor. `comment`: a comment, without the cursor",
            "event",
        ),
        ("from", {"type": "string", "enum": ["earliest"]}, f"With all events that the log holds. {new}", "earliest"),
        (
            "last",
            {"type": "integer", "minimum": 0, "maximum": MOST_LAST},
            f"The stream begins with the newest so many events of its channels. {new}",
            10,
        ),
        ("since", {"anyOf": [text, seconds]}, since_, "2026-11-28T20:15:00Z"),
        ("trace", switch, "`1`: an event `traceparent` comes before each event that was published with one", "1"),
        ("meta", switch, _META, "1"),
    ]


def stream(max_channels: int) -> JsonObject:
    """The parameters of a stream, which http/stream_request.py reads without the framework."""
    asked: list[Json] = []
    for name, schema, description, example in _asked(max_channels):
        one: JsonObject = {"name": name, "in": "query", "description": description, "schema": schema}
        if name == "channel":
            one |= {"required": True, "explode": True, "example": example}
        else:
            one["example"] = example
        asked.append(one)
    cursor: JsonObject = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": f"{_RESUME}; without it the stream begins with the next event, or where `from`, `last` or"
        " `since` says",
        "schema": {"type": "string"},
        "example": ID,
    }
    return {"parameters": [*asked, _TICKET, cursor]}


def stream_by_post(max_channels: int) -> JsonObject:
    """The body by which a stream with more channels than an address can hold is asked for."""
    properties: JsonObject = {}
    for name, schema, description, _ in _asked(max_channels):
        own: JsonObject = schema
        if name == "channel":
            own = {"anyOf": [schema, {"type": "string", "pattern": FILTER_PATTERN}]}
        elif name in EXTRAS:
            own = {"enum": ["0", "1", 0, 1, False, True], "default": False}
        properties[name] = {**own, "description": description}
    asked: JsonObject = {
        "type": "object",
        "required": ["channel"],
        "additionalProperties": False,
        "properties": properties,
        "not": {"anyOf": [{"required": [one, two]} for one, two in combinations(STARTING_POINTS, 2)]},
    }
    example: JsonObject = {"channel": ["orders", "stock.*"], "last_event_id": ID}
    content: JsonObject = {"application/json": {"schema": asked, "examples": {"one": {"value": example}}}}
    return {"parameters": [_TICKET], "requestBody": {"required": True, "content": content}}


def describe(app: FastAPI) -> None:
    """Give the document of the application its description and the schema of a problem."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            made["components"]["schemas"]["Problem"] = SCHEMA
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document
