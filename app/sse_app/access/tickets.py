"""Credentials that the service itself signs for browsers: a ticket for the query of a stream, a session for a cookie.

Stateless, so that any replica with the key accepts what another gave, and Redis is not asked. One is worth no more than
the credential that it was given for: it names that, and falls with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

Kind = Literal["ticket", "session"]

KEY_BYTES = 32
MOST_BYTES = 3500  # of a ticket: a browser keeps 4096 bytes of a cookie, NGINX reads 8 KB of a request line


class Ticket(NamedTuple):
    """Times are Unix seconds. The rights are those of a token; those of an API key are looked up."""

    kind: Kind
    name: str
    source: str
    publish: list[str]
    subscribe: list[str]
    given: int
    expires: int
    fresh_until: int  # from then on it only resumes streams


class Signer:
    """Signs with the first key and verifies with all of them."""

    def __init__(self, keys: Callable[[], Sequence[bytes]]) -> None:
        self._keys = keys

    def sign(self, ticket: Ticket) -> str:
        """The ticket as text; ValueError when it would be too long to be sent."""
        body = _encoded(json.dumps(ticket, separators=(",", ":")).encode())
        signed = f"{body}.{_encoded(_mac(self._keys()[0], body))}"
        if len(signed) > MOST_BYTES:
            raise ValueError(f"its rights take more than {MOST_BYTES} bytes")
        return signed

    def verify(self, kind: Kind, text: str) -> Ticket | None:
        """The ticket, if it is one of ours and of this kind; its times are the caller's to judge."""
        body, _, mac = text.partition(".")
        try:
            presented = base64.urlsafe_b64decode(mac + "=" * (-len(mac) % 4))
        except (ValueError, binascii.Error):
            return None
        genuine = False
        for key in self._keys():
            genuine |= hmac.compare_digest(presented, _mac(key, body))
        if not genuine:
            return None
        fields: Any = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        ticket = Ticket(*fields)
        return ticket if ticket.kind == kind else None


def _mac(key: bytes, body: str) -> bytes:
    return hmac.new(key, b"sse_app ticket\0" + body.encode(), hashlib.sha256).digest()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
