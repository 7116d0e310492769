"""A certificate and its key, checked before they reach nginx."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.settings import certificate
from ansible_collections.sse.platform.tests import certificates

NOW = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)  # after the certificates of these tests are made


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of one day and its key."""
    return make(tmp_path, "one")


def make(directory: Path, name: str) -> tuple[Path, Path]:
    chain, key = directory / f"{name}.pem", directory / f"{name}.key"
    certificates.make(chain, key, days=1)
    return chain, key


def told(chain: Path, key: Path, now: dt.datetime = NOW, hosts: Sequence[str] = ()) -> str:
    certificate_file = certificate.GivenFile("nginx_certificate", str(chain))
    key_file = certificate.GivenFile("nginx_certificate_key", str(key))
    return "\n".join(certificate.problems(certificate_file, key_file, now, hosts))


def test_a_good_pair_is_accepted(pair: tuple[Path, Path]) -> None:
    assert told(*pair) == ""


def test_a_key_of_another_certificate_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert "nginx_certificate_key" in told(pair[0], make(tmp_path, "two")[1])


def test_a_key_that_others_can_read_is_refused(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o640)
    assert "mode 0600" in told(*pair)


def test_an_expired_certificate_is_refused(pair: tuple[Path, Path]) -> None:
    assert "it ended on" in told(*pair, now=NOW + dt.timedelta(days=3))


def test_a_certificate_of_tomorrow_is_refused(pair: tuple[Path, Path]) -> None:
    assert "it begins on" in told(*pair, now=NOW - dt.timedelta(days=3))


def authorities(text: bytes, now: dt.datetime = NOW) -> str:
    return "\n".join(certificate.authorities_problems(certificate.GivenFile("x_ca", "/ca.pem"), text, now))


def test_authorities_are_certificates_in_pem_and_nothing_secret(tmp_path: Path) -> None:
    (one, key), (two, __) = make(tmp_path, "one"), make(tmp_path, "two")
    bundle = b"# of ours\n" + one.read_bytes() + two.read_bytes()
    assert authorities(bundle) == ""
    der = subprocess.run(["openssl", "x509", "-in", one, "-outform", "DER"], check=True, capture_output=True).stdout
    for text in (b"", b"hello", der, bundle.replace(b"MII", b"!!!"), one.read_bytes()[:200]):
        assert authorities(text).startswith("x_ca is '/ca.pem': it holds no certificate in PEM"), text
    assert "a private key is in it" in authorities(bundle + key.read_bytes())
    assert "no certificate in it is valid any more" in authorities(bundle, NOW + dt.timedelta(days=3))


def chained(tmp_path: Path) -> tuple[list[str], Path]:
    """Make a certificate that an authority signed; return both certificates, and the key of the first."""
    certificates.make(tmp_path / "authority.pem", tmp_path / "authority.key", subject="authority")
    key, signed = tmp_path / "server.key", tmp_path / "server.pem"
    certificates.sign(signed, key, tmp_path / "authority.pem", tmp_path / "authority.key", subject="server")
    return [signed.read_text(), (tmp_path / "authority.pem").read_text()], key


def test_a_chain_in_order_is_accepted_and_one_with_another_authority_is_refused(tmp_path: Path) -> None:
    (own, authority), key = chained(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_text(own + authority)
    assert told(chain, key) == ""
    other = make(tmp_path, "other")[0].read_text()
    chain.write_text(own + other + authority)
    assert "certificate 2 in it (CN=localhost) did not sign certificate 1 (CN=server)" in told(chain, key)


def test_a_chain_that_begins_with_the_authority_is_refused(tmp_path: Path) -> None:
    (own, authority), key = chained(tmp_path)
    chain = tmp_path / "chain.pem"
    chain.write_text(authority + own)
    assert "did not sign" in told(chain, key)


@pytest.mark.parametrize(
    ("names", "hosts", "absent"),
    [
        ("DNS:events.example.org", ["events.example.org"], ""),
        ("DNS:events.example.org", ["EVENTS.example.org"], ""),
        ("DNS:*.example.org", ["events.example.org", "*.example.org"], ""),
        ("IP:192.0.2.7", ["192.0.2.7"], ""),
        ("DNS:*.example.org", ["a.events.example.org"], "a.events.example.org"),
        ("DNS:*.example.org", ["example.org"], "example.org"),
        ("DNS:events.example.org", ["events.example.org", "example.com"], "example.com"),
        ("", ["localhost"], "localhost"),  # its subject says localhost, which no client reads any more
    ],
)
def test_a_certificate_for_another_host_is_refused(tmp_path: Path, names: str, hosts: list[str], absent: str) -> None:
    pair = tmp_path / "named.pem", tmp_path / "named.key"
    certificates.make(*pair, extensions=[f"subjectAltName={names}"] if names else [])
    assert told(*pair, hosts=hosts).count(f"and not for {absent};") == bool(absent)
    assert bool(told(*pair, hosts=hosts)) == bool(absent)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(pair: tuple[Path, Path], text: str) -> None:
    pair[0].write_text(text)
    assert "no certificate in PEM" in told(*pair)


def test_a_key_with_a_password_is_refused_without_asking_for_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", str(pair[1]), "-out", str(locked), "-passout", "pass:secret-word"]
    subprocess.run(command, check=True, capture_output=True)
    locked.chmod(0o600)
    assert "without a password" in told(pair[0], locked)


@pytest.mark.parametrize("usage", ["serverAuth", "clientAuth,serverAuth"])
def test_a_certificate_for_servers_is_accepted(tmp_path: Path, usage: str) -> None:
    pair = tmp_path / "used.pem", tmp_path / "used.key"
    certificates.make(*pair, extensions=[f"extendedKeyUsage={usage}", "keyUsage=critical,digitalSignature"])
    assert told(*pair) == ""


@pytest.mark.parametrize("extension", ["extendedKeyUsage=clientAuth", "keyUsage=critical,keyCertSign"])
def test_a_certificate_that_clients_refuse_in_the_handshake_is_refused(tmp_path: Path, extension: str) -> None:
    pair = tmp_path / "used.pem", tmp_path / "used.key"
    certificates.make(*pair, extensions=[extension])
    assert "no client could use it (" in told(*pair)


def test_a_key_of_a_curve_that_tls_does_not_know_is_refused(tmp_path: Path) -> None:
    """NGINX takes such a certificate, and every handshake of it fails."""
    chain, key = tmp_path / "odd.pem", tmp_path / "odd.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes"]
    command += ["-days", "1", "-subj", "/CN=odd", "-out", str(chain), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
    assert "no client could use it (" in told(chain, key)
