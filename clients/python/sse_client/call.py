"""A request with one JSON answer, without a socket: it is repeated until the answer is final or the time is up."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import quote, urlencode

from sse_client import exchange
from sse_client.errors import OutcomeUnknownError, RefusedError, SseError, UnreachableError
from sse_client.events import Message, Page, Ticket, document
from sse_client.exchange import Again, Answer, Request, Route

ATTEMPT_SECONDS = 15.0  # more than the deadline of the service (5 s by default) and the time of a proxy
LONGEST_ANSWER = 64 * 2**20  # bytes
_FIRST_BACKOFF = 0.1  # seconds
_LATER = exchange.LATER | {500}  # a publish has a key, and a question changes nothing
Sent = Literal["no", "yes", "maybe"]


class Call:
    """One request. For each attempt: request, and answered or failed."""

    def __init__(
        self, method: str, url: str, body: bytes | None = None, *, key: str = "", expected: str = "JSON"
    ) -> None:
        self.route = Route(url)
        self.expected = expected
        self._method = method
        self._body = body
        self._key = key
        self._failures = 0
        self._refreshed = False
        self._unknown = False  # whether an attempt may have been carried out
        self._last: SseError | None = None

    def request(self, headers: Mapping[str, str | bytes]) -> Request:
        """What to send now; `headers` are those of the caller and of the credential, for a trusted address alone."""
        sent: dict[str, str | bytes] = {**(headers if self.route.trusted else {}), "Accept": "application/json"}
        sent["Accept-Encoding"] = "identity"
        if self._body is not None:
            sent["Content-Type"] = "application/json"
        if self._key:
            sent["Idempotency-Key"] = self._key
        return Request(self._method, self.route.url, sent, self._body)

    def answered(self, answer: Answer, *, can_refresh: bool) -> dict[str, Any] | Again:
        """The document of an answer, or when to ask again. Raises what is final."""
        url = self.route.url
        if answer.status in (200, 201, 202):
            found = document(answer.body)
            if not found:
                raise exchange.unexpected(answer, url, self.expected)
            return found
        if answer.status in exchange.REDIRECTS and (answer.status != 303 or self._method == "GET"):
            self.route.follow(answer)  # with its body: the key makes sure that it counts once
            return Again(0, "it was sent on")
        if answer.status in _LATER:
            self._unknown = self._unknown or not _stored_nothing(answer)
            self._last = exchange.refused(answer, url)
            return self._later(exchange.retry_after(answer.headers))
        if answer.status == 401 and can_refresh and not self._refreshed and self.route.trusted:
            self._refreshed = True
            self.route.begin()
            return Again(0, "the token does not count any more", refresh=True)
        if answer.status >= 400:
            note = "" if self.route.trusted else "; the credential was not sent, because a redirect led to another host"
            raise exchange.refused(answer, url, note if answer.status in (401, 403) else "")
        raise exchange.unexpected(answer, url, self.expected)

    def failed(self, why: str, *, sent: bool) -> Again:
        """When to ask again after an attempt without an answer; `sent` says that the service may have got it."""
        self._unknown = self._unknown or sent
        self._last = UnreachableError(f"{self.route.url.partition('?')[0]} gave no answer: {why}")
        return self._later(0)

    def _later(self, seconds: float) -> Again:
        self._failures += 1
        self.route.begin()
        return Again(max(seconds, exchange.backoff(_FIRST_BACKOFF, self._failures)), str(self._last))

    def expired(self) -> SseError:
        """The error where the time is up."""
        last = str(self._last) if self._last else ""
        if self._key and self._unknown:
            return OutcomeUnknownError(self._key, last)
        if isinstance(self._last, RefusedError):
            return self._last
        return UnreachableError(f"{last or self.route.url.partition('?')[0] + ' gave no answer in time'}")


def checked_seconds(seconds: float, name: str = "seconds") -> float:
    """A time to try or to wait for; raises ValueError where it leaves none, since nothing would come of it."""
    if not seconds > 0:
        raise ValueError(f"{name}: found {seconds}; expected more than 0, such as 30")
    return seconds


def _stored_nothing(answer: Answer) -> bool:
    """Tell whether an answer that asks for another attempt says that this one was not carried out."""
    problem = document(answer.body)
    return answer.status == 429 or (answer.status == 503 and "status" in problem and "outcome" not in problem)


def batch(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The events of a batch, which may come from a generator; raises ValueError for a single one."""
    if isinstance(events, Mapping):  # its names would be the events
        raise ValueError("events: found one; expected a list of events")  # noqa: TRY004 - as for every argument
    return list(events)


