"""Credentials, bodies, bytes and cursors that hypothesis makes up: refused or taken, and never an error of the server.

SSE_FUZZ is how many of each are tried (40). What is found is tried first the next time, from .hypothesis.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sse_harness import Client, Replicas

from sse_app import keys
from sse_app.access.tickets import Ticket

EXAMPLES = int(os.environ.get("SSE_FUZZ", "40"))
SECRET = "canary-secret-of-more-than-32-bytes"
fuzz = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # fmt: skip

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
)
CHANNELS = st.sampled_from(["a", "orders.eu", "", "*", "a.*"]) | st.text(max_size=20)
EVENTS = st.fixed_dictionaries(
    {}, optional={"channel": CHANNELS | JSON, "data": JSON, "event": JSON, "key": JSON, "idempotency_key": JSON}
)
# Near to what is meant, and far from it.
BODIES = st.one_of(
    EVENTS.map(lambda one: json.dumps(one).encode()),
    st.lists(EVENTS, max_size=6).map(lambda several: json.dumps(several).encode()),
    st.lists(EVENTS, max_size=6).map(lambda several: json.dumps({"events": several}).encode()),
    JSON.map(lambda one: json.dumps(one).encode()),
    st.binary(max_size=300),
)
CLAIMS = st.dictionaries(
    st.sampled_from(["sub", "exp", "nbf", "iat", "iss", "aud", "publish", "subscribe", "jti", "crit", "x"]), JSON
)
HEADERS = st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jwk", "jku", "x5u", "b64", "zip"]), JSON)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """A replica that asks for credentials, and knows keys, tokens and tickets."""
    directory = tmp_path_factory.mktemp("fuzz")
    _, entry = keys.make("both", ["*"], ["*"])
    for name, text in (("keys", json.dumps({"keys": [entry]})), ("secret", SECRET), ("tickets", "t" * 32)):
        (directory / name).write_text(text)
    given_files = {"keys_files": "keys", "jwt_secret_file": "secret", "ticket_key_file": "tickets"}
    with Replicas(auth=True, **{key: str(directory / name) for key, name in given_files.items()}) as started:
        yield started


@pytest.fixture(scope="module")
def open_replica() -> Iterator[Replicas]:
    """A replica that takes events of everybody."""
    with Replicas() as started:
        yield started


def statuses(port: int, raw: bytes, *, leave: bool = True) -> list[int]:
    """Send bytes, and nothing after them; return the status of each answer, until the server closes or goes quiet.

    :param leave: say that nothing follows, which ends what is not whole, and whatever is not answered at once
    """
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        answered = b""
        try:
            client.sendall(raw)
            if leave:
                client.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline and (part := client.recv(65536)):
                answered += part
                if b"text/event-stream" in answered:  # it would never end
                    break
        except (ConnectionError, TimeoutError):
            pass
    heads = (line for line in answered.split(b"\r\n") if line.startswith(b"HTTP/1.1 "))
    return [int(head.split()[1]) for head in heads]


def asked(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request whose framing is right."""
    lines = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


def encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def signed(claims: dict[str, Any]) -> str:
    """Return a token with claims of any kind, signed with the right secret."""
    head, body = encoded({"alg": "HS256", "typ": "JWT"}), encoded(claims)
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), SECRET.encode()
    )
    return f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


# Right but for what hypothesis makes of some claims.
NEARLY = CLAIMS.map(lambda claims: {"sub": "u", "exp": int(time.time()) + 3600, "subscribe": ["a"], **claims})
TOKENS = st.one_of(
    CLAIMS.map(signed),
    NEARLY.map(signed),
    st.builds(lambda head, claims: f"{encoded(head)}.{encoded(claims)}.", HEADERS, CLAIMS),
    st.builds(lambda head, claims, mac: f"{encoded(head)}.{encoded(claims)}.{mac}", HEADERS, CLAIMS, st.text()),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=80),
    st.builds(lambda name, secret: f"{name}.{secret}", st.sampled_from(["both", "b", ""]), st.text(max_size=60)),
)


