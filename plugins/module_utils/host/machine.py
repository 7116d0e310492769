# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a host is, observed without changing anything.

Uses the standard library only: it works before Docker is installed.
"""

from __future__ import annotations

import ipaddress
import os
import platform
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET, Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.host import (
    boot,
    engine_facts,
    engine_traits,
    iptables,
    state_modes,
)
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import host_listeners
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import RTPROT_RA, interfaces, routes, uplink_mtu
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import parent, read
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import (
    FAMILIES,
    IPV6,
    is_address,
    is_loopback,
)

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.host.engine_facts import EngineFacts
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Distribution,
        HostFacts,
        Json,
        MountFact,
        Route,
    )

OVERCOMMIT = "/proc/sys/vm/overcommit_memory"
BACKUP_TIMER = "backup/timer.json"  # in the state directory, where a timer makes backups
TIMERS = (BACKUP_TIMER, "verify/timer.json")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as the kernel calls them -> as Debian does


def distribution(os_release: str) -> Distribution:
    """Read id, version and codename from the text of /etc/os-release (os-release(5))."""
    pairs = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line and not line.startswith("#"))
    values = {key: value.strip().strip("\"'") for key, value in pairs.items()}
    return {
        "id": values.get("ID", "unknown"),
        "version": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
    }


def own_names(node: str, hosts: str, addresses: list[str]) -> list[str]:
    """Return what a host calls itself: its name, and the longer forms of it in the text of /etc/hosts (hosts(5)).

    A longer form counts in a line with an address of the host. Of loopback it counts beside the host's name alone: a
    list of blocked names may lead stats.tracker.example to 127.0.0.1, and a host may be called stats. No resolver is
    asked: it may be slow, and may say something else each time.

    :param addresses: of the host's interfaces
    """
    own, short = node.lower(), node.partition(".")[0].lower()
    found = {own}
    for line in hosts.lower().splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if not is_address(address):
            continue
        is_beside = bool({own, short} & set(names))
        if is_beside if is_loopback(address) else str(ipaddress.ip_address(address)) in addresses:
            found |= {name for name in names if short and name.startswith(f"{short}.")}
    return sorted(found)


def service_manager() -> Literal["systemd", "init", "none"]:
    """Return what starts services here: systemd, init (System V), or none (a container, WSL2 without systemd)."""
    if Path("/run/systemd/system").is_dir():
        return "systemd"
    # WSL2's own process 1 is called init, too, but WSL2 has no inittab.
    if read("/proc/1/comm").strip() == "init" and Path("/etc/inittab").exists():
        return "init"
    return "none"


def memory_bytes(meminfo: str) -> int:
    """Read the machine's memory, in bytes, from the text of /proc/meminfo."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def nearest(text: str) -> Path:
    """Return a path, or its nearest parent that exists."""
    path = Path(text)
    while not path.exists():
        path = path.parent
    return path


def bridge_filter() -> Literal["on", "off", "loadable", "none"]:
    """Tell whether the firewall sees the packets between two containers on the same bridge.

    ``on`` or ``off`` are the sysctls net.bridge.bridge-nf-call-iptables and -ip6tables; ``loadable`` means that the
    kernel module br_netfilter is not loaded yet, ``none`` that the kernel does not have it.
    """
    values = [read(f"/proc/sys/net/bridge/bridge-nf-call-{one.iptables}").strip() for one in FAMILIES]
    if values[0]:
        return "off" if "0" in values else "on"
    modules = Path("/lib/modules") / platform.release()
    known = "".join(read(modules / name) for name in ("modules.dep", "modules.builtin"))
    return "loadable" if "/br_netfilter.ko" in known else "none"


