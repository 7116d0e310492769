# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the dashboard shows of a stack that no metric says: its releases, and its topology.

A run writes both when it ends. They name config files, variables and secrets, and hold no value of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import ended
from ansible_collections.sse.platform.plugins.module_utils.host import live_files
from ansible_collections.sse.platform.plugins.module_utils.model import connections, elsewhere, moment, tiers
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import (
    StackRelease,
    actions_between,
    applied_parts,
    stack_releases,
)
from ansible_collections.sse.platform.plugins.module_utils.releases.verifications import verifications
from ansible_collections.sse.platform.plugins.module_utils.views.releases import in_few_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import State
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Attempt,
        AttemptChange,
        Release,
        Spec,
    )
    from ansible_collections.sse.platform.plugins.module_utils.releases.verifications import Verification

RELEASES, TOPOLOGY = "releases.json", "topology.json"
SHOWN_RELEASES, SHOWN_RUNS, SHOWN_CHECKS = 20, 40, 3  # the newest
SAID = 500  # characters of what a health check said
Json = dict[str, Any]


def write(state_directory: str, api: Api | None = None) -> list[str]:
    """Write both files; return why that was not possible, which is no reason for a run to fail.

    :param api: of the engine, which knows what the last health checks said; without it, that is left out
    """
    try:
        for name, content in contents(state_directory, api).items():
            live_files.write(state_directory, name, content)
    except (OSError, SpecError, KeyError) as error:
        return [f"The control room may show old releases and an old topology: {error}"]
    return []


def contents(state_directory: str, api: Api | None = None) -> dict[str, Json]:
    """Return what both files hold; none where nothing was deployed.

    :raises SpecError: a release is damaged
    """
    kept = stack_releases(state_directory)
    if not kept:
        return {}
    running = list(applied_parts(part for one in kept for part in one.own).values())
    current = max((one["number"] for one in running), default=0)
    stack = kept[-1].own[0]["stack"]
    told = releases(kept, current, attempts(state_directory), verifications(state_directory))
    shown = {"stack": stack, "release": current, **topology(running, api)}
    return {RELEASES: {"stack": stack, **told}, TOPOLOGY: shown}


