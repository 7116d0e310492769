"""An account that is bound to a customer of an ACME directory: by vectors, against a server of our own, and pebble."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import account
import keeper
import pytest
from ansible_collections.sse.platform.tests import certificates
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

NAME, KID = "events.example.test", "kid-1"
SECRET = bytes(range(32))
KEY = bytes(range(200, 232))


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_signature_is_that_of_the_rfc() -> None:
    """RFC 6979, appendix A.2.5: P-256, SHA-256, "sample"."""
    key = account.Key(0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721)
    assert key.x.hex() == "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    assert key.y.hex() == "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    number = 0xA6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60
    r, s = (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    )
    assert key.signed(b"sample", number).hex() == r + s


def test_another_library_reads_the_key_and_believes_its_signatures() -> None:
    for _ in range(5):
        key = account.Key()
        read = serialization.load_pem_private_key(key.pem.encode(), None)
        assert isinstance(read, ec.EllipticCurvePrivateKey)
        numbers = read.private_numbers()
        assert numbers.private_value == key.secret
        assert numbers.public_numbers.x.to_bytes(32, "big") == key.x
        signature = key.signed(b"message")
        r, s = (int.from_bytes(one, "big") for one in (signature[:32], signature[32:]))
        read.public_key().verify(utils.encode_dss_signature(r, s), b"message", ec.ECDSA(hashes.SHA256()))


def test_a_binding_is_made_as_the_rfc_says() -> None:
    """RFC 8555, section 7.3.4: a MAC over the account's public key, with kid and address, and without a nonce."""
    key = account.Key()
    made = account.binding(key, KID, SECRET, "https://acme.test/new")
    protected, payload = (json.loads(decoded(made[part])) for part in ("protected", "payload"))
    assert protected == {"alg": "HS256", "kid": KID, "url": "https://acme.test/new"}
    assert payload == key.public == {"kty": "EC", "crv": "P-256", "x": payload["x"], "y": payload["y"]}
    mac = hmac.new(SECRET, f"{made['protected']}.{made['payload']}".encode(), hashlib.sha256).digest()
    assert decoded(made["signature"]) == mac


@pytest.mark.parametrize("text", ["", "canary", "canary canary canary canary", "canary!canary?canary$canary", "ä" * 40])
def test_a_key_that_makes_no_sense_is_refused_and_not_shown(wanted: Any, text: str) -> None:
    wanted.eab_hmac.write_text(text)
    with pytest.raises(keeper.KeeperError, match="acme_eab_hmac_file") as found:
        keeper.bind_account(wanted, {})
    assert "canary" not in str(found.value)


@pytest.mark.parametrize("form", [lambda text: text, lambda text: f" {text}=\n", lambda text: text.replace("-", "+")])
def test_a_key_is_taken_in_each_form_that_directories_give(form: Any) -> None:
    assert account.decoded(form(account.encoded(KEY))) == KEY


@pytest.fixture
def wanted(tmp_path: Path) -> Any:
    pair = tmp_path / "localhost.pem", tmp_path / "localhost.key"
    certificates.make(*pair, extensions=["subjectAltName=DNS:localhost"])
    (tmp_path / "hmac").write_text(account.encoded(SECRET) + "\n")
    for name in ("state", "serving", "challenges"):
        (tmp_path / name).mkdir()
    return keeper.Options(
        directory="https://localhost/dir",
        email="admin@example.test",
        names=(NAME,),
        challenge="http-01",
        dns_provider="",
        private=True,
        authorities=str(pair[0]),
        proxy="localhost:1",
        eab_kid=KID,
        own=tmp_path / "none.pem",
        eab_hmac=tmp_path / "hmac",
        state=tmp_path / "state",
        serving=tmp_path / "serving/tls.pem",
        challenges=tmp_path / "challenges",
    )


