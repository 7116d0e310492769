"""The credential of a request: an Authorization header, a ticket in the query of a stream, or a session's cookie."""

import re
from typing import Literal, NamedTuple
from urllib.parse import parse_qs

from sse_app.base.asgi import Scope, header_values
from sse_app.base.outcomes import Refusal
from sse_app.base.problem import Problem

COOKIE = "__Host-sse"  # browsers demand Secure, Path=/ and no Domain for this prefix (RFC 6265bis, 4.1.3.2)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_SESSION = re.compile(rf"{re.escape(COOKIE)}=([^;]*)")
_MOST_BYTES = 8192  # of a credential; NGINX reads header lines of 8 KB


class RefusedError(Exception):
    """Why a credential is refused, in words for the client; `reason` is the same as the label of a metric."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason: Refusal = reason


class Presented(NamedTuple):
    """A credential as it came."""

    kind: Literal["bearer", "ticket", "session"]
    value: str


def presented(scope: Scope, *, ticket: bool = False) -> Presented | None:
    """The one credential of a request, or None; RefusedError for a malformed one, Problem for two (RFC 6750, 2).

    :param ticket: whether a ticket in the query counts; on other routes a query would only leak it
    """
    headers = [value.decode("latin-1") for value in header_values(scope, b"authorization")]
    query = scope["query_string"].decode("latin-1") if ticket else ""
    tickets = parse_qs(query).get("ticket", []) if "ticket=" in query else []
    if len(headers) + len(tickets) > 1:
        raise Problem(400, "more than one credential: send one Authorization header, or one ticket")
    if headers:
        scheme, _, value = headers[0].partition(" ")
        if scheme.lower() != "bearer":
            raise RefusedError("malformed", "Authorization: expected Bearer and an API key or a token")
        return _bounded(Presented("bearer", value.strip()))
    if tickets:
        return _bounded(Presented("ticket", tickets[0]))
    # A browser adds its cookie to every request, so a cookie beside another credential is no contradiction.
    found = (_session(value.decode("latin-1")) for value in header_values(scope, b"cookie"))
    cookie = next((value for value in found if value is not None), None)
    return None if cookie is None else _bounded(Presented("session", cookie))


def require_same_origin(scope: Scope) -> None:
    """Raise Problem 403 unless the browser says that a page of the same origin asks (W3C Fetch Metadata).

    Every browser says so over HTTPS.
    """
    if header_values(scope, b"sec-fetch-site") != [b"same-origin"]:
        raise Problem(403, "a session counts only for a page of the same origin (Sec-Fetch-Site: same-origin)")


def _bounded(found: Presented) -> Presented:
    if len(found.value) > _MOST_BYTES or not _TOKEN.fullmatch(found.value):
        raise RefusedError("malformed", f"the credential is malformed, or longer than {_MOST_BYTES} bytes")
    return found


def _session(cookies: str) -> str | None:
    """The value of our cookie; the others are not taken apart: 24 KB of them took 11 ms, for which nobody pays."""
    for found in _SESSION.finditer(cookies):
        before = cookies[: found.start()].rstrip()
        if not before or before.endswith(";"):
            return found[1].strip()
    return None
