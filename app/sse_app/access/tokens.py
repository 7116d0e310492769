"""JSON Web Tokens (RFC 7519, and RFC 8725's advice). Imported only where they are configured: cryptography is heavy.

The algorithm follows from the key, never from the token: a secret is HS256, an RSA key RS256, a P-256 key ES256.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import jwt
from jwt.types import Options

from sse_app.access import api_keys, watched_file
from sse_app.access.credentials import RefusedError
from sse_app.access.principal import Principal

_OPTIONS: Options = {"require": ["exp", "sub"], "enforce_minimum_key_length": True}
_SECRET_BYTES = 32  # RFC 7518, section 3.2
_MOST_KEYS = 100
_MOST_SUBJECT = 200  # characters: it is part of every record's key
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("oct", None): "HS256"}


@dataclass(frozen=True)
class Key:
    """A key that verifies; `source` names it without telling anything of a secret."""

    source: str
    id: str | None
    algorithm: str
    material: Any


def from_secrets(text: bytes) -> list[Key]:
    """The keys of a file of secrets, one a line."""
    return [_oct(secret, None) for secret in watched_file.lines(text, _SECRET_BYTES)]


def from_jwks(text: bytes) -> list[Key]:
    """The signing keys of a JWK set (RFC 7517); others in it are left out. ValueError for a set with none."""
    listed = watched_file.entries(text, _MOST_KEYS, 'a JWK set, {"keys": [...]},')
    found = [key for index, one in enumerate(listed) if (key := _jwk(one, f"keys[{index}]"))]
    if not found:
        raise ValueError("no RSA, P-256 or secret (oct) key for signatures in it")
    return found


def _jwk(given: Any, where: str) -> Key | None:
    jwk = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    algorithm = _ALGORITHMS.get((str(jwk.get("kty")), jwk.get("crv")))
    if algorithm is None or jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    if algorithm != "HS256" and "d" in jwk:
        raise ValueError(f"{where}: a private key; only its public part belongs here")
    try:
        material = jwt.PyJWK(jwk, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(f"{where}: not a {algorithm} key ({type(error).__name__})") from None
    id_ = jwk.get("kid")
    if algorithm == "HS256":
        if len(material) < _SECRET_BYTES:
            raise ValueError(f"{where}: a secret needs at least {_SECRET_BYTES} bytes")
        return _oct(material, id_)
    if algorithm == "RS256" and material.key_size < 2048:
        raise ValueError(f"{where}: an RSA key needs at least 2048 bits")
    public = json.dumps([jwk.get(part) for part in ("kty", "n", "e", "crv", "x", "y")]).encode()
    return Key(_source(public), id_, algorithm, material)


def _oct(secret: bytes, id_: str | None) -> Key:
    return Key(_source(b"oct" + secret), id_, "HS256", secret)


def _source(material: bytes) -> str:
    return "jwt:" + base64.urlsafe_b64encode(hashlib.sha256(material).digest()[:16]).decode().rstrip("=")


class Verifier:
    """Verifies tokens with the keys of today."""

    def __init__(self, given: Callable[[], Sequence[Key]], audience: str, issuer: str, leeway: int) -> None:
        self._keys = given
        self._audience = audience or None
        self._issuer = issuer or None
        self._leeway = leeway

    def verify(self, token: str) -> Principal:
        """Who bears it; RefusedError says why nobody does."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise RefusedError("malformed", "not a JSON Web Token") from None
        if "crit" in header:
            raise RefusedError("malformed", "crit: no extension is understood here")
        algorithm, id_ = header.get("alg"), header.get("kid")
        fitting = [key for key in self._keys() if key.algorithm == algorithm and (id_ is None or key.id in (id_, None))]
        refused = RefusedError("unknown_key", "no key of that algorithm and id is known here")
        for key in fitting:
            try:
                return self._principal(self._claims(token, key), key)
            except jwt.InvalidSignatureError:
                refused = RefusedError("signature", "the signature does not verify")
        raise refused

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options=_OPTIONS,
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError:
            raise RefusedError("expired", "the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise RefusedError("immature", "the token is not valid yet") from None
        except jwt.MissingRequiredClaimError as error:
            raise RefusedError("claims", f"the token has no {error.claim}") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise RefusedError("claims", "the token is for another audience or by another issuer") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise RefusedError("malformed", "the token is malformed") from None

    def _principal(self, claims: dict[str, Any], key: Key) -> Principal:
        subject, expires = claims["sub"], float(claims["exp"])
        if not subject.isprintable() or not 1 <= len(subject) <= _MOST_SUBJECT or not math.isfinite(expires):
            raise RefusedError("claims", f"sub: expected 1 to {_MOST_SUBJECT} printable characters")
        try:
            rights = [api_keys.patterns(claims.get(right, []), right) for right in ("publish", "subscribe")]
        except ValueError as error:
            raise RefusedError("claims", str(error)) from None
        return Principal(f"jwt:{subject}", rights[0], rights[1], key.source, expires + self._leeway)
