"""Who is let in, what they may do there, and when that ends: through a real listener, on every route."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sse_harness import APP, Answer, Client, Replicas, Stream, eventually, fetch

from sse_app import keys, token_keys
from sse_app.access import api_keys, credentials, tokens
from sse_app.access.authority import Authority
from sse_app.access.credentials import RefusedError
from sse_app.access.tickets import Ticket
from sse_app.access.watched_file import WatchedFile
from sse_app.base.metrics import Metrics
from sse_app.base.settings import ConfigurationError, Settings, load

SECRET = "canary-secret-of-more-than-32-bytes"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())


class Files:
    """The files that a service judges by, and the credentials that fit them."""

    def __init__(self, directory: Path) -> None:
        self.keys, self.jwks = directory / "keys.json", directory / "jwks.json"
        self.secret, self.tickets = directory / "secret", directory / "tickets"
        self.api_keys: dict[str, str] = {}
        for name, publish, subscribe in (
            ("both", ["orders.*"], ["orders.*", "news"]),
            ("reader", [], ["orders.*"]),
            ("writer", ["orders.*"], []),
            ("all", ["*"], ["*"]),
        ):
            self.add(name, publish, subscribe)
        self.write_jwks(r1=RSA, e1=EC)
        self.secret.write_text(SECRET)
        self.tickets.write_text("t" * 32)

    def add(self, name: str, publish: list[str], subscribe: list[str]) -> str:
        held = json.loads(self.keys.read_text())["keys"] if self.keys.exists() else []
        key, entry = keys.make(name, publish, subscribe)
        self.replace(self.keys, json.dumps({"keys": [*held, entry]}))
        self.api_keys[name] = key
        return key

    def remove(self, name: str) -> None:
        assert keys.main([str(self.keys), name, "--remove"]) == 0

    def write_jwks(self, **private: Any) -> None:
        algorithms: dict[type, Any] = {
            rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
            ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        }
        made: list[dict[str, Any]] = []
        for id_, key in private.items():
            [algorithm] = [found for kind, found in algorithms.items() if isinstance(key, kind)]
            made.append({**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": id_, "use": "sig"})
        self.replace(self.jwks, json.dumps({"keys": made}))

    @staticmethod
    def replace(path: Path, text: str) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(path)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "auth": True,
            "auth_check_seconds": 0.05,
            "keys_files": str(self.keys),
            "jwks_file": str(self.jwks),
            "jwt_secret_file": str(self.secret),
            "ticket_key_file": str(self.tickets),
        }


def token(key: Any = SECRET, algorithm: str = "HS256", headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token that is good but for what is given; a claim of None is left out."""
    whole = {"sub": "alice", "exp": time.time() + 60, "publish": ["orders.*"], "subscribe": ["orders.*"], **claims}
    kept = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers)


