"""One request and its answer without a socket: where it goes, what it carries, and what the answer means.

The synchronous and the asynchronous client do what a Step says, and decide nothing themselves.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from sse_client.errors import RedirectError, RefusedError, UnexpectedAnswerError
from sse_client.events import document

LONGEST_WAIT = 300.0  # seconds; whatever an answer says, the client tries again by then
_LONGEST_BACKOFF = 60.0
_MOST_REDIRECTS = 20  # as browsers have it (Fetch, section 4.4)
PERMANENT = frozenset({301, 308})
REDIRECTS = PERMANENT | {302, 303, 307}
# Statuses that are worth another attempt; those from 520 on are what a CDN says when it cannot reach the service.
LATER = frozenset({408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524})
GZIP = frozenset({"gzip", "x-gzip"})  # content encodings
EXCERPT_BYTES = 65_536  # of an answer that is no stream
_SHOWN = 120  # characters of it in an error
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Request:
    """What goes out."""

    method: str
    url: str
    headers: Mapping[str, str | bytes]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came; the names of the headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""  # its beginning, where it is no stream

    @property
    def media_type(self) -> str:
        """The type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def with_body(self, body: bytes, most: int) -> Answer:
        """This answer with its body, of which at most so many bytes are unpacked."""
        if self.headers.get("content-encoding", "").strip().lower() in GZIP:
            with suppress(zlib.error):  # then it is shown as it came
                body = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, most)
        return replace(self, body=body)


@dataclass(frozen=True, slots=True)
class Again:
    """Ask again after so many seconds; `why` is for people."""

    seconds: float
    why: str
    refresh: bool = False  # ask for a new token first


class Route:
    """Where requests go: a permanent redirect stays, another one counts for one request."""

    def __init__(self, url: str) -> None:
        self._home = urlsplit(url)
        self._kept = url  # for every request
        self.url = url  # for this one
        self._hops = 0
        self._permanent = True

    def begin(self) -> None:
        """Begin a new request."""
        self.url, self._hops, self._permanent = self._kept, 0, True

    def follow(self, answer: Answer) -> None:
        """Go where a redirect leads; raises RedirectError."""
        location = answer.headers.get("location", "")
        self._hops += 1
        if self._hops > _MOST_REDIRECTS:
            raise RedirectError(f"{self._kept} leads from one address to the next without end; the last is {self.url}")
        if not location:
            raise RedirectError(f"{self.url} answered with status {answer.status} and no Location")
        try:
            target = urljoin(self.url, quote(location, safe="%/:=&?~#+!$,;'@()*[]")).partition("#")[0]
            usable = is_address(urlsplit(target))
        except ValueError:
            target, usable = "", False
        if not usable:
            raise RedirectError(f"{self.url} leads to {location[:_SHOWN]!r}, which is no address of HTTP")
        self._permanent = self._permanent and answer.status in PERMANENT
        self.url = target
        if self._permanent:
            self._kept = target

    @property
    def trusted(self) -> bool:
        """Tell whether this address may get the credential: the same origin, or the same host by HTTPS."""
        home, here = origin(self._home), origin(urlsplit(self.url))
        return home == here or (home[:2] == ("http", here[1]) and here[0] == "https")


def origin(url: SplitResult) -> tuple[str, str, int]:
    """Scheme, host and port."""
    return url.scheme, url.hostname or "", url.port or {"https": 443}.get(url.scheme, 80)


def is_address(url: SplitResult) -> bool:
    """Tell whether this is an address of HTTP with a host; ValueError, too, is a no."""
    host = url.hostname or ""
    # The codec, by which sockets look a name up, refuses parts that are empty or longer than 63 characters.
    return url.scheme in ("http", "https") and bool(host) and bool(origin(url)) and bool(host.encode("idna"))


def base_of(url: str) -> str:
    """The address of the API of a service; raises ValueError."""
    try:
        found = urlsplit(url.strip())
        usable = is_address(found)
    except ValueError:
        usable, found = False, urlsplit("")
    if "@" in found.netloc:
        raise ValueError("url: an address with a password in it is not taken: give the credential as `token`")
    if not usable or found.query or found.fragment or not url.strip().isascii() or " " in url.strip():
        raise ValueError(f"url: found {url!r}; expected an address such as https://sse.example.org")
    path = found.path.rstrip("/").removesuffix("/api/v1")
    return f"{found.scheme}://{found.netloc}{path}/api/v1"


def own_headers(headers: Mapping[str, str]) -> dict[str, str | bytes]:
    """Headers of the caller, as UTF-8; raises ValueError, which shows no value, for what no header can carry."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _CONTROL.search(str(value)):
            raise ValueError(f"headers: found {name!r}; expected the name of a header, and a value on one line")
    return {name: str(value).encode() for name, value in headers.items()}


def sendable(last_event_id: str) -> bytes:
    """An id as a header carries it: without white space around it, and without what a header cannot have."""
    return _CONTROL.sub("?", last_event_id.strip(" \t")).encode()


def authorization(token: str) -> dict[str, str | bytes]:
    """The header of a token; raises ValueError, which does not show it."""
    value = token.strip()
    if not _VISIBLE.fullmatch(value):
        raise ValueError("token: expected visible ASCII characters, without a space or a line end inside")
    return {"Authorization": f"Bearer {value}"}


def valid_key(key: str) -> str:
    """An idempotency key that the service takes; raises ValueError."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"key: found {key[:_SHOWN]!r}; expected 1 to 200 visible ASCII characters")
    return key


def retry_after(headers: Mapping[str, str]) -> float:
    """The seconds of Retry-After (RFC 9110, section 10.2.3), which are a number or a date; bounded, 0 without it."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(LONGEST_WAIT, float(value[:12]))
    return min(LONGEST_WAIT, max(0.0, _time(value) - (_time(headers.get("date", "")) or _now()))) if value else 0.0


def _time(text: str) -> float:
    """Unix seconds of an HTTP date; 0 for another text."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _now() -> float:
    return datetime.now(UTC).timestamp()


def backoff(seconds: float, failures: int) -> float:
    """Twice as long each time, and spread, so that clients do not all come back at once."""
    return min(_LONGEST_BACKOFF, seconds * 2 ** min(failures, 16)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load


def refused(answer: Answer, url: str, note: str = "") -> RefusedError:
    """The error for a status that is final, with the reason of the service, or with what came instead of one."""
    problem = document(answer.body)
    if not isinstance(problem.get("detail"), str) and not isinstance(problem.get("title"), str):
        shown = excerpt(answer)
        came = f" with {answer.media_type or 'no content type'}, which begins with {shown!r}" if shown else ""
        problem = {"status": answer.status, "detail": f"{_address(url)} answered so{came}"}
    return RefusedError(answer.status, problem, note)


def unexpected(answer: Answer, url: str, expected: str) -> UnexpectedAnswerError:
    """The error for an answer that is not of the service; it shows what came."""
    return UnexpectedAnswerError(_address(url), answer.status, answer.media_type, excerpt(answer), expected)


def excerpt(answer: Answer) -> str:
    """How a body begins, on one line."""
    text = " ".join(answer.body[:EXCERPT_BYTES].decode("utf-8", "replace").split())
    return text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")


def _address(url: str) -> str:
    """The address without its query, which may hold a ticket."""
    return url.partition("?")[0]
