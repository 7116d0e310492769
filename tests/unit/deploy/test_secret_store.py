"""Properties of the secret store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import (
    SecretError,
    Store,
    make_uuid,
)
from ansible_collections.sse.platform.plugins.module_utils.model import secret

if TYPE_CHECKING:
    from pathlib import Path


DECLARED = secret.declared(
    {
        "cache": {"secrets": {"redis_password": {"kind": "password"}, "cluster_id": {"kind": "uuid-base64"}}},
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
