# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""From releases to containers: pin each release to this host, plan, apply and record. The stack module calls this."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import (
    permissions,
    plan_text,
    run_lock,
    switches,
    told_metrics,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import Applier, ApplyError, Pace, unasked
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import forget_archive, half_restored
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import files_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import HostSide
from ansible_collections.sse.platform.plugins.module_utils.deploy.presence import mended, told_anew
from ansible_collections.sse.platform.plugins.module_utils.deploy.reload import Reloader
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import Control
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.trials import goes_on
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.host import live_files, state_modes
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, TRIAL, UNRECORDED
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action, plan, settling
from ansible_collections.sse.platform.plugins.module_utils.model.secret import SALT
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError, fingerprint, reloads
from ansible_collections.sse.platform.plugins.module_utils.releases import keeping, materials, superseded
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    ReleaseStore,
    limited,
    newest_releases,
    next_number,
    stack_number,
    stale,
    was_applied,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model import types
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed


SETTLE_SECONDS = 30.0  # until containers that were cut off answer again: replicas look for Kafka and Redis
PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Request:
    """What a run is asked for."""

    releases: list[types.Release]  # one for each project, in the order in which they are rolled out
    state_directory: str
    secrets: dict[str, str]  # given values, by name
    services: list[str]  # only these services change; empty means all
    parallel: int  # how many containers are worked on at once
    meta: types.RunMeta  # who asked for it, and what for
    check: bool  # plan only
    keep: int = 5  # releases that stay with their images
    images: list[str] = field(default_factory=list[str])  # that a run can need; without it no image is removed
    rollback: int = 0  # the earlier release that comes back with the images that it had, or 0
    run: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what this run says of itself, for the lock
    wait: float = 0  # seconds for which to wait for another run
    at_once: int = 1  # replicas of a service that are replaced together
    verify: Callable[[types.Release, str], None] | None = (
        None  # that an event goes through a replica; raises ApplyError
    )
    canary: types.CanaryWatch | None = None  # watches the first replica of each service that is replaced
    tell: Callable[..., None] = unasked  # gets what happens while it happens, as keywords
    same_images: bool = False  # keep the images that the releases have, by id
    networks_to_make: set[str] = field(default_factory=set[str])  # that a preview must take as absent


@dataclass(frozen=True)
class Outcome:
    """What is planned for one project, or, once it is applied, what was done."""

    project: str
    number: int
    actions: list[Action]
    diff: str
    seconds: dict[str, float] = field(default_factory=dict[str, float])  # by container
    lost: int = 0  # the number of the release that made what runs, where the release store has lost it
    told: list[str] = field(default_factory=list[str])  # what the programs of services have verified


@dataclass(frozen=True)
class Report:
    """What a run has done so far, or would do in check mode."""

    permissions: list[str] = field(default_factory=list[str])  # of the state directory, a few lines
    host_side: list[str] = field(default_factory=list[str])  # one line for each part that the engine kept and was gone
    secrets: list[str] = field(default_factory=list[str])  # one line for each that gets another value than its file had
    firewall: list[str] = field(default_factory=list[str])  # one line for each change
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    stale: list[str] = field(default_factory=list[str])  # services whose changes --tags leaves for another run
    pruned: list[str] = field(default_factory=list[str])  # one line for the images that were removed, if any
    paused: list[str] = field(default_factory=list[str])  # what an operator has paused
    recorders: list[Recorder] = field(default_factory=list[Recorder])  # at most one; none in check mode

    @property
    def changes(self) -> list[str]:
        """One line for each change."""
        done = [plan_text.line(one) for outcome in self.outcomes for one in outcome.actions if one.changes]
        return [*self.losses, *(f"~ {one}" for one in self.around), *done, *self.pruned]

    @property
    def around(self) -> list[str]:
        """One line for each change around the containers."""
        return [*self.permissions, *self.host_side, *self.secrets, *self.firewall[-1:]]

    @property
    def losses(self) -> list[str]:
        """One line for each project whose newest release is no longer in the release store."""
        return [
            f"! release {one.lost} of {one.project} is not in the release store: somebody removed its file. What runs "
            f"is compared by its labels, and is now release {one.number}"
            for one in self.outcomes
            if one.lost
        ]

    def record(self, error: str = "") -> None:
        """Write the end of the run into the history, once."""
        while self.recorders:
            recorder = self.recorders.pop()
            done = [(outcome.seconds, one) for outcome in self.outcomes for one in outcome.actions if one.changes]
            # Where a full disk is the error, it may refuse this, too. Then the error counts more.
            with contextlib.suppress(OSError) if error else contextlib.nullcontext():
                recorder.end(
                    stack_number(recorder.state_directory),
                    [
                        {"container": one.container, "kind": one.kind, "reasons": one.reasons, "seconds": seconds}
                        for took, one in done
                        for seconds in [took.get(one.container, 0.0)]
                    ],
                    [*self.losses, *self.around, *self.pruned],
                    error,
                )

    def failure(self, error: Exception) -> str:
        """Say what went wrong, and what this run had done before."""
        done = [change.partition(":")[0] for change in self.changes]
        return f"{error}\n\nDone before that, and kept: {', '.join(done)}." if done else str(error)


