# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""One connection that somebody asks for: who its two ends are, how it went, and why it failed."""

from __future__ import annotations

import difflib
import os
import socket
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import attempts, namespaces
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import connections, names, ports
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import (
    THE_HOST,
    Container,
    Facts,
    TriedConnection,
)
from ansible_collections.sse.platform.plugins.module_utils.host.probe import Probe
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL


class SourceError(ValueError):
    """The container that should connect does not exist, or does not run; the message names those that do."""


class AskedPort(NamedTuple):
    """How a connection to one port of the target went."""

    port: int | None
    found: Probe
    finding: Finding | None


def source_called(containers: list[Container], name: str) -> Container:
    """Return the container of the stack that has this full name, short name or service, else one of this full name.

    Of several containers of a service, one that runs is taken.

    :raises SourceError: where there is none, or it does not run
    """
    ours = sorted((one for one in containers if one["ours"]), key=lambda one: not one["running"])
    found = next((one for one in ours if one["name"] == name), None)
    for key in ("container", "service"):
        found = found or next((one for one in ours if one["labels"].get(LABEL + key) == name), None)
    found = found or next((one for one in containers if one["name"] == name), None)
    if found is None:
        running = [one for one in ours or containers if one["running"]]
        known = ", ".join(sorted(one["name"] for one in running)) or "none"
        called = {one["labels"].get(LABEL + key) or one["name"] for one in running for key in ("container", "service")}
        near = difflib.get_close_matches(name, sorted({*called, *(one["name"] for one in running), THE_HOST}), n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise SourceError(f"no container is called {name}: {meant}expected one of {known}, or {THE_HOST}")
    if not found["running"]:
        raise SourceError(f"{found['name']} does not run ({found['status']}), so it cannot connect: ./sse up starts it")
    return found


def try_ports(facts: Facts, source: str, name: str, port: int | None, path: str, *, tls: bool) -> list[AskedPort]:
    """Connect to a port of a target; without a port, to every port that the target listens on.

    :raises SourceError: where the source does not exist or run
    """
    start = None if source == THE_HOST else source_called(facts["containers"], source)
    target = lookup.container_at(facts, name) or names.meant_by(facts, name, start["name"] if start else "")
    inside = target["inside"] if target and target["running"] else None
    listening = {number for address, number in inside["listening"] if address != "127.0.0.1"} if inside else set[int]()
    own_name, pid = (start["name"], start["pid"]) if start else (THE_HOST, os.getpid())
    asked = name if start else address_for_host(target, name)
    # Silence is no answer: the end of a connection that no program accepts shows where its socket is.
    servers = ["self", "thread-self", *([str(target["pid"])] if inside and target else [])]
    steps: list[AskedPort] = []
    for one in [port] if port else sorted(listening) or [None]:
        found = attempts.measure(pid, asked, one, path, tls=tls, servers=servers)
        tried = TriedConnection(own_name, target["name"] if target else "", name, one, *found[:3])
        namespaces.look_at_rules(facts["containers"], [tried])
        steps.append(AskedPort(one, found, explain(facts, tried)))
    return steps


def address_for_host(target: Container | None, name: str) -> str:
    """Return what the host connects to: it cannot resolve names of containers, so it needs the container's address."""
    if target and target["running"]:
        return next((one["address"] for one in target["networks"].values() if one["address"]), name)
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name


def explain(facts: Facts, tried: TriedConnection) -> Finding | None:
    """Tell why a connection fails; None where it does not, or where only HTTP fails."""
    if not tried.failed or tried.failed == "http":
        return None
    if tried.source != THE_HOST:
        return connections.explain(facts, tried)
    target = lookup.container(facts, tried.target)
    if target and not target["running"]:
        evidence = f"{target['name']} is {target['status']} ({target['exit_code']}) {target['error']}".strip()
        wrong = f"it cannot connect to {tried.name}: {target['name']} does not run"
        return Finding("stopped", THE_HOST, wrong, evidence, (commands.start(target),))
    if tried.failed == "resolve":
        evidence = f"{tried.error}; no container has this name either"
        mend = (names.NAMES_AND_NETWORKS,)
        return Finding("name-unknown", THE_HOST, f"it cannot resolve the name {tried.name}", evidence, mend)
    address = tried.addresses[0]
    if lookup.container_at(facts, address):
        return connections.unreached(facts, tried)
    return ports.closed(facts, address, tried.port or 0, tried.error)