def has_ipv6() -> bool:
    """Tell whether the kernel has IPv6, and nobody switched it off."""
    return read("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "0"


def loses_route6(table: list[Route]) -> list[str]:
    """List the devices that lose their default IPv6 route when the host begins to forward packets.

    The route comes from router advertisements, which a router ignores unless ``accept_ra`` is 2 (Linux, ip-sysctl).
    With ``accept_ra`` 0 another program listens to them, such as systemd-networkd, and the route stays.
    """
    learnt = {one["device"] for one in table if one["destination"] == "::/0" and one["protocol"] == RTPROT_RA}
    return sorted(one for one in learnt if read(f"/proc/sys/net/ipv6/conf/{one}/accept_ra").strip() == "1")


def ssh_client() -> str:
    """Return the address that this run comes from by SSH; empty where it does not come by SSH, or not over a network.

    Only the environment of a parent process has it, because privilege escalation (sudo) hides it from this process.
    A connection from the host of a virtual machine (vsock) has UNKNOWN in place of an address.
    """
    pid = os.getpid()
    while pid > 1:
        for entry in read(f"/proc/{pid}/environ").split("\0"):
            name, __, value = entry.partition("=")
            address = value.partition(" ")[0]
            if name == "SSH_CONNECTION" and is_address(address.partition("%")[0]):
                return address
        pid = parent(pid)
    return ""


def disk_free_bytes(paths: list[str]) -> dict[str, int]:
    """Return the free bytes at each path, or at its nearest parent that exists."""
    stats = {text: os.statvfs(nearest(text)) for text in paths}
    return {text: stat.f_bavail * stat.f_frsize for text, stat in stats.items()}


def disk_free_inodes(paths: list[str]) -> dict[str, int]:
    """Return how many more files fit at each path; a file system that does not count them, such as btrfs, is left out.

    A full one refuses a new file as a full disk does, though it has bytes left.
    """
    stats = {text: os.statvfs(nearest(text)) for text in paths}
    return {text: stat.f_favail for text, stat in stats.items() if stat.f_files}


def disk_size_bytes(paths: list[str]) -> dict[str, int]:
    """Return the size of the disk of each path, in whole MiB."""
    stats = {text: os.statvfs(nearest(text)) for text in paths}
    return {text: stat.f_blocks * stat.f_frsize // 2**20 * 2**20 for text, stat in stats.items()}


def mount_of(text: str, mountinfo: str) -> MountFact:
    """Return on which file system a path is, or its nearest parent that exists (proc_pid_mountinfo(5))."""
    path = nearest(text).resolve()
    found: MountFact = {"place": "", "type": "", "read_only": False, "no_exec": False}
    for line in mountinfo.splitlines():
        head, __, tail = line.partition(" - ")
        mounted, options = head.split()[4:6]
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mounted)
        kind, *__, more = tail.split()
        # A later one covers an earlier one at the same place.
        if len(place) >= len(found["place"]) and (path == Path(place) or Path(place) in path.parents):
            of_mount = options.split(",")
            read_only, kind = "ro" in (*of_mount, *more.split(",")), "drvfs" if "drvfs" in more else kind
            found = {"place": place, "type": kind, "read_only": read_only, "no_exec": "noexec" in of_mount}
    return found


# --- what wrote the data of containers


def data_markers(state_directory: str | None) -> dict[str, dict[str, str]]:
    """Return what each ``meta.properties`` in a data directory says, by the directory's path below ``data``.

    By this file a service tells which version and which cluster wrote its data.
    """
    data = Path(state_directory or "/nonexistent") / "data"
    markers = sorted(data.glob("*/*/meta.properties"))
    return {str(path.parent.relative_to(data)): properties(read(path)) for path in markers}


def properties(text: str) -> dict[str, str]:
    """Read lines of ``key=value``."""
    lines = [line.partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {key.strip(): value.strip() for key, __, value in lines if key.strip()}


# --- all of it


def observe_engine(socket: str, configuration: Json, pid: int | None) -> tuple[EngineFacts | None, str, bool]:
    """Observe the engine behind a socket; else say why not, and whether somebody answers there at all."""
    try:
        return engine_facts.observe(Api(socket), configuration, pid), "", True
    except RefusedError as error:
        return None, str(error), True
    except OSError as error:
        return None, str(error), False
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return None, f"the answers there are not those of a Docker Engine ({error!r})", True


def observe(state_directory: str | None = None, socket: str = SOCKET) -> HostFacts:
    """Return the host facts.

    :param state_directory: where a stack keeps its data on the host
    :param socket: the engine's socket
    """
    pid = daemon.dockerd_pid()
    configuration = daemon.configuration(daemon.configuration_file(daemon.command_line(pid)))
    table = [one for family in FAMILIES for one in routes(family)]
    present = [one for family in FAMILIES for one in interfaces(family)]
    addresses = [address.partition("/")[0] for one in present for address in one["addresses"]]
    found, engine_error, answered = observe_engine(socket, configuration or {}, pid)
    api_version = found.engine["api_version"] if found else ""
    root = found.engine["root_dir"] if found else engine_facts.ENGINE_ROOT
    return {
        "name": platform.node(),
        "names": own_names(platform.node(), read("/etc/hosts"), addresses),
        "distribution": distribution(read("/etc/os-release")),
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "service_manager": service_manager(),
        "start_at_boot": boot.observe(),
        "is_root": os.geteuid() == 0,
        "memory_bytes": memory_bytes(read("/proc/meminfo")),
        "cores": len(os.sched_getaffinity(0)),
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
        "engine": found.engine if found else None,
        "engine_error": engine_error,
        "surroundings": engine_traits.surroundings(socket, pid, api_version, answers=answered),
        "networks": found.networks if found else [],
        "interfaces": present,
        "routes": table,
        "uplink_mtu": uplink_mtu(table),
        "listeners": host_listeners(),
        "containers": found.containers if found else [],
        "images": found.images if found else {},
        "data_markers": data_markers(state_directory),
        "data_links": state_modes.links(Path(state_directory or "/nonexistent")),
        "backup_timer": any((Path(state_directory or "/nonexistent") / one).exists() for one in TIMERS),
        "disk_free_bytes": disk_free_bytes([root, state_directory or "/"]),
        "disk_free_inodes": disk_free_inodes([root, state_directory or "/"]),
        "disk_size_bytes": disk_size_bytes([state_directory or "/"]),
        "state_mount": mount_of(state_directory or "/", read("/proc/self/mountinfo")),
    }
