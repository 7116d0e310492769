# Copyright: sse.platform maintainers, MIT License (see LICENSE)
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
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Secret

CERTIFICATE_DAYS = 825  # the longest that common clients accept of a private authority's certificate


def make_password(length: int) -> str:
    """Make a random password of so many bytes, in characters that no configuration format has to quote."""
    return secrets.token_hex(length)


def make_uuid() -> str:
    """Make a random UUID in URL-safe base64 (KIP-78). It never begins with a dash, which Kafka takes for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


class SecretError(ValueError):
    """A secret that is unknown or cannot be made. The message never holds a value."""


class Store:
    """The secrets of one stack, one file each under ``<state>/secrets``."""

    def __init__(self, state_directory: str, given: dict[str, str], declared: dict[str, Secret]) -> None:
        """Use the given values where there are any, and make the others as they are declared."""
        self.directory = Path(state_directory) / "secrets"
        self.given = {name: value for name, value in given.items() if value}
        self.declared = declared

    def value(self, name: str, *, make: bool = True) -> str | None:
        """Return a secret, made and kept where there is none yet; None where it must not be made."""
        if name in self.given:
            return self.given[name]
        path = self.directory / name
        if path.exists():
            return path.read_text()
        if not make:
            return None
        secret = self.declared.get(name)
        if secret is None:
            raise SecretError(f"secret {name!r} is unknown; expected one of {', '.join(sorted(self.declared))}")
        if secret["kind"] == "given":
            raise SecretError(f"secret {name!r} was not given; expected a value in stack_secrets")
        if secret["kind"] in ("certificate", "certificate-key"):
            pair = (name, secret["pair"])
            self.make_certificate(*(pair if secret["kind"] == "certificate" else reversed(pair)))
            return path.read_text()
        return keep(path, make_password(secret["bytes"]) if secret["kind"] == "password" else make_uuid())

    def make_certificate(self, name: str, key_name: str) -> None:
        """Make a self-signed certificate for this host, until the user gives a real one."""
        openssl = shutil.which("openssl")
        if openssl is None:
            raise SecretError("no openssl on the host to make a certificate with: install openssl, or give one")
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        host = socket.gethostname()
        names = ",".join(f"DNS:{name}" for name in dict.fromkeys(["localhost", host])) + ",IP:127.0.0.1"
        key, certificate = self.directory / f"{key_name}.new", self.directory / f"{name}.new"
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(CERTIFICATE_DAYS), "-subj", f"/CN={host[:64]}", "-addext", f"subjectAltName={names}"]
        run = subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)], capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise SecretError(f"openssl could not make a certificate: {run.stderr.strip()[-300:]}")
        key.chmod(0o600)
        certificate.chmod(0o600)
        key.replace(self.directory / key_name)
        certificate.replace(self.directory / name)

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