def forged(header: dict[str, Any], key: bytes, **claims: Any) -> str:
    """A token as no library would make it, signed with HMAC-SHA256."""

    def part(document: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")

    body = part(header) + b"." + part({"sub": "alice", "exp": time.time() + 60, "publish": ["*"], **claims})
    mac = hmac.new(key, body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def public_pem(key: Any) -> bytes:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("auth"))


@pytest.fixture(scope="module")
def guarded(files: Files) -> Iterator[Replicas]:
    """Two replicas for every test that changes no file."""
    with Replicas(2, **files.settings) as started:
        yield started


@pytest.fixture
def own(tmp_path: Path) -> Files:
    """Files for a test that changes them."""
    return Files(tmp_path)


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def publish(replicas: Replicas, headers: dict[str, str], channel: str = "orders.eu", index: int = 0) -> Answer:
    return replicas.post({"channel": channel, "data": 1}, index, **headers)


def subscribe(replicas: Replicas, headers: dict[str, str], query: str = "channel=orders.eu", index: int = 0) -> Answer:
    """The head of a stream's answer."""
    with Client(replicas.ports[index]) as client:
        lines = "".join(f"\n{name}: {value}" for name, value in headers.items())
        client.send(f"HEAD /api/v1/stream?{query} HTTP/1.1\nHost: test{lines}")
        return client.head()


def open_stream(replicas: Replicas, value: str, channel: str = "orders.eu", index: int = 0, **query: str) -> Stream:
    stream = Stream(replicas.ports[index], channel, headers=bearer(value) if value else {}, **query)
    assert stream.status == 200
    assert stream.block() is not None
    return stream


GOOD: dict[str, Callable[[], str]] = {
    "HS256": token,
    "RS256": lambda: token(RSA, "RS256", {"kid": "r1"}),
    "ES256": lambda: token(EC, "ES256", {"kid": "e1"}),
    "ES256 without a kid": lambda: token(EC, "ES256"),
    "expired within the leeway": lambda: token(exp=time.time() - 5),
    "not yet valid within the leeway": lambda: token(nbf=time.time() + 5),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_a_token_of_a_known_key_publishes_and_subscribes(guarded: Replicas, make: Callable[[], str]) -> None:
    value = make()
    assert publish(guarded, bearer(value)).status == 202
    assert subscribe(guarded, bearer(value)).status == 200


BAD: dict[str, tuple[Callable[[], str], str]] = {
    "expired": (lambda: token(exp=time.time() - 40), "expired"),
    "nbf in the future": (lambda: token(nbf=time.time() + 40), "immature"),
    "iat in the future": (lambda: token(iat=time.time() + 40), "immature"),
    "no exp": (lambda: token(exp=None), "claims"),
    "no sub": (lambda: token(sub=None), "claims"),
    "empty sub": (lambda: token(sub=""), "claims"),
    "sub with NUL": (lambda: token(sub="a\0b"), "claims"),
    "huge sub": (lambda: token(sub="a" * 201), "claims"),
    "exp infinite": (lambda: token(exp=float("inf")), "malformed"),
    "exp a list": (lambda: token(exp=[]), "malformed"),
    "exp a text": (lambda: token(exp="tomorrow"), "malformed"),
    "audience that nobody is": (lambda: token(aud="others"), "claims"),
    "publish not a list": (lambda: token(publish="orders.*"), "claims"),
    "publish with a number": (lambda: token(publish=[1]), "claims"),
    "subscribe with a bad pattern": (lambda: token(subscribe=["*.orders"]), "claims"),
    "too many patterns": (lambda: token(subscribe=["a"] * 101), "claims"),
    "another secret": (lambda: token("another-secret-of-more-than-32-bytes"), "signature"),
    "another key of the same kid": (lambda: token(STRANGER, "ES256", {"kid": "e1"}), "signature"),
    "a kid that is not there": (lambda: token(EC, "ES256", {"kid": "e2"}), "unknown_key"),
    "algorithm none": (lambda: jwt.encode({"sub": "alice", "exp": time.time() + 60}, None, "none"), "unknown_key"),
    "an algorithm of the same secret": (lambda: token(SECRET * 2, "HS512"), "unknown_key"),
    "HS256 by the RSA public key": (lambda: forged({"alg": "HS256", "kid": "r1"}, public_pem(RSA)), "signature"),
    "HS256 by the EC public key": (lambda: forged({"alg": "HS256"}, public_pem(EC)), "signature"),
    "RS256 claimed, HMAC made": (lambda: forged({"alg": "RS256", "kid": "r1"}, public_pem(RSA)), "signature"),
    "a key of its own in the header": (
        lambda: forged({"alg": "HS256", "jwk": {"kty": "oct", "k": "eA"}}, b"x"),
        "signature",
    ),
    "a critical extension": (lambda: forged({"alg": "HS256", "crit": ["b64"], "b64": False}, b"x"), "malformed"),
    "not base64": (lambda: "ey.ey.ey", "malformed"),
    "huge": (lambda: token(more="x" * 9000), "malformed"),
    "an API key of nobody": (lambda: "nobody." + "x" * 43, "unknown_key"),
    "a name without its secret": (lambda: "both", "unknown_key"),
    "another's secret": (lambda: "reader." + "x" * 43, "unknown_key"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_any_other_is_refused_on_every_route_with_a_reason_and_a_challenge(
    guarded: Replicas, make: Callable[[], str], reason: str
) -> None:
    before = guarded.service.metrics.unauthorized.copy()
    answers = [
        publish(guarded, bearer(make())),
        subscribe(guarded, bearer(make())),
        *(
            fetch(f"http://127.0.0.1:{guarded.port}/api/v1/{path}", headers=bearer(make()))
            for path in ("channels", "channels/orders.eu/history", "stats", "stats/stream")
        ),
        fetch(f"http://127.0.0.1:{guarded.port}/api/v1/tickets", b"", bearer(make())),
        fetch(f"http://127.0.0.1:{guarded.port}/api/v1/session", b"", bearer(make())),
    ]
    for answer in answers:
        assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"] == 'Bearer realm="sse", error="invalid_token"'
        assert "canary" not in answer.body.decode()
    assert guarded.service.metrics.unauthorized - before == {reason: len(answers)}


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 401),
        ("Basic YTpi", 401),
        ("Bearer", 401),
        ("Bearer a b", 401),
        ("Bearer \xff", 401),
        ("Bearer ,", 401),
    ],
)
def test_a_malformed_header_is_refused(guarded: Replicas, value: str, status: int) -> None:
    assert subscribe(guarded, {"Authorization": value}).status == status


def test_without_a_credential_the_challenge_names_no_error(guarded: Replicas) -> None:
    answer = publish(guarded, {})
    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="sse"')


def test_two_credentials_at_once_are_refused(guarded: Replicas, files: Files) -> None:
    with Client(guarded.port) as client:
        line = f"\nAuthorization: Bearer {files.api_keys['all']}"
        client.send(f"GET /api/v1/channels HTTP/1.1\nHost: test{line}{line}")
        assert client.answer().status == 400
    assert subscribe(guarded, bearer(files.api_keys["all"]), "channel=orders.eu&ticket=x").status == 400
    assert subscribe(guarded, {}, "channel=orders.eu&ticket=x&ticket=y").status == 400


def test_health_and_metrics_stay_open(guarded: Replicas) -> None:
    assert guarded.get("/health/ready").json["checks"]["credentials"] == "ok"
    assert guarded.get("/api/v1/health/live").status == 200
    assert 'sse_unauthorized_total{reason="missing"}' in guarded.get("/metrics").body.decode()


def test_who_may_publish_nothing_is_refused_before_a_byte_of_the_body(guarded: Replicas, files: Files) -> None:
    authorization = bearer(files.api_keys["reader"])["Authorization"]
    with Client(guarded.port) as client:
        head = "POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 10000"
        client.send(f"{head}\nAuthorization: {authorization}")
        answer = client.answer()
    assert (answer.status, answer.json["detail"]) == (403, "this credential may not publish anything")


def test_a_stream_without_a_credential_is_refused_before_a_byte_of_its_body(guarded: Replicas, files: Files) -> None:
    body = b'{"channel": ["orders.eu"]}'
    for headers, sent, status in (
        ({}, b"", 401),
        (bearer("nobody.x"), b"", 401),
        (bearer(files.api_keys["reader"]), body, 200),
    ):
        with Client(guarded.port) as client:
            lines = "".join(f"\n{name}: {value}" for name, value in headers.items())
            head = f"POST /api/v1/stream HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}"
            client.send(head + lines, sent)
            assert client.head().status == status


def test_rights_hold_by_channel_and_by_kind(guarded: Replicas, files: Files) -> None:
    reader, writer, both = (bearer(files.api_keys[name]) for name in ("reader", "writer", "both"))
    for headers, channel, status in (
        (reader, "orders.eu", 403),
        (writer, "orders.eu", 202),
        (writer, "orders", 403),
        (writer, "news", 403),
        (both, "orders.eu.de", 202),
    ):
        answer = publish(guarded, headers, channel)
        assert answer.status == status
        assert status == 202 or answer.json.get("channel") == (None if headers is reader else channel)
    batch = [{"channel": "orders.eu", "data": 1}, {"channel": "other", "data": 2}]
    refused = guarded.post(batch, **both)
    assert (refused.status, refused.json["channel"]) == (403, "other")


@pytest.mark.parametrize(
    ("wanted", "lacking"),
    [
        (["orders.eu", "orders.*"], None),
        (["orders.eu.*", "news"], None),
        (["orders.eu", "stock"], "stock"),
        (["orders.*", "news.*"], "news.*"),
        (["orders"], "orders"),
        (["o.*"], "o.*"),
        (["*"], "*"),
    ],
)
def test_a_stream_is_refused_by_the_channel_that_its_credential_does_not_cover(
    guarded: Replicas, files: Files, wanted: list[str], lacking: str | None
) -> None:
    allowed = bearer(files.api_keys["both"])
    if lacking is None:
        with Stream(guarded.port, wanted, headers=allowed) as stream:
            assert stream.status == 200
    else:
        query = "&".join(f"channel={name}" for name in wanted)
        refused = fetch(f"http://127.0.0.1:{guarded.port}/api/v1/stream?{query}", headers=allowed)
        assert (refused.status, refused.json["channel"]) == (403, lacking)


def test_what_is_listed_and_remembered_is_for_those_who_may_subscribe(guarded: Replicas, files: Files) -> None:
    everybody = bearer(files.api_keys["all"])
    assert publish(guarded, everybody, "orders.listed").status == 202
    assert publish(guarded, everybody, "secret.listed").status == 202

    def get(path: str, name: str) -> Answer:
        return fetch(f"http://127.0.0.1:{guarded.port}/api/v1/{path}", headers=bearer(files.api_keys[name]))

    assert {"orders.listed", "secret.listed"} <= set(get("channels", "all").json["channels"])
    assert "secret.listed" not in get("channels", "reader").json["channels"]
    assert "orders.listed" in get("channels", "reader").json["channels"]
    assert get("channels", "writer").json["channels"] == {}
    assert get("channels/orders.listed/history", "reader").status == 200
    assert get("channels/secret.listed/history", "reader").status == 403
    assert get("stats", "reader").status == 200
    assert get("stats", "writer").status == 403


def test_the_same_key_of_two_publishers_is_two_events(guarded: Replicas, files: Files) -> None:
    event = {"channel": "orders.dedupe", "data": 1}
    as_key = guarded.post(event, Idempotency_Key="k", **bearer(files.api_keys["both"]))
    as_token = guarded.post(event, Idempotency_Key="k", **bearer(token(sub="both")))
    again = guarded.post(event, 1, Idempotency_Key="k", **bearer(token(sub="both")))
    assert as_key.json["ids"] != as_token.json["ids"] == again.json["ids"]


# --- what browsers get


def ticket_of(replicas: Replicas, value: str, index: int = 0) -> dict[str, Any]:
    answer = fetch(f"http://127.0.0.1:{replicas.ports[index]}/api/v1/tickets", b"", bearer(value))
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    return answer.json


@pytest.mark.parametrize("source", ["key", "token"])
def test_a_ticket_opens_a_stream_and_resumes_it_on_another_replica(
    guarded: Replicas, files: Files, source: str
) -> None:
    value = files.api_keys["both"] if source == "key" else token()
    ticket = ticket_of(guarded, value)["ticket"]
    with open_stream(guarded, "", ticket=ticket) as stream:
        cursor = stream.last_event_id
    assert publish(guarded, bearer(files.api_keys["all"])).status == 202
    with Stream(guarded.ports[1], "orders.eu", cursor, ticket=ticket) as resumed:
        assert len(resumed.events(1)) == 1


def test_a_ticket_subscribes_and_does_nothing_else(guarded: Replicas, files: Files) -> None:
    ticket = ticket_of(guarded, files.api_keys["all"])["ticket"]
    url = f"http://127.0.0.1:{guarded.port}/api/v1/"
    assert fetch(f"{url}events?ticket={ticket}", b'{"channel": "orders.eu", "data": 1}').status == 403
    assert fetch(f"{url}channels?ticket={ticket}").status == 401
    assert publish(guarded, bearer(ticket)).status == 401
    assert publish(guarded, {"Cookie": f"__Host-sse={ticket}", "Sec-Fetch-Site": "same-origin"}).status == 401


def wished(replicas: Replicas, value: str, **wish: Any) -> Answer:
    return fetch(f"http://127.0.0.1:{replicas.port}/api/v1/tickets", json.dumps(wish).encode(), bearer(value))


@pytest.mark.parametrize("source", ["key", "token"])
def test_a_narrow_ticket_has_just_the_rights_that_were_asked_for(guarded: Replicas, files: Files, source: str) -> None:
    value = files.api_keys["both"] if source == "key" else token()
    ticket = wished(guarded, value, subscribe=["orders.42"], publish=["orders.42"]).json["ticket"]
    url = f"http://127.0.0.1:{guarded.port}/api/v1/events?ticket={ticket}"
    for channel, status in (("orders.42", 200), ("orders.43", 403), ("orders.*", 403)):
        assert subscribe(guarded, {}, f"channel={channel}&ticket={ticket}").status == status
    for channel, status in (("orders.42", 202), ("orders.43", 403)):
        assert fetch(url, json.dumps({"channel": channel, "data": 1}).encode()).status == status


def test_a_narrow_ticket_never_has_more_than_its_credential_has_now(own: Files) -> None:
    with Replicas(**own.settings) as replicas:
        refused = wished(replicas, own.api_keys["reader"], subscribe=["news"])
        assert (refused.status, refused.json["channel"]) == (403, "news")
        assert wished(replicas, own.api_keys["reader"], publish=["orders.1"]).status == 403
        ticket = wished(replicas, own.api_keys["all"], subscribe=["news", "orders.1"]).json["ticket"]
        assert subscribe(replicas, {}, f"channel=news&ticket={ticket}").status == 200
        entries = json.loads(own.keys.read_text())["keys"]
        entries[-1]["subscribe"] = ["orders.*"]
        own.replace(own.keys, json.dumps({"keys": entries}))
        assert subscribe(replicas, {}, f"channel=news&ticket={ticket}").status == 403
        assert subscribe(replicas, {}, f"channel=orders.1&ticket={ticket}").status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"subscribe": ["a b"]}', 422),
        (b'{"subscribe": "news"}', 422),
        (b'{"seconds": 0}', 422),
        (b'{"seconds": 3601}', 422),
        (b'{"seconds": "60"}', 422),
        (b'{"subscribes": []}', 422),
        (b"[]", 422),
        (b" " * 40_000, 413),
    ],
)
def test_a_wrong_wish_for_a_ticket_is_refused(guarded: Replicas, files: Files, body: bytes, status: int) -> None:
    url = f"http://127.0.0.1:{guarded.port}/api/v1/tickets"
    answer = fetch(url, body, bearer(files.api_keys["all"]))
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


