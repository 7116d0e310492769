# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Guarantees that a host does not give, each with the way to turn it on. Pure: settings and the host fact in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model import ip_family, segments
from ansible_collections.sse.platform.plugins.module_utils.preflight import engine_preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.engine_preflight import config_file
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_preflight import (
    manages_firewall,
    may_be_configured,
    may_configure,
    twins,
)
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_steps import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import EngineFact, HostFacts, Settings

GIB = 2**30
FEW_REPLICAS = 3  # one can be replaced while two serve, on a host of any size
CLOCK_SECONDS = 30  # as much as the service allows tokens by default
RATE = 2**20  # bytes of events a second, for which it is told how long the disk lasts


def notices(settings: Settings, host: HostFacts) -> list[str]:
    """Return one text for each guarantee that is missing."""
    return [
        *(_engine_notices(settings, host, host["engine"]) if host["engine"] else ()),
        *(_unusual_notices(host, host["engine"]) if host["engine"] else ()),
        *(_swarm_notices(host["engine"]) if host["engine"] else ()),
        *_host_notices(settings, host),
        *_move_notices(settings, host),
        *_disk_notices(settings, host),
        *_size_notices(settings, host),
    ]


def _engine_notices(settings: Settings, host: HostFacts, engine: EngineFact) -> Iterator[str]:
    # Where the role docker may configure the engine, this run turns on what is missing.
    if may_configure(settings, host):
        return
    how = f"set {{}} in {config_file(engine)} and restart the engine"
    how += ", or run with docker_restart_allowed=true." if may_be_configured(settings, host) else "."
    if not engine["live_restore"]:
        off = "Containers stop while the engine restarts"
        if engine["swarm"] == "inactive":
            option = how.format('"live-restore": true')
            yield f"{off}, because live-restore is off: {option}"
        else:
            yield f"{off}: live-restore cannot be on while the engine is in a Swarm."
    if engine["userland_proxy"] and not settings["docker_userland_proxy"] and manages_firewall(host):
        option = how.format('"userland-proxy": false')
        yield f"Ports published on loopback stop with the engine, because userland-proxy is on: {option}"


def _unusual_notices(host: HostFacts, engine: EngineFact) -> Iterator[str]:
    if other := engine_preflight.other_engine(host):
        yield (
            f"{other}, but this stack is on the engine of {engine_preflight.SOCKET}, so docker commands that you type "
            f"go elsewhere: type docker -H unix://{engine_preflight.SOCKET}, or unset DOCKER_HOST and run docker "
            "context use default."
        )
    if not manages_firewall(host):
        yield (
            'The engine has "iptables": false, so only docker-proxy serves published ports, containers reach no other '
            "machine unless the host's own firewall masquerades them, and nothing keeps neighbours of the host away "
            f"from ports on loopback. To have all of that, remove the line from {config_file(engine)} and restart the "
            "engine."
        )
    elif engine_preflight.uses_nftables(host):
        yield (
            'The engine has "firewall-backend": "nftables", where this stack can have no rules: the engine alone keeps '
            "neighbours of the host away from ports on loopback, and containers reach each other's ports, also those "
            f"that they do not declare. To have rules of the stack, remove that option from {config_file(engine)} and "
            "restart the engine."
        )
    traits = engine.get("traits")
    if traits and traits["storage_driver"] == "vfs":
        yield (
            "The engine keeps images with the storage driver vfs, which copies every layer whole: count with some "
            f"20 GiB for the images in {engine['root_dir']}. overlay2 needs a third of that, and a restart."
        )
    if traits and traits["security"] and "seccomp" not in traits["security"]:
        yield (
            "The engine has no seccomp, so containers may make every system call: use a kernel with CONFIG_SECCOMP, "
            f'and "seccomp-profile": "builtin" in {config_file(engine)}.'
        )
    if traits and (lost := traits.get("lost_limits")):
        yield (
            f"The kernel of this host keeps no limit of the {' and the '.join(lost)} of a container, so one container "
            "can take all that the host has: start the kernel with cgroup_enable=memory where it has that switched off "
            "(on a Raspberry Pi, in /boot/firmware/cmdline.txt), or use a kernel that has these limits."
        )


def _swarm_notices(engine: EngineFact) -> Iterator[str]:
    # Bridge networks and containers work in either state (measured with engine 26.1). Only Swarm's own do not.
    if engine["swarm"] == "error":
        yield (
            f"The engine's Swarm is in error state ({engine['swarm_error'] or 'no reason given'}). This stack does not "
            "use Swarm and does not change it: repair it, or take the host out of it with docker swarm leave --force "
            "(on the last manager, the Swarm then forgets all its services)."
        )
    if engine["swarm"] == "locked":
        yield "The engine's Swarm is locked. This stack does not use Swarm. docker swarm unlock opens it."


