# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Rules between several settings. Nothing here reads a host.

Settings are by variable; one that was refused already is missing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.sse.platform.plugins.module_utils.model import ip_family
from ansible_collections.sse.platform.plugins.module_utils.model.spec import size
from ansible_collections.sse.platform.plugins.module_utils.settings import network, receivers
from ansible_collections.sse.platform.plugins.module_utils.settings.conversion import show
from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option

MOST_ISSUERS = 100  # as the service itself accepts


def problems(settings: Mapping[str, Any], options: Mapping[str, Option]) -> list[str]:
    """Say which rules the settings break, one sentence each."""
    return [
        *network.problems(settings),
        *receivers.problems(settings),
        *_port_problems(settings, options),
        *(one for name in options if name in settings for one in _declared_problems(name, settings, options)),
        *_exposure_problems(settings),
        *_canary_problems(settings),
        *_issuer_problems(settings),
    ]


def _port_problems(settings: Mapping[str, Any], options: Mapping[str, Option]) -> Iterator[str]:
    owners: dict[int, list[str]] = {}
    for name in sorted(settings):
        if options[name].get("format") == "published_port":
            owners.setdefault(settings[name], []).append(name)
    for port, names in sorted(owners.items()):
        if len(names) > 1:
            yield f"{' and '.join(names)} are both {port}: expected a port of its own for each"


def _declared_problems(name: str, settings: Mapping[str, Any], options: Mapping[str, Option]) -> Iterator[str]:
    """Apply what values.yml says about one variable and others."""
    option = options[name]
    found = f"{name} is {show(settings[name], option)}"
    if settings[name]:
        needed = option.get("needs")
        if needed and settings.get(needed) in ("", []):
            absent = f"{needed} is {show(settings[needed], options[needed])}"
            yield f"{absent}: {name} is given, and they belong together; expected both or neither"
        for other, value in option.get("only_if", {}).items():
            if other in settings and settings[other] != value:
                wanted, actual = (show(one, options[other]) for one in (value, settings[other]))
                yield f"{found}: {other} is {actual}, so it is not used; expected '', or {other} {wanted}"
    larger = option.get("below", "")
    if larger in settings and size(settings[name], name) >= size(settings[larger], larger):
        yield f"{found}: {larger} is {settings[larger]}, and the whole container has no more; expected less than that"
    for rule in option.get("refused", ()):
        held = all(
            any(str(item).startswith(begin) for item in settings.get(other, []))
            for other, begin in rule.get("holds", {}).items()
        )
        held = held and ("given" not in rule or bool(settings.get(rule["given"])))
        # A dictionary that nobody gives is empty.
        when = rule["when"].items()
        if held and all(settings.get(other, {} if value == {} else None) == value for other, value in when):
            yield f"{found}: {rule['because']}; expected {rule['expected']}"


def _canary_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Refuse shares of an address that turn the canary away: then an alert fires for ever, and nothing is broken."""
    replicas = settings.get("app_replicas", 1)
    shares = {
        "app_streams_per_address": (
            replicas + 2,
            "holds a stream at each replica and one through NGINX, and opens one",
        ),
        "exposure_connections_per_address": (3, "holds a stream through NGINX, publishes, and opens one more stream"),
    }
    for name, (least, does) in shares.items():
        if settings.get("canary_interval_seconds") and 0 < settings.get(name, 0) < least:
            yield (
                f"{name} is {settings[name]}: the canary has one address, from which it {does}; expected {least} or "
                "more, 0 for no limit, or canary_interval_seconds 0 for no canary"
            )


def _issuer_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    """Refuse addresses of keys that the service would never ask. Where a name leads is its to find out."""
    issuers = settings.get("app_issuers", {})
    if len(issuers) > MOST_ISSUERS:
        yield f"app_issuers has {len(issuers)} issuers: each is asked again and again; expected at most {MOST_ISSUERS}"
    for issuer, address in issuers.items():
        found = f"app_issuers holds {address} for {issuer}"
        if not issuer.isprintable():
            yield f"app_issuers holds the issuer {issuer!r}: expected 1 to 200 printable characters"
        try:
            url = urlsplit(str(address))
            usable = bool(url.hostname) and url.port != 0 and address.isascii() and address.isprintable()
        except ValueError:
            url, usable = urlsplit(""), False
        if not usable:
            expected = "an address in ASCII such as https://login.example.org/jwks.json"
            yield f"{found}: nothing can be asked there; expected {expected}"
            continue
        if url.scheme == "http" and settings.get("app_issuers_allow_http") is False:
            yield f"{found}: app_issuers_allow_http is false; expected https, or app_issuers_allow_http true"
        if not _may_be_public(url.hostname or "") and settings.get("app_issuers_allow_private") is False:
            yield (
                f"{found}: it is no public address, and app_issuers_allow_private is false; expected another one, or "
                "app_issuers_allow_private true"
            )


def _may_be_public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.rpartition(".")[2] != "localhost"
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (inner or address).is_global and not address.is_multicast


def _exposure_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    unheard = [one for one in settings.get("exposure_allow_from", []) if ip_family.of(one) is ip_family.IPV6]
    if unheard and settings.get("network_ipv6") is False:
        yield (
            f"exposure_allow_from holds {unheard[0]}: network_ipv6 is false, so nothing answers over IPv6; expected "
            "IPv4 networks, or network_ipv6 true"
        )
    bind = settings.get("exposure_admin_bind", "127.0.0.1")
    if settings.get("exposure_profile") == "production" and not ipaddress.IPv4Address(bind).is_loopback:
        yield (
            f"exposure_admin_bind is '{bind}': exposure_profile is production, and not every admin port asks for a "
            "password; expected 127.0.0.1 (reach the ports through an SSH tunnel)"
        )
