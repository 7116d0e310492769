# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The secrets that services declare: how each is made, and which services may read it. Pure, and without any value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Declaration,
        Release,
        Secret,
        SecretKind,
    )

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")  # it is a file name on the host
SALT = "salt"
PAIR = ("certificate", "certificate-key")  # the kinds of the two secrets that belong together
RESERVED = (SALT, "all")  # of the fingerprints, kept in the same directory; and what `./sse rotate all` means


def name(value: Any, path: str) -> str:
    """Accept the name of a secret."""
    if not NAME.match(spec.text(value, path)) or value in RESERVED:
        raise spec.refuse(path, value, "a name of a-z, 0-9 and '_', at most 64 characters")
    return str(value)


def length(value: Any, path: str) -> int:
    """Accept a length in bytes."""
    if not 16 <= spec.count(value, path) <= 1024:
        raise spec.refuse(path, value, "a number of bytes from 16 to 1024")
    return int(value)


READERS: dict[str, tuple[Callable[[Any, str], Any], Any]] = {
    "kind": (spec.text, ...),
    "readers": (spec.list_of(spec.short_name), []),  # other services that may read it
    "kept": (spec.text, ""),  # why `./sse rotate` must not change it
    "least": (length, 16),  # characters of a value that somebody gives: its readers would refuse a shorter one
}
KINDS = {
    # Random, in hexadecimal digits. With `overlap` its readers accept several, one a line, the newest first.
    "password": spec.record({**READERS, "bytes": (length, 32), "overlap": (spec.flag, False)}),
    "uuid-base64": spec.record(READERS),  # a random UUID in URL-safe base64, as Kafka wants its cluster id (KIP-78)
    # Self-signed, for these names and addresses beside those of the host; its key is a secret of its own.
    "certificate": spec.record(
        {**READERS, "key": (name, ...), "names": (spec.list_of(spec.text), []), "given": (spec.flag, False)}
    ),
    "given": spec.record(READERS),  # only the user can give it
}


def declared(services: Mapping[str, Any]) -> dict[str, Secret]:
    """Check and normalise what services declare under ``secrets``; return them by name.

    :param services: declarations by service
    :raises SpecError: naming the place
    """
    found: dict[str, Secret] = {}
    for service, declaration in services.items():
        for one, value in spec.dictionary(declaration.get("secrets", {}), f"{service}.secrets").items():
            path = f"{service}.secrets.{one}"
            for made, secret in parse(service, name(one, path), value, path).items():
                if made in found:
                    raise spec.SpecError(f"{path}: service {found[made]['service']} declares {made!r} already")
                found[made] = secret
    return found


def parse(service: str, own: str, value: Any, path: str) -> dict[str, Secret]:
    """Check one declared secret; a certificate is two secrets, itself and its key."""
    kind = spec.text(spec.dictionary(value, path).get("kind"), f"{path}.kind")
    if kind not in KINDS:
        raise spec.refuse(f"{path}.kind", kind, f"one of {', '.join(KINDS)}")
    fields = KINDS[kind](value, path)
    key = fields.get("key", "")
    secret: Secret = {
        "kind": cast("SecretKind", kind),
        "service": service,
        "readers": fields["readers"],
        "bytes": fields.get("bytes", 0),
        "pair": key,
    }
    if fields.get("names"):
        secret["names"] = fields["names"]
    if fields.get("given"):
        secret["given"] = True
    if fields.get("overlap"):
        secret["overlap"] = True
    if fields["least"] > READERS["least"][1]:
        secret["least"] = fields["least"]
    if fields["kept"]:
        secret["kept"] = fields["kept"]
    return {own: secret, **({key: {**secret, "kind": PAIR[1], "pair": own}} if key else {})}


def refuse_unread(secrets: dict[str, Secret], service: str, container: Declaration, path: str) -> None:
    """Refuse a container that mounts a secret which is not declared, or not for its service."""
    for key in ("secrets", "live_secrets"):
        for files in container[key].values():
            for one in files.values():
                secret = secrets.get(one["secret"])
                if secret is None:
                    known = ", ".join(sorted(secrets)) or "none"
                    raise spec.refuse(f"{path}.{key}", one["secret"], f"a declared secret: {known}")
                if service not in {secret["service"], *secret["readers"]}:
                    raise spec.SpecError(
                        f"{path}.{key}: {one['secret']!r} is a secret of {secret['service']}, and {service} may not "
                        f"read it; add {service} to {secret['service']}.secrets.{one['secret']}.readers"
                    )


def problems(given: Mapping[str, str], secrets: dict[str, Secret]) -> list[str]:
    """Say which values that the user gives fit no declared secret, one sentence each, and show none."""
    names = set(given)
    known = ", ".join(sorted(secrets))
    found = [f"stack_secrets: {one!r} is unknown; expected one of {known}" for one in sorted(names - set(secrets))]
    for one in sorted(names & set(secrets)):
        pair, least = secrets[one]["pair"], secrets[one].get("least", 0)
        if pair and pair not in names:
            found.append(f"stack_secrets: {one} and {pair} go together; {pair} is missing")
        if len(given[one]) < least:
            found.append(f"stack_secrets: {one} is too short (not shown); expected at least {least} characters")
    return found


def not_given(release: Release, given: Iterable[str]) -> list[str]:
    """Name the secrets of a release that only the user can give, and did not, one sentence each."""
    names = set(given)
    secrets = release.get("secrets", {})
    used = {
        one["secret"]
        for container in release["containers"].values()
        for key in ("secrets", "live_secrets")
        for files in container[key].values()
        for one in files.values()
    }
    return [
        f"Secret {name} of {secrets[name]['service']} is not given: expected its value in stack_secrets, or the "
        "setting that holds it or names its file."
        for name in sorted(used & set(secrets))
        if secrets[name]["kind"] == "given" and name not in names
    ]
