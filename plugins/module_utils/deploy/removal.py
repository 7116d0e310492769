# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Remove a stack from the host: its containers, networks and firewall rules, and its data where that is asked for."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy import host_side, permissions, stack_networks
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import Applier
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_timer import BACKUP, VERIFY, HostTimer
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout import lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases import keeping
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    ReleaseStore,
    newest_releases,
    stack_number,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model import types
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed


class NoStackError(RuntimeError):
    """There is nothing of this stack on the host."""


class Removed(NamedTuple):
    """What was removed of a stack, or would be in check mode."""

    containers: list[str]
    networks: list[str]
    kept: dict[str, list[str]]  # networks that stay, each with the containers of others that are on it
    elsewhere: Sequence[str] = ()  # what the stack used on somebody else's servers, which is not touched
    state: bool = False  # whether there is anything on the disk, which goes where the data are deleted


def tear_down(
    stack: str,
    state_directory: str,
    parallel: int,
    *,
    delete_data: bool,
    check: bool,
    run: Mapping[str, Any] | None = None,
    wait: float = 0,
) -> Removed:
    """Remove every container of a stack in all its projects, its networks and its firewall rules.

    A container is removed after those that need it. Data, secrets and releases stay unless ``delete_data``. A network
    stays where containers of others are on it.

    :param run, wait: what this run says of itself, and for how many seconds it waits for another one
    :raises NoStackError: nothing of this stack is here
    :raises ApplyError: the engine could not remove a container
    """
    engine = Engine()
    __, found = look(engine, stack, state_directory)
    if check:
        return found
    with lock(state_directory, run, wait):
        ours, removed = look(engine, stack, state_directory)  # again: the run before this one may have changed it
        removed = removed._replace(state=found.state)  # the lock is a file in it
        # Whoever deletes the directory deletes the history, too.
        recorder = (
            None if delete_data else Recorder(state_directory, run_meta({**(run or {})}), stack_number(state_directory))
        )
        seconds: dict[str, float] = {}
        error = ""
        try:
            seconds = remove_containers(engine, ours, state_directory, parallel)
            for network in removed.networks:
                stack_networks.remove(engine, network)
            StackFirewall(stack, state_directory).remove()
            (Path(state_directory) / host_side.FILE).unlink(missing_ok=True)
            for kind in (BACKUP, VERIFY):
                HostTimer(stack, state_directory, kind).remove(check=False)
            permissions.ensure(state_directory)
        except Exception as failure:
            error = str(failure)
            raise
        finally:
            if recorder:
                recorder.end(recorder.attempt["before"], changes(seconds), gone(removed.networks), error)
        if delete_data:  # under the lock: a run that waits for it begins with nothing
            keeping.forget(engine, stack)
            shutil.rmtree(Path(state_directory).resolve(), ignore_errors=True)  # it takes no link
            if Path(state_directory).is_symlink():
                Path(state_directory).unlink()
    return removed


def look(engine: Engine, stack: str, state_directory: str) -> tuple[dict[str, Observed], Removed]:
    """Return the containers of a stack by their names, and what a removal removes.

    :raises NoStackError: nothing of this stack is here
    """
    containers = engine.containers()
    ours = {one.name: one for one in containers if one.label("stack") == stack}
    networks = engine.networks(stack)
    state = Path(state_directory).exists()
    if not ours and not networks and not state:
        there = {one.label("stack") for one in containers} - {""}
        raise NoStackError(no_stack(stack, state_directory, sorted(there)))
    kept = {name: guests for name, on in networks.items() if (guests := sorted(set(on) - set(ours)))}
    return ours, Removed(sorted(ours), sorted(set(networks) - set(kept)), kept, untouched(state_directory), state)


def untouched(state_directory: str) -> list[str]:
    """Return what the stack uses on somebody else's servers; nothing where a release is damaged."""
    with contextlib.suppress(SpecError):
        return [elsewhere.place(one) for __, one in elsewhere.of_releases(newest_releases(state_directory))]
    return []


def remove_containers(
    engine: Engine, ours: Mapping[str, Observed], state_directory: str, parallel: int
) -> dict[str, float]:
    """Remove containers, each after those that need it; return how many seconds each took."""
    known: dict[str, types.Spec] = {}
    for project in {one.label("project") for one in ours.values()}:
        with contextlib.suppress(SpecError):  # a damaged release keeps nobody from removing what runs
            latest = ReleaseStore(state_directory, project).latest()
            known |= latest["containers"] if latest else {}
    after: dict[str, set[str]] = {name: set() for name in ours}
    for name in set(ours) & set(known):
        for needed in set(known[name]["after"]) & set(ours):
            after[needed].add(name)
    applier = Applier(engine, Files(state_directory, Store(state_directory, {}, {})), known)
    actions = [Action("remove", name, ["stack destroyed"], one.id) for name, one in ours.items()]
    applier.graph({action.container: applier.step(action) for action in actions}, after, parallel)
    return applier.seconds


def changes(seconds: Mapping[str, float]) -> list[types.AttemptChange]:
    """Return what the history keeps of the removed containers."""
    return [
        {"container": name, "kind": "remove", "reasons": ["stack destroyed"], "seconds": took}
        for name, took in seconds.items()
    ]


def gone(networks: Sequence[str]) -> list[str]:
    """Return what the history keeps of the removed networks."""
    return [f"remove network {', '.join(networks)}"] if networks else []


def no_stack(stack: str, state_directory: str, others: list[str]) -> str:
    """Say that a stack is not here, and which ones are."""
    there = f"The stacks here are {', '.join(others)}" if others else "No stack has containers here"
    return (
        f"There is no stack '{stack}' on this host: no container, no network, and no directory {state_directory}. "
        f"{there}; -e stack_name=NAME chooses one. Nothing was changed."
    )