def presented(token: str, place: str) -> bytes:
    """Return a request that needs the right to subscribe to the channel a, with this credential."""
    if place == "ticket":
        return asked("GET", f"/api/v1/stream?channel=a&ticket={quote(token)}")
    headers = {"Authorization": f"Bearer {token}"} if place == "bearer" else {"Cookie": f"__Host-sse={token}"}
    return asked("GET", "/api/v1/channels/a/history", **headers)


@fuzz
@given(token=TOKENS, place=st.sampled_from(["bearer", "ticket", "cookie"]))
def test_no_credential_is_an_error_of_the_server(guarded: Replicas, token: str, place: str) -> None:
    token = token.replace("\r", "").replace("\n", "")
    found = statuses(guarded.port, presented(token, place), leave=False)
    assert found
    assert all(status in {200, 400, 401, 403, 431} for status in found)
    # Only claims that are signed, and that say who and until when, open anything.
    if found == [200]:
        options = {"verify_aud": False, "verify_iss": False}
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], options=options, leeway=60)
        assert isinstance(claims["sub"], str)
        assert claims["exp"] > time.time() - 60
        assert {"a", "*"} & set(claims["subscribe"])
        assert place == "bearer"


@pytest.mark.parametrize("place", ["bearer", "ticket", "cookie"])
def test_what_is_made_up_is_asked_for_in_its_place(guarded: Replicas, place: str) -> None:
    """The right credential opens what the wrong ones are tried on."""
    token = signed({"sub": "u", "exp": int(time.time()) + 3600, "subscribe": ["a"]})
    source = guarded.service.authority._tokens[0].source
    now = int(time.time())
    kind = "ticket" if place == "ticket" else "session"
    made = guarded.service.authority._signer.sign(Ticket(kind, "u", source, [], ["a"], now, now + 60, now + 60))
    given = token if place == "bearer" else made
    assert statuses(guarded.port, presented(given, place), leave=False) == [200]


@fuzz
@given(body=BODIES, kind=st.sampled_from(["application/json", "text/plain", "", "application/json; charset=x"]))
def test_no_body_is_an_error_of_the_server(open_replica: Replicas, body: bytes, kind: str) -> None:
    headers = {"Content_Type": kind} if kind else {}
    found = statuses(open_replica.port, asked("POST", "/api/v1/events", body, **headers))
    assert len(found) == 1
    assert found[0] < 500
    assert open_replica.get("/health/ready").status == 200


LINES = st.sampled_from(
    [
        *(b"GET / HTTP/1.1", b"POST /api/v1/events HTTP/1.1", b"GET /api/v1/stream?channel=a HTTP/1.0", b"Host: x"),
        *(b"Content-Length: 5", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"0"),
        *(
            b"Expect: 100-continue",
            b"Upgrade: h2c",
            b"Connection: upgrade",
            b"5",
            b"hello",
            b"",
            b"",
            b"\x00",
            b" a: b",
        ),
    ]
) | st.binary(max_size=40)


@fuzz
@given(lines=st.lists(LINES, max_size=12), end=st.sampled_from([b"\r\n", b"\n", b"\r"]))
def test_no_bytes_are_an_error_of_the_server(open_replica: Replicas, lines: list[bytes], end: bytes) -> None:
    found = statuses(open_replica.port, end.join(lines) + end + end)
    assert all(status < 500 or status in {501, 505} for status in found)
    assert open_replica.get("/health/ready").status == 200


@fuzz
@given(
    cursor=st.text(max_size=60) | st.from_regex(r"[0-9a-f]{0,12}-[0-9]{1,30}(-[0-9]{0,5})?", fullmatch=True),
    place=st.sampled_from(["header", "query", "lastEventId"]),
)
def test_no_cursor_is_an_error_of_the_server(open_replica: Replicas, cursor: str, place: str) -> None:
    named = {"query": "last_event_id", "lastEventId": "lastEventId"}.get(place)
    query = f"&{named}={quote(cursor)}" if named else ""
    header = "" if named else f"\nLast-Event-ID: {cursor.encode('ascii', 'ignore').decode()}"
    header = header.replace("\r", "") if "\n" not in header[1:] else ""
    with Client(open_replica.port) as client:
        client.send(f"GET /api/v1/stream?channel=a{query} HTTP/1.1\nHost: x{header}")
        answer = client.head()
    assert answer.status in {200, 400}
