"""The certificate that a host makes for itself: of a server, for its names, and made anew where it does not fit."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import NamedTuple

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import own_certificate
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.model import secret
from ansible_collections.sse.platform.tests import certificates
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

WANTED = ["events.example.org", "192.0.2.7", "no_name", "*.example.org"]


class Pair(NamedTuple):
    certificate: Path
    key: Path


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = Pair(tmp_path / "secrets/certificate", tmp_path / "secrets/key")
    own_certificate.make(*made, WANTED)
    return made


def handshake(pair: Pair, name: str) -> None:
    """Connect to a server that has the certificate, with a client that trusts exactly this certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*pair)
    client = ssl.create_default_context(cafile=str(pair.certificate))
    near, far = socket.socketpair()
    far.settimeout(5)

    def serve() -> None:
        with near:
            try:
                server.wrap_socket(near, server_side=True).close()
            except OSError:
                return  # the client refused; it says why

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(far, server_hostname=name):
            pass
    finally:
        thread.join()


def test_it_is_of_a_server_and_can_sign_no_other(pair: Pair) -> None:
    made = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert {one.stat().st_mode & 0o777 for one in pair} == {0o600}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "192.0.2.7", "events.example.org", "a.example.org"])
def test_who_trusts_it_reaches_the_host_by_every_name(pair: Pair, name: str) -> None:
    handshake(pair, name)


def test_who_trusts_it_accepts_no_other_name(pair: Pair) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(pair, "example.com")


def test_it_stays_while_it_fits(pair: Pair) -> None:
    assert own_certificate.outdated(pair.certificate, WANTED) == ""


def test_a_new_name_and_an_end_in_sight_make_it_outdated(pair: Pair, tmp_path: Path) -> None:
    assert "new.example.org" in own_certificate.outdated(pair.certificate, [*WANTED, "new.example.org"])
    short = tmp_path / "short.pem"
    certificates.make(short, tmp_path / "short.key", extensions=["basicConstraints=critical,CA:FALSE"])
    assert "days are left" in own_certificate.outdated(short, [])


def store(state: Path) -> Store:
    own = {"kind": "certificate", "key": "tls_key", "names": WANTED}
    return Store(str(state), {}, secret.declared({"proxy": {"secrets": {"tls_certificate": own}}}))


def test_an_authority_that_an_earlier_version_made_is_replaced_in_a_run_and_not_in_a_preview(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o700)
    certificates.make(
        secrets / "tls_certificate", secrets / "tls_key", extensions=["basicConstraints=critical,CA:TRUE"]
    )
    before = (secrets / "tls_certificate").read_text()
    assert store(tmp_path).value("tls_certificate", make=False) == before
    both = store(tmp_path).render("tls_key", "{}{pair}")
    assert before not in both
    handshake(Pair(secrets / "tls_certificate", secrets / "tls_key"), "events.example.org")
    assert both == (secrets / "tls_key").read_text() + (secrets / "tls_certificate").read_text()
    assert store(tmp_path).render("tls_key", "{}{pair}") == both


def test_what_another_signed_is_never_replaced(tmp_path: Path) -> None:
    authority, signed = tmp_path / "authority", tmp_path / "signed.pem"
    certificates.make(authority, tmp_path / "key", subject="authority")
    certificates.sign(signed, tmp_path / "own.key", authority, tmp_path / "key", subject="server")
    assert own_certificate.outdated(signed, WANTED) == ""
