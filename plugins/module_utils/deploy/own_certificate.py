# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The certificate that a host makes for itself: of a server, with its names, signed by its own key.

It is no certificate authority: who trusts it trusts this server, and nothing that its key could sign.
"""

from __future__ import annotations

import ipaddress
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DAYS = 825  # the longest that common clients accept of a certificate that no public authority signed
RENEW = DAYS // 3  # days before its end at which a new one takes its place
NAME = re.compile(
    r"(?=.{1,253}\Z)(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
REQUEST = """\
[req]
distinguished_name = subject
x509_extensions = server
prompt = no
[subject]
CN = {host}
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = {names}
"""


class CertificateError(ValueError):
    """The host cannot make a certificate; the message says why."""


def names(wanted: Iterable[str]) -> list[str]:
    """Return how a certificate names this host: `DNS:...` and `IP:...`, without what is neither name nor address."""
    found: list[str] = []
    for one in ("localhost", socket.gethostname().lower(), "127.0.0.1", "::1", *wanted):
        try:
            found.append(f"IP:{ipaddress.ip_address(one.strip('[]'))}")
        except ValueError:
            if NAME.match(one.lower()):
                found.append(f"DNS:{one.lower()}")
    return list(dict.fromkeys(found))


def make(certificate: Path, key: Path, wanted: Iterable[str]) -> None:
    """Write a certificate for this host and its key, each at mode 0600 and in one step.

    :param wanted: names and addresses beside those that every host has
    :raises CertificateError: openssl is missing, or refuses
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise CertificateError("no openssl on the host to make a certificate with: install openssl, or give one")
    state_modes.make(certificate.parent)
    request = REQUEST.format(host=socket.gethostname()[:64] or "localhost", names=",".join(names(wanted)))
    fresh, fresh_key = (path.with_name(f".{path.name}.new") for path in (certificate, key))
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-config", "/dev/stdin", "-days", str(DAYS), "-keyout", str(fresh_key), "-out", str(fresh)]
    run = subprocess.run(command, input=request, capture_output=True, text=True, check=False)
    if run.returncode:
        raise CertificateError(f"openssl could not make a certificate: {run.stderr.strip()[-300:]}")
    for path, place in ((fresh_key, key), (fresh, certificate)):
        path.chmod(0o600)
        path.replace(place)


def fits(certificate: Path, key: Path) -> bool:
    """Tell whether a key belongs to a certificate. Where nobody can tell, it does: its reader says so."""
    asked = (["x509", "-noout", "-pubkey", "-in", str(certificate)], ["pkey", "-pubout", "-in", str(key)])
    try:
        runs = [
            subprocess.run(["openssl", *one], input="", capture_output=True, text=True, check=False) for one in asked
        ]
    except FileNotFoundError:
        return True
    public, of_key = (one.stdout.strip() for one in runs)
    return not public or public == of_key


def of_another(certificate: Path) -> bool:
    """Tell whether another authority has signed a certificate."""
    command = ["openssl", "x509", "-noout", "-subject", "-issuer", "-in", str(certificate)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    facts = named(run.stdout)
    return facts.get("subject") != facts.get("issuer")


def named(text: str) -> dict[str, str]:
    """Return who a certificate is for and who signed it, as openssl prints them."""
    return dict(re.findall(r"^(subject|issuer)=\s*(.*)$", text, re.MULTILINE))


def outdated(certificate: Path, wanted: Iterable[str]) -> str:
    """Say why this host's own certificate needs a new one; an empty answer means that it stays.

    What another authority signed is never outdated here: somebody put it there.
    """
    command = ["openssl", "x509", "-noout", "-subject", "-issuer", "-checkend", str(RENEW * 86400)]
    command += ["-ext", "basicConstraints,subjectAltName", "-in", str(certificate)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    facts = named(run.stdout)
    if facts.get("subject") is None or facts["subject"] != facts.get("issuer"):
        return ""
    if "CA:TRUE" in run.stdout:
        return "it is a certificate authority, and a server needs none"
    if "will expire" in run.stdout:
        return f"less than {RENEW} of its {DAYS} days are left"
    held = {f"DNS:{one}" for one in re.findall(r"DNS:([^,\s]+)", run.stdout)}
    held |= {f"IP:{ipaddress.ip_address(one)}" for one in re.findall(r"IP Address:([^,\s]+)", run.stdout)}
    absent = [one for one in names(wanted) if one not in held]
    return f"it does not name {absent[0].partition(':')[2]}" if absent else ""
