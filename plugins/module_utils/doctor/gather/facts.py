"""Everything that the rules judge, gathered once and without changing anything.

The facts are plain data: `host` as every playbook observes it, and beside it the kernel's switches, disks, clocks and
rules, the networks and containers with what their namespaces show, and the connections that were tried.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import http.client
import os
import platform
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.doctor import lookup
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import health_of
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.host import (
    iptables_rules,
    listeners,
    machine,
    namespace,
    netlink,
    probe,
)
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import host_service, published_ports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected

Json = dict[str, Any]

THREADS = 32  # nearly all of them wait on sockets
EMBEDDED_DNS = namespace.EMBEDDED_DNS
# Ports that speak HTTP by convention, on which a container's clock can be read; asked only of the stack's own.
HTTP_PORTS = (80, 8080, 8000, 3000, 9090)
DATE_SECONDS = 2.0
LOG_LINES = 200  # of an nginx: its last minutes where it fails, hours where it does not
LOG_SECONDS = 600  # what is older was mended since, or shows again
UPSTREAM = re.compile(
    r"(?:connect\(\) failed|upstream timed out) \((\d+: [^)]+)\) while connecting to upstream"
    r'.* upstream: "\w+://([\d.]+):(\d+)'
)
# What Swarm keeps for itself: a bridge on which no container knows to be, and endpoints of no container.
SWARMS_BRIDGE = "docker_gwbridge"
SWARMS_OWN = re.compile(r"ingress-sbox|lb-.*")
SYSCTLS = {
    "ip_forward": "net/ipv4/ip_forward",
    "bridge_nf": "net/bridge/bridge-nf-call-iptables",
}


def gather(options: Json) -> Json:
    """Observe a host and its engine, and try every connection and port that should work.

    :param options: ``stack``, ``state_directory``, ``network`` (name, subnet, gateway and ip_range that the
        settings ask for), ``bind`` (host address of the public ports) and ``clock`` (the controller's, RFC 3339)
    """
    facts = observe(options)
    if facts["host"]["engine"]:
        try_all(facts)
    return facts


def observe(options: Json) -> Json:
    """Observe a host and its engine."""
    now = time.time()
    observed = cast("Json", machine.observe(options["stack"], options["state_directory"]))
    facts: Json = {
        "stack": options["stack"],
        "wanted": {**options["network"], "bridge": segments.device(options["stack"]), "mtu": observed["uplink_mtu"]},
        "bind": options["bind"],
        "host": observed,
        "now": now,
        "controller": seconds_of(options["clock"]) if options["clock"] else None,
        "kernel": {
            "release": platform.release(),
            **{name: machine.read(f"/proc/sys/{path}").strip() for name, path in SYSCTLS.items()},
        },
        "disks": disks([*observed["disk_free_bytes"], "/"]),
        "mtu": {path.name: int(machine.read(path / "mtu") or 0) for path in Path("/sys/class/net").glob("*")},
        "info": {},
        "engine_started": started(observed["dockerd_pid"]) if observed["dockerd_pid"] else 0.0,
        "daemon_json_changed": changed(daemon.CONFIGURATION),
        "firewall": None,
        **dict.fromkeys(("releases_error", "rules_error", "rules"), ""),
        **{
            name: [] for name in ("releases", "networks", "containers", "edges", "doors", "clocks", "refused_upstreams")
        },
    }
    if observed["engine"]:
        facts["info"] = Api().info()
        for _ in range(2):  # again where they disagree: a container may have come or gone between the two questions
            facts["containers"] = containers()
            facts["networks"] = [network_fact(one) for one in observed["networks"]]
            if next(lookup.ghosts(facts), None) is None:
                break
        running = [one for one in facts["containers"] if one["running"]]
        with ThreadPoolExecutor(THREADS) as pool:
            for one, inside in zip(running, pool.map(look_inside, running), strict=True):
                one["inside"] = inside
    # After the containers: the rules of one that comes meanwhile are too many, not too few.
    try:
        facts["rules"] = iptables_rules.save()
    except OSError as error:
        facts["rules_error"] = str(error)
    try:
        facts["releases"] = newest_releases(options["state_directory"])
    except SpecError as error:
        facts["releases_error"] = str(error)
    if facts["releases"] and observed["engine"]:
        facts["firewall"] = firewall_fact(options["stack"], options["state_directory"], facts["releases"])
    return facts


def firewall_fact(stack: str, state_directory: str, releases: list[Json]) -> Json | None:
    """Whether the stack's own chain is as its releases say; None where this engine's firewall has no place for it."""
    wall = StackFirewall(stack, state_directory)
    if not wall.places:
        return None
    script = wall.directory / "restore"
    return {
        "chain": wall.chain,
        "stands": wall.is_closed_to(releases),
        "script": str(script) if script.exists() else "",
    }


def known(stack: str) -> Json:
    """Observe nothing but which containers there are."""
    return {"stack": stack, "containers": containers()}


def try_all(facts: Json) -> None:
    """Try what should work: declared connections, published ports; read the clocks and logs that tell of the rest."""
    running = [one for one in facts["containers"] if one["running"]]
    ours = [one for one in running if lookup.is_ours(facts, one["labels"])]
    with ThreadPoolExecutor(THREADS) as pool:
        edges = pool.map(partial(try_edge, facts["containers"]), declared_edges(facts["releases"]))
        doors = pool.map(try_door, [(one, *port) for one in running for port in one["published"]])
        clocks = pool.map(read_clock, ours)
        upstreams = pool.map(refused_upstreams, [one for one in running if one["program"] == "nginx"])
        facts["edges"] = [one for one in edges if one]
        facts["doors"] = list(doors)
        facts["clocks"] = [one for one in clocks if one]
        facts["refused_upstreams"] = [one for found in upstreams for one in found]
    forget_who_ended(facts)
    for way in facts["edges"]:
        look_at_rules_inside(facts, way)


def forget_who_ended(facts: Json) -> None:
    """Take what was seen of containers that ended meanwhile for what it is: nothing to judge them by."""
    now = {entry["Id"]: entry["State"] for entry in Api().containers()}
    for one in facts["containers"]:
        if one["running"] and now.get(one["id"]) != one["status"]:
            one.update(running=False, status=now.get(one["id"], "removed"), inside=None)
    running = {one["name"] for one in facts["containers"] if one["running"]}
    facts["edges"] = [one for one in facts["edges"] if one["source"] in running]
    for key in ("doors", "clocks", "refused_upstreams"):
        facts[key] = [one for one in facts[key] if one["container"] in running]


def look_at_rules_inside(facts: Json, way: Json) -> None:
    """Add the rules of both ends' own namespaces where a connection failed: each costs a process."""
    if way["failed"] == "connect":
        for one in facts["containers"]:
            if one["name"] in {way["source"], way["target"]} and one["inside"] and "rules" not in one["inside"]:
                one["inside"]["rules"] = rules_inside(one["pid"])


# --- the machine


def seconds_of(clock: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC."""
    return dt.datetime.strptime(clock, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.timezone.utc).timestamp()


def disks(paths: Iterable[str]) -> list[Json]:
    """Room on each file system that one of these paths is on, in bytes and in inodes (0 where it counts none)."""
    found: dict[int, Json] = {}
    for text in paths:
        path = machine.nearest(text)
        stat = os.statvfs(path)
        found.setdefault(
            path.stat().st_dev,
            {
                "path": text,
                "bytes": stat.f_blocks * stat.f_frsize,
                "bytes_free": stat.f_bavail * stat.f_frsize,
                "inodes": stat.f_files,
                "inodes_free": stat.f_favail,
            },
        )
    return list(found.values())


def changed(path: str) -> float:
    """When a file was last written, in seconds since the epoch; 0 where there is none."""
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def started(pid: int) -> float:
    """When a process started, in seconds since the epoch (proc_pid_stat(5), field 22); 0 where it is gone."""
    fields = machine.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    boot = next(
        (int(line.split()[1]) for line in machine.read("/proc/stat").splitlines() if line.startswith("btime ")), 0
    )
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else 0.0


# --- networks and containers, as the engine tells


def network_fact(network: Json) -> Json:
    """Widen the host fact's description of a network by its endpoints and options."""
    inspected: Json = {}
    with contextlib.suppress(RefusedError):  # it is gone meanwhile
        inspected = cast("Json", Api().network(network["id"]))
    options: Json = inspected.get("Options") or {}
    return {
        **network,
        "scope": inspected.get("Scope") or "local",
        "internal": bool(inspected.get("Internal")),
        "mtu": int(options.get("com.docker.network.driver.mtu") or 0),
        "masquerade": options.get("com.docker.network.bridge.enable_ip_masquerade") != "false",
        "icc": options.get("com.docker.network.bridge.enable_icc") != "false",
        "endpoints": {
            container: {"name": one["Name"], "address": one["IPv4Address"].partition("/")[0]}
            for container, one in machine.as_dict(inspected.get("Containers")).items()
            if network["name"] != SWARMS_BRIDGE and not SWARMS_OWN.fullmatch(container)
        },
    }


def containers() -> list[Json]:
    """Describe every container of the host."""
    found: list[Json] = []
    for entry in Api().containers():
        with contextlib.suppress(RefusedError):  # it is gone meanwhile
            found.append(container_fact(Api().container(entry["Id"]), health_of(entry["Status"])))
    return found


def container_fact(inspected: Inspected, health: str) -> Json:
    """Take from what the engine knows of a container what rules ask for."""
    state, config, wanted = inspected["State"], inspected["Config"], inspected["HostConfig"]
    networks = inspected["NetworkSettings"]["Networks"] or {}
    log = machine.as_list(machine.as_dict(state.get("Health")).get("Log"))
    bindings = wanted.get("PortBindings") or {}
    environment = "\n".join(config.get("Env") or [])
    return {
        "name": inspected["Name"].lstrip("/"),
        "id": inspected["Id"],
        "labels": machine.as_dict(config.get("Labels")),
        "status": state["Status"],
        "running": bool(state["Running"]) and not state["Paused"],
        "pid": int(state["Pid"]),
        "program": machine.read(f"/proc/{state['Pid']}/comm").strip() if state["Pid"] else "",
        "exit_code": state["ExitCode"],
        "error": state.get("Error") or "",
        "health": health,
        "health_log": " ".join(str(log[-1].get("Output", "")).split())[-200:] if log else "",
        "mode": wanted.get("NetworkMode") or "default",
        "networks": {name: endpoint_fact(cast("Json", one)) for name, one in networks.items()},
        "wanted": [
            [one["HostIp"] or published_ports.ANY, int(one["HostPort"] or 0), int(inside.partition("/")[0])]
            for inside, published in bindings.items()
            for one in published or []
            if inside.endswith("/tcp")
        ],
        "published": sorted(list(one) for one in published_ports.published(inspected)),
        "exposed": sorted(int(port.partition("/")[0]) for port in machine.as_dict(config.get("ExposedPorts"))),
        "host_ports": sorted({int(port) for port in re.findall(rf"{re.escape(host_service.HOST)}:(\d+)", environment)}),
        "inside": None,
    }


def endpoint_fact(endpoint: Json) -> Json:
    """Take from an endpoint what rules ask for."""
    return {
        "id": endpoint.get("NetworkID") or "",
        "address": endpoint.get("IPAddress") or "",
        "address6": endpoint.get("GlobalIPv6Address") or "",
        "wanted_address": machine.as_dict(endpoint.get("IPAMConfig")).get("IPv4Address") or "",
        "aliases": endpoint.get("Aliases") or [],
    }


# --- from inside


def look_inside(container: Json) -> Json | None:
    """Describe a running container's network namespace; None where it has none of its own or is gone."""
    if container["mode"] == "host":
        return {"listening": listening_of(container), "interfaces": [], "mtu": {}, "dns": "", "hosts": {}}
    pid = container["pid"]
    try:
        resolver = nameserver(machine.read(f"/proc/{pid}/root/etc/resolv.conf"))
        return {
            "listening": sorted(
                {(one.address, one.port) for one in listeners.listeners(pid) if one.address != EMBEDDED_DNS}
            ),
            "hosts": hosts_of(machine.read(f"/proc/{pid}/root/etc/hosts")),
            "dns": namespace.inside(pid, partial(dns_error, container["name"])) if resolver == EMBEDDED_DNS else "",
            **namespace.inside(pid, links),
        }
    except OSError:
        return None


def links() -> Json:
    """Interfaces and their MTU in the namespace of the calling thread."""
    found = netlink.interfaces()
    return {"interfaces": found, "mtu": {one["name"]: netlink.mtu(one["name"]) for one in found}}


def dns_error(name: str) -> str:
    """Why the engine's resolver does not answer; an answer that there is no such name is one."""
    try:
        namespace.ask(name)
    except (TimeoutError, ConnectionError) as error:
        return str(error) or type(error).__name__
    except OSError as error:
        return str(error) if error.errno else ""
    return ""


def nameserver(resolv_conf: str) -> str:
    """The first name server of a resolv.conf."""
    return next((line.split()[1] for line in resolv_conf.splitlines() if line.startswith("nameserver ")), "")


def hosts_of(text: str) -> dict[str, str]:
    """Names that an /etc/hosts pins to IPv4 addresses."""
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    return {name: line[0] for line in lines if line and ":" not in line[0] for name in line[1:]}


def listening_of(container: Json) -> list[tuple[str, int]]:
    """What the processes of a container in the host's own namespace listen on, told by their control group."""

    def belongs(process: str) -> bool:
        pid = process.rpartition("pid ")[2].rstrip(")")
        return pid.isdigit() and container["id"] in machine.read(f"/proc/{pid}/cgroup")

    return sorted(
        {
            (one["address"], one["port"])
            for one in listeners.host_listeners()
            if one["protocol"] == "tcp" and belongs(one["process"])
        }
    )


def rules_inside(pid: int) -> str:
    """The iptables rules of a container's own namespace; empty where they can't be read."""
    try:
        return namespace.inside(pid, iptables_rules.save)
    except OSError:
        return ""


# --- what was tried


def declared_edges(releases: list[Json]) -> list[connections.Edge]:
    """Every connection that the newest releases declare."""
    return connections.declared(connections.containers_of(releases))


def try_edge(found: list[Json], edge: connections.Edge) -> Json | None:
    """Resolve and connect as the source would; None where the source does not run."""
    source = next((one for one in found if one["name"] == edge.source and one["running"]), None)
    if source is None:
        return None
    return way_of(edge.source, edge.target, edge.name, edge.port, measured(source["pid"], edge.name, edge.port))


def measured(pid: int, name: str, port: int | None, path: str = "", *, tls: bool = False) -> probe.Probe:
    """Take a way as probe.measure() does; where its namespace can't be entered, that is why it fails."""
    try:
        return probe.measure(pid, name, port, path, tls=tls)
    except OSError as error:
        return probe.Probe([], "resolve", str(error))


def way_of(source: str, target: str, name: str, port: int | None, found: probe.Probe) -> Json:
    """Describe a way that was taken, for the rules.

    :param target: full name of the container that should answer; empty where that is not known
    """
    return {
        "source": source,
        "target": target,
        "name": name,
        "port": port,
        "addresses": found.addresses,
        "failed": found.failed,
        "error": found.error,
    }


def try_door(door: tuple[Json, str, int, int]) -> Json:
    """Connect to a published port on the host."""
    container, address, port, inside = door
    there = published_ports.LOOPBACK if address in published_ports.WILDCARDS else address
    got = published_ports.answers(there, port, published_ports.ANSWER_SECONDS) if ":" not in there else ""
    return {"container": container["name"], "address": address, "port": port, "inside": inside, "got": got}


def read_clock(container: Json) -> Json | None:
    """How far a container's clock is ahead of the host's, by the Date of an HTTP answer; None where none is had."""
    listening: list[tuple[str, int]] = machine.as_dict(container["inside"]).get("listening", [])
    open_ports = {port for address, port in listening if address != published_ports.LOOPBACK}
    port = next((one for one in HTTP_PORTS if one in open_ports), None)
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
    return {"container": container["name"], "port": port, "ahead": ahead}


def refused_upstreams(container: Json) -> list[Json]:
    """Addresses that an nginx failed to connect to lately, since its workers started: from its own error log."""
    since = max([time.time() - LOG_SECONDS, *(started(pid) for pid in children(container["pid"]))])
    try:
        log = Api().log(container["id"], LOG_LINES, since)
    except OSError:
        return []
    found = {match.groups()[1:]: match[1] for line in log if (match := UPSTREAM.search(line))}
    return [
        {"container": container["name"], "address": address, "port": int(port), "error": error}
        for (address, port), error in found.items()
    ]


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    return [int(one) for one in machine.read(f"/proc/{pid}/task/{pid}/children").split()]
