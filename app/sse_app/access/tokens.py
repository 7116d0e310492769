"""JSON Web Tokens (RFC 7519, with the advice of RFC 8725). Imported only where it is used: cryptography is heavy.

The algorithm follows from the key, never from the token: a secret is HS256, an RSA key RS256, a P-256 key ES256.
"""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import jwt
from jwt.types import Options

from sse_app.access import api_keys, jwk, watched_file
from sse_app.access.credentials import RefusedError
from sse_app.access.principal import Principal
from sse_app.base.json_value import Json, JsonObject
from sse_app.base.settings import Settings

_OPTIONS: Options = {"require": ["exp", "sub"], "enforce_minimum_key_length": True}
_MOST_VALUES = 100  # of a header, which is parsed again and again, and nobody pays for it: honest ones have some five
_MOST_NAME = 200  # characters of a subject or an issuer: both are part of the key of every record
_LATEST = 253_402_300_799  # the end of the year 9999, in Unix seconds: a timer takes no longer time


@dataclass(frozen=True)
class Key:
    """A key that verifies tokens; `source` names it and tells nothing of a secret."""

    source: str
    id: Json  # of a JWK: text, or a value that no token can name
    algorithm: str
    material: Any  # as PyJWT made it: a type for each algorithm
    issuer: str = ""  # whose tokens alone it verifies; empty: those of SSE_JWT_ISSUER, or of everybody


@lru_cache(maxsize=100)  # asked twice for each token of an issuer
def unverified(token: str) -> tuple[str, Json]:
    """The issuer and the key that a token names, which anybody can write; empty and None for what is no token."""
    try:
        _refuse_crowd(token)
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        return "", None
    return str(claims.get("iss", "")), header.get("kid")


def _refuse_crowd(token: str) -> None:
    """Raise PyJWTError for a header with so many values that to parse it would cost more than everything else."""
    head = token.partition(".")[0]
    try:
        text = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except ValueError:
        return  # it is refused in any case
    if text.count(b",") + text.count(b"[") + text.count(b"{") > _MOST_VALUES:
        raise jwt.PyJWTError


def from_secrets(text: bytes) -> list[Key]:
    """The keys of a file of secrets, one a line."""
    return [_secret_key(secret, None) for secret in watched_file.lines(text, jwk.SECRET_BYTES)]


def from_jwks(text: bytes) -> list[Key]:
    """The signing keys of a JWK set (RFC 7517); other keys in it are ignored. ValueError for a set without any."""
    return [_key(one) for one in jwk.parse(text)]


def from_issuer(text: bytes) -> list[Key]:
    """The public keys of the JWK set that an issuer serves. ValueError for a set without any.

    A key that is no good takes none of the others away (RFC 7517, section 5): nobody here can mend it. A set that
    anybody can read holds no secret that could sign.
    """
    found, wrong = list[Key](), ""
    for index, one in enumerate(jwk.listed(text)):
        try:
            known = jwk.read(one, f"keys[{index}]")
            found += [_key(known)] if known and known.algorithm != "HS256" else []
        except ValueError as error:
            wrong = wrong or f" ({error})"
    if not found:
        raise ValueError(f"expected an RSA or P-256 key for signatures: the set has none{wrong}")
    return found


def _key(known: jwk.Jwk) -> Key:
    if known.algorithm == "HS256":
        return _secret_key(known.secret, known.id)
    try:
        material = jwt.PyJWK(known.given, known.algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise ValueError(f"expected a {known.algorithm} key ({type(error).__name__})") from None
    public = json.dumps([known.given.get(part) for part in ("kty", "n", "e", "crv", "x", "y")]).encode()
    return Key(_source(public), known.id, known.algorithm, material)


def _secret_key(secret: bytes, id_: Json) -> Key:
    return Key(_source(b"oct" + secret), id_, "HS256", secret)


def _source(material: bytes) -> str:
    return "jwt:" + base64.urlsafe_b64encode(hashlib.sha256(material).digest()[:16]).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies tokens with the present keys."""

    keys: Callable[[], Sequence[Key]]
    settings: Settings
    issuers: Collection[str] = ()  # whose tokens only their own keys verify

    def verify(self, token: str) -> Principal:
        """The principal of a token; RefusedError says why it has none."""
        try:
            _refuse_crowd(token)
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise RefusedError("malformed", "the credential is not a JSON Web Token") from None
        if "crit" in header:
            raise RefusedError("malformed", "crit: this service knows no extension of tokens")
        algorithm, id_ = header.get("alg"), header.get("kid")
        fitting = [key for key in self.keys() if key.algorithm == algorithm and (id_ is None or key.id in (id_, None))]
        refused = RefusedError("unknown_key", "no key of this algorithm and id is known here")
        mine = self._of_issuer(fitting, token)
        if fitting and not mine:
            refused = RefusedError("claims", "the token is for another audience or by another issuer")
        for key in mine:
            try:
                return self._principal(self._claims(token, key), key)
            except jwt.InvalidSignatureError:
                refused = RefusedError("signature", "the signature is wrong")
        raise refused

    def _of_issuer(self, keys: list[Key], token: str) -> list[Key]:
        """The keys that may verify tokens of the issuer that this one names.

        Two issuers may serve the same keys, and whoever has another key here must not speak for an issuer. Only
        SSE_JWT_ISSUER says that the keys of files are those of one, too.
        """
        if not self.issuers:
            return keys
        name, __ = unverified(token)
        issuer = name if name in self.issuers else ""
        files = not issuer or issuer == self.settings.jwt_issuer
        return [key for key in keys if (key.issuer == issuer if key.issuer else files)]

    def _claims(self, token: str, key: Key) -> JsonObject:
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self.settings.jwt_audience or None,
                issuer=key.issuer or self.settings.jwt_issuer or None,
                leeway=self.settings.jwt_leeway_seconds,
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

    def _principal(self, claims: JsonObject, key: Key) -> Principal:
        for name in ("exp", "nbf", "iat"):
            if isinstance(claims.get(name, 0), (str, bool)):  # which PyJWT takes for a number
                raise RefusedError("claims", f"{name}: expected a number of seconds since 1970")
        subject, issuer = claims["sub"], claims.get("iss", "")
        if not isinstance(subject, str) or not isinstance(issuer, str):  # else 5 and "5" would be one publisher
            raise RefusedError("claims", "sub and iss: expected text")
        for name, value, least in (("sub", subject, 1), ("iss", issuer, 0)):
            if not value.isprintable() or not least <= len(value) <= _MOST_NAME:
                raise RefusedError("claims", f"{name}: expected {least} to {_MOST_NAME} printable characters")
        try:
            expires = float(str(claims["exp"]))
        except ValueError:
            expires = math.inf
        if not expires <= _LATEST:  # also refuses what is no number
            raise RefusedError("claims", "exp: expected a time before the year 10000")
        try:
            publish, subscribe = (api_keys.patterns(claims.get(right, []), right) for right in ("publish", "subscribe"))
        except ValueError as error:
            raise RefusedError("claims", str(error)) from None
        # Two issuers may use one subject: their publishers share neither keys nor a rate.
        name = f"iss:{quote(issuer, safe='')}/{subject}" if issuer else f"jwt:{subject}"
        return Principal(name, publish, subscribe, key.source, expires + self.settings.jwt_leeway_seconds)
