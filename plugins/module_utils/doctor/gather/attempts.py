# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What was tried: declared connections and published ports; and what clocks and logs tell about the rest."""

from __future__ import annotations

import email.utils
import http.client
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.doctor import types
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import namespaces
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
from ansible_collections.sse.platform.plugins.module_utils.host import probe, procfs, served_certificate, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import place, users
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, WILDCARDS
from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere, Release, Spec
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import (
    certificate,
    elsewhere,
    firing,
    published_ports,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATE_SECONDS = 2.0
LOG_LINES = 200  # the last minutes of a proxy that fails, and hours of one that does not
LOG_SECONDS = 600  # what is older was mended since, or shows again
# A line in the error log of NGINX, and in it the process that wrote it.
UPSTREAM = re.compile(
    r"(?:connect\(\) failed|upstream timed out) \((\d+: [^)]+)\) while connecting to upstream"
    r'.* upstream: "\w+://([\d.]+):(\d+)'
)
WRITER = re.compile(r"\] (\d+)#\d+: ")


def try_all(facts: types.Facts) -> None:
    """Try declared connections and published ports, and read clocks and logs; add the results to the facts."""
    running = {one["name"]: one for one in facts["containers"] if one["running"]}
    specs = connections.containers_of(facts["releases"])
    with ThreadPoolExecutor(namespaces.THREADS) as pool:
        declared = [edge for edge in connections.declared(specs) if edge.source in running]
        tried = pool.map(partial(try_declared, running), declared)
        ports = pool.map(try_port, [(name, port) for name, one in running.items() for port in one["published"]])
        ours = [one for one in running.values() if one["ours"]]
        clocks = pool.map(partial(read_clock, http_ports(facts["releases"])), ours)
        upstreams = pool.map(refused_upstreams, running.values())
        certificates = pool.map(look_at_certificate, checked(facts, certificate.KIND.name))
        sayings = [
            *pool.map(ask_service, checked(facts, told.KIND.name)),
            *pool.map(firing_alerts, checked(facts, firing.KIND.name)),
            *pool.map(ask_elsewhere, used_elsewhere(facts, running)),
        ]
    mark_ended(facts["containers"])
    still = {one["name"] for one in facts["containers"] if one["running"]}
    facts["connections"] = [one for one in tried if one.source in still]
    facts["ports"] = [one for one in ports if one.container in still]
    facts["clocks"] = [one for one in clocks if one and one.container in still]
    facts["refused_upstreams"] = [one for found in upstreams for one in found if one.container in still]
    facts["certificates"] = [one for one in certificates if one.container in still]
    facts["told"] = [one for found in sayings for one in found if one.container in still]
    namespaces.look_at_rules(facts["containers"], facts["connections"])


class Asked(NamedTuple):
    """What a check of a release asks of one running container."""

    container: str
    address: str
    parameters: dict[str, Any]


def checked(facts: types.Facts, kind: str) -> list[Asked]:
    """Return the running containers that the releases have a check of this kind for."""
    found: list[Asked] = []
    running = {one["name"]: one for one in facts["containers"] if one["running"]}
    for name, parameters in kinds.of_kind(facts["releases"], kind):
        networks = running[name]["networks"].values() if name in running else ()
        address = next((one["address"] for one in networks if one["address"]), "")
        if address:
            found.append(Asked(name, address, parameters))
    return found


def look_at_certificate(asked: Asked) -> served_certificate.ServedCertificate:
    """Make a handshake with a container."""
    return served_certificate.look(asked.container, asked.address, asked.parameters["port"])


def ask_service(asked: Asked) -> list[types.Told]:
    """Ask a service what problems it has."""
    endpoint, path = Endpoint(asked.container, asked.address, asked.parameters["port"]), asked.parameters["path"]
    return [types.Told(asked.container, one, f"{endpoint.url}{path}") for one in told.ask(endpoint, path)]


def firing_alerts(asked: Asked) -> list[types.Told]:
    """Return the alerts that fire and say how they are mended."""
    endpoint = Endpoint(asked.container, asked.address, asked.parameters["port"])
    return [
        types.Told(asked.container, one.sentence, f"{endpoint.url}{firing.PATH}", one.mend)
        for one in firing.ask(endpoint)
    ]


def used_elsewhere(
    facts: types.Facts, running: Mapping[str, types.Container]
) -> list[tuple[types.Container, Spec, Elsewhere]]:
    """Return the running containers that use something outside of the stack, and what."""
    return [(running[name], spec, one) for name, spec, one in users(facts["releases"]) if name in running]


def ask_elsewhere(asked: tuple[types.Container, Spec, Elsewhere]) -> list[types.Told]:
    """Ask from within a container what it uses outside of the stack."""
    container, spec, one = asked
    found = elsewhere.ask_in(Engine(), container["id"], spec, one)
    mend = f"# ask who runs {one['name']}, or correct the settings {one['service']}_remote_*"
    return [types.Told(container["name"], f"{place(one)}: {text}", "", mend) for text in found.problems]


def mark_ended(containers: list[types.Container]) -> None:
    """Mark containers that have ended meanwhile: what they showed before is no finding."""
    now = {one["Id"]: one["State"] for one in Api().containers()}
    for one in containers:
        if one["running"] and now.get(one["id"]) != one["status"]:
            one["running"], one["status"], one["inside"] = False, now.get(one["id"], "removed"), None


def try_declared(running: dict[str, types.Container], edge: connections.Edge) -> types.TriedConnection:
    """Resolve and connect as the source would."""
    found = measure(running[edge.source]["pid"], edge.name, edge.port)
    return types.TriedConnection(edge.source, edge.target, edge.name, edge.port, *found[:3])


def measure(
    pid: int, name: str, port: int | None, path: str = "", *, tls: bool = False, servers: Iterable[str] = ()
) -> probe.Probe:
    """Try a connection as probe.measure() does; it fails where the namespace cannot be entered."""
    try:
        return probe.measure(pid, name, port, path, tls=tls, servers=servers)
    except OSError as error:
        return probe.Probe([], "resolve", str(error))


def try_port(one: tuple[str, published_ports.Publication]) -> types.TriedPort:
    """Connect to a published port of a container on the host; an IPv6 address is not tried."""
    container, published = one
    there = IPV4.loopback if published.host_ip in WILDCARDS else published.host_ip
    seconds = published_ports.ANSWER_SECONDS
    error = "" if ":" in there else tcp.hindered((there, published.host_port), seconds)
    return types.TriedPort(container, published, error)


def http_ports(releases: Iterable[Release]) -> dict[str, list[int]]:
    """Return the ports at which each declared container speaks HTTP: where its health check or a check asks."""
    found: dict[str, list[int]] = {}
    for release in releases:
        full = {spec["container"]: name for name, spec in release["containers"].items()}
        for name, spec in release["containers"].items():
            check = spec["healthcheck"]["http"]
            found[name] = [check["port"]] if check else []
        for one in release.get("checks", []):
            port = one["parameters"].get("port")
            if one["kind"] == "http" and isinstance(port, int):
                for name in full.keys() & set(one["containers"]):
                    found[full[name]].append(port)
    return found


def read_clock(declared: Mapping[str, list[int]], container: types.Container) -> types.Clock | None:
    """Compare a container's clock with the host's, by the date in an HTTP answer; None where there is none.

    A container that no release declares is asked at the first ports that it listens on.
    """
    listening = container["inside"]["listening"] if container["inside"] else []
    open_ports = sorted({port for address, port in listening if address != IPV4.loopback})
    port = next((one for one in declared.get(container["name"], open_ports) if one in open_ports), None)
    address = next((one["address"] for one in container["networks"].values() if one["address"]), "")
    if port is None or not address:
        return None
    connection = http.client.HTTPConnection(address, port, timeout=DATE_SECONDS)
    try:
        connection.request("HEAD", "/")
        date = connection.getresponse().getheader("Date")
        ahead = email.utils.parsedate_to_datetime(date).timestamp() - time.time() if date else 0.0
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return types.Clock(container["name"], port, ahead)


def refused_upstreams(container: types.Container) -> list[types.RefusedUpstream]:
    """Return the addresses that a proxy failed to connect to lately, as its worker processes wrote into its log.

    After a reload other workers run, and they have resolved every name again: what earlier ones wrote does not count.
    """
    children = procfs.read(f"/proc/{container['pid']}/task/{container['pid']}/children").split()
    workers = {inner_pid(pid) for pid in children}
    try:
        log = Api().log(container["id"], LOG_LINES, time.time() - LOG_SECONDS) if workers else []
    except OSError:
        return []
    lines = [line for line in log if (match := WRITER.search(line)) and match[1] in workers]
    found = {match.groups()[1:]: match[1] for line in lines if (match := UPSTREAM.search(line))}
    return [types.RefusedUpstream(container["name"], address, port, error) for (address, port), error in found.items()]


def inner_pid(pid: str) -> str:
    """Return the id that a process of the host has inside its container (proc_pid_status(5), NSpid)."""
    return procfs.read(f"/proc/{pid}/status").partition("NSpid:")[2].partition("\n")[0].rpartition("\t")[2]