@contextlib.contextmanager
def lock(state_directory: str, run: Mapping[str, Any] | None = None, seconds: float = 0) -> Generator[None]:
    """Let only one run change a stack at a time.

    :param run: what the run says of itself, as the stack module gets it
    :param seconds: how long to wait for another run
    :raises ApplyError: another run changes the stack
    """
    try:
        held = run_lock.locked(state_directory, run or {}, seconds)
        with held:
            yield
    except run_lock.LockedError as error:
        raise ApplyError(str(error)) from None


@contextlib.contextmanager
def looking(state_directory: str, run: Mapping[str, Any], seconds: float = 0) -> Generator[None]:
    """Let a preview say nothing of what another run has half done.

    :param run: what the preview says of itself
    :param seconds: how long to wait for another run
    :raises ApplyError: it says which run
    """
    try:
        with run_lock.undisturbed(state_directory, run, seconds):
            yield
    except run_lock.LockedError as error:
        raise ApplyError(str(error)) from None


@files_told()
def run(request: Request, report: Report) -> None:
    """Make the host run the releases, or, in check mode, only plan that.

    :param report: gets each change when it is done, so that a failed run can tell what it did before
    :raises ApplyError: a container failed; those that were being replaced are back. Or the kernel refuses a file
    :raises EngineError, FirewallError, SpecError: the host or the request does not allow it
    """
    directory, check = request.state_directory, request.check
    report.paused.extend(switches.lines(directory))
    with (looking if check else lock)(directory, request.run, request.wait):
        if broken := half_restored(directory):
            raise ApplyError(f"{broken}. Nothing was changed.")
        fresh = next_number(directory)
        if not check:
            back: types.RunMeta = {**request.meta, "back_to": request.rollback}
            meta = back if request.rollback else request.meta
            report.recorders.append(Recorder(directory, meta, stack_number(directory)))
        rollouts = [Rollout(request, release, fresh) for release in request.releases]
        report.stale.extend(name for one in rollouts for name in one.stale)
        try:
            running = newest_releases(directory)
        except SpecError:
            running = []  # another version of this collection wrote them; their containers are about to be replaced
        coming = [one.release for one in rollouts]
        report.permissions.extend(permissions.ensure(directory, coming, check=check))
        if not check:
            prepare(directory, coming)
        stack = request.releases[0]["stack"]
        side = side_of(stack, directory, check=check)
        report.host_side.extend(side.mend(check=check) if side else [])
        for one in rollouts:
            one.cut_off = bool(report.host_side)
        firewall = StackFirewall(stack, directory)  # once the engine's chains are there
        report.firewall.extend(firewall.open_for(coming, running, check=check))
        with told(request):
            for one in rollouts:
                if check:
                    report.outcomes.append(one.preview())
                    report.secrets.extend(one.new_secrets())
                    continue
                try:
                    one.apply(report)
                except ApplyError as error:
                    if not one.control.aborted:
                        raise
                    raise gone_back(error, rollouts, report, firewall) from error
        if not check:
            report.firewall.extend(firewall.close_to(newest_releases(directory)))
            permissions.ensure(directory)
            if report.changes or side is None:  # who is on the networks may be others than before
                side = HostSide(Engine(), stack, directory)
            side.keep()
            kept = keeping.tidy(directory, stack, request.keep)
            if kept and request.images:
                report.pruned.extend(pruned_line(superseded.prune(Engine(), directory, request.images, kept)))


