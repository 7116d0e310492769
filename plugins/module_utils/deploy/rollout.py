"""From a release to containers: pin it to this host, plan, apply, record. The stack module is a thin shell of this."""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import Applier, ApplyError, clear_leftovers
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import (
    ReleaseStore,
    limited,
    newest_releases,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action, leftovers, plan
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError, fingerprint

if TYPE_CHECKING:
    from collections.abc import Generator

    from ansible_collections.sse.platform.plugins.module_utils.model.release import Release


class Request(NamedTuple):
    """What is asked for."""

    release: dict[str, Any]
    state_directory: str
    secrets: dict[str, str]
    services: list[str]  # only these services; empty means all
    parallel: int
    meta: dict[str, str]  # who, when, commit: kept with the release, compared with nothing


class Outcome(NamedTuple):
    """What was planned, and done unless only asked for."""

    number: int
    actions: list[Action]
    diff: str
    seconds: dict[str, float]

    @property
    def changed(self) -> bool:
        """Tell whether anything changes."""
        return any(action.changes for action in self.actions)


@contextlib.contextmanager
def lock(state_directory: str) -> Generator[None]:
    """Let only one run change a stack at a time; the lock goes with the process that holds it."""
    Path(state_directory).mkdir(parents=True, exist_ok=True, mode=0o711)
    with (Path(state_directory) / "lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise ApplyError(f"another run (process {holder}) changes this stack; wait for its end") from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def preview(request: Request) -> Outcome:
    """Plan and touch nothing; works on a host with no engine, too."""
    try:
        engine = Engine()
        observed = engine.containers()
    except EngineError:
        engine, observed = None, []
    store = Store(request.state_directory, request.secrets)
    releases = ReleaseStore(request.state_directory, request.release["project"])
    release = limited(request.release, releases.latest(), request.services)
    cleared = leftovers(observed, release["stack"], release["project"])
    gone = {action.id for action in cleared}
    pinned = pin(release, engine, store, make=False)
    earlier = releases_of(observed, releases)
    adopt_unknown(pinned, observed, earlier)
    kept = [one for one in observed if one.id not in gone]
    files = Files(request.state_directory, store)
    actions = cleared + refreshed(plan(pinned, earlier, recovered(engine, pinned, kept)), files, pinned)
    return Outcome(releases.number_for(pinned), actions, diff_text(actions, pinned, earlier), {})


def roll_out(request: Request) -> Outcome:
    """Make the host run the release.

    :raises ApplyError: a container failed; those it replaced are back
    :raises EngineError: the engine refused, or an image or the network is missing
    """
    with lock(request.state_directory):
        engine = Engine()
        store = Store(request.state_directory, request.secrets)
        files = Files(request.state_directory, store)
        releases = ReleaseStore(request.state_directory, request.release["project"])
        release = limited(request.release, releases.latest(), request.services)
        observed = engine.containers()
        cleared = leftovers(observed, release["stack"], release["project"])
        if cleared:
            clear_leftovers(engine, cleared)
            observed = engine.containers()
        pinned = pin(release, engine, store, make=True)
        refuse_missing(pinned, engine)
        earlier = releases_of(observed, releases)
        actions = refreshed(plan(pinned, earlier, recovered(engine, pinned, observed)), files, pinned)
        number = releases.number_for(pinned)
        applier = Applier(engine, files, {**pinned, "number": number})
        # What containers are to each other may change while each stays as it is: that is a release, too.
        news = any(action.changes for action in actions) or not releases.has_applied(number)
        if news:
            releases.write({**pinned, "number": number, "meta": {**request.meta, "outcome": "applying"}})
        try:
            applier.run(actions, request.parallel)
        except (ApplyError, EngineError):
            if news:
                releases.write({**pinned, "number": number, "meta": {**request.meta, "outcome": "failed"}})
            raise
        if news:
            releases.write({**pinned, "number": number, "meta": {**request.meta, "outcome": "applied"}})
            files.prune(pinned["containers"])
        return Outcome(number, cleared + actions, diff_text(actions, pinned, earlier), applier.seconds)


def recovered(engine: Engine | None, release: Release, observed: list[Observed]) -> list[Observed]:
    """Ask those that the engine calls unhealthy themselves: its last check may be old, and a restart cuts streams."""

    def answers(one: Observed) -> bool:
        spec = release["containers"].get(one.name)
        if engine is None or spec is None or one.label("spec") != fingerprint(spec):
            return False
        with contextlib.suppress(EngineError):
            return check_health(engine, one.id, spec)[0]
        return False

    return [
        one._replace(health="healthy")
        if one.health == "unhealthy" and one.status == "running" and answers(one)
        else one
        for one in observed
    ]


def refreshed(actions: list[Action], files: Files, release: Release) -> list[Action]:
    """Have containers that stay as they are get those of their live secrets that changed."""
    return [
        action._replace(kind="refresh", reasons=[f"{file}: content" for file in stale])
        if action.kind == "keep" and (stale := files.stale(action.container, release["containers"][action.container]))
        else action
        for action in actions
    ]


def open_firewall(
    stack: str, state_directory: str, releases: list[Release], services: list[str], *, check: bool
) -> list[str]:
    """Open the stack firewall for what runs and for what these releases bring, limited to these services.

    :returns: what was changed, or would be, one line each
    :raises SpecError: where the releases cannot be limited
    :raises FirewallError: where iptables refuses the rules
    """
    coming = [limited(one, ReleaseStore(state_directory, one["project"]).latest(), services) for one in releases]
    try:
        running = newest_releases(state_directory)
    except SpecError:
        running = []  # another version of this collection wrote them; their containers are about to be replaced
    return StackFirewall(stack, state_directory).open_for(coming, running, check=check)


def close_firewall(stack: str, state_directory: str) -> list[str]:
    """Close the stack firewall to what runs now; return what was changed, one line each."""
    return StackFirewall(stack, state_directory).close_to(newest_releases(state_directory))


def pin(release: Release, engine: Engine | None, store: Store, *, make: bool) -> Release:
    """Add to each spec what only this host knows: its image's id and its secrets' fingerprints."""
    references = {one["image"] for one in release["containers"].values()}
    ids = {reference: engine.image_id(reference) if engine else None for reference in references}

    def secrets_of(spec: dict[str, Any], key: str) -> list[str]:
        return sorted({one["secret"] for files in spec[key].values() for one in files.values()})

    for spec in release["containers"].values():
        for secret in secrets_of(spec, "live_secrets"):
            store.value(secret, make=make)  # once, here: the containers' files are written side by side

    containers = {
        name: {
            **spec,
            "image_id": ids[spec["image"]],
            "fingerprints": {secret: store.fingerprint(secret, make=make) for secret in secrets_of(spec, "secrets")},
        }
        for name, spec in release["containers"].items()
    }
    return {**release, "containers": containers}


def adopt_unknown(release: Release, observed: list[Observed], earlier: dict[int, Release | None]) -> None:
    """In a preview an image may not be built yet: with the same reference it counts as the one that runs."""
    for one in observed:
        old = spec_in(earlier, one.release, one.name)
        wanted = release["containers"].get(one.name)
        if old and wanted and wanted["image_id"] is None and old["image"] == wanted["image"]:
            wanted["image_id"] = old["image_id"]


def refuse_missing(release: Release, engine: Engine) -> None:
    """Name every image and the network that the release needs and the host lacks, before anything changes."""
    absent = sorted({one["image"] for one in release["containers"].values() if one["image_id"] is None})
    if absent:
        raise EngineError(f"images missing on the host: {', '.join(absent)}. Run `./sse up` without --tags to get them")
    for network in sorted({name for one in release["containers"].values() for name in one["networks"]}):
        if not engine.has_network(network):
            raise EngineError(f"network {network} does not exist: run `./sse up` first, which makes it")


def releases_of(observed: list[Observed], releases: ReleaseStore) -> dict[int, Release | None]:
    """Read every release that a running container names."""
    return {number: releases.read(number) for number in {one.release for one in observed if one.release}}


def spec_in(earlier: dict[int, Release | None], number: int, name: str) -> dict[str, Any] | None:
    """Return a container's spec in an earlier release, where the host still has it."""
    release = earlier.get(number)
    return release["containers"].get(name) if release else None


def diff_text(actions: list[Action], release: Release, earlier: dict[int, Release | None]) -> str:
    """Write the plan for people: a line an action, its reasons, and the changed lines of its config files."""
    lines: list[str] = []
    for action in actions:
        if not action.changes:
            continue
        lines.append(f"{action.kind} {action.container}")
        lines += [f"    {reason}" for reason in action.reasons]
        old = spec_in(earlier, action.release, action.container)
        if old and action.kind == "replace":
            new = release["containers"][action.container]
            lines += [f"    {line}" for line in config_diff(old["config"], new["config"])]
    return "\n".join(lines) + ("\n" if lines else "")


def config_diff(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    """Return the changed lines of config files. They hold no secrets: config refers to those by path."""
    paths = sorted({(directory, file) for side in (old, new) for directory in side for file in side[directory]})
    lines: list[str] = []
    for directory, file in paths:
        before = old.get(directory, {}).get(file, "").splitlines()
        after = new.get(directory, {}).get(file, "").splitlines()
        name = f"{directory}/{file}"
        lines += difflib.unified_diff(before, after, name, name, lineterm="", n=1)
    return lines


class Removed(NamedTuple):
    """What a stack left."""

    containers: list[str]
    networks: list[str]
    kept: dict[str, list[str]]  # networks that somebody else's containers are on, with these


def tear_down(stack: str, state_directory: str, parallel: int, *, delete_data: bool, check: bool) -> Removed:
    """Remove every container of a stack, whatever project it is of, its networks and its firewall rules.

    What others depend on goes last. Data, secrets and releases stay unless ``delete_data``; so does a network that
    somebody else's containers are on.
    """
    engine = Engine()
    ours = [one for one in engine.containers() if one.label("stack") == stack]
    networks = engine.networks(stack)
    kept = {name: guests for name, on in networks.items() if (guests := sorted(set(on) - {one.name for one in ours}))}
    gone = sorted(set(networks) - set(kept))
    if check:
        return Removed([one.name for one in ours], gone, kept)
    with lock(state_directory):
        known: dict[str, Any] = {}
        for project in {one.label("project") for one in ours}:
            latest = ReleaseStore(state_directory, project).latest()
            known |= latest["containers"] if latest else {}
        files = Files(state_directory, Store(state_directory, {}))
        applier = Applier(engine, files, {"containers": known})
        names = {one.name for one in ours}
        before: dict[str, set[str]] = {name: set() for name in names}
        for name in names & set(known):
            for needed in set(known[name]["after"]) & names:
                before[needed].add(name)
        steps = {one.name: applier.step(Action("remove", one.name, ["stack destroyed"], one.id)) for one in ours}
        applier.graph(steps, before, parallel)
        for name in gone:
            engine.remove_network(name)
        StackFirewall(stack, state_directory).remove()
    if delete_data:
        shutil.rmtree(state_directory, ignore_errors=True)
    return Removed(sorted(names), gone, kept)
