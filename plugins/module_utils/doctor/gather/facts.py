# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""All facts that the rules judge, gathered once, without changing anything."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import HostSide
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.doctor import lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import attempts, engine, namespaces
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import (
    Disk,
    Facts,
    FirewallState,
    Options,
    WantedNetwork,
)
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import machine, plugged
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    DamagedReleaseError,
    newest_releases,
)


def gather(options: Options) -> Facts:
    """Observe a host and its engine, and try every connection and port that should work."""
    facts = observe(options)
    if facts["host"]["engine"]:
        attempts.try_all(facts)
    return facts


def observe(options: Options) -> Facts:
    """Observe a host and its engine, and try nothing."""
    stack, directory = options["stack"], options["state_directory"]
    now = time.time()
    host = machine.observe(directory)
    several = options.get("several", False)
    label = SWARM_LABEL if several else engine.LABEL_STACK
    facts: Facts = {
        **options,
        "host": host,
        "now": now,
        "controller": seconds_of(options["clock"]) if options["clock"] else None,
        "kernel": platform.release(),
        "ip_forward": read("/proc/sys/net/ipv4/ip_forward").strip(),
        "bridge_nf_call_iptables": read("/proc/sys/net/bridge/bridge-nf-call-iptables").strip(),
        "disks": disks([*host["disk_free_bytes"], "/"]),
        "mtu": {path.name: int(read(path / "mtu") or 0) for path in Path("/sys/class/net").glob("*")},
        "info": Api().info() if host["engine"] else {},
        "engine_started": started(host["dockerd_pid"]) if host["dockerd_pid"] else 0.0,
        "daemon_json_changed": changed(daemon.configuration_file(daemon.command_line(host["dockerd_pid"]))),
        "networks": [],
        "containers": [],
        "rules": None,
        "releases": [],
        "releases_error": "",
        "damaged_release": "",
        "unplugged": {},
        "host_side": [],
        "firewall": None,
        "connections": [],
        "ports": [],
        "clocks": [],
        "refused_upstreams": [],
        "certificates": [],
        "told": [],
    }
    if host["engine"]:
        for __ in range(2):  # again where they disagree: a container may have come or gone between the two questions
            facts["containers"] = engine.containers(stack, label)
            facts["networks"] = [engine.network(stack, one, label) for one in host["networks"]]
            if next(lookup.unclaimed_endpoints(facts), None) is None:
                break
        namespaces.look_inside(facts["containers"], host["listeners"])
        bridges = {one["name"]: one["device"] for one in facts["networks"] if one["driver"] == "bridge"}
        ways_out = [one["name"] for one in facts["networks"] if not one["internal"]]
        for one in facts["containers"]:
            places = {name: end["address"] for name, end in one["networks"].items()}
            places6 = {name: end["address6"] for name, end in one["networks"].items()}
            if one["ours"] and one["running"]:
                found = plugged.unplugged(one["pid"], places, bridges, places6, ways_out)
                facts["unplugged"] |= {one["name"]: found} if found else {}
    # After the containers: the rules of a container that starts meanwhile are too many, not too few.
    facts["rules"] = namespaces.rules(os.getpid())
    if several:
        return facts  # what its releases declare is of the Swarm, which the hosts together are judged by
    try:
        facts["releases"] = newest_releases(directory)
    except SpecError as error:
        facts["releases_error"] = str(error)
        facts["damaged_release"] = str(error.path) if isinstance(error, DamagedReleaseError) else ""
    if host["engine"]:
        with contextlib.suppress(EngineError):
            facts["host_side"] = HostSide(Engine(), stack, directory).lost()
    if facts["releases"] and host["engine"]:
        facts["firewall"] = stack_firewall(stack, directory, facts["releases"])
    return facts


def observe_engine(stack: str) -> Facts:
    """Observe a host and its engine for a question that needs no settings."""
    network: WantedNetwork = {"name": "", "subnet": "", "gateway": "", "ip_range": "", "overlap_allowed": False}
    return observe(
        {"stack": stack, "state_directory": "/", "network": network, "bind": "", "public_ports": [], "clock": ""}
    )


def stack_firewall(stack: str, state_directory: str, releases: Sequence[Release]) -> FirewallState | None:
    """Tell whether the stack firewall is as the releases say; None where this engine's firewall has no place for it."""
    own = StackFirewall(stack, state_directory)
    script = own.directory / "restore"
    if not own.places:
        return None
    shown = str(script) if script.exists() else ""
    closed = own.is_closed_to(releases)
    return FirewallState(own.chain, closed, shown, own.guarded(IPV4), own.bypass)


def seconds_of(clock: str) -> float:
    """Return a time (RFC 3339, UTC) in seconds since the epoch."""
    return dt.datetime.strptime(clock, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.timezone.utc).timestamp()


def disks(paths: Iterable[str]) -> list[Disk]:
    """Measure each file system that one of these paths is on."""
    found: dict[int, Disk] = {}
    for text in paths:
        path = machine.nearest(text)
        stat = os.statvfs(path)
        size, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
        found.setdefault(path.stat().st_dev, Disk(text, size, free, stat.f_files, stat.f_favail))
    return list(found.values())


def changed(path: str) -> float:
    """Return when a file was last written, in seconds since the epoch; 0 where it does not exist."""
    return Path(path).stat().st_mtime if Path(path).exists() else 0.0


def started(pid: int) -> float:
    """Return when a process started, in seconds since the epoch (proc_pid_stat(5), field 22); 0 where it has ended."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    boot = (read("/proc/stat").partition("btime ")[2].split() or [0])[0]
    return int(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK") if len(fields) > 19 else 0.0
