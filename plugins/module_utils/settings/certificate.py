# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a certificate on the controller can serve: its key, time, chain and names, before anything changes.

`cryptography` comes with Ansible on the controller, and a host may not have it: the functions import it.
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cryptography import x509


class GivenFile(NamedTuple):
    """The variable that names a file, and the path that it has."""

    name: str
    path: str

    def problem(self, found: str, expected: str) -> str:
        """Return the sentence for what is wrong with the file."""
        return f"{self.name} is '{self.path}': {found}; expected {expected}"


def problems(certificate: GivenFile, key: GivenFile, now: dt.datetime, hosts: Iterable[str] = ()) -> list[str]:
    """Say what is wrong with the pair, one sentence each.

    :param hosts: the names that clients use; a name `*.example.org` needs a certificate with that very name
    """
    from cryptography import x509  # noqa: PLC0415

    chain, secret = Path(certificate.path), Path(key.path)
    found: list[str] = []
    if secret.stat().st_mode & 0o077:
        found.append(key.problem("others can read it", "a file of mode 0600"))
    try:
        certificates = x509.load_pem_x509_certificates(chain.read_bytes())
    except ValueError:
        return [*found, certificate.problem("it is no certificate in PEM", "the certificate and its chain in PEM")]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password here, OpenSSL would ask for the one of an encrypted key at the terminal.
        server.load_cert_chain(chain, secret, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "not readable"
        expected = "the certificate's own key in PEM, without a password"
        found.append(key.problem(f"it does not fit the certificate ({reason})", expected))
    told = [*_time_problems(certificates, now), *_order_problems(certificates), *_name_problems(certificates[0], hosts)]
    found += [certificate.problem(what, expected) for what, expected in told]
    if not found and (reason := _handshake(server, certificates[0])):
        expected = "one for servers (extendedKeyUsage serverAuth, if it has any), with an RSA or P-256 key"
        return [certificate.problem(f"no client could use it ({reason})", expected)]
    return found


def _handshake(server: ssl.SSLContext, leaf: x509.Certificate) -> str:
    """Say why a client that trusts this very certificate ends the handshake; '' where it does not."""
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=leaf.public_bytes(Encoding.PEM).decode())
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # whoever signed it may be an authority of the clients alone
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    for side in sides * 3:  # a handshake takes two turns of the client
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            return getattr(error, "verify_message", "") or error.reason or "the handshake failed"
    return ""


def authorities_problems(given: GivenFile, text: bytes, now: dt.datetime) -> list[str]:
    """Say what is wrong with a file of certificates that others are trusted by.

    Some of many may have ended: such a file is often the one of the system.

    :param text: what the file holds
    """
    from cryptography import x509  # noqa: PLC0415

    wanted = "certificates of authorities in PEM, each between its lines BEGIN CERTIFICATE and END CERTIFICATE"
    if b"PRIVATE KEY-----" in text:
        return [given.problem("a private key is in it, and containers and releases get what is in it", wanted)]
    try:
        certificates = x509.load_pem_x509_certificates(text)
    except ValueError:
        return [given.problem("it holds no certificate in PEM, or one that is damaged", wanted)]
    if all(one.not_valid_after_utc < now for one in certificates):
        last = max(one.not_valid_after_utc for one in certificates)
        return [given.problem(f"no certificate in it is valid any more: the last one ended on {last:%Y-%m-%d}", wanted)]
    return []


def _time_problems(certificates: list[x509.Certificate], now: dt.datetime) -> Iterator[tuple[str, str]]:
    """Find what does not count now: of the certificate, and of those that vouch for it."""
    for number, one in enumerate(certificates, 1):
        which = "it" if number == 1 else f"certificate {number} in it ({one.subject.rfc4514_string()})"
        if one.not_valid_after_utc < now:
            yield f"{which} ended on {one.not_valid_after_utc:%Y-%m-%d}", "a certificate that is valid now"
        if one.not_valid_before_utc > now:
            yield (
                f"{which} begins on {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
                ("a certificate that is valid now, and a right clock on this machine"),
            )


def _order_problems(certificates: list[x509.Certificate]) -> Iterator[tuple[str, str]]:
    """Find the first certificate that the one after it did not sign (RFC 8446, section 4.4.2)."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    for number, issuer in enumerate(certificates[1:], 1):
        one = certificates[number - 1]
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            second, first = issuer.subject.rfc4514_string(), one.subject.rfc4514_string()
            found = f"certificate {number + 1} in it ({second}) did not sign certificate {number} ({first})"
            yield found, "first the certificate of the server, then each time the one that signed the one before"
            return


def _name_problems(leaf: x509.Certificate, hosts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find the names of clients that the certificate is not for (RFC 9525, section 6.3)."""
    from cryptography import x509  # noqa: PLC0415

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        held: set[str] = {one.lower() for one in names.get_values_for_type(x509.DNSName)}
        held |= {str(one) for one in names.get_values_for_type(x509.IPAddress)}
    except x509.ExtensionNotFound:
        held = set[str]()
    absent = [one for one in hosts if not held & {one.lower(), f"*.{one.lower().partition('.')[2]}"}]
    if absent:
        found = f"it is for {', '.join(sorted(held)) or 'no name'}, and not for {', '.join(absent)}"
        yield found, "a certificate with each name of exposure_hosts as a subjectAltName"
