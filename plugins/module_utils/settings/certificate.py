"""Whether a certificate and its key on the controller can serve: asked of OpenSSL before anything changes."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509  # comes with ansible-core


def problems(certificate: str, key: str, now: dt.datetime) -> list[str]:
    """What is wrong with the pair, one sentence each."""
    chain, secret = Path(certificate).expanduser(), Path(key).expanduser()
    found: list[str] = []
    if secret.stat().st_mode & 0o077:
        found.append(f"nginx_certificate_key is '{key}': others can read it; accepted is a file of mode 0600")
    try:
        leaf = x509.load_pem_x509_certificates(chain.read_bytes())[0]
    except ValueError:
        return [
            *found,
            f"nginx_certificate is '{certificate}': it is no certificate in PEM; accepted is its chain in PEM",
        ]
    try:
        # An encrypted key would ask for its password at the terminal; nginx could not be asked.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, secret, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not readable"
        accepted = "accepted is the certificate's own key in PEM, without a password"
        found.append(f"nginx_certificate_key is '{key}': it does not fit the certificate ({reason}); {accepted}")
    if leaf.not_valid_after_utc < now:
        ended = f"it ended on {leaf.not_valid_after_utc:%Y-%m-%d}"
        found.append(f"nginx_certificate is '{certificate}': {ended}; accepted is one that is valid now")
    return found
