"""The body of a request: read within bounds, then parsed as strict JSON (RFC 8259)."""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from sse_app.base import names
from sse_app.base.asgi import Receive, Scope, header_values
from sse_app.base.event import Event
from sse_app.base.json_value import Json, JsonObject, no_duplicates
from sse_app.base.problem import Problem
from sse_app.http import foreign_page
from sse_app.http.stream_output import connection_of

_BODY_SECONDS = 15.0  # for a whole body of at most SSE_MAX_BODY_BYTES
_ERRORS = 10  # that an answer names; validation stops there, so that no body costs more than its parsing
_NAME = 200  # characters of an unknown name that an answer quotes
_JSON = b"application/json"
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^";]*)', re.IGNORECASE)
_UTF_8 = ("utf-8", "utf8")


def announced(scope: Scope, limit: int) -> int:
    """The bytes that a body says to have, 0 where it does not say; raises Problem for more than `limit`."""
    size = 0
    for value in header_values(scope, b"content-length"):
        size = max(size, int(value))
    if size > limit:
        raise _too_large(limit)
    return size


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """At most `limit` bytes; raises Problem for more, for a body that ends early, and for one that takes too long.

    Also for a body that says that it is packed, or is not UTF-8: what it says would be found in none of its bytes.
    """
    _require_plain(scope)
    connection = connection_of(scope)
    whole = None if connection is None else connection.whole_body(scope)
    if whole is not None:
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    announced(scope, limit)
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
                    raise _too_large(limit)
    except TimeoutError as error:
        raise Problem(408, f"the body did not arrive within {_BODY_SECONDS:g} s", {"connection": "close"}) from error
    return b"".join(parts)


def _require_plain(scope: Scope) -> None:
    for coding in header_values(scope, b"content-encoding"):
        if coding.strip().lower() not in (b"", b"identity"):
            expected = "Content-Encoding: expected none, because a body is taken as it is"
            raise Problem(415, f"{expected}; found {_shown(coding)}", {"accept-encoding": "identity"})
    for value in header_values(scope, b"content-type"):
        if value == _JSON:
            continue
        for charset in _CHARSET.findall(value.decode("latin-1")):
            if charset.strip().lower() not in _UTF_8:
                expected = "Content-Type: expected charset=utf-8 or no charset, because JSON is UTF-8 (RFC 8259)"
                raise Problem(415, f"{expected}; found {_shown(charset.encode('latin-1'))}", foreign_page.ACCEPT)


def _shown(value: bytes) -> str:
    return repr(value.decode("latin-1").strip()[:100])


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is over {limit} bytes", {"connection": "close"})


def events(body: bytes, limit: int) -> list[Event]:
    """The events of a body that holds one event or a list; raises Problem with the fields that are wrong."""
    found = document(body)
    items = found if isinstance(found, list) else [found]
    if not 1 <= len(items) <= limit:
        raise Problem(422, f"a batch: expected 1 to {limit} events, found {len(items)}")
    return _validated(items)


def document(body: bytes) -> Json:
    """What a body says in JSON, which is UTF-8; raises Problem for anything else."""
    try:
        return _parsed(body.decode())
    except RecursionError as error:
        raise Problem(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise Problem(400, f"the body is not JSON: {error}") from error


def _parsed(text: str) -> Json:
    if text.startswith("\ufeff"):
        json.loads(text)  # raises, and says why
    with suppress(StopIteration):
        document, end = _DECODER.scan_once(text, 0)
        if end == len(text):
            return document
    return _DECODER.decode(text)  # there is white space around it, or it raises and says why


def _validated(items: Sequence[Json]) -> list[Event]:
    found: list[Event] = []
    wrong: list[JsonObject] = []
    for index, item in enumerate(items):
        try:
            if isinstance(item, dict) and len(item) > _FIELDS:
                raise _unknown(item)
            found.append(_validate(item))
        except ValidationError as error:
            for field, detail in wrong_fields(error, Event.model_fields):
                wrong.append({"field": f"{index}.{field}".rstrip(".")[:_NAME], "detail": detail})
            if len(wrong) >= _ERRORS:
                break
    if wrong:
        raise Problem(422, f"{wrong[0]['field']}: {wrong[0]['detail']}", errors=wrong[:_ERRORS])
    return found


def wrong_fields(error: ValidationError, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an object: each field and why; for an unknown field, which is the nearest real one."""
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    # An unknown name first: it is why another one is missing, and many clients show the first reason alone.
    for one in sorted(errors, key=lambda one: one["type"] != "extra_forbidden"):
        detail = plain(one["msg"])
        if one["type"] == "extra_forbidden":
            detail = names.unknown(str(one["loc"][-1]), known)
        elif one["type"] == "model_type":
            detail = "expected an object"  # pydantic names a class of Python
        yield ".".join(map(str, one["loc"])), detail


def plain(message: str) -> str:
    """A message of pydantic without what it puts before a message of ours."""
    return message.removeprefix("Value error, ")


def _unknown(item: JsonObject) -> ValidationError:
    """The errors of an event with too many names; pydantic would list each of the thousands that a body can hold."""
    extra = [name for name in item if name not in Event.model_fields][:_ERRORS]
    lines = [InitErrorDetails(type="extra_forbidden", loc=(name,), input=None) for name in extra]
    return ValidationError.from_exception_data("Event", lines)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_FIELDS = len(Event.model_fields)
_validate: Callable[[Json], Event] = (
    Event.__pydantic_validator__.validate_python
)  # model_validate() takes twice as long
_DECODER: Any = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=no_duplicates)
