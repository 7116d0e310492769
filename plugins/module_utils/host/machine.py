"""What a host is and what runs on it, observed without changing anything.

Standard library only: it works before Docker is installed, and asking the engine's socket directly takes a tenth of
the time that importing the Docker SDK does.
"""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import json
import os
import platform
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import RTPROT_RA, interfaces, routes, uplink_mtu
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, of

DAEMON_JSON = "/etc/docker/daemon.json"
OVERCOMMIT = "/proc/sys/vm/overcommit_memory"
ENGINE_ROOT = "/var/lib/docker"
# Left by role docker where it installed the engine. Of the host, not of a stack: two stacks share one engine.
MANAGED = "/var/lib/sse.platform/engine"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Json = dict[str, Any]


def read(path: str | Path) -> str:
    """The file's text, or '' where it can't be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


# --- the machine


def distribution(os_release: str) -> dict[str, str]:
    """Id, version and codename from the text of /etc/os-release (man 5 os-release)."""
    pairs = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#"))
    values = {key: value.strip().strip("\"'") for key, value in pairs.items()}
    return {
        "id": values.get("ID", "unknown"),
        "version": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
    }


def service_manager() -> str:
    """Which program starts services here: systemd, init (System V), or none (a container, WSL2 without systemd)."""
    if Path("/run/systemd/system").is_dir():
        return "systemd"
    # WSL2's own PID 1 is called init as well, but has no inittab.
    if read("/proc/1/comm").strip() == "init" and Path("/etc/inittab").exists():
        return "init"
    return "none"


def memory_bytes(meminfo: str) -> int:
    """The machine's memory from the text of /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def nearest(text: str) -> Path:
    """The path, or its nearest parent that exists."""
    path = Path(text)
    while not path.exists():
        path = path.parent
    return path


def bridge_filter() -> str:
    """Whether the firewall sees what passes between two containers of one bridge.

    `on` or `off` (net.bridge.bridge-nf-call-iptables and -ip6tables), `loadable` where the kernel module br_netfilter
    is not loaded yet, `none` where the kernel has none.
    """
    values = [read(f"/proc/sys/net/bridge/bridge-nf-call-{one.iptables}").strip() for one in FAMILIES]
    if values[0]:
        return "off" if "0" in values else "on"
    modules = Path("/lib/modules") / platform.release()
    known = "".join(read(modules / name) for name in ("modules.dep", "modules.builtin"))
    return "loadable" if "/br_netfilter.ko" in known else "none"


def has_ipv6() -> bool:
    """Whether the kernel has IPv6, and nobody switched it off."""
    return read("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "0"


def loses_route6(table: list[Json]) -> list[str]:
    """Devices whose default route comes from router advertisements that the kernel ignores once it forwards.

    `accept_ra` 2 overrules that (Linux, ip-sysctl); 0 is where somebody else listens to them, such as systemd-networkd.
    """
    learnt = {one["device"] for one in table if one["destination"] == "::/0" and one["protocol"] == RTPROT_RA}
    return sorted(one for one in learnt if read(f"/proc/sys/net/ipv6/conf/{one}/accept_ra").strip() == "1")


def ssh_client() -> str:
    """The address that this run comes from by SSH; '' where it does not. Privilege escalation hides it from a child."""
    pid = os.getpid()
    while pid > 1:
        for entry in read(f"/proc/{pid}/environ").split("\0"):
            if entry.startswith("SSH_CONNECTION="):
                return entry.partition("=")[2].split()[0]
        pid = int(read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1] or 0)
    return ""


def disk_free_bytes(paths: list[str]) -> dict[str, int]:
    """Free bytes at each path, or where its nearest existing parent is."""
    stats = {text: os.statvfs(nearest(text)) for text in paths}
    return {text: stat.f_bavail * stat.f_frsize for text, stat in stats.items()}


# --- the kernel's network, by rtnetlink(7): every table, without the ip command


# --- who listens (proc(5))

LISTEN = "0A"


def parse_sockets(protocol: str, table: str) -> list[tuple[str, str, int, str]]:
    """Protocol, address, port and inode of what listens, from the text of /proc/net/{tcp,tcp6,udp,udp6}."""
    found: list[tuple[str, str, int, str]] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, port = fields[1].split(":")
        # A UDP socket with a peer is a client's; an open one has none.
        waits = fields[3] == LISTEN if protocol == "tcp" else fields[2].endswith(":0000")
        if waits:
            found.append((protocol, _address(address), int(port, 16), fields[9]))
    return found


