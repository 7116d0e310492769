# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Practices of container networking as rules over a project: each has a reason and a mend. Pure: no I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.views.project import DEFAULT_BRIDGE, Port, Project, Service
from ansible_collections.sse.platform.plugins.module_utils.views.well_known_ports import PRIVATE, WEB

SEVERITIES = ("high", "medium", "low")
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
SECRET_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@$]+@", re.IGNORECASE)
ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


class Rule(NamedTuple):
    """A practice, and the function that finds where a project breaks it: (service or network, what was found)."""

    id: str
    severity: str
    practice: str
    reason: str
    mend: str
    look: Callable[[Project], Iterable[tuple[str, str]]]


def audit(project: Project) -> list[Finding]:
    """Return every finding, the worst first."""
    return [
        Finding(rule.id, subject, rule.reason, found, (f"# {rule.mend}",))
        for rule in sorted(RULES, key=lambda one: (SEVERITIES.index(one.severity), one.id))
        for subject, found in sorted(rule.look(project), key=lambda one: one[0])
    ]


def of_each(look: Callable[[Service], Iterable[str]]) -> Callable[[Project], Iterator[tuple[str, str]]]:
    """Make a rule over a project of a rule over one service."""
    return lambda project: ((one.name, found + only_with(one)) for one in project.services for found in look(one))


def only_with(service: Service) -> str:
    """Say which profiles of Compose start a service; nothing where it always starts."""
    return f" (only with the profile {' or '.join(service.profiles)})" if service.profiles else ""


def default_bridge(service: Service) -> Iterator[str]:
    """Find containers on the engine's own bridge."""
    if DEFAULT_BRIDGE in service.networks:
        yield "is on the default bridge"


def host_mode(service: Service) -> Iterator[str]:
    """Find containers without a network namespace of their own."""
    if service.mode == "host":
        yield "network_mode: host"


def private_addresses(service: Service) -> Iterator[str]:
    """Find environment variables that hold a private address instead of a name."""
    for variable, value in service.environment.items():
        private = next(filter(is_private, ADDRESS.findall(value)), "")
        if private:
            yield f"{variable} holds the address {private}"


