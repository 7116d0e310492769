"""Secrets: made on the host on first use, kept there at mode 0600, handed to containers as files.

No value leaves this file but into such a file; everybody else sees a fingerprint.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Callable

CERTIFICATE_DAYS = 825  # the longest that common clients accept of a private authority's certificate


def generate_password() -> str:
    """Make a password of 256 bits, of characters that no configuration format has to quote."""
    return secrets.token_hex(32)


def generate_cluster_id() -> str:
    """Make a Kafka cluster id: a random UUID in URL-safe base64 (KIP-78); not secret, but as durable."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass  # Kafka refuses an id that looks like an option
    return made


GENERATORS: dict[str, Callable[[], str]] = {
    "redis_password": generate_password,
    "grafana_admin_password": generate_password,
    "kafka_cluster_id": generate_cluster_id,
    "app_ticket_key": generate_password,
    "app_proof_key": generate_password,
}
CERTIFICATE, CERTIFICATE_KEY = "tls_certificate", "tls_key"
GIVEN = ("app_keys", "app_jwks", "app_jwt_secret")  # nobody but the user can make these


class SecretError(ValueError):
    """A secret that is unknown or can't be made; never carries a value."""


class Store:
    """The secrets of one stack, one file each under ``<state>/secrets``."""

    def __init__(self, state_directory: str, given: dict[str, str]) -> None:
        """Use the given values where there are any, made ones elsewhere."""
        self.directory = Path(state_directory) / "secrets"
        self.given = {name: value for name, value in given.items() if value}
        unknown = sorted(set(self.given) - set(GENERATORS) - {CERTIFICATE, CERTIFICATE_KEY, *GIVEN})
        if unknown:
            raise SecretError(f"secret {unknown[0]!r} is unknown; known are {', '.join(sorted(GENERATORS))}")
        if (CERTIFICATE in self.given) != (CERTIFICATE_KEY in self.given):
            raise SecretError("a certificate and its key go together; one of the two is missing")

    def value(self, name: str, *, make: bool = True) -> str | None:
        """Return a secret, made and kept if need be; None where it would have to be made and must not."""
        if name in self.given:
            return self.given[name]
        path = self.directory / name
        if path.exists():
            return path.read_text()
        if not make:
            return None
        if name in (CERTIFICATE, CERTIFICATE_KEY):
            self.make_certificate()
            return path.read_text()
        if name in GIVEN:
            raise SecretError(f"secret {name!r} was not given")
        if name not in GENERATORS:
            raise SecretError(f"secret {name!r} is unknown; known are {', '.join(sorted(GENERATORS))}")
        return keep(path, GENERATORS[name]())

    def make_certificate(self) -> None:
        """Make a self-signed certificate for this host, until a real one is given."""
        openssl = shutil.which("openssl")
        if openssl is None:
            raise SecretError("no openssl on the host to make a certificate with: install openssl, or give one")
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        host = socket.gethostname()
        names = ",".join(f"DNS:{name}" for name in dict.fromkeys(["localhost", host])) + ",IP:127.0.0.1"
        key, certificate = self.directory / "tls_key.new", self.directory / "tls_certificate.new"
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(CERTIFICATE_DAYS), "-subj", f"/CN={host[:64]}", "-addext", f"subjectAltName={names}"]
        run = subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise SecretError(f"openssl could not make a certificate: {run.stderr.strip()[-300:]}")
        key.chmod(0o600)
        certificate.chmod(0o600)
        key.replace(self.directory / CERTIFICATE_KEY)
        certificate.replace(self.directory / CERTIFICATE)

    def fingerprint(self, name: str, *, make: bool = True) -> str | None:
        """Return 16 hex digits that change with the secret and, keyed by this host's salt, tell nothing of it."""
        value = self.value(name, make=make)
        salt_path = self.directory / "salt"
        if value is None or not (make or salt_path.exists()):
            return None
        salt = salt_path.read_text() if salt_path.exists() else keep(salt_path, secrets.token_hex(32))
        return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]

    def render(self, name: str, template: str, *, make: bool = True) -> str:
        """Put a secret into the line that its reader wants, such as ``requirepass {}``, or its hash as ``{sha256}``."""
        value = self.value(name, make=make) or ""
        return template.replace("{}", value).replace("{sha256}", hashlib.sha256(value.encode()).hexdigest())


def keep(path: Path, value: str) -> str:
    """Write a secret at mode 0600 in one step and return it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(path, value, durable=True)
    return value
