# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Secrets: made on the host on first use, kept there at mode 0600, handed to containers as files.

No value leaves this file but into such a file; everybody else sees a fingerprint.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import secrets
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import own_certificate
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model.secret import PAIR, SALT

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


GIVEN = "given.json"


class SecretError(ValueError):
    """A secret that is unknown or cannot be made. The message never holds a value."""


class Store:
    """The secrets of one stack, one file each under ``<state>/secrets``."""

    def __init__(
        self, state_directory: str, given: dict[str, str], declared: dict[str, Secret], *, foresees: bool = False
    ) -> None:
        """Use the given values where there are any, and make the others as they are declared.

        :param foresees: write nothing, and answer as if everything that a run makes had been made
        """
        self.directory = Path(state_directory) / "secrets"
        self.given = {name: value for name, value in given.items() if value}
        self.declared = declared
        self.foresees = foresees
        self.foreseen: dict[str, str] = {}  # stands for what a run would make
        self.told: dict[str, str] = {}  # by name, why a secret gets another value than its file has
        self.copies: dict[str, Path] = {}  # where a container has a secret whose value must not change
        self.looked_at: set[str] = set()  # certificates of this host

    def value(self, name: str, *, make: bool = True) -> str | None:
        """Return a secret, made and kept where there is none yet; None where it must not be made."""
        if name in self.given:
            return self.given[name]
        path, secret = self.directory / name, self.declared.get(name)
        if secret and secret["kind"] in PAIR and (make or self.foresees):
            self.ready(*self.certificate(name, secret))
        if name in self.foreseen:
            return self.foreseen[name]
        if path.exists():
            return whole(path)
        if not make and (not self.foresees or secret is None or secret["kind"] == "given"):
            return None
        if secret is None:
            raise SecretError(f"secret {name!r} is unknown; expected one of {', '.join(sorted(self.declared))}")
        if secret["kind"] == "given":
            raise SecretError(f"secret {name!r} was not given; expected a value in stack_secrets")
        if copy := self.copied(name):
            self.told[name] = f"its file is missing, and is written again as {self.copies[name]} has it"
            return self.kept(name, copy)
        self.told[name] = "its file is missing, so it gets a new value"
        return self.kept(name, make_password(secret["bytes"]) if secret["kind"] == "password" else make_uuid())

    def keep_given(self) -> None:
        """Write down the names of what this run was given, for those who look and are given nothing."""
        state_modes.make(self.directory)
        write_file(self.directory.parent / GIVEN, json.dumps(sorted(self.given)) + "\n")

    def is_made_here(self, name: str) -> bool:
        """Tell whether the host has made a secret, so that it has a file of its own: the last run was not given it.

        Where an earlier version wrote down no names, nobody can tell of a secret that has no file.
        """
        secret = self.declared.get(name)
        if secret is None or secret["kind"] == "given" or secret.get("given"):
            return False
        with contextlib.suppress(OSError, ValueError, TypeError):
            return name not in json.loads((self.directory.parent / GIVEN).read_text())
        return (self.directory / name).exists()

    def kept(self, name: str, value: str) -> str:
        """Keep what was made, and return it."""
        if self.foresees:
            return self.foreseen.setdefault(name, value)
        return keep(self.directory / name, value)

    def copied(self, name: str) -> str:
        """Return the value of a secret that must not change, as a container has it; empty where none has."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self.copies[name].read_text() if name in self.copies else ""
        return ""

    def certificate(self, name: str, secret: Secret) -> tuple[str, Secret]:
        """Return the name and the declaration of a certificate, also where the name is that of its key."""
        return (name, secret) if secret["kind"] == "certificate" else (secret["pair"], self.declared[secret["pair"]])

    def make_certificate(self, name: str, secret: Secret) -> None:
        """Make a self-signed certificate for this host, until the user gives a real one."""
        if self.foresees:
            self.foreseen |= dict.fromkeys((name, secret["pair"]), f"made by the run {secrets.token_hex(16)}")
            return
        try:
            own_certificate.make(self.directory / name, self.directory / secret["pair"], secret.get("names", []))
        except own_certificate.CertificateError as error:
            raise SecretError(str(error)) from None

    def ready(self, name: str, secret: Secret) -> None:
        """Make a certificate and its key, or new ones where these do not fit: once in a run, it costs processes.

        :raises SecretError: somebody put a certificate there, and its key does not belong to it
        """
        if name in self.looked_at:
            return
        self.looked_at.add(name)
        certificate, key = self.directory / name, self.directory / secret["pair"]
        absent = [path.name for path in (certificate, key) if not path.exists()]
        if absent:
            why = f"the file of {' and of '.join(absent)} is missing"
        elif whole(certificate) and whole(key) and not own_certificate.fits(certificate, key):
            why = f"the key {key.name} does not belong to the certificate {certificate.name}"
        else:
            why = own_certificate.outdated(certificate, secret.get("names", []))
        if not why:
            return
        if certificate.exists() and own_certificate.of_another(certificate):
            self.looked_at.discard(name)  # whoever asks for the other one of the two is refused, too
            raise SecretError(
                f"{why}, and another authority has signed {certificate}: expected the key that belongs to it in {key}. "
                "Put it there; or remove both files, and `./sse up` makes a certificate and a key for this host"
            )
        self.told |= dict.fromkeys((name, secret["pair"]), f"{why}, so the host makes a new pair")
        self.make_certificate(name, secret)

    def fingerprint(self, name: str, *, make: bool = True) -> str | None:
        """Return 16 hex digits that change with the secret and, keyed by this host's salt, tell nothing of it."""
        value = self.value(name, make=make)
        return None if value is None else self.hashed(value, make=make)

    def hashed(self, value: str, *, make: bool = False) -> str | None:
        """Return 16 hex digits of a text, keyed by this host's salt; None where there is no salt and none is made."""
        salt = self.salt(make=make)
        if salt is None:
            return None
        return hmac.new(salt.encode(), value.encode(), hashlib.sha256).hexdigest()[:16]

    def salt(self, *, make: bool) -> str | None:
        """Return this host's salt; None where there is none and none is made."""
        path = self.directory / SALT
        if path.exists():
            return whole(path)
        if not make and not self.foresees:
            return None
        self.told.setdefault(SALT, "its file is missing, so every container with secrets gets them as if they were new")
        return self.foreseen[SALT] if SALT in self.foreseen else self.kept(SALT, secrets.token_hex(32))

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
    try:
        text = path.read_text()
    except (UnicodeDecodeError, IsADirectoryError):
        what = "holds no text: somebody overwrote it"
    else:
        if text.strip():
            return text
        what = "is empty: somebody emptied it"
    raise SecretError(
        f"the secret {path} {what}. Put it back from a backup; or remove the file, and `./sse up` makes a new one"
    )


def keep(path: Path, value: str) -> str:
    """Write a secret at mode 0600 in one step and return it."""
    state_modes.make(path.parent)
    write_file(path, value, durable=True)
    return value