def side_of(stack: str, directory: str, *, check: bool) -> HostSide | None:
    """Look at what the engine keeps on the host for the stack's networks; None for a preview without an engine."""
    try:
        return HostSide(Engine(), stack, directory)
    except EngineError:
        if check:
            return None  # a host that has no engine yet
        raise


@contextlib.contextmanager
def told(request: Request) -> Generator[None]:
    """Tell Prometheus what there is once containers were changed, however that ended; in check mode none was."""
    try:
        yield
    finally:
        if not request.check:
            with contextlib.suppress(EngineError):
                told_metrics.tell_names(Engine(), request.state_directory, request.releases[0]["stack"])
            told_metrics.tell_releases(request.state_directory)


def prepare(directory: str, coming: list[types.Release]) -> None:
    """Make the directories that several containers mount: the engine would make them, with permissions of its own."""
    forget_archive(directory)
    switches.ready(directory)
    live_files.ready(directory)
    state_modes.make(Path(directory) / state_modes.MATRIX)
    permissions.ensure(directory, coming)


def pruned_line(pruned: superseded.Pruned) -> list[str]:
    """Say which images were removed; nothing where none was."""
    what = [f"{one} (no stack needs it any more)" for one in pruned.references]
    what += [f"{pruned.stages} stages of failed builds"] if pruned.stages else []
    return [f"- images: {', '.join(what)}"] if what else []


def gone_back(error: ApplyError, rollouts: list[Rollout], report: Report, firewall: StackFirewall) -> ApplyError:
    """Bring back what the projects had before an aborted run; return what to tell."""
    lines = [line for one in reversed(rollouts) for line in one.go_back()]
    report.firewall.extend(firewall.close_to(newest_releases(rollouts[0].request.state_directory)))
    report.outcomes.clear()
    told = "\n".join(lines) if lines else "Nothing had been replaced."
    return ApplyError(f"{error}\n{told}\nNext: `./sse plan` says what is left to do, and `./sse up` does it.")


