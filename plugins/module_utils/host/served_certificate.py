# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The certificate that a server of this host gives in a handshake, and until when it counts."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import time
from typing import NamedTuple

ANSWER_SECONDS = 5.0
SOON = 14 * 86400  # seconds before its end, or a quarter of its lifetime where that is less


class ServedCertificate(NamedTuple):
    """What a container served. Times are in seconds since the epoch, and 0 where there is an error."""

    container: str
    port: int
    begins: float
    ends: float
    error: str

    def problem(self, now: float) -> str:
        """Say what is wrong with it; an empty answer means that it counts for long enough."""
        if self.error:
            return f"port {self.port} gives no certificate: {self.error}"
        end = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.ends))
        if self.ends <= now:
            return f"the certificate at port {self.port} ended on {end}"
        if self.begins > now + 60:
            return f"the certificate at port {self.port} does not count yet: is the clock of this host right?"
        if self.ends - now < min(SOON, (self.ends - self.begins) / 4):
            return f"the certificate at port {self.port} ends on {end}"
        return ""


def look(container: str, address: str, port: int) -> ServedCertificate:
    """Make a handshake with a container."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=ANSWER_SECONDS) as plain,
            context.wrap_socket(plain) as client,
        ):
            found = client.getpeercert(binary_form=True) or b""
        command = ["openssl", "x509", "-inform", "DER", "-noout", "-dates"]
        dates = subprocess.run(command, input=found, capture_output=True, check=True).stdout.decode()
        begins, ends = (ssl.cert_time_to_seconds(one) for one in re.findall(r"=(.*)", dates))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        return ServedCertificate(container, port, 0.0, 0.0, f"{type(error).__name__}: {error}")
    return ServedCertificate(container, port, float(begins), float(ends), "")


def metrics(found: list[ServedCertificate]) -> str:
    """Return what is known of certificates in Prometheus' text format."""
    lines: list[str] = []
    for one in found:
        if not one.error:
            lines.append(f'sse_certificate_ends_timestamp_seconds{{container="{one.container}"}} {one.ends:.0f}')
            lifetime = one.ends - one.begins
            lines.append(f'sse_certificate_lifetime_seconds{{container="{one.container}"}} {lifetime:.0f}')
    return "".join(f"{line}\n" for line in sorted(lines))
