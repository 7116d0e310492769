"""What a stream is asked for: by the query and the headers of a GET, or by the JSON body of a POST."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from sse_app.base import channels, names
from sse_app.base.asgi import Receive, Scope, header_values
from sse_app.base.channels import Filter
from sse_app.base.json_value import Json
from sse_app.base.names import Query
from sse_app.base.problem import Problem
from sse_app.fanout.event_stream import Heartbeat
from sse_app.http import body, foreign_page
from sse_app.resume.resumer import Begin, Since

STARTING_POINTS = ("from", "last", "since")
# What clients write the cursor as when they reconnect, before what the page wrote into the address beforehand.
CURSORS = ("lastEventId", "last_event_id")
BODY_NAMES = ("channel", *CURSORS, "heartbeat", *STARTING_POINTS, "trace", "meta")
QUERY_NAMES = (*BODY_NAMES, "ticket")
_NUMBERS = ("last", "since")  # which a body may also give as such
MOST_LAST = 1000
_NAME_BYTES = 220  # of a channel in a body, with its quotes
_OTHER_BYTES = 8192  # of all else in a body
_SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,20})?(e-[0-9]{1,3})?")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
SINCE_PATTERN = (
    "^(20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T(0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z|[0-9]{1,11})$"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """A valid request for a stream."""

    wanted: Filter
    last_event_id: str
    heartbeat: Heartbeat
    begin: Begin = None  # counts where there is no cursor


async def read(scope: Scope, receive: Receive, max_channels: int, origins: str | None) -> StreamRequest:
    """Read a request; raises Problem.

    :param origins: of foreign pages that may send a body (SSE_CORS_ORIGINS); None where a credential is asked for
    """
    require_chunks(scope)
    if scope["method"] == "POST":
        for name in names.query(scope, QUERY_NAMES).keys() - {"ticket"}:
            raise Problem(400, f"{name}: by POST, a stream is asked for in the JSON body, and not in the address")
        foreign_page.refuse(scope, "*" if origins is None else origins)
        return _parse(scope, await _document(scope, receive, max_channels), max_channels)
    if scope["method"] not in ("GET", "HEAD"):
        raise Problem(405, "streams are read by GET, or by POST with a JSON body", {"allow": "GET, HEAD, POST"})
    return _parse(scope, names.query(scope, QUERY_NAMES), max_channels)


def _parse(scope: Scope, query: Query, max_channels: int) -> StreamRequest:
    asked = query.get("channel", [])
    if not asked:
        raise Problem(400, "channel: at least one is needed, as in ?channel=orders&channel=stock.*")
    if len(asked) > max_channels:
        raise Problem(400, f"channel: {len(asked)} given, at most {max_channels} are allowed")
    try:
        wanted = channels.parse(asked, [name for name in channels.EXTRAS if _switch(query, name)])
    except ValueError as error:
        raise Problem(400, f"channel: {error}") from error
    heartbeat: Any = query.get("heartbeat", ["event"])[-1]
    if heartbeat not in get_args(Heartbeat):
        raise Problem(400, "heartbeat: expected id, event or comment")
    begin = _begin(query)
    headers = (value.decode("utf-8", "replace") for value in header_values(scope, b"last-event-id"))
    written = (value for name in CURSORS for value in reversed(query.get(name, [])))
    return StreamRequest(wanted, next(filter(None, (*headers, *written)), ""), heartbeat, begin)


def _switch(query: Query, name: str) -> bool:
    value = query.get(name, ["0"])[-1]
    if value not in ("0", "1"):
        raise Problem(400, f"{name}: expected 0 or 1")
    return value == "1"


def _begin(query: Query) -> Begin:
    given = [name for name in STARTING_POINTS if name in query]
    if not given:
        return None
    if len(given) > 1:
        raise Problem(400, f"{given[1]}: only one of from, last and since may be given, found {' and '.join(given)}")
    [name] = given
    value = query[name][-1]
    if name == "from":
        if value != "earliest":
            raise Problem(400, "from: expected earliest")
        return "earliest"
    if name == "last":
        if not (value.isascii() and value.isdigit() and len(value) <= 4 and 0 <= int(value) <= MOST_LAST):
            raise Problem(400, f"last: expected a number of events from 0 to {MOST_LAST}")
        return int(value)
    return since(value)


def since(text: str) -> Since:
    """A point in time: seconds since 1970, or a date and time of RFC 3339; Problem 400 for anything else."""
    if _SECONDS.fullmatch(text):
        return Since(text, math.ceil(Decimal(text) * 1000))
    written = re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", text)  # the "+" of an address that nobody has encoded
    try:
        passed = datetime.fromisoformat(written.upper() if _TIME.fullmatch(written) else "") - _EPOCH
    except ValueError:
        expected = "a time such as 2026-11-28T20:15:00Z or 2026-11-28T22:15:00+02:00 (RFC 3339), or seconds since 1970"
        raise Problem(400, f"since: expected {expected}") from None
    return Since(text, max(0, -(-passed // timedelta(milliseconds=1))))  # Kafka knows no time before 1970


async def _document(scope: Scope, receive: Receive, max_channels: int) -> Query:
    """The body of a POST, as a query would say it."""
    document = body.document(await body.read(scope, receive, max_channels * _NAME_BYTES + _OTHER_BYTES))
    if not isinstance(document, dict):
        raise Problem(422, 'expected an object such as {"channel": ["orders", "stock.*"]}')
    found: Query = {}
    for name, value in document.items():
        if name not in BODY_NAMES:
            raise Problem(422, f"{name[:100]}: {names.unknown(name, BODY_NAMES)}")
        values = value if isinstance(value, list) and name == "channel" else [value]
        found[name] = [_text(name, one) for one in values]
    return found


def _text(name: str, value: Json) -> str:
    if isinstance(value, str):
        if names.CONTROL.search(value):
            raise Problem(422, f"{name}: a control character is in it")
        return value
    if name in channels.EXTRAS:
        if isinstance(value, (bool, int)) and value in (0, 1):
            return str(int(value))
        raise Problem(422, f"{name}: expected true, false, 1 or 0")
    if name in _NUMBERS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(int(value) if value == value // 1 else value)
    raise Problem(422, f"{name}: expected a text" + (" or a list of texts" if name == "channel" else ""))


def require_chunks(scope: Scope) -> None:
    """Raise a Problem for HTTP/1.0, which has no chunks: a stream is written in chunks."""
    if scope["http_version"] == "1.0":
        raise Problem(505, "streams need HTTP/1.1", {"connection": "close"})