class Rollout:
    """The way of one project from what runs to its new release."""

    def __init__(self, request: Request, release: types.Release, fresh: int) -> None:
        """Take the services to which this run is not limited from the latest release; raises SpecError.

        :param fresh: the number that the release gets where its content is new
        """
        self.request = request
        self.fresh = fresh
        declared = release.get("secrets", {})
        self.store = Store(request.state_directory, request.secrets, declared, foresees=request.check)
        self.files = Files(request.state_directory, self.store)
        self.releases = ReleaseStore(request.state_directory, release["project"])
        latest = self.releases.latest()
        self.release = limited(release, latest, request.services)
        self.control = Control(request.state_directory, request.run)
        self.files.containers = self.release["containers"]
        self.applied: Applier | None = None
        self.before = next(filter(was_applied, self.releases.all()[::-1]), None)
        self.store.copies = self.files.copies(self.before["containers"] if self.before else {})
        self.recorded: Callable[[types.ReleaseOutcome], None] = lambda __: None
        self.stale = stale(release, latest, request.services)
        self.cut_off = False  # the host did not reach its containers, or does not: what they say of their health is old

    def preview(self) -> Outcome:
        """Plan and touch nothing. This works on a host without an engine, too."""
        try:
            engine = Engine()
            observed, cleared = self.settled(engine)
        except EngineError:
            engine, observed, cleared = None, [], []
        release = pin(
            self.release, engine, self.store, make=True, by_id=bool(self.request.rollback) or self.request.same_images
        )
        made_from = self.made_from(observed)
        release = with_running_images(release, made_from)
        planned = self.compare(engine, release, observed, made_from, cleared)
        if engine:
            labels = {"stack": release["stack"], "project": release["project"]}
            Applier(engine, self.files, release["containers"], labels).refuse_invalid(planned.actions, check=True)
        return planned

    def there(self, engine: Engine) -> list[Observed]:
        """Return what runs, without the trials of a plan that somebody else makes now."""
        return [
            one
            for one in engine.containers()
            if not (one.name.endswith(TRIAL) and goes_on(one.name.removesuffix(TRIAL)))
        ]

    def settled(self, engine: Engine) -> tuple[list[Observed], list[Action]]:
        """Return what runs, each under its own name and without leftovers, and what a run does about those first."""
        there = self.there(engine)
        cleared = settling(there, self.release, self.made_by_runs())
        gone = {action.id for action in cleared if action.kind == "clear"}
        back = {action.id: action.container for action in cleared if action.kind in {"restore", "rename"}}
        settled = [one._replace(name=back.get(one.id, one.name)) for one in there if one.id not in gone]
        return self.files.seen(settled), cleared

    def new_secrets(self) -> list[str]:
        """Say which secrets of the release before this one have other values than their files had, and why."""
        if not self.before:
            return []
        read = any(one.get("secrets") or one.get("live_secrets") for one in self.before["containers"].values())
        had = {*self.before.get("secrets", {}), *((SALT,) if read else ())}
        return [f"secret {name}: {why}" for name, why in sorted(self.store.told.items()) if name in had]

    def made_by_runs(self) -> dict[str, set[str]]:
        """Return the ids of the containers that runs made, by name, where they are written down."""
        known = {name: set(self.files.made.known(name).values()) - {""} for name in self.release["containers"]}
        return {name: ids for name, ids in known.items() if ids}

    def apply(self, report: Report) -> None:
        """Make the host run the release, and record what came of it."""
        engine = Engine()
        cleared = settling(self.there(engine), self.release, self.made_by_runs())
        for action in cleared:
            Applier(engine, self.files, {}).carry_out(action)
        release = pin(
            self.release, engine, self.store, make=True, by_id=bool(self.request.rollback) or self.request.same_images
        )
        self.store.keep_given()
        report.secrets.extend(self.new_secrets())
        refuse_missing(release, engine)
        observed = self.files.seen(self.there(engine))
        planned = self.compare(engine, release, observed, self.made_from(observed), cleared)
        actions = planned.actions[len(cleared) :]
        labels = {
            "stack": release["stack"],
            "project": release["project"],
            "release": str(planned.number),
            "com.docker.compose.project": release["project"],
        }
        verify = self.request.verify
        pace = Pace(
            self.request.at_once,
            self.control.gate,
            (lambda name: verify(release, name)) if verify else unasked,
            self.request.canary,
            self.request.tell,
        )
        applier = self.applied = Applier(engine, self.files, release["containers"], labels, pace)
        applier.started = lambda: told_metrics.tell_names(engine, self.request.state_directory, release["stack"])
        # How containers relate may change while each of them stays as it is. That is a release, too. A run that mends
        # what an applied release made is none: it is in the history alone.
        is_new = not self.releases.has_applied(planned.number)

        def record(outcome: types.ReleaseOutcome) -> None:
            if is_new:
                asked = self.request.meta
                meta: types.Meta = {"who": asked["who"], "when": asked["when"], "commit": asked["commit"]}
                back = f"rollback to {self.request.rollback}" if self.request.rollback else ""
                if note := ": ".join(filter(None, [back, asked["why"]])):
                    meta["note"] = note
                meta["outcome"] = outcome
                self.releases.write({**release, "number": planned.number, "meta": meta})

        applier.refuse_invalid(actions)
        self.recorded = record
        record("applying")
        if changing := [one for one in actions if one.changes]:
            short = {name: spec["container"] for name, spec in release["containers"].items()}
            self.request.tell(plan=[plan_text.row(one, short.get(one.container)) for one in changing])
        try:
            applier.run(actions, self.request.parallel)
        except Exception:
            with contextlib.suppress(OSError):  # a full disk may be why it failed
                record("failed")
            raise
        finally:
            done = [*cleared, *(action for action in actions if action.container in applier.seconds)]
            report.outcomes.append(replace(planned, actions=done, seconds=applier.seconds, told=applier.reloader.told))
        if SALT in self.store.told:
            self.files.write_down_anew(release["containers"])
        record("applied")
        if is_new:
            self.keep_materials(engine, {**release, "number": planned.number, "meta": {}})
        if is_new or any(action.changes for action in actions):
            self.files.prune(release["containers"])
        else:
            self.files.prune_trials()  # a preview that was killed leaves secrets in one

    def keep_materials(self, engine: Engine, release: types.StoredRelease) -> None:
        """Write down which packages are in the images of a release. It is no reason for a run to fail."""

        def root(name: str) -> Path | None:
            pid = engine.inspect(name)["State"]["Pid"]
            return Path(f"/proc/{pid}/root") if pid else None

        with contextlib.suppress(EngineError, OSError, ValueError):
            materials.keep(self.request.state_directory, release, root, engine.digests)

    def go_back(self) -> list[str]:
        """Bring back the containers that this run replaced as the release before has them; return a line for each."""
        applier, before = self.applied, self.before
        if applier is None:
            return []
        self.recorded("failed")
        if not applier.seconds:
            return []
        if before is None:
            return [f"{', '.join(applier.seconds)}: new in the first release of {self.release['project']}, so it stays"]
        engine = applier.engine
        release = pin(before, engine, self.store, make=False, by_id=True)
        observed = self.files.seen(self.there(engine))
        planned = self.compare(engine, release, observed, self.made_from(observed), [])
        actions = [one for one in planned.actions if one.container in applier.seconds]
        labels = {**applier.labels, "release": str(before["number"])}
        back = Applier(engine, self.files, release["containers"], labels, Pace(tell=self.request.tell))
        back.run(actions, self.request.parallel)
        return [f"{one.container} is back as release {before['number']} has it" for one in actions if one.changes]

    def made_from(self, observed: list[Observed]) -> dict[str, types.Spec]:
        """Return the spec that each running container was made from, by name, where the host still has it."""
        releases = {number: self.releases.read(number) for number in {one.release for one in observed} - {0}}
        found: dict[str, types.Spec] = {}
        for one in observed:
            if loaded := self.files.loaded.of(one):
                found[one.name] = loaded["spec"]
            elif (release := releases.get(one.release)) and one.name in release["containers"]:
                found[one.name] = release["containers"][one.name]
            elif one.label("project") == self.release["project"] and (
                same := self.releases.spec_of(one.name, one.label("spec"))
            ):
                found[one.name] = same
        return found

    def unrecorded(
        self, observed: list[Observed], made_from: Mapping[str, types.Spec]
    ) -> tuple[list[Observed], dict[str, types.Spec]]:
        """Take each container whose last reload is no longer written down for what the last applied release told it.

        Each container of an applied release was made from it, or a reload told it so.
        """
        found, seen = dict(made_from), list(observed)
        for index, one in enumerate(observed):
            old, last = made_from.get(one.name), self.before and self.before["containers"].get(one.name)
            if not self.before or not old or not last or one.release >= self.before["number"]:
                continue
            is_old = one.label("spec") == fingerprint(old) != fingerprint(last)
            if is_old and reloads(old, last) and not self.files.loaded.of(one):
                found[one.name] = last
                seen[index] = one._replace(labels={**one.labels, f"{LABEL}spec": UNRECORDED})
        return seen, found

    def lost(self, observed: list[Observed]) -> int:
        """Return the newest release that a container of this project has as its label and the store has not, or 0."""
        ours = [one for one in observed if one.belongs(self.release["stack"], self.release["project"])]
        made_by = max((one.release for one in ours), default=0)
        return made_by if made_by > max(self.releases.numbers(), default=0) else 0

    def compare(
        self,
        engine: Engine | None,
        release: types.Release,
        observed: list[Observed],
        made_from: dict[str, types.Spec],
        cleared: list[Action],
    ) -> Outcome:
        """Plan the way from what runs to the release.

        :param cleared: what was done, or would be, about the leftovers of a killed run
        """
        if self.cut_off and self.request.check:
            observed = [one._replace(health="healthy") if one.health == "unhealthy" else one for one in observed]
        observed, made_from = self.unrecorded(observed, made_from)
        patience = SETTLE_SECONDS if self.cut_off else 0.0
        actions = plan(release, made_from, recovered(engine, release, observed, patience))
        networks = release["networks"]
        actions = mended(actions, release["containers"], engine, self.files, self.request.networks_to_make, networks)
        if engine:
            labels = {"stack": release["stack"], "project": release["project"]}
            reloader = Reloader(engine, self.files, release["containers"], labels)
            actions = told_anew(actions, reloader.differences)
        diff = plan_text.diff([*cleared, *actions], made_from, release["containers"])
        lost = self.lost(observed)
        number = max(self.fresh, lost + 1) if lost else self.releases.number_for(release, self.fresh)
        return Outcome(release["project"], number, [*cleared, *actions], diff, lost=lost)


