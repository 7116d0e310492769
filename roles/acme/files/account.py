# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""An account at an ACME directory that takes only customers it knows (RFC 8555, section 7.3.4), such as ZeroSSL's.

The directory gives a customer a key by another way. A new account is bound to the customer by a signature with it.
lego can make such an account, but takes the key as a word of its command, which every user of the host can read.
So the account is made here, and left where lego looks for one. Pure but for random numbers; keeper.py asks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

LEAST_KEY = 16  # bytes of the key that binds
# P-256 (FIPS 186-5, SP 800-186): the field, the order of the base point, and that point; y^2 = x^3 - 3x + b.
FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 2**256 - 2**224 + 2**192 - 0x4319055258E8617B0C46353D039CDAAF
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
# An ECPrivateKey (RFC 5915) of this curve has its numbers at fixed places.
DER = (bytes.fromhex("3077 0201 0104 20"), bytes.fromhex("a00a 0608 2a86 48ce 3d03 0107 a144 0342 0004"))
Point = tuple[int, int] | None  # None is the point at infinity


def encoded(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Return the bytes of a key that binds; ValueError where it is no base64url, or too short."""
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    raw = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    if len(raw) < LEAST_KEY:
        raise ValueError("too short")
    return raw


def added(one: Point, other: Point) -> Point:
    """Add two points of the curve."""
    if one is None or other is None:
        return other if one is None else one
    if one[0] == other[0]:
        if (one[1] + other[1]) % FIELD == 0:
            return None
        slope = (3 * one[0] * one[0] - 3) * pow(2 * one[1], -1, FIELD) % FIELD
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, FIELD) % FIELD
    x = (slope * slope - one[0] - other[0]) % FIELD
    return x, (slope * (one[0] - x) - one[1]) % FIELD


def times(number: int, point: Point) -> Point:
    """Multiply a point."""
    found: Point = None
    while number:
        if number & 1:
            found = added(found, point)
        number, point = number >> 1, added(point, point)
    return found


class Key:
    """The key of an account. It signs once, in a container of its own, so the time that this takes tells nobody."""

    def __init__(self, secret: int | None = None) -> None:
        """Make a new one, unless its number is given."""
        self.secret = secret or 1 + secrets.randbelow(ORDER - 1)
        public = times(self.secret, BASE)
        assert public  # noqa: S101 - a number below the order never leads to infinity
        self.x, self.y = (one.to_bytes(32, "big") for one in public)

    @property
    def public(self) -> dict[str, str]:
        """The public part as JWK (RFC 7518, section 6.2.1)."""
        return {"kty": "EC", "crv": "P-256", "x": encoded(self.x), "y": encoded(self.y)}

    @property
    def pem(self) -> str:
        """The whole key as lego reads it."""
        der = DER[0] + self.secret.to_bytes(32, "big") + DER[1] + self.x + self.y
        text = base64.encodebytes(der).decode().replace("\n", "")
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        kind = "EC PRIVATE KEY"
        return "\n".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----")) + "\n"

    def signed(self, message: bytes, number: int | None = None) -> bytes:
        """Return an ES256 signature (RFC 7518, section 3.4): r and s of 32 bytes each."""
        digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
        while True:
            nonce = number or 1 + secrets.randbelow(ORDER - 1)
            point = times(nonce, BASE)
            r = point[0] % ORDER if point else 0
            s = pow(nonce, -1, ORDER) * (digest + r * self.secret) % ORDER
            if r and s:
                return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _jws(protected: dict[str, Any], payload: dict[str, Any]) -> dict[str, str]:
    return {"protected": encoded(json.dumps(protected).encode()), "payload": encoded(json.dumps(payload).encode())}


def _input(jws: dict[str, str]) -> bytes:
    return f"{jws['protected']}.{jws['payload']}".encode()


def binding(key: Key, kid: str, secret: bytes, url: str) -> dict[str, str]:
    """Return the JWS that binds an account to a customer: over the public key, with that of the directory."""
    jws = _jws({"alg": "HS256", "kid": kid, "url": url}, key.public)
    return {**jws, "signature": encoded(hmac.new(secret, _input(jws), hashlib.sha256).digest())}


def request(key: Key, email: str, bound: dict[str, str], url: str, nonce: str) -> bytes:
    """Return the body of a request for a new account (RFC 8555, section 7.3)."""
    wanted = {"termsOfServiceAgreed": True, "contact": [f"mailto:{email}"], "externalAccountBinding": bound}
    jws = _jws({"alg": "ES256", "jwk": key.public, "nonce": nonce, "url": url}, wanted)
    return json.dumps({**jws, "signature": encoded(key.signed(_input(jws)))}).encode()


def record(email: str, url: str) -> str:
    """Return the file by which lego knows the account."""
    body = {"status": "valid", "contact": [f"mailto:{email}"]}
    return json.dumps({"email": email, "registration": {"body": body, "uri": url}})
