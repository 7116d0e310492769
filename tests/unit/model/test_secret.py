"""Properties of declared secrets: who may read them, and which values of the user's fit none."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import secret
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError, parse

CERTIFICATE = {"kind": "certificate", "key": "tls_key"}
CACHE: dict[str, Any] = {"secrets": {"cache_password": {"kind": "password", "readers": ["client"]}}}
DECLARED = secret.declared({"cache": CACHE, "proxy": {"secrets": {"tls_certificate": CERTIFICATE}}})


def reader(name: str, key: str = "secrets") -> Any:
    return parse(
        {
            "image": "x",
            "entrypoint": ["x"],
            "user": "1:1",
            "healthcheck": {"command": ["x"]},
            key: {"/run/secrets": {"x": {"secret": name}}},
        },
        "x.containers.x",
    )


def test_a_certificate_is_two_secrets_that_know_each_other() -> None:
    assert (DECLARED["tls_certificate"]["pair"], DECLARED["tls_key"]["pair"]) == ("tls_key", "tls_certificate")
    assert DECLARED["tls_key"]["kind"] == "certificate-key"


@pytest.mark.parametrize(
    ("declared", "place"),
    [
        (
            {"own": {"kind": "pasword"}},
            r"x\.secrets\.own\.kind: 'pasword'.*one of password, ",
        ),
        ({"own": {}}, r"x\.secrets\.own\.kind"),
        ({"own": {"kind": "password", "bits": 1}}, r"x\.secrets\.own\.bits: unknown key"),
        ({"own": {"kind": "password", "bytes": 8}}, r"x\.secrets\.own\.bytes: 8.*16 to 1024"),
        ({"own": {"kind": "certificate"}}, r"x\.secrets\.own\.key: required"),
        ({"../own": {"kind": "password"}}, r"x\.secrets\.\.\./own"),
        ({"salt": {"kind": "password"}}, r"x\.secrets\.salt"),
        ({"all": {"kind": "password"}}, r"x\.secrets\.all"),
        ({"cache_password": {"kind": "password"}}, "service cache declares 'cache_password' already"),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_place(declared: dict[str, Any], place: str) -> None:
    with pytest.raises(SpecError, match=place):
        secret.declared({"cache": CACHE, "x": {"secrets": declared}})


@pytest.mark.parametrize("key", ["secrets", "live_secrets"])
def test_a_secret_is_read_by_its_service_and_by_those_that_it_names(key: str) -> None:
    for service in ("cache", "client"):
        secret.refuse_unread(DECLARED, service, reader("cache_password", key), "x")
    with pytest.raises(SpecError, match=rf"x\.{key}: .*add other to cache\.secrets\.cache_password\.readers"):
        secret.refuse_unread(DECLARED, "other", reader("cache_password", key), "x")
    with pytest.raises(SpecError, match=rf"x\.{key}: 'cache_pasword'"):
        secret.refuse_unread(DECLARED, "cache", reader("cache_pasword", key), "x")


@pytest.mark.parametrize(
    ("given", "message"),
    [(["cache_pasword"], "'cache_pasword' is unknown"), (["tls_key"], "tls_key and tls_certificate go together")],
)
def test_values_that_fit_no_secret_are_named(given: list[str], message: str) -> None:
    [found] = secret.problems(dict.fromkeys(given, "a" * 16), DECLARED)
    assert message in found
    assert secret.problems(dict.fromkeys(["cache_password", "tls_key", "tls_certificate"], "a" * 16), DECLARED) == []


def test_a_value_that_its_readers_would_refuse_as_too_short_is_refused_and_not_shown() -> None:
    """The replicas got a key of 20 characters for their tickets, kept the last one, and could not start again."""
    declared = secret.declared({"app": {"secrets": {"key": {"kind": "password", "least": 32}}}})
    [found] = secret.problems({"key": "canary-of-20-letters"}, declared)
    assert found == "stack_secrets: key is too short (not shown); expected at least 32 characters"
    assert secret.problems({"key": "a" * 32}, declared) == []


def test_a_secret_that_only_the_user_has_is_missed_where_a_container_reads_it() -> None:
    mounts = {"/run": {"key": {"secret": "key", "format": "{}"}}}
    secrets = {name: {"kind": kind, "service": "s"} for name, kind in (("key", "given"), ("made", "password"))}
    release: Any = {"secrets": secrets, "containers": {"a": {"secrets": mounts, "live_secrets": {}}}}
    assert secret.not_given(release, ["key"]) == []
    (said,) = secret.not_given(release, [])
    assert said.startswith("Secret key of s is not given")