def is_private(text: str) -> bool:
    """Tell a private address (RFC 1918) from a public one, from loopback and from the unspecified one."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return address.is_private and not address.is_loopback and not address.is_unspecified


def published_stores(service: Service) -> Iterator[str]:
    """Find stores and consoles that everybody may reach."""
    for port in filter(is_open_store, service.ports):
        known = [number for number in port.container_ports if number in PRIVATE]
        what = ", ".join(dict.fromkeys(f"{PRIVATE[number]}" for number in known))
        yield f"port {port} ({what}) is published on {port.where}"


def is_open_store(port: Port) -> bool:
    """Tell whether a port, or one of a range, is that of a store or console, and open to everybody."""
    return port.everywhere and port.protocol == "tcp" and any(one in PRIVATE for one in port.container_ports)


def published_others(service: Service) -> Iterator[str]:
    """Find other ports that everybody may reach, though no web client asks for them."""
    for port in service.ports:
        if port.everywhere and not is_open_store(port) and not WEB.issuperset(port.container_ports):
            yield f"port {port} is published on {port.where}"


def unchecked(project: Project) -> Iterator[tuple[str, str]]:
    """Find services that others wait for, though they have no health check."""
    needed = {name: one.name for one in project.services for name in one.needs}
    for service in project.services:
        if service.name in needed and not service.checked:
            yield service.name, f"has no health check, and {needed[service.name]} depends on it"


def unnamed_networks(project: Project) -> Iterator[tuple[str, str]]:
    """Find networks whose real name depends on the name of a directory."""
    return ((one.name, "has no name of its own") for one in project.networks if not one.explicit)


def unused_networks(project: Project) -> Iterator[tuple[str, str]]:
    """Find networks without a container."""
    used = {name for one in project.services for name in one.networks}
    return ((one.name, "no container is on it") for one in project.networks if one.name not in used and not one.others)


def secrets(service: Service) -> Iterator[str]:
    """Find secrets in the environment. Their values are never shown."""
    for variable, value in service.environment.items():
        if SECRET_URL.search(value) or (SECRET_NAME.search(variable) and is_secret(variable, value)):
            yield f"{variable} holds a secret"


def is_secret(variable: str, value: str) -> bool:
    """Tell a secret from the path of its file and from a switch."""
    return bool(value) and not (
        variable.upper().endswith(("_FILE", "_PATH", "_DIR"))
        or value.startswith("/")
        or value.lower() in {"true", "false", "yes", "no", "0", "1"}
    )


def limits(service: Service) -> Iterator[str]:
    """Find containers that may use up the memory or the processes of the host."""
    missing = [what for what, limited in (("memory", service.memory), ("processes", service.pids)) if not limited]
    if missing:
        yield f"has no limit of {' and '.join(missing)}"


def shares(service: Service) -> Iterator[str]:
    """Find limits for clients that are off where everybody may connect."""
    if any(port.everywhere for port in service.ports):
        yield from (f"{name} is 0" for name in service.unlimited)


def power(service: Service) -> Iterator[str]:
    """Find containers that can do on the host whatever root can do."""
    if service.privileged:
        yield "privileged: true"
    if service.engine_socket:
        yield "mounts the engine's socket"


RULES = (
    Rule(
        "NET001",
        "high",
        "Use a custom bridge, not the default one",
        "the default bridge has no DNS, so containers there find each other only by addresses, which change",
        "declare a network and attach the service to it: networks: [backend]",
        of_each(default_bridge),
    ),
    Rule(
        "NET002",
        "medium",
        "Use names, not addresses",
        "the address of a container may change whenever it is created again; its name stays",
        "use the name of the service, such as db:5432",
        of_each(private_addresses),
    ),
    Rule(
        "NET003",
        "high",
        "Publish stores and consoles on loopback, or not at all",
        "a published port bypasses ufw, so everybody who reaches the host reaches the port",
        'publish it on loopback ("127.0.0.1:5432:5432"), or not: containers on one network need no published port',
        of_each(published_stores),
    ),
    Rule(
        "NET004",
        "medium",
        "Publish nothing that nobody needs",
        "somebody has to guard each port that is published on every address",
        "remove it from ports, or give it an address: 127.0.0.1:PORT:PORT",
        of_each(published_others),
    ),
    Rule(
        "NET005",
        "low",
        "Give every network a name",
        "Compose names it after the directory, and another project does not find it (network not found)",
        "give the network a name: networks: {backend: {name: shop-backend}}",
        unnamed_networks,
    ),
    Rule(
        "NET006",
        "high",
        "Do not use the host network",
        "the container shares every interface and port of the host, has no name and is not isolated",
        "attach it to a network and publish what others must reach",
        of_each(host_mode),
    ),
    Rule(
        "NET007",
        "low",
        "Remove unused networks",
        "each network takes a subnet from the address pools of the engine until none is left",
        "remove it from the file, or run: docker network rm NAME",
        unused_networks,
    ),
    Rule(
        "NET008",
        "medium",
        "Give every client only a share",
        "one client can take all connections, memory or time, and then nobody else is served",
        "set it to a number, or leave it out for the default of the profile production",
        of_each(shares),
    ),
    Rule(
        "RUN001",
        "medium",
        "Give a health check to every service that others depend on",
        "a started service may not be ready yet, and whoever depends on it then meets connection refused",
        "add a healthcheck, and depend on it with condition: service_healthy",
        unchecked,
    ),
    Rule(
        "RUN002",
        "low",
        "Limit every container",
        "a container that leaks takes the host with it, and every other container",
        "set mem_limit and pids_limit (or deploy.resources.limits)",
        of_each(limits),
    ),
    Rule(
        "SEC001",
        "high",
        "Keep secrets out of the environment",
        "docker inspect, crash reports and every child process show it",
        "hand it over as a file, and name the file: DB_PASSWORD_FILE=/run/secrets/db_password",
        of_each(secrets),
    ),
    Rule(
        "SEC002",
        "high",
        "Give no container the power of root on the host",
        "an attacker in the container becomes root on the host",
        "remove it, and name the one capability or device that is needed",
        of_each(power),
    ),
)
