"""Best practices of container networking as checks: pure rules over a project, each with a reason and a mend."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.views.project import DEFAULT_BRIDGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.views.project import Project, Service

SEVERITIES = ("high", "medium", "low")
WEB = frozenset({80, 443, 8080, 8443})  # what a door to the world usually listens on
# Stores and consoles that trust whoever reaches them, or guard themselves by a password alone.
PRIVATE = {
    2181: "ZooKeeper",
    2375: "the Docker Engine",
    2379: "etcd",
    3000: "Grafana",
    3306: "MySQL",
    5432: "PostgreSQL",
    5672: "RabbitMQ",
    6379: "Redis",
    9090: "Prometheus",
    9092: "Kafka",
    9094: "Kafka",
    9200: "Elasticsearch",
    11211: "memcached",
    15672: "RabbitMQ's console",
    19092: "Kafka",
    27017: "MongoDB",
}
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
SECRET_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@$]+@", re.IGNORECASE)
ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")


class Finding(NamedTuple):
    """One practice that is not kept."""

    id: str
    severity: str
    subject: str
    found: str
    reason: str
    mend: str


class Rule(NamedTuple):
    """A practice: ``look`` yields (subject, what was found) for each place that does not keep it."""

    id: str
    severity: str
    practice: str
    reason: str
    mend: str
    look: Callable[[Project], Iterator[tuple[str, str]]]


def audit(project: Project) -> list[Finding]:
    """Return every finding, the worst first."""
    found = [
        Finding(rule.id, rule.severity, subject, what, rule.reason, rule.mend)
        for rule in RULES
        for subject, what in rule.look(project)
    ]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.id, one.subject))


def default_bridge(project: Project) -> Iterator[tuple[str, str]]:
    """Find containers on the engine's own bridge."""
    return ((one.name, "is on the default bridge") for one in project.services if DEFAULT_BRIDGE in one.networks)


def host_mode(project: Project) -> Iterator[tuple[str, str]]:
    """Find containers without a network namespace of their own."""
    return ((one.name, "network_mode: host") for one in project.services if one.mode == "host")


def private_addresses(project: Project) -> Iterator[tuple[str, str]]:
    """Find environment variables that hold a private address, where a name belongs."""
    for service in project.services:
        for variable, value in service.environment.items():
            private = [one for one in ADDRESS.findall(value) if is_private(one)]
            if private:
                yield service.name, f"{variable} holds the address {private[0]}"