def of_cluster(state_directory: str, running: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the texts of both files for the hosts of a cluster: with the hosts where each container runs.

    :param state_directory: of the first manager, which keeps releases and secrets
    :param running: by the name of each container
    """
    found = contents(state_directory)
    if shown := found.get(TOPOLOGY):
        kept = stack_releases(state_directory)
        applied = applied_parts(part for one in kept for part in one.own).values()
        shown["elsewhere"] = [elsewhere.place(one) for __, one in elsewhere.of_releases(applied)]
    for one in found.get(TOPOLOGY, {}).get("containers", ()):
        one["runs_on"] = list(running.get(one["name"], ()))
        one["ports"] = [port for port in one["ports"] if port["who"] == tiers.EVERYBODY]
    return {name: live_files.text_of(state_directory, content) for name, content in found.items()}


# --- releases


def used_elsewhere(state_directory: str) -> list[str]:
    """Return what the stack of a cluster uses elsewhere, as a run has told this host; nothing where none has."""
    try:
        told: Json = json.loads((Path(state_directory) / live_files.DIRECTORY / TOPOLOGY).read_text())
        return [str(one) for one in told.get("elsewhere", [])]
    except (OSError, ValueError, AttributeError):
        return []


def releases(
    kept: Sequence[StackRelease], current: int, runs: Sequence[Attempt], verified: Mapping[int, Verification]
) -> Json:
    """Return the releases and the runs, each the newest first.

    :param kept: every release of the stack, oldest first
    :param current: the number of the release that runs
    :param runs: of the history, oldest first
    """
    told: list[Json] = []
    before: Mapping[str, Spec] = {}
    for one in kept:
        told.append(release(one, before, current, verified.get(one.number)))
        if one.outcome == "applied":
            before = one.containers
    worth = [run(one) for one in runs if one["changes"] or one["others"] or one["outcome"] != "applied"]
    return {"current": current, "releases": told[::-1][:SHOWN_RELEASES], "runs": worth[::-1][:SHOWN_RUNS]}


def release(one: StackRelease, before: Mapping[str, Spec], current: int, verification: Verification | None) -> Json:
    """Describe one release: who made it, what it changed, what came of it, and how to go back to it.

    :param before: the containers of the release that ran before it; empty where that is not kept
    """
    meta = one.meta
    back = one.outcome == "applied" and one.number != current
    return {
        "number": one.number,
        "projects": [part["project"] for part in one.own],
        "who": meta.get("who", ""),
        "when": meta.get("when", ""),
        "commit": meta.get("commit", ""),
        "why": meta.get("note", ""),
        "outcome": one.outcome,
        "changed": in_few_words(before, one.containers, one.number),
        "changes": [
            {"container": action.container, "kind": action.kind, "what": places(action.reasons)}
            for action in (actions_between(before, one.containers) if before else ())
        ],
        "verification": verification,
        "back": f"./sse rollback {one.number}" if back else "",
    }


def run(one: Attempt) -> Json:
    """Describe one run of the history, without what -e gave it and without the address that its user came from."""
    return {
        **{key: one[key] for key in ("asked", "who", "when", "commit", "why")},
        **{key: one[key] for key in ("before", "after", "seconds", "outcome", "error", "others")},
        "changes": [changed(change) for change in one["changes"]],
    }


def changed(change: AttemptChange) -> Json:
    """Describe what a run did to one container."""
    return {"container": change["container"], "kind": change["kind"], "what": places(change["reasons"])}


def places(reasons: Sequence[str]) -> list[str]:
    """Return what differs without the values, as ``environment.NAME`` of ``environment.NAME: 'a' -> 'b'``."""
    return list(dict.fromkeys(reason.partition(": ")[0] for reason in reasons))


# --- topology


def topology(running: Sequence[Release], api: Api | None = None) -> Json:
    """Return what there is of a stack: tiers, containers, networks, and who may reach what."""
    containers = connections.containers_of(running)
    where = tiers.of_all(containers)
    edges = connections.declared(containers)
    seen = states(api, containers)
    return {
        "layout": running[0]["layout"] if running else "",
        "allow_from": sorted({one for part in running for one in part["allow_from"]}),
        "tiers": [{"name": name, "title": title} for name, title in tiers.TIERS.items()],
        "containers": [
            {**container(name, one, where[name], edges), "checked": checked(seen.get(name))}
            for name, one in containers.items()
        ],
        "networks": [
            {key: one[key] for key in ("name", "segment", "subnet", "internal")}
            for one in connections.networks_of(running).values()
        ],
        "unavailable": {short: why for part in running for short, why in part["unavailable"].items()},
        "endpoints": [endpoint for part in running for endpoint in part["endpoints"]],
    }


def states(api: Api | None, names: Iterable[str]) -> dict[str, State]:
    """Ask the engine how each container is; those that it does not know are left out, and all where it is gone."""
    found: dict[str, State] = {}
    if api is None:
        return found
    for name in names:
        try:
            found[name] = api.container(name)["State"]
        except RefusedError:
            continue
        except OSError:  # each further question would wait as long
            break
    return found


def checked(state: State | None) -> Json:
    """Return how the engine sees a container, and what its last health checks said, the newest first."""
    health = state and state.get("Health")
    if not state or not health or health["Status"] == "none":
        return {"state": state["Status"] if state else "", "log": []}
    return {
        "state": health["Status"] if state["Running"] else state["Status"],
        "log": [
            {"at": moment.text(ended(one)), "code": one["ExitCode"], "said": one["Output"].strip()[:SAID]}
            for one in reversed((health["Log"] or [])[-SHOWN_CHECKS:])
        ],
    }


def container(name: str, one: Spec, tier: str, edges: Sequence[connections.Edge]) -> Json:
    """Describe one container."""
    check = one["healthcheck"]
    return {
        "name": name,
        "short": one["container"],
        "aliases": one["aliases"],
        "service": one["service"],
        "tier": tier,
        "rolling": one["rolling"],
        "image": one["image"],
        "image_id": (one.get("image_id") or "").removeprefix("sha256:")[:12],
        "memory": one["memory"],
        "networks": [{"name": network, "address": address} for network, address in one["networks"].items()],
        "listens": one["listens"],
        "ports": [
            {
                "address": port["host_ip"],
                "port": port["host_port"],
                "inside": port["container_port"],
                "who": tiers.THIS_HOST if is_loopback(port["host_ip"]) else tiers.EVERYBODY,
            }
            for port in one["ports"]
        ],
        "health": {
            "command": check["command"] is not None,
            "http": check["http"],
            **{key: check[key] for key in ("interval", "timeout", "retries")},
        },
        "reaches": [
            {"to": edge.target, "name": edge.name, "port": edge.port, "why": edge.why}
            for edge in edges
            if edge.source == name
        ],
        "reaches_host": one["reaches_host"],
        **({"ways_out": ways} if (ways := one.get("ways_out")) else {}),
    }
