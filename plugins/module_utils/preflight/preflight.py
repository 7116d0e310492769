# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a host can run a release, told before anything changes: its system, ports, memory and disk.

Pure: settings, the host fact and a release in, sentences out. `network_preflight` judges its networks.
"""

from __future__ import annotations

import ipaddress
from pathlib import PurePath
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.listeners import way_to_stop
from ansible_collections.sse.platform.plugins.module_utils.host.state_modes import link_refused
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, spec
from ansible_collections.sse.platform.plugins.module_utils.preflight import engine_preflight, network_preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_steps import LABEL_STACK, is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Release, Settings

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ARCHITECTURES = ("amd64", "arm64")
ENGINE_ROOT = "/var/lib/docker"
ENGINE_PROCESSES = ("dockerd ", "docker-proxy ")
# A container that ends and starts again and again may have got its ports after the engine listed it.
STARTING = ("restarting", "running")

MIB = 2**20
GIB = 2**30
# The host's own programs, dockerd and containerd among them (measured on a bare Debian 13: 180 MiB).
SYSTEM_MEMORY = 256 * MIB
# Limits are ceilings: at rest the containers use about a third of their sum, under load about a half.
MEMORY_SHARE = 2
# Offsets that are proposed: easy to add in the head, and within the range of stack_offset.
OFFSET_STEP = 100
OFFSET_LAST = 5000
# All images built from packages, with the builders' layers, take about 4 GiB.
IMAGES_DISK = 6 * GIB
# Those are 27,000 files and directories (measured with 24 images).
IMAGES_INODES = 60_000
# File systems of Windows and of memory sticks, and shares of Windows.
WITHOUT_OWNERS = {"cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vboxsf", "vfat"}
# Kafka's segments, Redis' append-only file and Prometheus' blocks while they are still small.
DATA_DISK = 1 * GIB
# At rest they are some hundreds; segments of Kafka and blocks of Prometheus come in addition.
DATA_INODES = 5_000


def problems(settings: Settings, host: HostFacts, release: Release) -> list[str]:
    """Return every reason why the release must not be applied here, one sentence each."""
    if not host["is_root"]:
        # Without root most of the host fact is a guess.
        return ["Tasks don't run as root on the host: log in as root, or set ansible_become=true for a user with sudo."]
    return [
        *_system_problems(host),
        *engine_preflight.problems(settings, host),
        *_boot_problems(settings, host),
        *network_preflight.problems(settings, host, release),
        *_container_problems(settings, host, release),
        *_port_problems(settings, host, release),
        *_second_stack_problems(settings, host, release),
        *_memory_problems(host, release),
        *_disk_problems(settings, host, release),
        *_mount_problems(settings, host),
        *_link_problems(settings, host, release),
        *_size_problems(settings, host),
    ]


def node_problems(settings: Settings, host: HostFacts, release: Release) -> list[str]:
    """Return every reason why a host must not run its part of a release as one node of a cluster, one sentence each.

    :param release: with the containers alone that this host may have to run
    """
    if not host["is_root"]:
        return ["Tasks don't run as root on the host: log in as root, or set ansible_become=true for a user with sudo."]
    return [
        *_system_problems(host),
        *engine_preflight.problems(settings, host),
        *_boot_problems(settings, host),
        *_port_problems(settings, host, release),
        *_memory_problems(host, release),
        *_disk_problems(settings, host, release),
        *_mount_problems(settings, host),
        *_link_problems(settings, host, release),
        *(network_preflight.exposure_problems(settings, host) if published(release) else ()),
    ]


def published(release: Release) -> bool:
    """Tell whether a container of a release publishes a port."""
    return any(one["ports"] for one in release["containers"].values())


def _system_problems(host: HostFacts) -> Iterator[str]:
    distribution = host["distribution"]
    if distribution["version"] not in SUPPORTED.get(distribution["id"], ()):
        expected = ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in SUPPORTED.items())
        found = f"{distribution['id']} {distribution['version']}".strip()
        yield f"The host runs {found}, which is not supported: expected {expected}."
    if host["architecture"] not in ARCHITECTURES:
        yield f"The host's architecture is {host['architecture']}: expected {' or '.join(ARCHITECTURES)}."
    if host["daemon_json"] is None:
        yield "/etc/docker/daemon.json is not a JSON object: correct or remove it. The platform never overwrites it."


def _boot_problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    asked = settings["docker_start_at_boot"]
    conflicts: dict[str, str] = {**host["start_at_boot"]["conflicts"]}
    if host["service_manager"] == "none" and asked in conflicts:
        usable = ", ".join(["none", "auto", *host["start_at_boot"]["usable"]])
        yield f"docker_start_at_boot is {asked}: {conflicts[asked]}. Expected one of {usable}."


def _container_problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    for container in host["containers"]:
        if container["name"] in release["containers"] and not is_ours(container, settings):
            yield (
                f"A container named {container['name']} exists that this stack did not make, so it is never touched: "
                "remove or rename it, or choose another stack_name."
            )


def _port_problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    variables = {value: name for name, value in settings.items() if name.endswith("_port")}
    for name, container in release["containers"].items():
        for port in container["ports"]:
            holder = _port_holder(settings, host, name, port["host_ip"], port["host_port"])
            if holder:
                place = f"Port {port['host_port']} on {port['host_ip']}, which {name} publishes,"
                variable = variables.get(port["host_port"], "port")
                stop = way_to_stop(holder)
                how = f"stop that ({stop})" if stop.startswith("systemctl") else "stop that"
                yield f"{place} is already bound by {holder}: {how}, or choose another {variable}."


def _port_holder(settings: Settings, host: HostFacts, name: str, address: str, number: int) -> str:
    """Return who holds a TCP port of the host; '' where nobody does, or containers of this stack.

    :param name: of the container that publishes it
    """
    ours: list[str] = []
    for container in host["containers"]:
        if container["name"] == name and container["state"] in STARTING and not container["ports"]:
            ours.append(address)
        for port in container["ports"]:
            if port["protocol"] == "tcp" and port["host_port"] == number and conflicts(address, port["host_ip"]):
                if not is_ours(container, settings):
                    return f"container {container['name']}"
                ours.append(port["host_ip"])
    for one in host["listeners"]:
        if one["protocol"] == "tcp" and one["port"] == number and conflicts(address, one["address"]):
            # The engine itself listens on each port that it publishes.
            by_engine = one["process"].startswith(ENGINE_PROCESSES)
            if not (by_engine and any(conflicts(at, one["address"]) for at in ours)):
                return one["process"] or "a process that can't be seen from here"
    return ""


def conflicts(address: str, other: str) -> bool:
    """Tell whether two sockets of one port exclude each other: same address, or one of them is all addresses."""
    return address == other or any(ipaddress.ip_address(one or "::").is_unspecified for one in (address, other))


def _second_stack_problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    """Propose an offset where another stack of this collection has the ports or the addresses."""
    wanted = {port["host_port"] for container in release["containers"].values() for port in container["ports"]}
    others = {
        stack
        for container in host["containers"]
        if (stack := container["labels"].get(LABEL_STACK, settings["stack_name"])) != settings["stack_name"]
        and any(port["host_port"] in wanted for port in container["ports"])
    }
    subnets = [network["subnet"] for network in release["networks"].values()]
    others |= {
        stack
        for network in host["networks"]
        if (stack := network["labels"].get(LABEL_STACK, settings["stack_name"])) != settings["stack_name"]
        and any(addresses.overlap(own, taken) for own in subnets for taken in network["subnets"])
    }
    if others:
        yield (
            f"Stack {' and '.join(sorted(others))} has some of these ports or addresses: give stack "
            f"{settings['stack_name']} others with -e stack_offset={_free_offset(settings, host, wanted)}, which moves "
            "every port and subnet that you do not set yourself. Keep it in the inventory of this stack."
        )


def _free_offset(settings: Settings, host: HostFacts, wanted: set[int]) -> int:
    """Return an offset with which nobody holds a port that the stack wants."""
    held = {one["port"] for one in host["listeners"]}
    held |= {port["host_port"] for container in host["containers"] for port in container["ports"]}
    bases = {port - settings["stack_offset"] for port in wanted}
    steps = range(OFFSET_STEP, OFFSET_LAST + 1, OFFSET_STEP)
    return next((one for one in steps if held.isdisjoint(base + one for base in bases)), OFFSET_LAST)


def _memory_problems(host: HostFacts, release: Release) -> Iterator[str]:
    limits = sum(container["memory"] for container in release["containers"].values())
    needed = limits // MEMORY_SHARE + SYSTEM_MEMORY
    if host["memory_bytes"] < needed:
        yield (
            f"The host has {_mib(host['memory_bytes'])} of memory: expected {_mib(needed)}, which is half of the "
            f"containers' limits ({_mib(limits)} in all), and {_mib(SYSTEM_MEMORY)} for the system. "
            "Lower app_replicas or the *_memory variables, or take a larger host."
        )


def _disk_problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    root = host["engine"]["root_dir"] if host["engine"] else ENGINE_ROOT
    missing = any(container["image"] not in host["images"] for container in release["containers"].values())
    needs = [(settings["stack_state_directory"], DATA_DISK, DATA_INODES, "the stack's data")]
    if missing:
        needs.append((root, IMAGES_DISK, IMAGES_INODES, "images and the layers that they are built from"))
    for path, needed, files, purpose in needs:
        other = f"or put it on another disk ({'data-root of the engine' if path == root else 'stack_state_directory'})."
        free = host["disk_free_bytes"].get(path, needed)
        inodes = host.get("disk_free_inodes", {}).get(path, files)
        if free < needed:
            short = f"The disk of {path} has {_mib(free)} free: expected {_mib(needed)} for {purpose}."
            yield f"{short} Make room there, {other}"
        if inodes < files:
            yield (
                f"The disk of {path} takes {inodes} more files (inodes), however many bytes are free: expected {files} "
                f"for {purpose}. Find the directory that holds too many (du -x --inodes --max-depth=2 / | sort -n | "
                f"tail), {other}"
            )


def _mount_problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    mount, path = host.get("state_mount"), settings["stack_state_directory"]
    if not mount:
        return
    where = f"The file system of {path} ({mount['type']}, mounted at {mount['place']})"
    if mount["read_only"]:
        yield (
            f"{where} is read-only: expected one that can be written. Where the kernel has made it so after a fault, "
            "dmesg says why; else mount it for writing, or choose another stack_state_directory."
        )
    elif mount["type"] in WITHOUT_OWNERS:
        yield (
            f"{where} keeps no owners and permissions, so every user could read the secrets, and no service could own "
            "its data: expected one of Linux, such as ext4 or xfs. Choose another stack_state_directory."
        )


def _link_problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    data = PurePath(settings["stack_state_directory"], "data")
    wanted = [data / name / below for name, one in release["containers"].items() for below in one["data"].values()]
    above = {str(place) for one in wanted for place in (one, *one.parents)}
    for path, target in host.get("data_links", {}).items():
        if path in above:
            yield link_refused(path, target)


def _size_problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    path, given = settings["stack_state_directory"], settings.get("prometheus_retention_size", "")
    disk = host.get("disk_size_bytes", {}).get(path, 0)
    if given and disk and spec.size(given, "prometheus_retention_size") >= disk:
        yield (
            f"prometheus_retention_size is {given}, and the disk of {path} has {disk / GIB:.3g} GiB: it is full before "
            "the oldest metrics go. Expected a size that leaves room for everything else on this disk."
        )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
