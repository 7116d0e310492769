"""Certificates from an ACME directory: pebble on the stack's network, which issues for some seconds only."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from ansible_collections.sse.platform.tests import certificates
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from cryptography import x509

NAME = "events.example.test"
STREAMS = 20
VALID = 15  # seconds, so that a renewal is due after ten
PEBBLE: dict[str, Any] = {
    "listenAddress": "0.0.0.0:14000",
    "managementListenAddress": "0.0.0.0:15000",
    "certificate": "/etc/pebble/pebble.pem",
    "privateKey": "/etc/pebble/pebble.key",
    "httpPort": 80,
    "tlsPort": 443,
    "certificateValidityPeriod": VALID,
    "externalAccountBindingRequired": True,
    "externalAccountMACKeys": {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"},
    "retryAfter": {"authz": 1, "order": 1},
}
DOCKERFILE = "ARG BASE\nFROM ${BASE}\nRUN install_packages pebble\n"
SCANS = (
    *("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--heartbleed", "--openssl_ccs"),
    *("--robot", "--compression", "--early_data", "--reneg", "--fallback"),
)
LAST_STAYS = "no new certificate, the last good one stays: "
SSLYZE = Path(__file__).with_name("sslyze.txt")


class Served(NamedTuple):
    """The certificate that a client gets."""

    serial: int
    issuer: str
    ends: float


def served(stack: Stack) -> Served:
    """Ask NGINX for its certificate, as a client that wants the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", stack.http_port + 1), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as client,
    ):
        found = x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"")
    return Served(found.serial_number, found.issuer.rfc4514_string(), found.not_valid_after_utc.timestamp())


class Streams:
    """Streams over TLS that stay open until the block ends, and what they hear."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.ended = stack, threading.Event()
        self.heard, self.cut = [0] * STREAMS, 0

    def __enter__(self) -> Streams:
        self.threads = [threading.Thread(target=self.listen, args=(one,)) for one in range(STREAMS)]
        for thread in self.threads:
            thread.start()
        eventually(self.hear, "every stream hears an event")
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.hear()  # wakes them up
        for thread in self.threads:
            thread.join()

    def hear(self) -> bool:
        """Publish an event, and tell whether every stream has heard one more than before."""
        before = list(self.heard)
        event = {"channel": "it.acme", "event": "test", "data": 1}
        url = f"https://127.0.0.1:{self.stack.http_port + 1}/api/v1/events"
        assert httpx.post(url, json=event, timeout=15, verify=False).status_code == 202
        time.sleep(0.2)
        return all(now > then for now, then in zip(self.heard, before, strict=True))

    def listen(self, number: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.stack.http_port + 1), timeout=20)
        with context.wrap_socket(plain, server_hostname=NAME) as stream:
            stream.sendall(f"GET /api/v1/stream?channel=it.acme HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            while not self.ended.is_set():
                part = stream.recv(65536)
                if not part:
                    self.cut += 1
                    return
                self.heard[number] += part.count(b"\nid: ")


class Issued(NamedTuple):
    """A stack with a certificate of pebble's."""

    stack: Stack
    pebble: Any  # the container
    settings: dict[str, Any]
    seconds: float  # from the start of the container that asks to the first valid certificate