def is_private(text: str) -> bool:
    """Tell a private address (RFC 1918) from a public one, loopback and the unspecified one."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return address.is_private and not address.is_loopback and not address.is_unspecified


def published_stores(project: Project) -> Iterator[tuple[str, str]]:
    """Find stores and consoles that the whole world may reach."""
    for service in project.services:
        for port in service.ports:
            if port.everywhere and port.container_port in PRIVATE:
                what = PRIVATE[port.container_port]
                yield service.name, f"port {port.container_port} ({what}) is published on {port.host_ip}"


def published_others(project: Project) -> Iterator[tuple[str, str]]:
    """Find further ports on every address that no web client asks for."""
    for service in project.services:
        for port in service.ports:
            if port.everywhere and port.container_port not in WEB | PRIVATE.keys():
                yield service.name, f"port {port.container_port} is published on {port.host_ip}"


def unchecked(project: Project) -> Iterator[tuple[str, str]]:
    """Find services that others wait for, though nothing asks whether they work."""
    needed = {name: one.name for one in project.services for name in one.needs}
    for service in project.services:
        if service.name in needed and not service.checked:
            yield service.name, f"has no healthcheck, and {needed[service.name]} depends on it"


def unnamed_networks(project: Project) -> Iterator[tuple[str, str]]:
    """Find networks whose real name depends on a directory."""
    return ((one.name, "has no name of its own") for one in project.networks if not one.explicit)


def unused_networks(project: Project) -> Iterator[tuple[str, str]]:
    """Find networks that nobody is on."""
    used = {name for one in project.services for name in one.networks}
    return ((one.name, "no container is on it") for one in project.networks if one.name not in used and not one.others)


def secrets(project: Project) -> Iterator[tuple[str, str]]:
    """Find secrets in environments; their values are never shown."""
    for service in project.services:
        for variable, value in service.environment.items():
            if SECRET_URL.search(value) or (SECRET_NAME.search(variable) and is_secret(variable, value)):
                yield service.name, f"{variable} holds a secret"


def is_secret(variable: str, value: str) -> bool:
    """Tell a secret from the name of its file, a reference to be filled in, and a switch."""
    return bool(value) and not (
        variable.upper().endswith(("_FILE", "_PATH", "_DIR"))
        or value.startswith("/")
        or value.lower() in {"true", "false", "yes", "no", "0", "1"}
    )


def limits(project: Project) -> Iterator[tuple[str, str]]:
    """Find containers that may take the whole host."""
    for service in project.services:
        missing = [what for what, set_ in (("memory", service.memory), ("processes", service.pids)) if not set_]
        if missing:
            yield service.name, f"no limit of {' and '.join(missing)}"


def power(project: Project) -> Iterator[tuple[str, str]]:
    """Find containers that can do on the host whatever root can."""
    for service in project.services:
        yield from ((service.name, what) for what, so in power_of(service) if so)


def power_of(service: Service) -> tuple[tuple[str, bool], ...]:
    """List what gives a container the host."""
    return (("privileged: true", service.privileged), ("mounts the engine's socket", service.engine_socket))


RULES = (
    Rule(
        "NET001",
        "high",
        "A custom bridge, not the default one",
        "the default bridge has no DNS: containers there find each other by addresses that change",
        "declare a network and attach the service to it: networks: [app]",
        default_bridge,
    ),
    Rule(
        "NET002",
        "medium",
        "Names, not addresses",
        "a container's address may change whenever it is made anew; its name stays",
        "use the service's name, such as redis:6379",
        private_addresses,
    ),
    Rule(
        "NET003",
        "high",
        "Stores and consoles are published on loopback or not at all",
        "a published port passes by ufw, and everybody who reaches the host reaches it",
        'publish on loopback ("127.0.0.1:6379:6379"), or not: containers on one network need no published port',
        published_stores,
    ),
    Rule(
        "NET004",
        "medium",
        "Nothing is published that needs not be",
        "each port on every address is a door that somebody has to guard",
        "remove it from ports, or give it an address: 127.0.0.1:PORT:PORT",
        published_others,
    ),
    Rule(
        "NET005",
        "low",
        "Networks have explicit names",
        "Compose else names it after the directory, and another project looks for it in vain (network not found)",
        "give the network a name: networks: {app: {name: app-network}}",
        unnamed_networks,
    ),
    Rule(
        "NET006",
        "high",
        "No host network",
        "the container shares every interface and port of the host, is found by no name, and meets no network's rules",
        "attach it to a network and publish what must be reached",
        host_mode,
    ),
    Rule(
        "NET007",
        "low",
        "No unused networks",
        "each takes a subnet out of the engine's pools, and one day there is none left",
        "remove it from the file, or: docker network rm NAME",
        unused_networks,
    ),
    Rule(
        "RUN001",
        "medium",
        "What others depend on has a healthcheck",
        "started is not ready: without a check the dependent meets connection refused",
        "add a healthcheck, and depend on it by condition: service_healthy",
        unchecked,
    ),
    Rule(
        "RUN002",
        "low",
        "Every container has limits",
        "one that leaks takes the host, and every other container with it",
        "set mem_limit and pids_limit (or deploy.resources.limits)",
        limits,
    ),
    Rule(
        "SEC001",
        "high",
        "No secret in an environment",
        "docker inspect, crash reports and every child process show it",
        "hand it over as a file, and name the file: REDIS_PASSWORD_FILE=/run/secrets/redis_password",
        secrets,
    ),
    Rule(
        "SEC002",
        "high",
        "No container owns the host",
        "who breaks into it has root on the host",
        "drop it; name the one capability or device that is needed",
        power,
    ),
)