def test_the_seconds_of_a_ticket_say_how_long_it_begins_streams(guarded: Replicas, files: Files) -> None:
    made = wished(guarded, files.api_keys["all"], subscribe=["news"], seconds=600).json
    assert 590 <= made["begins_until"] - time.time() <= 600


def test_a_ticket_spends_neither_the_rate_of_another_nor_that_of_its_server(own: Files) -> None:
    rate = {"publish_rate": 0.01, "publish_burst": 100, "max_batch_events": 10}
    with Replicas(**own.settings, **rate) as replicas:
        server = own.api_keys["all"]
        tickets = [wished(replicas, server, publish=["a"]).json["ticket"] for _ in range(2)]
        urls = [f"http://127.0.0.1:{replicas.port}/api/v1/events?ticket={one}" for one in tickets]
        event = json.dumps({"channel": "a", "data": 1}).encode()
        answers = [fetch(urls[0], event).status for _ in range(12)]
        assert answers == [202] * 10 + [429] * 2
        assert "a ticket has 10%" in fetch(urls[0], event).json["detail"]
        assert fetch(urls[1], event).status == 202
        assert publish(replicas, bearer(server), "a").status == 202


def test_a_ticket_uses_up_no_idempotency_key_of_its_server_nor_of_other_rights(guarded: Replicas, files: Files) -> None:
    server = files.api_keys["all"]
    key = {"Idempotency-Key": "order-42"}

    def by_ticket(right: str, data: int) -> Answer:
        ticket = wished(guarded, server, publish=[right]).json["ticket"]
        url = f"http://127.0.0.1:{guarded.port}/api/v1/events?ticket={ticket}"
        return fetch(url, json.dumps({"channel": right, "data": data}).encode(), key)

    first = by_ticket("orders.42", 1)
    assert (first.status, by_ticket("orders.43", 2).status) == (202, 202)
    assert guarded.post({"channel": "orders.44", "data": 3}, **key, **bearer(server)).status == 202
    assert by_ticket("orders.42", 1).json == first.json  # a page repeats it with a new ticket
    assert by_ticket("orders.42", 4).status == 422