def _address(text: str) -> str:
    """An address as the kernel prints it: words of 32 bits in the machine's own byte order."""
    words = [int(text[index : index + 8], 16) for index in range(0, len(text), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    # A socket of both families that is bound to an IPv4 address shows it as ::ffff:a.b.c.d.
    return str((address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address)


def _open_files(process: Path) -> Iterator[str]:
    # Processes end and files are closed while we look.
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())


def _owners(inodes: set[str]) -> dict[str, str]:
    """Who holds each of these sockets: name and process id."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, str] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        for link in _open_files(process):
            if link in wanted:
                owners.setdefault(wanted[link], f"{read(process / 'comm').strip()} (pid {process.name})")
    return owners


def listeners() -> list[Json]:
    """Every listening TCP and open UDP socket, with the process that holds it ('' where it can't be seen)."""
    sockets = [
        entry
        for protocol in ("tcp", "udp")
        for table in (protocol, f"{protocol}6")
        for entry in parse_sockets(protocol, read(f"/proc/net/{table}"))
    ]
    owners = _owners({inode for *_, inode in sockets})
    return [
        {"protocol": protocol, "address": address, "port": port, "process": owners.get(inode, "")}
        for protocol, address, port, inode in sockets
    ]


# --- the engine


def as_dict(value: Any) -> Json:
    """The engine writes null for what is empty."""
    return value or {}


def as_list(value: Any) -> list[Json]:
    """The same for lists."""
    return value or []


def daemon_json(path: str = DAEMON_JSON) -> Json | None:
    """The engine's configuration file: {} where there is none, None where it is no JSON object."""
    text = read(path)
    try:
        parsed: Any = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return cast("Json", parsed) if isinstance(parsed, dict) else None


def engine_pid() -> int | None:
    """The process id of dockerd."""
    pid = read("/run/docker.pid").strip()
    if pid.isdigit() and read(f"/proc/{pid}/comm").strip() == "dockerd":
        return int(pid)
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and read(process / "comm").strip() == "dockerd":
            return int(process.name)
    return None


def has_userland_proxy(configuration: Json, command_line: list[str], route_localnet: str) -> bool:
    """Whether published ports need a helper process that dies with dockerd.

    The engine does not say. Its flag or file does, but the file may be younger than the engine: an engine without the
    helper also lets the kernel route loopback addresses of docker0 (sysctl route_localnet).
    """
    wanted = configuration.get("userland-proxy", True)
    for flag in command_line:
        if flag.startswith("--userland-proxy"):
            wanted = flag.partition("=")[2] in ("", "true", "1")
    return bool(wanted) or route_localnet.strip() == "0"


def describe_engine(info: Json, version: Json, configuration: Json, pid: int | None) -> Json:
    """The `engine` part of the host fact, from the engine's /info and /version."""
    swarm = as_dict(info.get("Swarm"))
    command_line = read(f"/proc/{pid}/cmdline").split("\0") if pid else []
    return {
        "version": version["Version"],
        "api_version": version["ApiVersion"],
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "userland_proxy": has_userland_proxy(
            configuration, command_line, read("/proc/sys/net/ipv4/conf/docker0/route_localnet")
        ),
        "swarm": swarm.get("LocalNodeState") or "inactive",
        "swarm_error": swarm.get("Error") or "",
        "root_dir": info.get("DockerRootDir") or ENGINE_ROOT,
        "log_driver": info.get("LoggingDriver") or "",
        "managed": Path(MANAGED).exists(),
        "sdk": importlib.util.find_spec("docker") is not None,
    }


def pool_fact(pool: Json) -> dict[str, str]:
    """Subnet, gateway and range of one of a network's address pools; empty where nobody named it."""
    return {
        "subnet": pool.get("Subnet") or "",
        "gateway": pool.get("Gateway") or "",
        "ip_range": pool.get("IPRange") or "",
    }


def describe_networks(networks: list[Json], containers: list[Json]) -> list[Json]:
    """The `networks` part of the host fact."""
    found: list[Json] = []
    for network in networks:
        pools = [one for one in as_list(as_dict(network.get("IPAM")).get("Config")) if one.get("Subnet")]
        first = {of(one["Subnet"]): one for one in reversed(pools)}
        options = as_dict(network.get("Options"))
        found.append(
            {
                "name": network["Name"],
                "id": network["Id"],
                "driver": network["Driver"],
                "subnets": [pool["Subnet"] for pool in pools],
                **pool_fact(first.get(IPV4, {})),
                "ipv6": pool_fact(first[IPV6]) if IPV6 in first else None,
                "internal": bool(network.get("Internal")),
                "labels": as_dict(network.get("Labels")),
                "device": options.get("com.docker.network.bridge.name") or f"br-{network['Id'][:12]}",
                "containers": sorted(
                    container["Names"][0].lstrip("/")
                    for container in containers
                    if network["Name"] in as_dict(as_dict(container.get("NetworkSettings")).get("Networks"))
                ),
            }
        )
    return found


def describe_containers(containers: list[Json]) -> list[Json]:
    """The `containers` part of the host fact; a stopped container has no ports here."""
    return [
        {
            "name": container["Names"][0].lstrip("/"),
            "labels": as_dict(container.get("Labels")),
            "ports": [
                {"host_ip": port.get("IP", ""), "host_port": port["PublicPort"], "protocol": port["Type"]}
                for port in as_list(container.get("Ports"))
                if port.get("PublicPort")
            ],
            "state": container["State"],
        }
        for container in containers
        if container.get("Names")
    ]


def describe_images(images: list[Json]) -> dict[str, str]:
    """Image id by every reference (tag or repo digest) that names it."""
    return {
        reference: image["Id"]
        for image in images
        for key in ("RepoTags", "RepoDigests")
        for reference in cast("list[str]", image.get(key) or [])
        if "<none>" not in reference
    }


# --- Kafka's data


def kafka_data(state_directory: str | None, stack: str) -> Json | None:
    """Cluster id and format of the broker's data, from the meta.properties that Kafka keeps in it."""
    if not state_directory:
        return None
    directory = Path(state_directory) / "data" / f"{stack}-kafka"
    for path in sorted([*directory.glob("meta.properties"), *directory.glob("*/meta.properties")]):
        lines = [line.partition("=") for line in read(path).splitlines()]
        values = {key.strip(): value.strip() for key, _, value in lines}
        if values.get("cluster.id"):
            # KRaft writes version 1 and a node id, a ZooKeeper-mode broker version 0 and a broker id.
            format_ = "kraft" if values.get("version") == "1" else "zookeeper"
            return {"cluster_id": values["cluster.id"], "format": format_}
    return None


# --- all of it


def observe(options: Json, api: Api = Api()) -> Json:  # noqa: B008 - it is a value that nobody can change
    """The host fact. Options: `stack` and `state_directory`, to find what an earlier run left there."""
    configuration = daemon_json()
    pid = engine_pid()
    table = [one for family in FAMILIES for one in routes(family)]
    fact: Json = {
        "distribution": distribution(read("/etc/os-release")),
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "service_manager": service_manager(),
        "is_root": os.geteuid() == 0,
        "memory_bytes": memory_bytes(read("/proc/meminfo")),
        "overcommit_memory": int(read(OVERCOMMIT) or 0),
        "overcommit_writable": os.access(OVERCOMMIT, os.W_OK),
        "bridge_filter": bridge_filter(),
        "firewall": iptables.program(),
        "firewall6": iptables.program(IPV6),
        "ipv6": has_ipv6(),
        "ipv6_routes_lost": loses_route6(table),
        "ssh_client": ssh_client(),
        "dockerd": shutil.which("dockerd", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") or "",
        "dockerd_pid": pid,
        "daemon_json": configuration,
        "engine": None,
        "engine_error": "",
        "networks": [],
        "interfaces": [one for family in FAMILIES for one in interfaces(family)],
        "routes": table,
        "uplink_mtu": uplink_mtu(table),
        "listeners": listeners(),
        "containers": [],
        "images": {},
        "kafka_data": kafka_data(options.get("state_directory"), options.get("stack") or "sse"),
    }
    try:
        fact.update(_observe_engine(api, configuration or {}, pid))
    except OSError as error:
        fact["engine_error"] = str(error)
    root = fact["engine"]["root_dir"] if fact["engine"] else ENGINE_ROOT
    fact["disk_free_bytes"] = disk_free_bytes([root, options.get("state_directory") or "/"])
    return fact


def _observe_engine(api: Api, configuration: Json, pid: int | None) -> Json:
    version = cast("Json", api.version())
    containers = cast("list[Json]", api.containers())
    return {
        "engine": describe_engine(cast("Json", api.info()), version, configuration, pid),
        "networks": describe_networks(cast("list[Json]", api.networks()), containers),
        "containers": describe_containers(containers),
        "images": describe_images(cast("list[Json]", api.images())),
    }
