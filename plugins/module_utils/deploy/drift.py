# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Drift: what differs on the host from the releases that were applied, because somebody changed it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import permissions, plan_text
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import HostSide
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout import Request, Rollout
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host.engine_facts import describe_networks
from ansible_collections.sse.platform.plugins.module_utils.model.connections import networks_of
from ansible_collections.sse.platform.plugins.module_utils.model.drift_report import MEND
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.secret import SALT
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_steps import network_difference
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import RunMeta, Spec, StoredRelease

SHOWN = 3  # containers in one line
# A look writes nothing into the history.
NOBODY: RunMeta = {"asked": "drift", "who": "", "where": "", "when": "", "commit": "", "why": "", "given": {}}


def find(stack: str, state_directory: str) -> list[Finding]:
    """Compare the host with the newest releases that were applied. Nothing is changed.

    :raises EngineError: no engine answers, or nothing was deployed
    :raises SpecError, ForeignContainerError: a release is damaged, or somebody else's container has one of our names
    """
    releases = newest_releases(state_directory)
    if not releases:
        return without_releases(stack, state_directory)
    engine = Engine()
    firewall = StackFirewall(stack, state_directory)
    closed = firewall.close_to(releases, check=True)
    lost = HostSide(engine, stack, state_directory).lost()
    return [
        *of_networks(engine, releases),
        *(one.finding() for one in lost),
        *(Finding("firewall", firewall.chain, firewall.wrong, one, MEND) for one in closed),
        *(
            Finding("permissions", str(path), how, "stat", MEND)
            for path, how in permissions.differences(state_directory)
        ),
        *(
            finding
            for release in releases
            for finding in of_project(engine, release, state_directory, cut_off=bool(lost))
        ),
    ]


def without_releases(stack: str, state_directory: str) -> list[Finding]:
    """Return what is wrong where containers of the stack are there, and no release.

    :raises EngineError: there are none, either
    """
    there: list[str] = []
    with contextlib.suppress(EngineError):
        there = [one.name for one in Engine().containers() if one.label("stack") == stack]
    if not there:
        raise EngineError(f"there is no release in {state_directory}: nothing was deployed here. Run `./sse up` first")
    listed = ", ".join([*there[:SHOWN], *(["..."] if len(there) > SHOWN else [])])
    wrong = f"all are gone, and containers of the stack are there ({listed}): somebody removed the files"
    return [Finding("release", stack, wrong, f"{state_directory}/releases", MEND)]


def of_networks(engine: Engine, releases: list[StoredRelease]) -> Iterator[Finding]:
    """Compare the networks of the releases with those of the engine."""
    listing = engine.ask(engine.questions.networks) or []
    present = {one["name"]: one for one in describe_networks(listing, [])}
    for name, wanted in networks_of(releases).items():
        if name not in present:
            yield Finding("network", name, "it is gone", "the engine has no network of this name", MEND)
        elif different := network_difference(wanted, present[name]):
            yield Finding("network", name, "; ".join(different), "docker network inspect", MEND)


def of_project(
    engine: Engine, release: StoredRelease, state_directory: str, *, cut_off: bool = False
) -> Iterator[Finding]:
    """Compare the containers of one project with its release.

    :param cut_off: the host's side of their networks is not whole, so what they say of their health comes of that
    """
    rollout = Rollout(Request([release], state_directory, {}, [], 1, NOBODY, check=True), release, release["number"])
    rollout.cut_off = cut_off
    rollout.files.only_looks = True  # who looks has no secrets of the controller
    yield from of_secrets(rollout, release)
    release = with_secrets_of_now(release, rollout.store)
    observed, cleared = rollout.settled(engine)
    planned = rollout.compare(engine, release, observed, rollout.made_from(observed), cleared)
    if planned.lost:
        wrong = f"release {planned.lost}, of which containers are, is gone: somebody removed its file"
        yield Finding("release", release["project"], wrong, str(rollout.releases.directory), MEND)
    later = of_later(rollout, release, observed)
    for action in planned.actions:
        if action.changes:
            wrong = plan_text.line(action)
            if action.container in later and action.kind in {"replace", "reload", "remove"}:
                wrong = f"~ {action.container}: {later[action.container]}"
            yield Finding("container", action.container, wrong, f"release {release['number']}", MEND)


def of_later(rollout: Rollout, release: StoredRelease, observed: list[Observed]) -> dict[str, str]:
    """Say which containers are of a later release: it failed or was killed, or somebody removed its file.

    What differs there is no work of somebody, and a run does not undo it.
    """
    found: dict[str, str] = {}
    known = rollout.releases.numbers()
    for one in observed:
        told = rollout.files.loaded.of(one)
        number = max(one.release, int((told and told.get("release")) or 0))
        ours = one.belongs(release["stack"], release["project"])
        if ours and number > release["number"]:
            why = "was not applied as a whole" if number in known else "is gone"
            found[one.name] = f"is of release {number}, which {why}: a run makes it as the settings say"
    return found


def of_secrets(rollout: Rollout, release: StoredRelease) -> Iterator[Finding]:
    """Compare the files of secrets that are made on the host with what containers were given."""
    store, files, declared = rollout.store, rollout.files, release.get("secrets", {})
    readers: dict[str, list[str]] = {}
    others: set[str] = set()  # secrets that have another value than a container was given
    refused: dict[str, str] = {}
    try:
        store.salt(make=False)
    except SecretError as error:
        refused[SALT] = str(error)
        files.written.hashed = without_salt
    for container, spec in release["containers"].items():
        for name, form, path in files.rendered(container, spec):
            if not store.is_made_here(name):
                continue
            readers.setdefault(name, []).append(container)
            try:
                if files.written.is_other(path, store.render(name, form, make=False)):
                    others.add(name)
            except SecretError as error:
                refused[name] = str(error)
    told = {one for one in store.told if store.is_made_here(one) or (one == SALT and readers)}
    for name in sorted({*readers, *refused, *told}):
        path = str(store.directory / name)
        if name in refused:
            wrong, __, way = refused[name].partition(". ")
            yield Finding("secret", name, wrong, path, (f"# {way}.",))
        elif name in store.told:
            yield Finding("secret", name, store.told[name], path, MEND)
        elif name in others and SALT not in store.told:
            pair = declared[name]["pair"]
            changed = f"its file, or that of {pair}, was changed" if pair else "its file was changed"
            wrong = f"{changed}, and a run gives the new value to {', '.join(dict.fromkeys(readers[name]))}"
            yield Finding("secret", name, wrong, path, MEND)


def without_salt(__: str) -> None:
    """Hash nothing: without its key no hash can be compared."""


def with_secrets_of_now(release: StoredRelease, store: Store) -> StoredRelease:
    """Return a release with the fingerprints of the secrets that the host has, as a run would pin it."""

    def now(name: str, recorded: str | None) -> str | None:
        with contextlib.suppress(SecretError):
            if recorded is not None and store.is_made_here(name):
                return store.fingerprint(name, make=False)
        return recorded

    def pinned(spec: Spec) -> Spec:
        given = spec.get("fingerprints")
        return {**spec, "fingerprints": {name: now(name, one) for name, one in given.items()}} if given else spec

    return {**release, "containers": {container: pinned(spec) for container, spec in release["containers"].items()}}
