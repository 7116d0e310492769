# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Secrets: made on the host on first use, kept there at mode 0600, handed to containers as files.

No value leaves this file but into such a file; everybody else sees a fingerprint.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import own_certificate
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Secret


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
        self.looked_at: set[str] = set()  # certificates of this host

    def value(self, name: str, *, make: bool = True) -> str | None:
        """Return a secret, made and kept where there is none yet; None where it must not be made."""
        if name in self.given:
            return self.given[name]
        path, secret = self.directory / name, self.declared.get(name)
        if path.exists():
            if make and secret and secret["kind"].startswith("certificate"):
                self.renew(*self.certificate(name, secret))
            return whole(path)
        if not make:
            return None
        if secret is None:
            raise SecretError(f"secret {name!r} is unknown; expected one of {', '.join(sorted(self.declared))}")
        if secret["kind"] == "given":
            raise SecretError(f"secret {name!r} was not given; expected a value in stack_secrets")
        if secret["kind"] in ("certificate", "certificate-key"):
            self.make_certificate(*self.certificate(name, secret))
            return path.read_text()
        return keep(path, make_password(secret["bytes"]) if secret["kind"] == "password" else make_uuid())

    def certificate(self, name: str, secret: Secret) -> tuple[str, Secret]:
        """Return the name and the declaration of a certificate, also where the name is that of its key."""
        return (name, secret) if secret["kind"] == "certificate" else (secret["pair"], self.declared[secret["pair"]])

    def make_certificate(self, name: str, secret: Secret) -> None:
        """Make a self-signed certificate for this host, until the user gives a real one."""
        try:
            own_certificate.make(self.directory / name, self.directory / secret["pair"], secret.get("names", []))
        except own_certificate.CertificateError as error:
            raise SecretError(str(error)) from None

    def renew(self, name: str, secret: Secret) -> None:
        """Make a new certificate where the host's own does not fit any more: once in a run, it costs a process."""
        if name not in self.looked_at:
            self.looked_at.add(name)
            if own_certificate.outdated(self.directory / name, secret.get("names", [])):
                self.make_certificate(name, secret)

    def fingerprint(self, name: str, *, make: bool = True) -> str | None:
        """Return 16 hex digits that change with the secret and, keyed by this host's salt, tell nothing of it."""
        value = self.value(name, make=make)
        return None if value is None else self.hashed(value, make=make)

    def hashed(self, value: str, *, make: bool = False) -> str | None:
        """Return 16 hex digits of a text, keyed by this host's salt; None where there is no salt and none is made."""
        salt_path = self.directory / "salt"
        if not (make or salt_path.exists()):
            return None
        salt = salt_path.read_text() if salt_path.exists() else keep(salt_path, secrets.token_hex(32))
        return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]

    def render(self, name: str, template: str, *, make: bool = True) -> str:
        """Put a secret into the line that its reader wants, such as ``requirepass {}``.

        ``{sha256}`` is its hash, and ``{pair}`` the key of a certificate, or the certificate of a key.
        """
        value = self.value(name, make=make) or ""
        if "{pair}" in template:
            template = template.replace("{pair}", self.value(self.declared[name]["pair"], make=make) or "")
        return template.replace("{}", value).replace("{sha256}", hashlib.sha256(value.encode()).hexdigest())


def whole(path: Path) -> str:
    """Return what a file of a secret holds. An empty one would open what it guards, so it counts for nothing."""
    if text := path.read_text():
        return text
    raise SecretError(
        f"the secret {path} is empty: somebody emptied it. Put it back from a backup; or remove the "
        "file, and `./sse up` makes a new one"
    )


def keep(path: Path, value: str) -> str:
    """Write a secret at mode 0600 in one step and return it."""
    state_modes.make(path.parent)
    write_file(path, value, durable=True)
    return value