def test_a_ticket_of_a_replica_that_gave_no_ids_counts(own: Files) -> None:
    """While replicas are replaced, both kinds are shown to both."""
    with Replicas(**own.settings) as replicas:
        authority = replicas.service.authority
        given = Ticket("ticket", "key:all", "", ["a"], ["a"], 0, 2**32, 2**32, narrow=True)
        [key] = [one for one in json.loads(own.keys.read_text())["keys"] if one["name"] == "all"]
        source = authority._ring.find(own.api_keys["all"]).source
        assert key["name"] in source
        value = authority._signer.sign(given._replace(source=source))
        url = f"http://127.0.0.1:{replicas.port}/api/v1/events?ticket={value}"
        assert fetch(url, b'{"channel": "a", "data": 1}').status == 202
        assert fetch(url, b'{"channel": "b", "data": 1}').status == 403


def test_everybody_reads_public_channels_and_nothing_else(own: Files) -> None:
    with Replicas(**own.settings, public_channels="news,status.*") as replicas:
        writer = bearer(own.api_keys["all"])
        assert publish(replicas, writer, "news").status == 202
        assert publish(replicas, writer, "orders.eu").status == 202
        with Stream(replicas.port, ["news", "status.eu"]) as stream:
            assert stream.status == 200
            assert publish(replicas, writer, "news").status == 202
            assert stream.events(1)[0].data is not None
        for query in ("channel=orders.eu", "channel=news&channel=orders.eu", "channel=*"):
            assert subscribe(replicas, {}, query).status == 401
        assert replicas.get("/api/v1/channels").json["channels"].keys() == {"news"}
        assert replicas.get("/api/v1/channels/news/history").status == 200
        assert replicas.get("/api/v1/channels/orders.eu/history").status == 401
        assert replicas.get("/api/v1/stats").status == 401
        assert publish(replicas, {}, "news").status == 401
        assert fetch(f"http://127.0.0.1:{replicas.port}/api/v1/tickets", b"").status == 401
        assert subscribe(replicas, bearer("nobody.x"), "channel=news").status == 401  # a wrong one is never no one


