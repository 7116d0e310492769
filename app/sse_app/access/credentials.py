"""What a request presents: an Authorization header, a ticket in a stream's query, or the session's cookie."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs

from sse_app.base.metrics import Refusal
from sse_app.base.problem import Problem

COOKIE = "__Host-sse"  # the prefix has browsers insist on Secure and Path=/, and no Domain (RFC 6265bis, 4.1.3.2)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_MOST_BYTES = 8192  # of a credential; NGINX reads header lines of 8 KB


class RefusedError(Exception):
    """Why a credential is not accepted, in words for its bearer; `reason` is the same as a word for a metric."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(detail)
        self.reason: Refusal = reason


class Presented(NamedTuple):
    """A credential as it came."""

    kind: Literal["bearer", "ticket", "session"]
    value: str


def presented(scope: MutableMapping[str, Any], *, ticket: bool = False) -> Presented:
    """The one credential of a request; RefusedError for none and a malformed one, Problem for two (RFC 6750, 2).

    :param ticket: whether one in the query counts; elsewhere a query would only leak it
    """
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
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
    # Browsers add it to whatever they send, so it never contradicts what was said on purpose.
    cookie = next((value for name, value in _cookies(scope) if name == COOKIE), None)
    if cookie is None:
        raise RefusedError("missing", "a credential is needed: Authorization: Bearer, a ticket or a session")
    return _bounded(Presented("session", cookie))


def same_origin(scope: MutableMapping[str, Any]) -> bool:
    """Whether a browser says that the page itself asks; every one does so over https (W3C Fetch Metadata)."""
    return [value for name, value in scope["headers"] if name == b"sec-fetch-site"] == [b"same-origin"]


def _bounded(found: Presented) -> Presented:
    if len(found.value) > _MOST_BYTES or not _TOKEN.fullmatch(found.value):
        raise RefusedError("malformed", f"the credential is malformed, or over {_MOST_BYTES} bytes")
    return found


def _cookies(scope: MutableMapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                pairs.append((key, text))
    return pairs
