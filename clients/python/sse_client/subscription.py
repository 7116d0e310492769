"""A stream over many connections, without a socket: what to ask for, what an answer means, and when to come back."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sse_client import exchange
from sse_client.errors import SseError
from sse_client.events import Bye, Cursor, Message, StreamEvent, document, understood
from sse_client.exchange import Again, Answer, Request, Route
from sse_client.reader import LONGEST, Reader

_RETRY_MS = 2000  # before the service has said when to come back
_SHORTEST_SECONDS = 0.1  # after a connection that gave nothing, whatever the service says
_START = ("from", "last", "since")  # they count until there is a cursor
_READABLE = exchange.GZIP | {"", "identity"}  # content encodings
_LONGEST_ADDRESS = 8000  # what RFC 9110, section 4.1, asks everybody to take; NGINX takes 8 KB
_UNPACKED_BYTES = 2**20  # at once: a small part may hold a thousand times as much
EVENT_STREAM = "text/event-stream"


class CutError(SseError):
    """The connection ended, or what came over it cannot be read."""


class Subscription:
    """What one stream asks for and where it stands. For each connection: request, answered, and open or ended."""

    def __init__(
        self,
        base: str,
        channels: Sequence[str],
        *,
        last_event_id: str = "",
        start: Mapping[str, str] | None = None,
        ticket: str = "",
        cursors: bool = False,
        meta: bool = False,
        longest: int = LONGEST,
    ) -> None:
        if not channels:
            raise ValueError("channels: at least one is needed, such as 'orders' or 'stock.*'")
        for one in channels:
            if not isinstance(one, str):  # pyright: ignore[reportUnnecessaryIsInstance] - None would be a name, too
                raise ValueError(f"channels: found {one!r}; expected texts, such as 'orders', 'stock.*'")  # noqa: TRY004
        if any(character in last_event_id for character in "\r\n\0"):
            raise ValueError("last_event_id: a line end or NUL cannot be part of an id")
        if start and last_event_id:
            raise ValueError(f"{next(iter(start))}: it cannot be combined with last_event_id, which is where to go on")
        query = [*(("channel", one) for one in channels), *(start or {}).items()]
        query += [("ticket", ticket)] if ticket else []
        query += [("meta", "1")] if meta else []
        self.route = Route(f"{base}/stream?{urlencode(query)}")
        self.last_event_id: str = last_event_id
        self._cursors = cursors
        self._meta = meta
        self._described: dict[str, str] = {}  # channel and time of the next event
        self._longest = longest
        self._retry = _RETRY_MS / 1000
        self._retry_is_spread = False  # the service draws its `retry` for each stream
        self._failures = 0
        self._refreshed = False
        self._goodbye = ""
        self._reader = Reader(last_event_id, longest)
        self._inflate: Any = None
        self._fruitful = False

    def begin(self) -> None:
        """Begin a new connection."""
        self.route.begin()
        self._reader = Reader(self.last_event_id, self._longest)
        self._inflate = None
        self._fruitful = False
        self._described = {}

    def request(self, headers: Mapping[str, str | bytes]) -> Request:
        """What to send now; `headers` are those of the caller and of the credential, for a trusted address alone."""
        sent: dict[str, str | bytes] = {
            **(headers if self.route.trusted else {}),
            "Accept": EVENT_STREAM,
            "Accept-Encoding": "identity",
            "Cache-Control": "no-store",
        }
        url = self.route.url
        asked = parse_qsl(urlsplit(url).query, keep_blank_values=True)
        if self.last_event_id:
            sent["Last-Event-ID"] = exchange.sendable(self.last_event_id)
            asked = [(name, value) for name, value in asked if name not in _START]
            url = _address(url, asked)
        if len(url) <= _LONGEST_ADDRESS:
            return Request("GET", url, sent)
        document: dict[str, Any] = {name: value for name, value in asked if name not in ("channel", "ticket")}
        document["channel"] = [value for name, value in asked if name == "channel"]
        sent["Content-Type"] = "application/json"
        url = _address(url, [(name, value) for name, value in asked if name == "ticket"])
        return Request("POST", url, sent, json.dumps(document, separators=(",", ":")).encode())

    def opens(self, answer: Answer) -> bool:
        """Tell whether an answer is a stream, by WHATWG HTML, section 9.2.2; for any other read a part of its body."""
        encoding = answer.headers.get("content-encoding", "").strip().lower()
        if answer.status != 200 or answer.media_type != EVENT_STREAM or encoding not in _READABLE:
            return False
        self._inflate = _inflater() if encoding in exchange.GZIP else None
        self._refreshed = False
        return True

    def answered(self, answer: Answer, *, can_refresh: bool) -> Again | None:
        """What to do after an answer that is no stream: ask again, or end (None, after 204). Raises what is final."""
        if answer.status == 204:
            return None
        url = self.route.url
        if answer.status in exchange.REDIRECTS:
            self.route.follow(answer)
            return Again(0, f"it was sent on to {self.route.url.partition('?')[0]}")
        if answer.status in exchange.LATER:
            self._failures += 1
            wait = max(exchange.retry_after(answer.headers), exchange.backoff(self._retry, self._failures))
            self.begin()
            return Again(wait, str(exchange.refused(answer, url)))
        if answer.status == 401 and can_refresh and not self._refreshed and self.route.trusted:
            self._refreshed = True
            self.begin()
            return Again(0, "the token does not count any more", refresh=True)
        if answer.status >= 400:
            note = "" if self.route.trusted else "; the credential was not sent, because a redirect led to another host"
            raise exchange.refused(answer, url, note if answer.status in (401, 403) else "")
        encoding = answer.headers.get("content-encoding", "")
        raise exchange.unexpected(
            answer, url, f"status 200 with {EVENT_STREAM}{', not encoded as ' + encoding if encoding else ''}"
        )

    def feed(self, part: bytes) -> Iterator[StreamEvent]:
        """The events in a part of an open stream. Raises TooLongError, which is final, and CutError."""
        for plain in self._unpacked(part):
            for message in self._reader.feed(plain):
                self.last_event_id = self._reader.last_event_id
                self._fruitful = True
                found = message if isinstance(message, Cursor) else understood(message)
                if isinstance(found, Bye):
                    self._goodbye = found.reason
                if self._meta and isinstance(found, Message):
                    # One of them comes before each event. Publishers could name an event so before that name was taken.
                    if found.event == "meta" and not self._described:
                        self._described = _texts(document(found.data), "channel", "time")
                        continue
                    found, self._described = replace(found, **self._described), {}
                if self._cursors or not isinstance(found, Cursor):
                    yield found
            self.last_event_id = self._reader.last_event_id

    def _unpacked(self, part: bytes) -> Iterator[bytes]:
        if not self._inflate:
            yield part
            return
        try:
            while part:
                if self._inflate.eof:  # the next member (RFC 1952, section 2.2)
                    self._inflate = _inflater()
                yield self._inflate.decompress(part, _UNPACKED_BYTES)
                part = self._inflate.unconsumed_tail or self._inflate.unused_data
        except zlib.error:
            raise CutError("the stream is not valid gzip") from None

    def ended(self, why: str) -> Again:
        """When to connect again after a connection that has ended, or did not come about."""
        said = self._reader.retry
        if said is not None:
            self._retry, self._retry_is_spread = min(said / 1000, exchange.LONGEST_WAIT), True
        fruitful, goodbye = self._fruitful, self._goodbye
        self._goodbye = ""
        self.begin()
        if not fruitful and said is None:
            self._failures += 1
            wait = exchange.backoff(max(self._retry, _SHORTEST_SECONDS), self._failures)
        else:
            self._failures = 0
            wait = self._retry if self._retry_is_spread else exchange.backoff(self._retry, 0)
            wait = wait if fruitful else max(wait, _SHORTEST_SECONDS)
        refresh = goodbye in ("expired", "revoked")
        return Again(wait, f"the service said goodbye: {goodbye}" if goodbye else why, refresh=refresh)


def start_of(*, from_earliest: bool, last: int | None, since: datetime | float | str | None) -> dict[str, str]:
    """The query names of a starting point; raises ValueError where there are two of them."""
    found: dict[str, str] = {"from": "earliest"} if from_earliest else {}
    if last is not None:
        if last < 0:
            raise ValueError(f"last: found {last}; expected how many events, such as 10")
        found["last"] = str(last)
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ValueError("since: this time has no zone; give one, such as datetime.now(timezone.utc)")
        since = since.isoformat()
    if since is not None:
        found["since"] = str(since)
    if len(found) > 1:
        raise ValueError(f"{' and '.join(found)} are two starting points: choose one")
    return found


def _inflater() -> Any:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _address(url: str, query: list[tuple[str, str]]) -> str:
    """An address with another query."""
    return f"{url.partition('?')[0]}?{urlencode(query)}" if query else url.partition("?")[0]


def _texts(fields: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: fields[name] for name in names if isinstance(fields.get(name), str)}
