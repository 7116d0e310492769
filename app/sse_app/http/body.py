"""The body of a publish: read within bounds, then parsed as strict JSON (RFC 8259)."""

import asyncio
import json
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from sse_app.base.asgi import Receive, Scope, header_values
from sse_app.base.event import Event
from sse_app.base.json_value import Json, no_duplicates
from sse_app.base.problem import Problem

_BODY_SECONDS = 15.0  # for a whole body of at most SSE_MAX_BODY_BYTES
_BATCH: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """At most `limit` bytes; raises Problem for more, for a body that ends early, and for one that takes too long."""
    too_large = Problem(413, f"the body is over {limit} bytes", {"connection": "close"})
    if any(int(value) > limit for value in header_values(scope, b"content-length")):
        raise too_large
    parts, size, more = list[bytes](), 0, True
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Problem(400, "the body ended early")
                parts.append(message.get("body", b""))
                size, more = size + len(parts[-1]), message.get("more_body", False)
                if size > limit:
                    raise too_large
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {_BODY_SECONDS:g} s", {"connection": "close"}) from error
    return b"".join(parts)


def events(body: bytes, limit: int) -> list[Event]:
    """The events of a body that holds one event or a list; raises Problem with the fields that are wrong."""
    try:
        document: Json = json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=no_duplicates)
        found = _BATCH.validate_python(document if isinstance(document, list) else [document])
    except RecursionError as error:
        raise Problem(400, "the body is nested too deeply") from error
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, item["loc"])), "detail": item["msg"]} for item in error.errors()[:10]]
        raise Problem(422, f"{fields[0]['field']}: {fields[0]['detail']}", errors=fields) from error
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error
    if not 1 <= len(found) <= limit:
        raise Problem(422, f"a batch: expected 1 to {limit} events, found {len(found)}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
