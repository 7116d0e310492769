"""A certificate and its key, checked before they reach nginx."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.settings import certificate
from ansible_collections.sse.platform.tests import certificates

NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of one day and its key."""
    return make(tmp_path, "one")


def make(directory: Path, name: str) -> tuple[Path, Path]:
    chain, key = directory / f"{name}.pem", directory / f"{name}.key"
    certificates.make(chain, key, days=1)
    return chain, key


def told(chain: Path, key: Path, now: dt.datetime = NOW) -> str:
    certificate_file = certificate.GivenFile("nginx_certificate", str(chain))
    key_file = certificate.GivenFile("nginx_certificate_key", str(key))
    return "\n".join(certificate.problems(certificate_file, key_file, now))


def test_a_good_pair_is_accepted(pair: tuple[Path, Path]) -> None:
    assert told(*pair) == ""


def test_a_key_of_another_certificate_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert "nginx_certificate_key" in told(pair[0], make(tmp_path, "two")[1])


def test_a_key_that_others_can_read_is_refused(pair: tuple[Path, Path]) -> None:
    pair[1].chmod(0o640)
    assert "mode 0600" in told(*pair)


def test_an_expired_certificate_is_refused(pair: tuple[Path, Path]) -> None:
    assert "it ended on" in told(*pair, now=NOW + dt.timedelta(days=3))


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
