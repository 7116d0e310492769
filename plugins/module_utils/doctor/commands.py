# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The commands that findings propose; a line that begins with # is advice."""

from __future__ import annotations

from typing import Literal

from ansible_collections.sse.platform.plugins.module_utils.deploy import firewall_rules
from ansible_collections.sse.platform.plugins.module_utils.doctor import lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, Facts
from ansible_collections.sse.platform.plugins.module_utils.model.finding import docker


def show_log(container: str) -> str:
    """Show what a container wrote last."""
    return docker("logs", "--tail=50", container)


def start(container: Container) -> str:
    """Make a container run again."""
    return docker("unpause" if container["status"] == "paused" else "start", container["name"])


def reconnect(network: str, container: Container, *more_aliases: str) -> list[str]:
    """Give a container a new endpoint on a network, with the address and the aliases that it had."""
    name, address = container["name"], container["networks"][network]["wanted_address"]
    aliases = sorted({*lookup.names_on(container, network), *more_aliases} - {name})
    options = [f"--ip={address}" if address else "", *(f"--alias={one}" for one in aliases)]
    disconnect = docker("network", "disconnect", "--force", network, name)
    return [disconnect, docker("network", "connect", *options, network, name)]


def attach(facts: Facts, network: str, container: Container, alias: str = "") -> str:
    """Put a container on a network; the stack keeps its own containers apart where they declare no connection."""
    if container["ours"] and any(one["ours"] for one in facts["networks"] if one["name"] in container["networks"]):
        return firewall_rules.UNDECLARED
    return docker("network", "connect", f"--alias={alias}" if alias else "", network, container["name"])


def engine(facts: Facts, verb: Literal["start", "restart"]) -> str:
    """Start or restart the engine; without a service manager, supervise-dockerd starts it again when it ends."""
    commands = {"systemd": f"systemctl {verb} docker", "init": f"service docker {verb}"}
    supervised = {"start": "supervise-dockerd start", "restart": 'kill -TERM "$(cat /run/docker.pid)"'}
    return commands.get(facts["host"]["service_manager"], supervised[verb])


def restart_engine(facts: Facts) -> list[str]:
    """Restart the engine, after a line that says what this costs, if it costs anything."""
    keeps = facts["host"]["engine"] and facts["host"]["engine"]["live_restore"]
    warning = [] if keeps else ["# live-restore is off, so every container stops while the engine restarts"]
    return [*warning, engine(facts, "restart")]