@pytest.mark.parametrize("exp", [1e300, 10**400, 253_402_300_800, True, float("nan")])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
def test_a_token_with_an_absurd_time_is_refused(guarded: Replicas, exp: Any, claim: str) -> None:
    value = forged({"alg": "HS256", "typ": "JWT"}, SECRET.encode(), **{claim: exp})
    answer = publish(guarded, bearer(value))
    assert answer.status in ((401,) if claim == "exp" else (401, 403, 202))
    assert subscribe(guarded, bearer(value)).status != 500


@pytest.mark.parametrize(
    "claims", [{"exp": "4000000000"}, {"nbf": "0"}, {"iat": True}, {"iss": None}, {"iss": 5}, {"iss": ["one"]}]
)
def test_a_claim_of_another_kind_is_refused(guarded: Replicas, claims: dict[str, Any]) -> None:
    """Text for a time; and an issuer that is no text would share its publishers with one that is written like it."""
    value = forged({"alg": "HS256", "typ": "JWT"}, SECRET.encode(), **claims)
    assert publish(guarded, bearer(value)).status == 401
    assert subscribe(guarded, bearer(value)).status == 401


def test_two_issuers_with_one_subject_are_two_publishers(guarded: Replicas) -> None:
    event = {"channel": "orders.issuers", "data": 1}
    ids = [
        guarded.post(event, Idempotency_Key="k", **bearer(token(sub="x/alice", iss=issuer))).json["ids"]
        for issuer in (None, "https://one", "https://two", "https://one/x", "https://one")
    ]
    assert ids[1] == ids[4]
    assert len({str(one) for one in ids}) == 4


def test_a_ticket_that_is_no_longer_fresh_only_resumes(own: Files) -> None:
    with Replicas(2, **{**own.settings, "ticket_seconds": 1}) as replicas:
        made = ticket_of(replicas, own.api_keys["reader"])
        with open_stream(replicas, "", ticket=made["ticket"]) as stream:
            cursor = stream.last_event_id
        eventually(lambda: time.time() > made["begins_until"])
        for claimed in (None, "", "0-00000000", "999999-00000000", "nonsense"):
            with Stream(replicas.ports[1], "orders.eu", claimed, ticket=made["ticket"]) as late:
                assert late.status == 401, claimed
        stale = f"channel=orders.eu&ticket={made['ticket']}"
        assert subscribe(replicas, {}, stale, 1).status == 401
        assert subscribe(replicas, {"Last-Event-ID": cursor}, stale, 1).status == 200
        with Stream(replicas.ports[1], "orders.eu", cursor, ticket=made["ticket"]) as resumed:
            assert resumed.status == 200
        assert replicas.services[1].metrics.unauthorized["stale"] == 6


def test_a_ticket_falls_with_the_key_that_it_was_given_for(own: Files) -> None:
    with Replicas(**own.settings) as replicas:
        by_key, by_token = (ticket_of(replicas, value)["ticket"] for value in (own.api_keys["reader"], token()))
        own.remove("reader")
        own.replace(own.secret, "x" * 32)
        for ticket in (by_key, by_token):
            query = f"channel=orders.eu&ticket={ticket}"
            eventually(lambda query=query: subscribe(replicas, {}, query).status == 401)
        assert replicas.service.metrics.unauthorized["revoked"] >= 2


def test_a_forged_ticket_is_refused(guarded: Replicas, files: Files) -> None:
    body, _, mac = ticket_of(guarded, files.api_keys["reader"])["ticket"].partition(".")
    raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    wider = base64.urlsafe_b64encode(raw.replace(b"reader", b"writer")).decode().rstrip("=")
    for forgery in (f"{wider}.{mac}", f"{body}.{mac[:-2]}", body, f"{body}.", f".{mac}", f"{body}.{mac}.{mac}"):
        assert subscribe(guarded, {}, f"channel=orders.eu&ticket={forgery}").status == 401, forgery


def session_of(replicas: Replicas, value: str) -> tuple[str, str]:
    answer = fetch(f"http://127.0.0.1:{replicas.port}/api/v1/session", b"", bearer(value))
    assert answer.status == 204
    cookie, _, attributes = answer.headers["set-cookie"].partition("; ")
    return cookie, attributes


def test_a_session_is_a_cookie_that_no_script_and_no_other_site_can_use(guarded: Replicas, files: Files) -> None:
    cookie, attributes = session_of(guarded, files.api_keys["both"])
    assert cookie.startswith("__Host-sse=")
    assert attributes == "Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Strict"
    theirs = {"Cookie": f"a=b; {cookie}; c=d"}
    assert subscribe(guarded, theirs, index=1).status == 200
    for site, status in ((None, 403), ("cross-site", 403), ("same-site", 403), ("none", 403), ("same-origin", 202)):
        sent = theirs if site is None else {**theirs, "Sec-Fetch-Site": site}
        assert publish(guarded, sent).status == status


def test_a_session_is_ended_by_its_own_page_and_by_no_form_of_another(guarded: Replicas) -> None:
    for site, status in ((None, 204), ("same-origin", 204), ("cross-site", 403), ("same-site", 403)):
        sent = {} if site is None else {"Sec-Fetch-Site": site}
        gone = fetch(f"http://127.0.0.1:{guarded.port}/api/v1/session/end", b"", sent)
        cookie = ["__Host-sse=", "Max-Age=0"] if status == 204 else [""]
        assert (gone.status, gone.headers.get("set-cookie", "").split("; ")[:2]) == (status, cookie)