@pytest.fixture(scope="module")
def issued(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    """Begin with a stack that serves its own certificate, and switch to the directory."""
    folder = tmp_path_factory.mktemp("pebble")
    certificates.make(folder / "authority.pem", folder / "authority.key", subject="it authority")
    pair = folder / "pebble.pem", folder / "pebble.key"
    certificates.sign(*pair, folder / "authority.pem", folder / "authority.key", subject="pebble", names="DNS:pebble")
    (folder / "hmac").write_text(PEBBLE["externalAccountMACKeys"]["kid-1"])
    (folder / "config.json").write_text(json.dumps({"pebble": PEBBLE}))
    (folder / "Dockerfile").write_text(DOCKERFILE)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    bases = [tag for one in deployed.engine.images.list() for tag in one.tags if "/base:" in tag]
    if not bases:
        pytest.skip("pebble is built upon the base of images_source: packages, and these images are upstream's")
    image, _ = deployed.engine.images.build(
        path=str(folder), buildargs={"BASE": bases[0]}, tag="it/pebble:test", rm=True
    )
    pebble: Any = deployed.engine.containers.run(
        str(image.id),
        ["pebble", "-config", "/etc/pebble/config.json", "-strict"],
        name=f"{deployed.name}-pebble",
        network=f"{deployed.name}-network",
        volumes=[f"{folder}:/etc/pebble:ro"],
        environment={"PEBBLE_VA_NOSLEEP": "1"},
        extra_hosts={NAME: f"{deployed.prefix}.10"},
        networking_config={f"{deployed.name}-network": deployed.engine.api.create_endpoint_config(aliases=["pebble"])},
        detach=True,
    )
    settings: dict[str, Any] = {
        "exposure_tls": "acme",
        "exposure_plain_http": "refuse",  # challenges come over plain HTTP nevertheless
        "acme_directory": "https://pebble:14000/dir",
        "acme_private_directory": True,
        "acme_authorities_file": str(folder / "authority.pem"),
        "acme_email": "admin@example.org",
        "acme_accept_terms": True,
        "acme_names": [NAME],
        "acme_eab_kid": "kid-1",
        "acme_eab_hmac_file": str(folder / "hmac"),
    }
    try:
        deployed.up(**settings)
        eventually(lambda: "Pebble" in served(deployed).issuer, "there is a certificate of the directory")
        begun = deployed.container("acme").attrs["State"]["StartedAt"]
        placed = (deployed.state / f"data/{deployed.name}-acme/secrets/serving/tls.pem").stat().st_mtime
        yield Issued(deployed, pebble, settings, placed - seconds(begun))
    finally:
        pebble.remove(force=True)
        deployed.up()


def seconds(moment: str) -> float:
    """Return a time of the engine's in seconds since the epoch."""
    return dt.datetime.fromisoformat(f"{moment[:26].rstrip('Z')}+00:00").timestamp()


def test_a_certificate_comes_within_seconds_and_is_renewed_while_no_stream_ends(issued: Issued) -> None:
    stack, first = issued.stack, served(issued.stack)
    before = stack.ids()
    with Streams(stack) as streams:
        eventually(lambda: served(stack).serial != first.serial, "the certificate is renewed")
        assert served(stack).ends > time.time() + VALID / 2
        eventually(streams.hear, "every stream still hears events")
        assert streams.cut == 0
    assert stack.api("/health/live").status_code == 403
    assert stack.ids() == before  # nothing was restarted, and nothing was reloaded
    print(f"{issued.seconds:.1f} s from the start of the container to the first certificate")
    assert issued.seconds < 30


def test_only_the_user_of_nginx_can_read_the_keys(issued: Issued) -> None:
    data = issued.stack.state / f"data/{issued.stack.name}-acme"
    files = [path for path in data.rglob("*") if path.is_file() and "acme-challenge" not in str(path)]
    assert {path.name for path in files} >= {"tls.pem", "keeper.json", f"{NAME}.key", "account.json"}
    assert {(path.stat().st_uid, path.stat().st_mode & 0o077) for path in files} == {(8080, 0)}
    assert PEBBLE["externalAccountMACKeys"]["kid-1"] not in json.dumps(issued.stack.container("acme").attrs)
    host = issued.stack.container("acme").attrs["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["ReadonlyRootfs"]) == (["ALL"], None, True)
    assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]  # a core dump would hold the key


def test_a_run_changes_nothing_while_certificates_come_and_go(issued: Issued) -> None:
    run = issued.stack.up(**issued.settings)
    assert run.unchanged, run.output


def test_sslyze_finds_no_weak_protocol_and_no_weak_cipher(issued: Issued, tmp_path: Path) -> None:
    """The names of what it accepts are the whole list: a new one fails here."""
    program = tmp_path / "sslyze"
    subprocess.run([sys.executable, "-m", "venv", str(program)], check=True)
    install = [str(program / "bin/pip"), "install", "--quiet", "--require-hashes", "--requirement", str(SSLYZE)]
    subprocess.run(install, check=True)
    report, where = tmp_path / "report.json", f"127.0.0.1:{issued.stack.http_port + 1}"
    command = [str(program / "bin/sslyze"), *SCANS, "--mozilla_config", "disable", "--json_out", str(report), "--quiet"]
    subprocess.run([*command, where], check=True, capture_output=True)
    (found,) = json.loads(report.read_text())["server_scan_results"]
    result: dict[str, Any] = {name: one["result"] for name, one in found["scan_result"].items()}
    assert {one["status"] for one in found["scan_result"].values()} == {"COMPLETED", "NOT_SCHEDULED"}
    accepted = {
        version: [one["cipher_suite"]["name"] for one in result[f"{version}_cipher_suites"]["accepted_cipher_suites"]]
        for version in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
    }
    assert {version for version, names in accepted.items() if names} == {"tls_1_2", "tls_1_3"}
    assert all(one.startswith("TLS_ECDHE_") for one in accepted["tls_1_2"])
    assert all(one.endswith(("GCM_SHA256", "GCM_SHA384", "POLY1305_SHA256")) for one in accepted["tls_1_2"]), accepted
    assert result["heartbleed"]["is_vulnerable_to_heartbleed"] is False
    assert result["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"] is False
    assert result["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert result["tls_compression"]["supports_compression"] is False
    assert result["tls_1_3_early_data"]["supports_early_data"] is False
    assert result["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert result["session_renegotiation"]["supports_secure_renegotiation"] is True
    assert result["tls_fallback_scsv"]["supports_fallback_scsv"] is True


@pytest.mark.whole
def test_a_directory_that_is_gone_leaves_the_last_certificate_and_doctor_says_so(issued: Issued) -> None:
    stack, first = issued.stack, served(issued.stack)
    eventually(lambda: served(stack).serial != first.serial, "the certificate is renewed")
    issued.pebble.stop(timeout=0)  # between two renewals
    told = stack.container("acme")
    # A name that is gone can take a host whose name server is silent half a minute.
    eventually(lambda: LAST_STAYS in told.logs(tail=20).decode(), "the renewal fails", VALID + 90)
    reasons = [line.partition(LAST_STAYS)[2] for line in told.logs(tail=20).decode().splitlines() if LAST_STAYS in line]
    assert "Pebble" in served(stack).issuer
    assert LAST_STAYS in stack.tool("logs", "acme").stdout
    diagnosis = stack.play("doctor", **issued.settings)
    assert "[certificate]" in diagnosis.output  # a quarter of its lifetime is left, or less
    assert "[told]" in diagnosis.output
    assert any(f"there is no new certificate: {reason}" in diagnosis.output for reason in reasons), reasons
