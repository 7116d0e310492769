"""Properties of the secret store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import own_certificate
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import (
    SecretError,
    Store,
    make_uuid,
)
from ansible_collections.sse.platform.plugins.module_utils.model import secret
from ansible_collections.sse.platform.tests import certificates

if TYPE_CHECKING:
    from pathlib import Path


DECLARED = secret.declared(
    {
        "cache": {
            "secrets": {"redis_password": {"kind": "password"}, "cluster_id": {"kind": "uuid-base64", "kept": "x"}}
        },
        "proxy": {"secrets": {"tls_certificate": {"kind": "certificate", "key": "tls_key"}}},
        "service": {"secrets": {"app_proof_key": {"kind": "password"}, "app_keys": {"kind": "given"}}},
    }
)


def made(state: str, given: dict[str, str]) -> Store:
    return Store(state, given, DECLARED)


def test_a_secret_is_made_once_and_kept_at_mode_0600(tmp_path: Path) -> None:
    password = made(str(tmp_path), {}).value("redis_password")
    assert password == made(str(tmp_path), {}).value("redis_password")
    path = tmp_path / "secrets" / "redis_password"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_preview_makes_nothing(tmp_path: Path) -> None:
    assert made(str(tmp_path), {}).fingerprint("redis_password", make=False) is None
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_would_make_is_foreseen_and_not_written(tmp_path: Path) -> None:
    foreseen = Store(str(tmp_path), {}, DECLARED, foresees=True)
    assert foreseen.fingerprint("redis_password") == foreseen.fingerprint("redis_password", make=False) is not None
    assert foreseen.value("tls_certificate") == foreseen.value("tls_key", make=False) is not None
    assert foreseen.value("app_keys", make=False) is None
    assert set(foreseen.told) == {"redis_password", "salt", "tls_certificate", "tls_key"}
    assert list(tmp_path.iterdir()) == []


def test_a_secret_that_must_not_change_comes_back_as_a_container_has_it(tmp_path: Path) -> None:
    for foresees in (True, False):
        store = Store(str(tmp_path), {}, DECLARED, foresees=foresees)
        store.copies = {"cluster_id": tmp_path / "copy"}
        (tmp_path / "copy").write_text("of before")
        assert store.value("cluster_id") == "of before"
        assert "as " in store.told["cluster_id"]
    (tmp_path / "copy").unlink()
    assert store.value("cluster_id") == "of before"


@pytest.mark.parametrize("gone", [["tls_key"], ["tls_certificate"], ["tls_certificate", "tls_key"]])
@pytest.mark.parametrize("asked", ["tls_key", "tls_certificate"])
def test_a_certificate_and_its_key_are_made_together_whichever_is_asked_for_first(
    tmp_path: Path, gone: list[str], asked: str
) -> None:
    first = made(str(tmp_path), {})
    before = {name: first.value(name) for name in ("tls_key", "tls_certificate")}
    for name in gone:
        (tmp_path / "secrets" / name).unlink()
    store = made(str(tmp_path), {})
    store.value(asked)
    assert all(store.value(name) != before[name] for name in before)
    assert own_certificate.fits(tmp_path / "secrets/tls_certificate", tmp_path / "secrets/tls_key")


def test_a_key_that_does_not_belong_to_the_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    """Somebody put the certificate there: it is not written over."""
    store = made(str(tmp_path), {})
    store.value("tls_key")
    authority, chain = tmp_path / "authority", tmp_path / "secrets/tls_certificate"
    certificates.make(authority, tmp_path / "authority_key", subject="authority")
    certificates.sign(chain, tmp_path / "key", authority, tmp_path / "authority_key", subject="events.example.org")
    signed = chain.read_text()
    for foresees in (True, False):
        with pytest.raises(SecretError, match=r"does not belong to the certificate .* another authority has signed"):
            Store(str(tmp_path), {}, DECLARED, foresees=foresees).value("tls_certificate")
    assert (tmp_path / "secrets/tls_certificate").read_text() == signed
    (tmp_path / "secrets/tls_key").unlink()
    looks = Store(str(tmp_path), {}, DECLARED, foresees=True)
    for name in ("tls_certificate", "tls_key"):
        with pytest.raises(SecretError, match=r"the file of tls_key is missing, and another authority has signed"):
            looks.value(name)
    assert not looks.told


def test_a_fingerprint_changes_with_the_secret_and_differs_between_hosts(tmp_path: Path) -> None:
    first, second = (
        made(str(tmp_path / "1"), {"redis_password": "a"}),
        made(str(tmp_path / "2"), {"redis_password": "a"}),
    )
    assert first.fingerprint("redis_password") == first.fingerprint("redis_password")
    assert first.fingerprint("redis_password") != second.fingerprint("redis_password")
    assert first.fingerprint("redis_password") != made(str(tmp_path / "1"), {"redis_password": "b"}).fingerprint(
        "redis_password"
    )


def test_what_no_service_declares_is_unknown_unless_it_was_made_before(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="'old_password' is unknown"):
        made(str(tmp_path), {}).value("old_password")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "old_password").write_text("kept")
    assert made(str(tmp_path), {}).value("old_password") == "kept"


@pytest.mark.parametrize(("length", "digits"), [(32, 64), (16, 32)])
def test_a_password_has_the_declared_length(tmp_path: Path, length: int, digits: int) -> None:
    declared = secret.declared({"own": {"secrets": {"own_password": {"kind": "password", "bytes": length}}}})
    assert len(Store(str(tmp_path), {}, declared).value("own_password") or "") == digits


def test_a_secret_is_put_into_the_line_that_its_reader_wants(tmp_path: Path) -> None:
    assert (
        made(str(tmp_path), {"redis_password": "p"}).render("redis_password", "requirepass {}\n") == "requirepass p\n"
    )


def test_a_secret_is_put_as_its_hash_where_that_is_enough(tmp_path: Path) -> None:
    rendered = made(str(tmp_path), {"app_proof_key": "abc"}).render("app_proof_key", "[{sha256}]")
    assert rendered == "[ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad]"


def test_what_only_the_user_can_give_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="'app_keys' was not given"):
        made(str(tmp_path), {}).value("app_keys")


def test_the_certificate_names_this_host_and_its_key_fits(tmp_path: Path) -> None:
    store = made(str(tmp_path), {})
    assert "BEGIN CERTIFICATE" in (store.value("tls_certificate") or "")
    assert "PRIVATE KEY" in (store.value("tls_key") or "")
    assert (tmp_path / "secrets" / "tls_key").stat().st_mode & 0o777 == 0o600


def test_cluster_ids_never_look_like_an_option() -> None:
    assert not any(make_uuid().startswith("-") for _ in range(500))


def test_an_empty_secret_is_refused_and_not_handed_out(tmp_path: Path) -> None:
    """Somebody emptied it: it would open what it guards."""
    store = Store(str(tmp_path), {}, secret.declared({"app": {"secrets": {"app_ticket_key": {"kind": "password"}}}}))
    path = tmp_path / "secrets/app_ticket_key"
    assert store.value("app_ticket_key")
    path.write_text("")
    for make in (True, False):
        with pytest.raises(SecretError, match=r"app_ticket_key is empty: .*from a backup; or remove the file"):
            store.value("app_ticket_key", make=make)
    path.unlink()
    assert store.value("app_ticket_key")
