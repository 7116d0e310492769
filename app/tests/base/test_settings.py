from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sse_harness import APP

from sse_app.base.settings import ConfigurationError, Settings, load, variable


def test_nothing_set_is_the_embedded_mode() -> None:
    settings = load({"PATH": "/bin", "HOME": "/"})
    assert (settings.port, settings.kafka_brokers, settings.redis_host) == (8000, "", "")


def test_every_field_is_set_by_its_variable() -> None:
    for name, field in Settings.model_fields.items():
        value = {"kafka_brokers": "a:1,b:2", "cors_origins": "https://a.example", "log_level": "debug"}.get(name)
        value = value or str(field.get_default(call_default_factory=True))
        loaded = getattr(load({variable(name): value}), name)
        assert loaded == (value == "True" if isinstance(loaded, bool) else type(loaded)(value))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SSE_PROT": "1"}, "SSE_PROT: unknown variable; did you mean SSE_PORT?"),
        ({"SSE_ZZZZZZZZ": "1"}, "SSE_ZZZZZZZZ: unknown variable"),
        ({"SSE_PORT": "70000"}, "SSE_PORT='70000'"),
        ({"SSE_PORT": "http"}, "SSE_PORT='http'"),
        ({"SSE_PORT": ""}, "SSE_PORT=''"),
        ({"SSE_HEARTBEAT_SECONDS": "1.5"}, "SSE_HEARTBEAT_SECONDS='1.5'"),
        ({"SSE_HEARTBEAT_SECONDS": "0"}, "SSE_HEARTBEAT_SECONDS='0'"),
        ({"SSE_DRAIN_SECONDS": "nan"}, "SSE_DRAIN_SECONDS='nan'"),
        ({"SSE_DRAIN_SECONDS": "-1"}, "SSE_DRAIN_SECONDS='-1'"),
        ({"SSE_LOG_LEVEL": "loud"}, "SSE_LOG_LEVEL='loud'"),
        ({"SSE_REPLICA": "a\nb"}, "SSE_REPLICA='a\\nb'"),
        ({"SSE_CORS_ORIGINS": "example.org"}, "SSE_CORS_ORIGINS='example.org'"),
        *(
            ({"SSE_CORS_ORIGINS": f"https://a.example,{origin}"}, f"{origin}': expected * or origins as browsers send")
            for origin in (
                *("https://*.example.org", "https://Example.org", "https://example.org:443", "http://example.org:80"),
                *("https://example.org/", "https://example.org?x", "https://me@example.org", "https://bücher.example"),
                *("null", "https://", "https://example.org:0", "https://example.org https://b.example"),
            )
        ),
        ({"KAFKA_BROKERS": "kafka"}, "KAFKA_BROKERS='kafka'"),
        ({"KAFKA_BROKERS": "kafka:9092, other:9092"}, "KAFKA_BROKERS="),
        ({"REDIS_PORT": "tcp://10.0.0.1:6379"}, "REDIS_PORT='tcp://10.0.0.1:6379'"),
        ({"REDIS_PASSWORD_FILE": "/nowhere/at/all"}, "REDIS_PASSWORD_FILE='/nowhere/at/all'"),
        ({"KAFKA_MECHANISM": "GSSAPI"}, "KAFKA_MECHANISM='GSSAPI'"),
        (
            {"REDIS_TLS": "on", "REDIS_CA_FILE": "/nowhere/at/all"},
            "REDIS_CA_FILE='/nowhere/at/all': expected a readable",
        ),
        ({"KAFKA_CA_FILE": "/etc/hosts"}, "KAFKA_CA_FILE='/etc/hosts': KAFKA_TLS is off"),
        ({"SSE_RING_BYTES": "65536"}, "SSE_RING_BYTES=65536"),
        ({"SSE_RETENTION_SECONDS": "60", "SSE_HEARTBEAT_SECONDS": "60"}, "SSE_RETENTION_SECONDS=60"),
        (
            {"SSE_RETENTION_SECONDS": "60", "SSE_DEDUPE_SECONDS": "61"},
            "SSE_DEDUPE_SECONDS=61: expected at most SSE_RETE",
        ),
    ],
)
def test_senseless_configuration_is_refused_in_one_line_that_names_the_variable(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(environment)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_origins_are_taken_as_browsers_send_them() -> None:
    origins = (
        "https://example.org,http://localhost:3000,https://xn--bcher-kva.example:8443,http://[::1]:8080,http://a_b"
    )
    for one in (origins, "*"):
        assert load({"SSE_CORS_ORIGINS": one}).cors_origins == one


def test_a_key_counts_no_longer_than_the_log_keeps_its_record() -> None:
    assert load({}).window_seconds == 600
    assert load({"SSE_RETENTION_SECONDS": "60"}).window_seconds == 60
    assert load({"SSE_RETENTION_SECONDS": "600", "SSE_DEDUPE_SECONDS": "60"}).window_seconds == 60


def test_the_process_refuses_to_start_with_one_line_and_status_2() -> None:
    environment = {**os.environ, "SSE_PROT": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "sse_app"], cwd=APP, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (2, "sse_app: SSE_PROT: unknown variable; did you mean SSE_PORT?\n")


def test_the_password_is_read_from_its_file_and_is_nowhere_in_the_settings(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("canary-4711\n")
    settings = load({"REDIS_PASSWORD_FILE": str(secret)})
    assert settings.redis_password() == "canary-4711"
    assert "canary" not in repr(settings)
