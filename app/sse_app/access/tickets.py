"""Credentials that the service itself signs for browsers: a ticket for the query of a stream, a session for a cookie.

Nothing is stored, so that every replica with the signing key accepts them, and Redis is not asked. Each names the
credential behind it, has no more rights than that one, and is refused once that one is.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["ticket", "session"]

KEY_BYTES = 32
MOST_BYTES = 3500  # of a ticket: a browser keeps 4096 bytes of a cookie, NGINX reads 8 KB of a request line


class Ticket(NamedTuple):
    """Times are Unix seconds. The rights are those of a token; the rights of an API key are looked up instead.

    A narrow one carries rights of its own, which count as far as its credential still has them, and an id, because two
    that are given within a second would be equal otherwise.
    """

    kind: Kind
    name: str
    source: str
    publish: list[str]
    subscribe: list[str]
    given: int
    expires: int
    fresh_until: int  # from then on it only resumes streams
    narrow: str | bool = ""  # the id; True in those of replicas that give none yet


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with the first key and verifies with all of them."""

    keys: Callable[[], Sequence[bytes]]

    def sign(self, ticket: Ticket) -> str:
        """The ticket as text; ValueError when it would be too long to be sent."""
        body = _encoded(json.dumps(ticket, separators=(",", ":")).encode())
        signed = f"{body}.{_encoded(_mac(self.keys()[0], body))}"
        if len(signed) > MOST_BYTES:
            raise ValueError(f"its rights take more than {MOST_BYTES} bytes")
        return signed

    def verify(self, kind: Kind, text: str) -> Ticket | None:
        """The ticket, if this service signed it and it is of this kind; the caller must check its times."""
        body, _, mac = text.partition(".")
        try:
            presented = _decoded(mac)
        except ValueError:
            return None
        genuine = False
        for key in self.keys():
            genuine |= hmac.compare_digest(presented, _mac(key, body))
        if not genuine:
            return None
        fields: Any = json.loads(_decoded(body))  # its signature says that sign() wrote it
        ticket = Ticket(*fields)
        return ticket if ticket.kind == kind else None


def _mac(key: bytes, body: str) -> bytes:
    return hmac.new(key, b"sse_app ticket\0" + body.encode(), hashlib.sha256).digest()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
