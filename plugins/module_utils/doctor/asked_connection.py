"""One way that somebody asks for: who is meant by its two ends, what it shows, and why it fails."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.facts import (
    look_at_rules_inside,
    measured,
    way_of,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import container_of, is_ours
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import connections, names, ports
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.host.probe import Probe
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

HOST = connections.HOST


class WayError(ValueError):
    """An end of the way is not there; the message names what is."""


class Step(NamedTuple):
    """What one port of the target showed."""

    port: int | None
    found: Probe
    finding: Finding | None


def meant(facts: Json, name: str) -> Json:
    """Return the container that is meant: by its full name, else by its short name or service in the stack.

    :raises WayError: where none is, or it does not run
    """
    labels = ("sse.platform.container", "sse.platform.service")
    ours = [one for one in facts["containers"] if is_ours(facts, one["labels"])]
    found = container_of(facts, name) or next(
        (one for label in labels for one in ours if one["labels"].get(label) == name), None
    )
    if found is None:
        known = ", ".join(sorted(one["name"] for one in ours or facts["containers"] if one["running"])) or "none"
        raise WayError(f"no container is called {name}: there are {known}, and {HOST}")
    if not found["running"]:
        raise WayError(
            f"{found['name']} does not run ({found['status']}), so nothing starts from it: ./sse up starts it"
        )
    return found


def target_of(facts: Json, source: str, name: str) -> Json | None:
    """Return the container that a name or an address means; None where it is none of this host's."""
    return names.holder(facts, name) or names.called(facts, name, source)


def take(facts: Json, source: str, name: str, port: int | None, path: str, *, tls: bool) -> list[Step]:
    """Take the way; without a port, to every port that the target listens on.

    :raises WayError: where the source is not there
    """
    start = None if source == HOST else meant(facts, source)
    target = target_of(facts, start["name"] if start else "", name)
    inside = target["inside"] if target and target["running"] else None
    listening = sorted({number for address, number in inside["listening"] if address != "127.0.0.1"}) if inside else []
    return [step(facts, start, target, name, one, path, tls=tls) for one in ([port] if port else listening or [None])]


def step(
    facts: Json, start: Json | None, target: Json | None, name: str, port: int | None, path: str, *, tls: bool
) -> Step:
    """Take the way to one port, and judge it where it fails."""
    asked = name if start else from_host(target, name)
    found = measured(start["pid"] if start else os.getpid(), asked, port, path, tls=tls)
    way = way_of(start["name"] if start else HOST, target["name"] if target else "", name, port, found)
    look_at_rules_inside(facts, way)
    return Step(port, found, judge(facts, way))


def from_host(target: Json | None, name: str) -> str:
    """What the host calls a target: it has no names of containers, so a container's address stands for it."""
    if target:
        return next((one["address"] for one in target["networks"].values() if one["address"]), name)
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name


def judge(facts: Json, way: Json) -> Finding | None:
    """Tell why a way fails, with the rules of doctor; None where it does not, or where HTTP alone failed."""
    if not way["failed"] or way["failed"] == "http":
        return None
    if way["source"] != HOST:
        return connections.explain(facts, way)
    if way["failed"] == "resolve":
        wrong, evidence = f"it can't resolve {way['name']}", f"{way['error']}; no container has that name either"
        return Finding("name-unknown", HOST, wrong, evidence, ("docker ps -a --format '{{.Names}} {{.Networks}}'",))
    address = way["addresses"][0]
    if names.holder(facts, address):
        return connections.unreached(facts, way)
    return ports.closed(facts, address, way["port"], way["error"])
