# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How bad a finding is: whether something fails now, will fail, or only deserves to be known."""

from __future__ import annotations

from typing import Final, Literal

Severity = Literal["critical", "warning", "info"]
ORDER: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
# What works now and may fail later, or works worse. Every other rule finds what fails now, or is open to strangers.
WARNING = {
    *("bridge-nf", "certificate", "clock-skew", "daemon-json", "daemon-json-not-loaded", "docker-proxy"),
    *("iptables-mix", "releases", "restart-policy", "swarm", "told", "userland-proxy"),
    *("image-missing", "live-restore", "placement", "quorum-short"),
}
INFO = {"unused-network"}


def of_rule(rule: str) -> Severity:
    """Return the severity of what a rule finds."""
    return "warning" if rule in WARNING else "info" if rule in INFO else "critical"
