"""JSON Web Keys (RFC 7517): which keys of a set verify tokens here, and what is wrong with one.

It needs nothing but Python's own library: sse_app/token_keys.py looks at a file on machines that have nothing else, and
whatever it accepts there makes a key in tokens.py.
"""

import base64
from typing import NamedTuple

from sse_app.access import watched_file
from sse_app.base.json_value import Json, JsonObject

SECRET_BYTES = 32  # of a secret for HS256 at least: RFC 7518, section 3.2
_MOST_KEYS = 100
_RSA_BITS = range(2048, 8192 + 1)
_MOST_EXPONENT = 2**33 - 1  # as BoringSSL: 65537 is usual, and to verify with one of 3072 bits takes 100 times as long
_ALGORITHMS = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256", ("oct", ""): "HS256"}
# P-256: NIST SP 800-186, section 3.2.1.3. Its points are those with y*y = x*x*x - 3*x + B, modulo P.
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_COORDINATE = 32  # bytes


class Jwk(NamedTuple):
    """One key of a set, which is known to be good."""

    algorithm: str
    id: Json
    secret: bytes  # for HS256
    given: JsonObject


def listed(text: bytes) -> list[Json]:
    """The keys of a set; ValueError for what is no set."""
    return watched_file.entries(text, _MOST_KEYS, 'a JWK set, {"keys": [...]},')


def parse(text: bytes) -> list[Jwk]:
    """The signing keys of a set; other keys in it are ignored. ValueError for a set without any, or with a bad one."""
    found = [key for index, one in enumerate(listed(text)) if (key := read(one, f"keys[{index}]"))]
    if not found:
        raise ValueError("expected an RSA, P-256 or secret (oct) key for signatures: the set has none")
    return found


def read(given: Json, where: str) -> Jwk | None:
    """One key of a set; None for one that verifies nothing here. ValueError says what is wrong, and shows no value."""
    fields = given if isinstance(given, dict) else {}
    algorithm = _ALGORITHMS.get((str(fields.get("kty")), str(fields.get("crv") or "")))
    if algorithm is None or fields.get("use", "sig") != "sig" or fields.get("alg", algorithm) != algorithm:
        return None
    if algorithm != "HS256" and "d" in fields:
        raise ValueError(f"{where}: this is a private key; expected its public part only")
    numbers = {"RS256": ("n", "e"), "ES256": ("x", "y"), "HS256": ("k",)}[algorithm]
    try:
        values = [_decoded(fields.get(name)) for name in numbers]
    except ValueError:
        expected = " and ".join(numbers)
        raise ValueError(f"{where}: expected a {algorithm} key, with {expected} in base64url") from None
    if algorithm == "HS256":
        if len(values[0]) < SECRET_BYTES:
            raise ValueError(f"{where}: expected a secret of at least {SECRET_BYTES} bytes")
        return Jwk(algorithm, fields.get("kid"), values[0], fields)
    first, second = (int.from_bytes(value) for value in values)
    if algorithm == "RS256":
        _require_rsa(first, second, where)
    elif {len(value) for value in values} != {_COORDINATE} or not _on_curve(first, second):
        raise ValueError(f"{where}: expected a P-256 key: x and y are no point of that curve")
    return Jwk(algorithm, fields.get("kid"), b"", fields)


def _require_rsa(modulus: int, exponent: int, where: str) -> None:
    if modulus.bit_length() not in _RSA_BITS:
        raise ValueError(f"{where}: expected an RSA key of {_RSA_BITS[0]} to {_RSA_BITS[-1]} bits")
    if exponent > _MOST_EXPONENT:
        most = _MOST_EXPONENT.bit_length()
        raise ValueError(f"{where}: expected an RSA key whose exponent e has at most {most} bits")
    if exponent < 3 or not exponent & modulus & 1:
        raise ValueError(f"{where}: expected an RSA key with odd n and e, and e of at least 3")


def _on_curve(x: int, y: int) -> bool:
    return max(x, y) < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def _decoded(value: Json) -> bytes:
    text = value.encode() if isinstance(value, str) else b""
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
