"""Rules between several settings. Nothing here reads a host."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model import ip_family
from ansible_collections.sse.platform.plugins.module_utils.settings import network


def cross_problems(settings: Mapping[str, Any], exists: Callable[[str], bool]) -> list[str]:
    """Rules between variables that need no host. A variable that is refused already is missing from `settings`.

    `exists` tells whether a path can be read on the controller.
    """
    return [
        *network.problems(settings),
        *_port_problems(settings),
        *_file_problems(settings, exists),
        *_auth_problems(settings),
        *_exposure_problems(settings),
    ]


# Where somebody else listens: on a port of the host that a container connects to.
OTHERS_PORTS = frozenset({"dashboard_api_port"})


def _port_problems(settings: Mapping[str, Any]) -> list[str]:
    owners: dict[int, list[str]] = {}
    for name in sorted(settings):
        if name.endswith("_port") and name not in OTHERS_PORTS and isinstance(settings[name], int):
            owners.setdefault(settings[name], []).append(name)
    return [
        f"{' and '.join(names)} are both {port}: accepted is a port of its own for each"
        for port, names in sorted(owners.items())
        if len(names) > 1
    ]


FILES = (
    "images_archive",
    "images_registry_ca",
    "images_registry_password_file",
    "grafana_archive",
    "nginx_certificate",
    "nginx_certificate_key",
    "app_keys_file",
    "app_jwks_file",
    "app_jwt_secret_file",
)


PAIRS = (
    ("nginx_certificate", "nginx_certificate_key"),
    ("images_registry_username", "images_registry_password_file"),
    ("grafana_archive", "grafana_archive_sha256"),
)


def _file_problems(settings: Mapping[str, Any], exists: Callable[[str], bool]) -> list[str]:
    problems = [
        f"{name} is '{settings[name]}': no such file on the controller; accepted is '' or the path of a readable file"
        for name in FILES
        if settings.get(name) and not exists(settings[name])
    ]
    for pair in PAIRS:
        given = [name for name in pair if settings.get(name)]
        if len(given) == 1 and all(name in settings for name in pair):
            missing = pair[1 - pair.index(given[0])]
            problems.append(f"{missing} is '': {given[0]} is given, so accepted are both or neither")
    if settings.get("images_source") == "archive" and not settings.get("images_archive"):
        problems.append("images_archive is '': images_source is archive, so accepted is the path of a bundle")
    return problems


CREDENTIALS = ("app_keys_file", "app_jwks_file", "app_jwt_secret_file")


def _auth_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    given = [name for name in CREDENTIALS if settings.get(name)]
    if settings.get("app_auth") is True and not given and all(name in settings for name in CREDENTIALS):
        yield f"app_auth is true: {', '.join(CREDENTIALS)} are all '', so nobody could publish; accepted is one or more"
    if settings.get("app_auth") is False and given:
        yield f"app_auth is false: {given[0]} is given, and nobody would be asked for it; accepted is true"


def _exposure_problems(settings: Mapping[str, Any]) -> Iterator[str]:
    unheard = [one for one in settings.get("exposure_allow_from", []) if ip_family.of(one) is ip_family.IPV6]
    if unheard and settings.get("network_ipv6") is False:
        yield (
            f"exposure_allow_from holds {unheard[0]}: network_ipv6 is false, so nothing answers over IPv6; accepted "
            "are IPv4 networks, or network_ipv6 true"
        )
    if settings.get("exposure_profile") != "production":
        return
    if settings.get("exposure_unauthenticated_publishing") is False and settings.get("app_auth") is False:
        yield (
            "exposure_unauthenticated_publishing is false: exposure_profile is production and app_auth is false, so "
            "anybody who reaches the public ports could publish; accepted is app_auth true, true here (with a proxy "
            "in front that authenticates), or exposure_profile development"
        )
    bind = settings.get("exposure_admin_bind", "127.0.0.1")
    if not ipaddress.IPv4Address(bind).is_loopback:
        yield (
            f"exposure_admin_bind is '{bind}': exposure_profile is production, and not every admin port asks for a "
            "password; accepted is 127.0.0.1 (reach them through an SSH tunnel)"
        )