def publish(base: str, events: Sequence[Mapping[str, Any]], key: str, ticket: str) -> Call:
    """The call that publishes events, all or none; raises ValueError for what is no JSON."""
    if not events:
        raise ValueError("events: at least one is needed")
    try:
        body = json.dumps(list(events), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise ValueError("events: a text holds half of a surrogate pair, which UTF-8 cannot express") from None
    except (TypeError, RecursionError) as error:
        raise ValueError(f"events: {error}: expected what JSON can express") from None
    url = f"{base}/events" + (f"?{urlencode({'ticket': ticket})}" if ticket else "")
    return Call("POST", url, body, key=exchange.valid_key(key), expected='status 202 with JSON that has "ids"')


def ids(found: dict[str, Any], call: Call, count: int) -> list[str]:
    """The ids of events that were stored."""
    given = found.get("ids")
    if isinstance(given, list) and len(cast("list[Any]", given)) == count:
        return [str(one) for one in cast("list[Any]", given)]
    raise _other(found, call)


def history(base: str, channel: str, limit: int, before: str, after: str) -> Call:
    """The call for a part of the history of a channel."""
    if before and after:
        raise ValueError("before and after cannot be combined: choose one")
    query = {"limit": str(limit)} | ({"before": before} if before else {}) | ({"after": after} if after else {})
    url = f"{base}/channels/{quote(channel, safe='')}/history?{urlencode(query)}"
    return Call("GET", url, expected='JSON that has "events"')


def page(found: dict[str, Any], call: Call) -> Page:
    """A part of the history."""
    try:
        events = [Message(str(one["event"]), str(one["data"]), str(one["id"])) for one in found["events"]]
    except (KeyError, TypeError):
        raise _other(found, call) from None
    cursor = str(found.get("cursor") or (events[-1].id if events else ""))
    gap = found.get("gap")
    reason = str(cast("dict[str, Any]", gap).get("reason") or "") if isinstance(gap, dict) else ""
    return Page(events, cursor, str(found.get("before") or ""), str(found.get("after") or ""), reason)


def next_page(found: Page, *, forward: bool) -> tuple[str, str]:
    """The `before` and the `after` that ask for the page that follows in a direction; both empty at the end."""
    if not forward:
        return found.before, ""
    return "", found.after or (found.events[-1].id if found.events else "")


def ticket(base: str, subscribe: Sequence[str] | None, publish: Sequence[str] | None, seconds: int | None) -> Call:
    """The call for a ticket: with all the rights of the credential to subscribe, or with those that are named."""
    for right, named in (("subscribe", subscribe), ("publish", publish)):
        if isinstance(named, str):  # each letter would be a channel, and the star of "orders.*" everything
            expected = f"expected a list of channels, such as [{named!r}]"
            raise ValueError(f"{right}: found {named!r}; {expected}")  # noqa: TRY004 - as for every argument
    if seconds is not None and not subscribe and not publish:
        raise ValueError("ttl: it goes with the rights of the ticket: give subscribe, publish or both")
    wish: dict[str, Any] = {}
    if subscribe is not None or publish is not None:
        wish = {"subscribe": list(subscribe or ()), "publish": list(publish or ())}
        wish |= {"seconds": seconds} if seconds is not None else {}
    body = json.dumps(wish).encode() if wish else b""
    return Call("POST", f"{base}/tickets", body, expected='JSON that has "ticket"')


def issued(found: dict[str, Any], call: Call) -> Ticket:
    """The ticket of an answer."""
    try:
        return Ticket(str(found["ticket"]), int(found["begins_until"]), int(found["expires"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _other(found, call) from None


def _other(found: dict[str, Any], call: Call) -> SseError:
    answer = Answer(200, {"content-type": "application/json"}, json.dumps(found).encode())
    return exchange.unexpected(answer, call.route.url, call.expected)