def recovered(
    engine: Engine | None, release: types.Release, observed: list[Observed], patience: float = 0.0
) -> list[Observed]:
    """Check those again that the engine reports unhealthy: its result may be old, and a restart drops streams.

    :param patience: seconds that they have to answer
    """
    deadline = time.monotonic() + patience

    def answers(one: Observed) -> bool:
        spec = release["containers"].get(one.name)
        if engine is None or spec is None or one.label("spec") != fingerprint(spec):
            return False
        while True:
            with contextlib.suppress(EngineError):
                if check_health(engine, one.id, spec)[0]:
                    return True
            if time.monotonic() > deadline:
                return False
            threading.Event().wait(PAUSE_SECONDS)

    return [
        one._replace(health="healthy")
        if one.health == "unhealthy" and one.status == "running" and answers(one)
        else one
        for one in observed
    ]


def pin(
    release: types.Release, engine: Engine | None, store: Store, *, make: bool, by_id: bool = False
) -> types.Release:
    """Add to each spec what only this host knows: the id of its image and the fingerprints of its secrets.

    :param by_id: keep the ids that the release has: what its references name may have changed since
    """

    def wanted(spec: types.Spec) -> str:
        return (by_id and spec.get("image_id")) or spec["image"]

    names = {wanted(one) for one in release["containers"].values()}
    ids = {name: engine.image_id(name) if engine else None for name in names}

    def names_of(directories: Mapping[str, Mapping[str, types.SecretFile]]) -> list[str]:
        return sorted({one["secret"] for files in directories.values() for one in files.values()})

    def pinned(spec: types.Spec) -> types.Spec:
        for secret in names_of(spec["live_secrets"]):
            store.value(secret, make=make)  # here, because the files of all containers are written in parallel
        fingerprints = {secret: store.fingerprint(secret, make=make) for secret in names_of(spec["secrets"])}
        return {**spec, "image_id": ids[wanted(spec)], "fingerprints": fingerprints}

    return {**release, "containers": {name: pinned(spec) for name, spec in release["containers"].items()}}


def with_running_images(release: types.Release, made_from: Mapping[str, types.Spec]) -> types.Release:
    """In check mode an image may not be built yet. Where its reference did not change, take the one that runs."""

    def with_image(name: str, spec: types.Spec) -> types.Spec:
        old = made_from.get(name)
        if old is None or spec.get("image_id") is not None or old["image"] != spec["image"]:
            return spec
        return {**spec, "image_id": old.get("image_id")}

    return {**release, "containers": {name: with_image(name, spec) for name, spec in release["containers"].items()}}


def refuse_missing(release: types.Release, engine: Engine) -> None:
    """Refuse a release before anything changes where the host lacks an image or a network of it."""
    absent = sorted({one["image"] for one in release["containers"].values() if one.get("image_id") is None})
    if absent:
        raise EngineError(f"images missing on the host: {', '.join(absent)}. Run `./sse up` without --tags to get them")
    for network in sorted({name for one in release["containers"].values() for name in one["networks"]}):
        if not engine.has_network(network):
            raise EngineError(f"network {network} does not exist. Run `./sse up` first, which makes it")
