# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a certificate and its key on the controller fit together: OpenSSL is asked before anything changes."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import NamedTuple


class GivenFile(NamedTuple):
    """The variable that names a file, and the path that it has."""

    name: str
    path: str

    def problem(self, found: str, expected: str) -> str:
        """Return the sentence for what is wrong with the file."""
        return f"{self.name} is '{self.path}': {found}; expected {expected}"


def problems(certificate: GivenFile, key: GivenFile, now: dt.datetime) -> list[str]:
    """Say what is wrong with the pair, one sentence each."""
    from cryptography import x509  # noqa: PLC0415 - on the controller it comes with Ansible; on a host it may be missing

    chain, secret = Path(certificate.path), Path(key.path)
    found: list[str] = []
    if secret.stat().st_mode & 0o077:
        found.append(key.problem("others can read it", "a file of mode 0600"))
    try:
        leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except ValueError:
        return [*found, certificate.problem("it is no certificate in PEM", "the certificate and its chain in PEM")]
    try:
        # Without a password here, OpenSSL would ask for the one of an encrypted key at the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, secret, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not readable"
        expected = "the certificate's own key in PEM, without a password"
        found.append(key.problem(f"it does not fit the certificate ({reason})", expected))
    if leaf.not_valid_after_utc < now:
        ended = f"it ended on {leaf.not_valid_after_utc:%Y-%m-%d}"
        found.append(certificate.problem(ended, "a certificate that is valid now"))
    return found