def _move_notices(settings: Settings, host: HostFacts) -> Iterator[str]:
    present = {one["name"] for one in host["networks"] if is_ours(one, settings)}
    if settings["network_layout"] == segments.SEGMENTED and present == {settings["network_name"]}:
        yield (
            "This stack had one network for all containers, and has one for each segment now: each container is "
            "replaced once, replicas one at a time. Data and ids stay, and streams resume. With network_layout=single "
            "it has one network again."
        )


def _disk_notices(settings: Settings, host: HostFacts) -> Iterator[str]:
    if settings["kafka_remote_servers"]:
        return  # no event is on this disk
    size = host.get("disk_size_bytes", {}).get(settings["stack_state_directory"], 0)
    kept = (settings["app_retention_bytes"] or size // 2) if size else 0
    if kept <= 0:
        return
    hours, wanted = kept / RATE / 3600, settings["app_retention_seconds"] / 3600
    yield (
        f"The log keeps events for {wanted:.3g} h, and at most {kept / GIB:.3g} GiB of them, on a disk of "
        f"{size / GIB:.3g} GiB: at 1 MiB of events a second, it holds those of the last {min(hours, wanted):.3g} h. "
        "app_retention_bytes sets another limit."
    )
    free = host["disk_free_bytes"].get(settings["stack_state_directory"], size)
    if kept > size:
        yield (
            f"app_retention_bytes is {kept / GIB:.3g} GiB, and the disk has {size / GIB:.3g} GiB: it is full before "
            f"the oldest events go, after {free / RATE / 3600:.3g} h at 1 MiB of events a second."
        )


def _size_notices(settings: Settings, host: HostFacts) -> Iterator[str]:
    cores = host.get("cores")
    if cores is None:
        return
    replicas, most = settings["app_replicas"], max(FEW_REPLICAS, 2 * cores)
    if replicas > most:
        yield (
            f"app_replicas is {replicas}, and the host has {cores} core{'s' if cores > 1 else ''}: every replica reads "
            f"every event, so each one more than {most} makes events dearer and serves nobody faster. Set "
            f"app_replicas={most} or less; docs/sizing.md shows what a host carries."
        )


def _host_notices(settings: Settings, host: HostFacts) -> Iterator[str]:
    if host["engine"] and not host["firewall"] and not engine_preflight.uses_nftables(host):
        yield (
            "This engine's firewall has no chain DOCKER-USER. So no rule keeps neighbours of the host away from ports "
            "that are published on loopback: restart the engine, which makes that chain."
        )
    if host["service_manager"] == "none" and settings["docker_start_at_boot"] in {"none", "auto"}:
        usable = host["start_at_boot"]["usable"]
        if settings["docker_start_at_boot"] == "none":
            yield (
                "No service manager runs here, so nothing starts the engine after a reboot of the host: set "
                f"docker_start_at_boot to {' or '.join(usable) if usable else 'cron, rc.local or wsl'}, which has it "
                "started, or run the playbook again after each reboot."
            )
        elif not usable:
            yield (
                "Nothing starts the engine after a reboot of the host: docker_start_at_boot is auto, and this host has "
                "no cron, no /etc/rc.local and no WSL2. Install cron, or have "
                "/usr/local/sbin/supervise-dockerd start run at boot."
            )
    ahead = host.get("clock_ahead", 0.0)
    if abs(ahead) > CLOCK_SECONDS:
        yield (
            f"The clock of this host is {abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} that of the "
            "machine where this runs. Where it is the wrong one, tokens and certificates count as expired or as not "
            "valid yet, and a since= of a client means another time: set it right, and keep it so (timedatectl set-ntp "
            "true)."
        )
    # With 2 the administrator refuses overcommit. The role docker sets 0 to 1, where that is possible.
    refused = host["overcommit_memory"] == 2 or (host["overcommit_memory"] == 0 and not host["overcommit_writable"])
    if refused and not settings["redis_remote_server"]:
        yield (
            "Redis can fail to save when memory is short: turn overcommit on with sysctl -w vm.overcommit_memory=1 "
            "and a file in /etc/sysctl.d."
        )
    mount = host.get("state_mount")
    if mount and mount.get("no_exec") and not settings["kafka_remote_servers"]:
        yield (
            f"{mount['place']} is mounted noexec, and {settings['stack_state_directory']} is there: Kafka cannot load "
            "the libraries that unpack what a program has compressed by snappy or zstd, so it refuses such records. "
            "Events of this platform are not compressed. Mount it without noexec if another program writes to Kafka."
        )
    if settings["network_ipv6"] and ip_family.IPV4.loopback not in twins(settings, host):
        yield (
            f"Nothing answers on [{ip_family.IPV6.loopback}], because userland-proxy is off, and without it the kernel "
            "brings no answer back there: use 127.0.0.1, or docker_userland_proxy=true where `up` installed the engine."
        )
