"""Properties of the secret store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import (
    SecretError,
    Store,
    generate_cluster_id,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_secret_is_made_once_and_kept_at_mode_0600(tmp_path: Path) -> None:
    made = Store(str(tmp_path), {}).value("redis_password")
    assert made == Store(str(tmp_path), {}).value("redis_password")
    path = tmp_path / "secrets" / "redis_password"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_preview_makes_nothing(tmp_path: Path) -> None:
    assert Store(str(tmp_path), {}).fingerprint("redis_password", make=False) is None
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_changes_with_the_secret_and_differs_between_hosts(tmp_path: Path) -> None:
    first, second = (
        Store(str(tmp_path / "1"), {"redis_password": "a"}),
        Store(str(tmp_path / "2"), {"redis_password": "a"}),
    )
    assert first.fingerprint("redis_password") == first.fingerprint("redis_password")
    assert first.fingerprint("redis_password") != second.fingerprint("redis_password")
    assert first.fingerprint("redis_password") != Store(str(tmp_path / "1"), {"redis_password": "b"}).fingerprint(
        "redis_password"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [({"redis_pasword": "Canary1"}, "'redis_pasword' is unknown"), ({"tls_key": "Canary1"}, "go together")],
)
def test_wrong_secrets_are_refused_without_their_values(tmp_path: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(SecretError, match=message) as caught:
        Store(str(tmp_path), given)
    assert "Canary1" not in str(caught.value)


def test_a_secret_is_put_into_the_line_that_its_reader_wants(tmp_path: Path) -> None:
    assert (
        Store(str(tmp_path), {"redis_password": "p"}).render("redis_password", "requirepass {}\n") == "requirepass p\n"
    )


def test_a_secret_is_put_as_its_hash_where_that_is_enough(tmp_path: Path) -> None:
    rendered = Store(str(tmp_path), {"app_proof_key": "abc"}).render("app_proof_key", "[{sha256}]")
    assert rendered == "[ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad]"


def test_what_only_the_user_can_give_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="'app_keys' was not given"):
        Store(str(tmp_path), {}).value("app_keys")


def test_the_certificate_names_this_host_and_its_key_fits(tmp_path: Path) -> None:
    store = Store(str(tmp_path), {})
    assert "BEGIN CERTIFICATE" in (store.value("tls_certificate") or "")
    assert "PRIVATE KEY" in (store.value("tls_key") or "")
    assert (tmp_path / "secrets" / "tls_key").stat().st_mode & 0o777 == 0o600


def test_cluster_ids_never_look_like_an_option() -> None:
    assert not any(generate_cluster_id().startswith("-") for _ in range(500))