@contextlib.contextmanager
def server(
    wanted: Any, *, nonces_lost: int = 0, answers_lost: int = 0, spelled: Callable[[str], str] = str
) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """A directory that checks what it is asked, and takes a customer once for each address.

    :param nonces_lost: so many nonces are used up when they come
    :param answers_lost: so many accounts are made without an answer
    :param spelled: how it writes the names of headers
    """
    given: list[str] = []
    accounts: list[dict[str, Any]] = []
    keys: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status: int, document: Any, **headers: str) -> None:
            given.append(f"nonce-{len(given)}")
            self.send_response(status)
            self.send_header(spelled("Replay-Nonce"), given[-1])
            for name, value in headers.items():
                self.send_header(spelled(name), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(json.dumps(document).encode())

        def do_HEAD(self) -> None:
            self.answer(200, None)

        def do_GET(self) -> None:
            urls = {name: f"https://{self.headers['Host']}/{name}" for name in keeper.NEEDED}
            self.answer(200, {**urls, "meta": {"externalAccountRequired": True}})

        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/jose+json"
            outer = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            protected, payload = (json.loads(decoded(outer[part])) for part in ("protected", "payload"))
            if protected["nonce"] != given[-1] or len(given) <= nonces_lost + 1:
                return self.answer(400, {"type": "urn:ietf:params:acme:error:badNonce"})
            x, y = (int.from_bytes(decoded(protected["jwk"][part]), "big") for part in ("x", "y"))
            signature = decoded(outer["signature"])
            r, s = (int.from_bytes(one, "big") for one in (signature[:32], signature[32:]))
            ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key().verify(
                utils.encode_dss_signature(r, s),
                f"{outer['protected']}.{outer['payload']}".encode(),
                ec.ECDSA(hashes.SHA256()),
            )
            bound = payload["externalAccountBinding"]
            assert json.loads(decoded(bound["payload"])) == protected["jwk"]
            inner = json.loads(decoded(bound["protected"]))
            assert inner["url"] == protected["url"] == f"https://{self.headers['Host']}{self.path}"
            mac = hmac.new(SECRET, f"{bound['protected']}.{bound['payload']}".encode(), hashlib.sha256).digest()
            if inner["kid"] != KID or mac != decoded(bound["signature"]):
                return self.answer(403, {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "who are you?"})
            where = f"https://{self.headers['Host']}/account/1"
            if protected["jwk"] in keys:
                return self.answer(200, {"status": "valid"}, Location=where)
            if payload["contact"] in [one["contact"] for one in accounts]:
                return self.answer(403, {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "once only"})
            accounts.append(payload)
            keys.append(protected["jwk"])
            if len(accounts) <= answers_lost:
                return None
            return self.answer(201, {"status": "valid"}, Location=where)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(wanted.authorities, Path(wanted.authorities).with_suffix(".key"))
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield wanted._replace(directory=f"https://localhost:{made.server_address[1]}/dir"), accounts
    finally:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize("nonces_lost", [0, 2])
def test_an_account_is_made_once_and_left_where_lego_looks(
    wanted: Any, nonces_lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(_: Any) -> str:
        asked.append("asked")
        raise keeper.KeeperError("enough")

    monkeypatch.setattr(keeper, "await_proxy", lambda _: None)
    monkeypatch.setattr(keeper, "ask", ask)
    with server(wanted, nonces_lost=nonces_lost) as (options, accounts):
        for _ in range(2):
            keeper.Keeper(options).renew()
        keeper.Keeper(options._replace(email="other@example.test")).renew()
        host = options.directory.removeprefix("https://").partition("/")[0]
    assert [one["contact"] for one in accounts] == [["mailto:admin@example.test"], ["mailto:other@example.test"]]
    assert all(one["termsOfServiceAgreed"] is True for one in accounts)
    assert len(asked) == 3
    folder = options.state / "accounts" / host.replace(":", "_") / options.email
    known, key = folder / "account.json", folder / f"keys/{options.email}.key"
    assert json.loads(known.read_text())["registration"]["uri"] == f"https://{host}/account/1"
    assert [one.stat().st_mode & 0o777 for one in (known, key)] == [0o600] * 2


@pytest.mark.parametrize("kept", [None, "", "[]", '{"another": "1f"}'])
def test_an_account_whose_answer_was_lost_is_asked_for_again_by_its_key(
    wanted: Any, kept: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "await_proxy", lambda _: None)
    file = wanted.state / "account-keys.json"
    if kept is not None:
        file.write_text(kept)
    with server(wanted, answers_lost=1) as (options, accounts):
        keeper.Keeper(options).renew()
        assert "does not answer" in keeper.Keeper(options).problems()[0]
        assert not list(options.state.rglob("account.json"))
        again = keeper.Keeper(options)
        again.renew()
    assert len(accounts) == 1
    assert again.known["bound"] == [options.directory, options.email, KID]
    [key] = options.state.rglob("*.key")
    assert key.read_text() == keeper.key_for(options).pem
    assert file.stat().st_mode & 0o777 == 0o600
    assert keeper.key_for(options).secret != keeper.key_for(options._replace(eab_kid="kid-2")).secret


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_the_names_of_headers_may_be_spelled_in_each_way(wanted: Any, spelled: Callable[[str], str]) -> None:
    with server(wanted, spelled=spelled) as (options, accounts):
        keeper.bind_account(options, keeper.look_at_directory(options))
    assert len(accounts) == 1
    assert list(options.state.rglob("account.json"))


@pytest.mark.parametrize(("change", "said"), [({"eab_kid": "kid-2"}, "who are you"), ({}, "status 400")])
def test_a_directory_that_gives_no_account_is_a_problem_that_says_why(
    wanted: Any, change: dict[str, Any], said: str
) -> None:
    with server(wanted, nonces_lost=0 if change else 100) as (options, accounts):
        one = keeper.Keeper(options._replace(**change))
        one.renew()
        assert said in one.problems()[0]
        assert account.encoded(SECRET) not in one.problems()[0]
    assert not accounts
    assert not list(options.state.rglob("account.json"))


def test_a_directory_that_takes_its_customers_alone_is_named_with_what_is_missing(wanted: Any) -> None:
    with server(wanted, nonces_lost=0) as (options, _):
        keeper.look_at_directory(options)
        with pytest.raises(keeper.KeeperError, match="acme_eab_kid and acme_eab_hmac_file"):
            keeper.look_at_directory(options._replace(eab_kid=""))


@pytest.mark.skipif(not all(map(shutil.which, ("pebble", "lego", "choom", "prlimit"))), reason="no pebble, no lego")
def test_lego_gets_a_certificate_from_pebble_by_the_account_that_was_made(
    wanted: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as free:
        ports = [free.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2)]
    configuration = {
        "listenAddress": f"127.0.0.1:{ports[0]}",
        "managementListenAddress": f"127.0.0.1:{ports[1]}",
        "certificate": wanted.authorities,
        "privateKey": wanted.authorities.replace(".pem", ".key"),
        "httpPort": 1,
        "tlsPort": 1,
        "externalAccountBindingRequired": True,
        "externalAccountMACKeys": {KID: account.encoded(SECRET)},
    }
    (tmp_path / "pebble.json").write_text(json.dumps({"pebble": configuration}))
    command = ["pebble", "-config", str(tmp_path / "pebble.json"), "-strict"]
    environment = {**os.environ, "PEBBLE_VA_ALWAYS_VALID": "1", "PEBBLE_WFE_NONCEREJECT": "30"}
    monkeypatch.setattr(keeper, "await_proxy", lambda _: None)
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as pebble:
        try:
            options = wanted._replace(directory=f"https://localhost:{ports[0]}/dir")
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(keeper.KeeperError):
                    keeper.look_at_directory(options)
                    break
                assert time.monotonic() < deadline
                time.sleep(0.1)
            stranger = keeper.Keeper(options._replace(eab_kid=""))
            stranger.renew()
            assert "makes no account without acme_eab_kid" in stranger.problems()[0]
            one = keeper.Keeper(options)
            one.renew()
            assert one.problems() == []
            assert NAME in keeper.read(options.serving).names
        finally:
            pebble.terminate()