def test_a_session_ends_no_later_than_its_token(guarded: Replicas) -> None:
    _, attributes = session_of(guarded, token())
    assert 60 <= int(attributes.partition(";")[0].removeprefix("Max-Age=")) <= 90


def test_an_explicit_credential_counts_before_the_cookie_that_a_browser_adds(guarded: Replicas, files: Files) -> None:
    cookie, _ = session_of(guarded, files.api_keys["reader"])
    assert publish(guarded, {"Cookie": cookie, **bearer(files.api_keys["writer"])}).status == 202


def test_rights_that_no_address_can_carry_get_no_ticket(guarded: Replicas) -> None:
    many = token(subscribe=[f"{'x' * 60}.{n}" for n in range(80)])
    answer = fetch(f"http://127.0.0.1:{guarded.port}/api/v1/tickets", b"", bearer(many))
    assert answer.status == 422


# --- time and files


def ended(stream: Stream) -> str:
    """The reason that a stream's last event gives."""
    while (block := stream.block()) is not None:
        if block.event == "bye":
            assert stream.block() is None
            return block.json["reason"]
    raise AssertionError("no bye")


def test_a_token_that_expires_ends_its_streams(own: Files) -> None:
    with Replicas(**{**own.settings, "jwt_leeway_seconds": 0}) as replicas:
        value = token(exp=time.time() + 3)
        with open_stream(replicas, value) as stream, Client(replicas.port) as watcher:
            watcher.send(f"GET /api/v1/stats/stream HTTP/1.1\nHost: test\nAuthorization: Bearer {value}")
            assert ended(stream) == "expired"
            assert b'{"reason":"expired"}' in watcher.answer().body
        assert replicas.service.metrics.access_ends == {"expired": 1}


def test_a_revoked_key_ends_its_streams_and_no_others(own: Files) -> None:
    with Replicas(2, **own.settings) as replicas:
        stays = open_stream(replicas, own.api_keys["all"])
        leaves = [open_stream(replicas, own.api_keys["reader"], index=index) for index in (0, 1)]
        ticket = open_stream(replicas, "", ticket=ticket_of(replicas, own.api_keys["reader"])["ticket"])
        own.remove("reader")
        assert [ended(stream) for stream in (*leaves, ticket)] == ["revoked"] * 3
        assert subscribe(replicas, bearer(own.api_keys["reader"])).status == 401
        assert publish(replicas, bearer(own.api_keys["all"])).status == 202
        assert len(stays.events(1)) == 1
        for stream in (*leaves, ticket, stays):
            stream.socket.close()


def test_a_signing_key_that_is_gone_ends_the_streams_of_its_tokens(own: Files) -> None:
    with Replicas(**own.settings) as replicas:
        leaves = open_stream(replicas, token(RSA, "RS256"))
        stays = open_stream(replicas, token(EC, "ES256"))
        own.write_jwks(e1=EC)
        assert ended(leaves) == "revoked"
        assert publish(replicas, bearer(own.api_keys["all"])).status == 202
        assert len(stays.events(1)) == 1
        for stream in (leaves, stays):
            stream.socket.close()


def test_a_right_that_is_taken_away_ends_the_streams_that_use_it(own: Files) -> None:
    with Replicas(**own.settings) as replicas:
        uses = open_stream(replicas, own.api_keys["both"], "news")
        does_not = open_stream(replicas, own.api_keys["both"], "orders.eu")
        document = json.loads(own.keys.read_text())
        document["keys"][0]["subscribe"].remove("news")
        own.replace(own.keys, json.dumps(document))
        assert ended(uses) == "revoked"
        assert publish(replicas, bearer(own.api_keys["all"])).status == 202
        assert len(does_not.events(1)) == 1
        for stream in (uses, does_not):
            stream.socket.close()


def test_a_new_key_and_a_new_secret_count_without_a_restart(own: Files) -> None:
    with Replicas(**own.settings) as replicas:
        key = own.add("later", ["orders.*"], [])
        eventually(lambda: publish(replicas, bearer(key)).status == 202)
        own.replace(own.secret, f"{'n' * 32}\n{SECRET}\n")
        eventually(lambda: publish(replicas, bearer(token("n" * 32))).status == 202)
        assert publish(replicas, bearer(token())).status == 202  # the old one is still in the file
        own.replace(own.tickets, "u" * 32 + "\n" + "t" * 32)
        old = ticket_of(replicas, own.api_keys["reader"])["ticket"]
        assert subscribe(replicas, {}, f"channel=orders.eu&ticket={old}").status == 200


def test_what_changed_in_a_file_counts_from_the_next_request_on(own: Files) -> None:
    with Replicas(**{**own.settings, "auth_check_seconds": 60}) as replicas:
        key = own.add("later", ["orders.*"], ["orders.*"])
        assert publish(replicas, bearer(key)).status == 202
        own.remove("both")
        assert publish(replicas, bearer(own.api_keys["both"])).status == 401
        own.replace(own.secret, "n" * 32)
        assert publish(replicas, bearer(token("n" * 32))).status == 202
        assert publish(replicas, bearer(token())).status == 401
        own.replace(own.keys, "{")
        assert publish(replicas, bearer("unknown")).status == 401
        assert publish(replicas, bearer(key)).status == 202  # what the file held before stays in force


def test_a_file_that_makes_no_sense_is_read_once(own: Files) -> None:
    parsed: list[bytes] = []

    def parse(text: bytes) -> None:
        parsed.append(text)
        if text != b"good":
            raise ValueError

    own.keys.write_bytes(b"good")
    file = WatchedFile(str(own.keys), parse)
    own.replace(own.keys, "bad")
    assert [file.changed() for _ in range(3)] == [False] * 3
    assert parsed == [b"good", b"bad"]


def test_a_deleted_file_revokes_its_keys_and_ends_their_streams_until_it_is_back(
    own: Files, caplog: pytest.LogCaptureFixture
) -> None:
    good = own.keys.read_text()
    with Replicas(**own.settings) as replicas, open_stream(replicas, own.api_keys["all"]) as stream:
        own.keys.unlink()
        assert publish(replicas, bearer(own.api_keys["both"])).status == 401
        assert ended(stream) == "revoked"
        assert replicas.get("/health/ready").json["status"] == "degraded"
        eventually(lambda: caplog.text.count("so its credentials are revoked") == 1)
        own.replace(own.keys, good)
        assert publish(replicas, bearer(own.api_keys["both"])).status == 202
        assert replicas.get("/health/ready").json["status"] == "ok"


@pytest.mark.parametrize("broken", ["{", '{"keys": [{"name": "canary"}]}', ""])
def test_a_broken_file_leaves_the_old_keys_in_force_and_says_so(
    own: Files, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = own.keys.read_text()
    with Replicas(**own.settings) as replicas, caplog.at_level(logging.WARNING):
        own.replace(own.keys, broken)
        health = replicas.get
        eventually(lambda: health("/health/ready").json["status"] == "degraded")
        assert health("/health/ready").json["checks"]["credentials"] == "1 of 4 files refused, the log says why"
        assert "sse_credential_files_refused 1.0" in replicas.get("/metrics").body.decode()
        assert publish(replicas, bearer(own.api_keys["both"])).status == 202
        assert caplog.text.count("stays in force") == 1
        assert "canary" not in caplog.text
        own.replace(own.keys, good)
        eventually(lambda: health("/health/ready").json["status"] == "ok")


COOKIES = [
    ("__Host-sse=x", "x"), ("a=b; __Host-sse=x; c=d", "x"), ("a=b;__Host-sse=x", "x"), (";;;  __Host-sse= x ;", "x"),
    ("__Host-sse=x; __Host-sse=y", "x"), ("__Host-sse=x==", "x=="), ("a__Host-sse=x", None), ("a=__Host-sse=x", None),
    ("__Host-sse =x", None), ("__host-sse=x", None), ("__Host-sse", None), ("__Host-sses=x", None), ("", None),
    (";" * 8000, None), ("; " * 4000 + "__Host-sse=x", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("cookie", "value"), COOKIES)
def test_the_session_is_found_among_cookies_however_many_there_are(cookie: str, value: str | None) -> None:
    """Its parts were made into a list, and 24 KB of them took 11 ms for which nobody pays."""
    scope = {"query_string": b"", "headers": [(b"cookie", b"z=1"), (b"cookie", cookie.encode())]}
    assert credentials.presented(scope) == (None if value is None else ("session", value))


@pytest.mark.parametrize("crowd", [["1"] * 200, [{}] * 51, {str(n): 1 for n in range(150)}])
def test_a_header_with_very_many_values_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch, crowd: Any
) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError

    token_ = forged({"alg": "HS256", "x": crowd}, b"k" * 32)
    monkeypatch.setattr(jwt, "get_unverified_header", parse)
    monkeypatch.setattr(jwt, "decode", parse)
    with pytest.raises(RefusedError, match="not a JSON Web Token"):
        tokens.Verifier(lambda: tokens.from_secrets(b"k" * 32), Settings()).verify(token_)
    assert tokens.unverified(token_) == ("", None)


B32 = "A" * 43  # 32 bytes of 0 in base64url


def test_the_command_that_looks_at_keys_of_tokens_needs_nothing_but_python(own: Files) -> None:
    for kind, path in ("jwks", own.jwks), ("secrets", own.secret):
        command = [sys.executable, "-S", "-m", "sse_app.token_keys", kind, str(path)]  # -S: without what pip installs
        run = subprocess.run(command, cwd=APP, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, "")


def rsa_jwk(modulus: int, exponent: int) -> dict[str, Any]:
    """A key that nobody can sign for: it only costs time to try it."""
    numbers = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    return dict(jwt.algorithms.RSAAlgorithm.to_jwk(numbers, as_dict=True))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("keys", "[]", 'expected {"keys": [...]}'),
        ("keys", '{"keys": [{"name": "a b", "sha256": "' + "0" * 64 + '"}]}', "keys[0].name"),
        ("keys", '{"keys": [{"name": "a", "sha256": "canary"}]}', "keys[0].sha256"),
        ("keys", '{"keys": [{"name": "a", "sha256": "' + "0" * 64 + '", "publsh": []}]}', "keys[0]: expected name"),
        ("keys", '{"keys": [{"name": "a", "sha256": "' + "0" * 64 + '", "publish": ["a*"]}]}', "keys[0].publish"),
        ("secret", "canary", "at least 32 bytes"),
        ("secret", "-----BEGIN PUBLIC KEY-----" + "x" * 32, "not a PEM file"),
        ("tickets", "canary", "at least 32 bytes"),
        ("jwks", "{}", "expected a JWK set"),
        ("jwks", '{"keys": []}', "expected an RSA, P-256 or secret"),
        ("jwks", json.dumps({"keys": [{"kty": "oct", "k": "Y2FuYXJ5"}]}), "keys[0]: expected a secret of at least 32"),
        ("jwks", json.dumps({"keys": [{"kty": "RSA", "n": "canary", "e": "AQAB"}]}), "keys[0]"),
        (
            "jwks",
            json.dumps({"keys": [rsa_jwk(2**1023 + 1, 65537)]}),
            "keys[0]: expected an RSA key of 2048 to 8192 bits",
        ),
        ("jwks", json.dumps({"keys": [rsa_jwk(2**99_999 + 1, 65537)]}), "keys[0]: expected an RSA key of 2048 to 8192"),
        ("jwks", json.dumps({"keys": [rsa_jwk(2**2047 + 1, 2**2039 + 1)]}), "exponent e has at most 33 bits"),
        ("jwks", json.dumps({"keys": [{**rsa_jwk(2**2047 + 1, 65537), "e": "AQAA"}]}), "odd n and e"),
        ("jwks", json.dumps({"keys": [{**rsa_jwk(2**2047 + 1, 65537), "n": 5}]}), "expected an RSA key of 2048"),
        (
            "jwks",
            json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}]}),
            "no point of that curve",
        ),
        ("jwks", json.dumps({"keys": [{"kty": "oct", "k": "A"}]}), "with k in base64url"),
        ("jwks", json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": B32, "y": B32}]}), "no point of that curve"),
        ("jwks", json.dumps({"keys": [jwt.algorithms.ECAlgorithm.to_jwk(EC, as_dict=True)]}), "this is a private key"),
        ("keys", '{"keys": [], "keys": []}', "a name occurs twice in an object"),
        ("jwks", '{"keys": [{"kty": "oct", "k": "canary", "k": "canary"}]}', "a name occurs twice in an object"),
    ],
)
def test_a_service_does_not_start_on_a_file_that_makes_no_sense(
    own: Files, capsys: pytest.CaptureFixture[str], file: str, content: str, said: str
) -> None:
    """And the commands by which `./sse up` looks at these files say so before anything changes."""
    path: Path = getattr(own, file)
    path.write_text(content)
    kind = {"jwks": "jwks", "secret": "secrets"}.get(file)
    if file != "tickets":
        assert (token_keys.main(kind, str(path)) if kind else keys.main([str(path)])) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"{path}: ")
        assert said in told
        assert "canary" not in told.replace(str(path), "")
    with pytest.raises(ConfigurationError) as error:
        Authority(Settings(**own.settings), Metrics())
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "canary" not in str(error.value).replace(str(path), "")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SSE_AUTH": "on"}, "SSE_KEYS_FILES"),
        ({"SSE_KEYS_FILES": "/etc/keys"}, "set SSE_AUTH=on"),
        ({"SSE_AUTH": "maybe"}, "SSE_AUTH"),
        ({"SSE_TRUSTED_PROXIES": "10.0.0.1/8"}, "SSE_TRUSTED_PROXIES"),
        ({"SSE_PUBLISH_RATE": "5", "SSE_PUBLISH_BURST": "10"}, "SSE_MAX_BATCH_EVENTS"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(environment)


def test_no_credential_reaches_a_log(own: Files, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Replicas(**own.settings) as replicas:
        values = [own.api_keys["all"], token(), token(exp=1), "all.canary", own.api_keys["reader"]]
        ticket = ticket_of(replicas, values[0])["ticket"]
        for value in values:
            publish(replicas, bearer(value))
            subscribe(replicas, bearer(value))
        with open_stream(replicas, "", ticket=ticket):
            pass
    assert not [value for value in (*values, ticket, SECRET) if value in caplog.text]


# --- the command


def test_one_command_makes_a_key_and_one_removes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "keys.json"
    assert keys.main([str(path), "orders", "--publish", "orders.*", "--subscribe", "news"]) == 0
    key = capsys.readouterr().out.strip()
    assert key.partition(".")[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    found = api_keys.KeyRing(api_keys.parse(path.read_bytes())).find(key)
    assert found is not None
    assert (found.name, found.publish.names(), found.subscribe.names()) == ("key:orders", ["orders.*"], ["news"])
    assert keys.main([str(path), "orders", "--publish", "orders.*"]) == 0
    second = capsys.readouterr().out.strip()
    ring = api_keys.KeyRing(api_keys.parse(path.read_bytes()))
    assert ring.find(key)  # both hold, so that clients can move
    assert ring.find(second)
    assert keys.main([str(path)]) == 0
    assert keys.main([str(path), "orders", "--remove"]) == 0
    assert api_keys.KeyRing(api_keys.parse(path.read_bytes())).find(second) is None


@pytest.mark.parametrize(
    "arguments",
    [["orders"], ["or ders", "--publish", "*"], ["orders", "--publish", "a*"], []],
    ids=["no right", "bad name", "bad pattern", "no file"],
)
def test_the_command_refuses_what_the_service_would_and_changes_nothing(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    assert keys.main([str(path), *arguments]) == 1
    assert not path.exists()
    assert capsys.readouterr().err.startswith(str(path))


def test_cryptography_is_not_loaded_where_no_token_is_configured(own: Files) -> None:
    code = (
        "import sys; from sse_app.service import Service; from sse_app.base.settings import Settings;"
        f"Service(Settings(auth=True, keys_files={str(own.keys)!r}));"
        "sys.exit(any(name in sys.modules for name in ('jwt', 'cryptography.hazmat')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=APP, check=False).returncode == 0


def test_each_decision_has_a_line_without_the_credential(own: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sse_app.audit")
    with Replicas(**own.settings, audit_sample=1) as replica:
        key, unknown = own.api_keys["both"], "both.guess-of-a-secret"
        assert publish(replica, {**bearer(key), "X-Request-ID": "one"}).status == 202
        assert publish(replica, bearer(key), "other").status == 403
        assert publish(replica, bearer(unknown)).status == 401
    lines = [vars(one)["decision"] for one in caplog.records if hasattr(one, "decision")]
    shown = [(one["principal"], one["right"], one["channels"], one["outcome"], one.get("reason")) for one in lines]
    assert shown == [
        ("key:both", "publish", ["orders.eu"], "allowed", None),
        ("key:both", "publish", ["other"], "refused", "no right to these channels"),
        ("", "credential", [], "refused", "unknown_key"),
    ]
    assert not [secret for secret in (key, unknown) if secret in caplog.text]
