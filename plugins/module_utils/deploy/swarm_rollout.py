# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""From releases to the services of a Swarm, on its first manager: number, plan, apply and record.

The manager keeps what a single host keeps: the secrets, the release store and the history.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import (
    plan_text,
    rollout,
    run_lock,
    swarm_apply,
    told_metrics,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError, unasked
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import half_restored
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import Control
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.model import (
    swarm_copies,
    swarm_nodes,
    swarm_placement,
    swarm_services,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import lacks_networks, on_both, swarm_plan
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    ReleaseStore,
    newest_releases,
    next_number,
    stack_number,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.node_files import NodeFiles
    from ansible_collections.sse.platform.plugins.module_utils.model import types
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import (
        NodeFact,
        ObservedService,
        SwarmFact,
    )
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService


TWICE = "~ networks: services that run join others, so each is replaced twice: first it is on the old ones, too"
NO_SWARM: SwarmFact = {
    "state": "inactive",
    "error": "",
    "id": "",
    "node": "",
    "address": "",
    "manager": False,
    "managers": [],
    "nodes": [],
}


@dataclass(frozen=True)
class SwarmRequest:
    """What a run is asked for."""

    releases: list[types.Release]  # one for each project, in the order in which they are rolled out
    cluster: swarm_services.Cluster
    addresses: Mapping[str, str]  # of each host of the inventory
    secrets: dict[str, str]  # given values, by name
    meta: types.RunMeta  # who asked for it, and what for
    at_once: int = 1  # replicas that are replaced together
    mtu: int = 1500  # the largest packet that every host can send
    check: bool = False  # plan only
    availability: Mapping[str, str] = field(default_factory=dict[str, str])  # of hosts where it may have to change
    bridges: bool = False  # services stay on the networks that they are on, beside those that they are to be on
    wave: int | None = None  # of the services to bring up; without it, all of them
    behind: Mapping[str, str] | None = None  # what each service lacks that keeps copies; None where nobody asked
    begun: types.Attempt | None = None  # what an earlier wave of this run wrote into the history
    run: Mapping[str, Any] = field(default_factory=dict[str, Any])  # what this run says of itself, for the lock
    wait: float = 0  # seconds for which to wait for another run
    recreate: bool = False  # whether an overlay that differs may be removed, with all services, and made anew
    tell: Callable[..., None] = unasked
    canary: types.CanaryWatch | None = None  # watches the first replica of each service that is replaced
    aborted: str = ""  # why what this run has changed is to be as the releases have it, which were applied before


@dataclass
class SwarmReport:
    """What a run has done so far, or would do in check mode."""

    around: list[str] = field(default_factory=list[str])  # nodes, networks and objects, one line each
    outcomes: list[rollout.Outcome] = field(default_factory=list[rollout.Outcome])
    afterwards: list[str] = field(default_factory=list[str])  # what followed the services, one line each
    attempt: types.Attempt | None = None  # as the history has it

    @property
    def changes(self) -> list[str]:
        """One line for each change."""
        done = [plan_text.line(one) for outcome in self.outcomes for one in outcome.actions if one.changes]
        return [*self.around, *done, *self.afterwards]

    @property
    def back(self) -> list[str]:
        """One line for each service that is as an earlier release has it."""
        return [
            f"{one.container} is back as release {outcome.number} has it"
            for outcome in self.outcomes
            for one in outcome.actions
            if one.changes
        ]

    def failure(self, error: Exception) -> str:
        """Say what went wrong, and what this run had done before."""
        done = [change.partition(":")[0] for change in self.changes]
        return f"{error}\n\nDone before that, and kept: {', '.join(done)}." if done else str(error)


class SwarmRollout:
    """The way from what the Swarm runs to new releases."""

    def __init__(self, request: SwarmRequest, api: SwarmApi | None = None, engine: Api | None = None) -> None:
        """Look at the Swarm.

        :raises ApplyError: this host is no manager of a Swarm
        """
        self.request = request
        self.api, self.engine = api or SwarmApi(), engine or Api()
        self.directory = request.cluster.state_directory
        self.control = Control(self.directory, request.run)
        self.stack = request.releases[0]["stack"]
        swarm = self.look()
        if not swarm["manager"] and not request.check:
            raise ApplyError("This host is no manager of a Swarm: run the whole playbook, which makes one")
        shown = {host: {"address": address} for host, address in request.addresses.items()}
        silent = set(swarm_services.hosts_of(swarm_services.EVERY, request.cluster.hosts)) - set(shown)
        self.nodes: dict[str, NodeFact] = swarm_placement.by_host(swarm, shown, silent)
        self.is_there = swarm["manager"]

    def look(self) -> SwarmFact:
        """Return what the engine says of its Swarm. Check mode may come before there is an engine."""
        try:
            return self.api.local()
        except OSError:
            if not self.request.check:
                raise
            return NO_SWARM

    def store(self, release: types.Release) -> Store:
        """Return the secrets, which this host keeps for the whole cluster."""
        return Store(self.directory, self.request.secrets, release.get("secrets", {}))

    def pinned(self, *, make: bool) -> list[tuple[types.Release, Store]]:
        """Return the releases with the fingerprints of their secrets."""
        found: list[tuple[types.Release, Store]] = []
        for release in self.request.releases:
            store = self.store(release)
            found.append((rollout.pin(release, None, store, make=make), store))
        return found

    def compiled(self) -> list[SwarmService]:
        """Return the services of all projects, and make nothing."""
        made = self.pinned(make=False)
        return [one for release, __ in made for one in swarm_services.services(release, self.request.cluster)]

    def held(self, services: list[SwarmService]) -> dict[str, str]:
        """Return the host with the data of each service that has some."""
        try:
            return swarm_placement.holders(services, self.request.cluster.hosts, self.nodes)
        except swarm_placement.PlacementError as error:
            raise ApplyError(str(error)) from None

    def homes(self, services: list[SwarmService], observed: list[ObservedService]) -> dict[str, swarm_placement.Home]:
        """Return where each service that may move is to run, when nodes have the availability that is asked for."""
        shown = {one.name: one for one in observed}
        asked = self.request.availability
        nodes: dict[str, NodeFact] = {
            host: {**node, "availability": asked.get(host, node["availability"])} for host, node in self.nodes.items()
        }
        idle = {node["id"]: host for host, node in nodes.items() if not swarm_placement.works(node)}
        found = swarm_placement.homes(services, self.request.cluster.hosts, nodes, shown)
        left = {
            name: next((idle[node] for node in shown[name].running if node in idle), "")
            for name in found
            if name in shown
        }
        return {name: swarm_placement.Home(host, nodes[host]["id"], left.get(name, "")) for name, host in found.items()}

    def files(self) -> tuple[dict[str, list[NodeFiles]], dict[str, dict[str, types.Spec]]]:
        """Return what each host needs: its directories with the texts of their files, and the specs of what reads them.

        Secrets that are not there are made. The specs are those of services that read files anew while they run.
        """
        found: dict[str, list[NodeFiles]] = {host: [] for host in self.request.addresses}
        specs: dict[str, dict[str, types.Spec]] = {host: {} for host in self.request.addresses}
        with self.alone():
            if broken := half_restored(self.directory, several=True):
                raise ApplyError(f"{broken}. Nothing was changed.")
            made = self.pinned(make=not self.request.check)
            compiled = [
                (service, store, release["containers"][service.name])
                for release, store in made
                for service in swarm_services.services(release, self.request.cluster)
            ]
            held = self.held([service for service, *__ in compiled])
            for service, store, spec in compiled:
                wanted = swarm_apply.node_files(service, store, make=not self.request.check)
                for host in swarm_placement.carried(service, self.request.cluster.hosts, held):
                    found.setdefault(host, []).extend(one for one in wanted if one not in found.get(host, []))
                    if spec.get("reload"):
                        specs.setdefault(host, {})[service.name] = spec
        return found, specs

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Let only one run change the stack at a time, and a preview say nothing of what another one has half done."""
        request = self.request
        return (rollout.looking if request.check else rollout.lock)(self.directory, request.run, request.wait)

    def run(self, report: SwarmReport) -> None:
        """Bring the Swarm to the releases, or, in check mode, only plan that.

        :param report: gets each change when it is done
        :raises ApplyError: a service failed; what runs of it is told
        :raises OSError: the kernel refuses a file, or no engine answers
        """
        request, check = self.request, self.request.check
        with self.alone():
            fresh = next_number(self.directory)
            before = 0 if check else stack_number(self.directory)
            recorder = None if check else Recorder(self.directory, request.meta, before, request.begun)
            try:
                whole = self.bring(report, fresh)
            except Exception as error:
                self.end(recorder, report, str(error))
                raise
            if whole and not check:
                run_lock.say_over(self.directory)
            self.end(recorder, report, request.aborted, whole=whole)
            if not check:
                told_metrics.tell_releases(self.directory)

    def bring(self, report: SwarmReport, fresh: int) -> bool:
        """Give nodes their labels, make what is missing, and roll out each project; tell whether no wave follows."""
        request, check = self.request, self.request.check
        joining = self.foresee() if check and self.is_there else []
        kept = newest_releases(self.directory) if request.aborted else []
        before = {one["project"]: one["number"] for one in kept}
        made = self.pinned(make=not check)
        compiled = [swarm_services.services(release, request.cluster) for release, __ in made]
        held = self.held([service for services in compiled for service in services])
        steps = list(swarm_placement.steps(self.stack, request.cluster.hosts, held, self.nodes, request.availability))
        if check and request.wave:
            pass  # it was told with the first wave
        elif check:
            report.around += [f"+ node {host}: joins the Swarm" for host in joining]
            report.around += [f"~ node {step.host}: {', '.join(step.reasons)}" for step in steps]
        else:
            report.around += swarm_apply.change_nodes(self.api, steps)
        gone = self.remake(report, [service for services in compiled for service in services])
        if check and not request.wave and not gone and self.moves(compiled):
            report.around.append(TWICE)
        for (release, store), wanted in zip(made, compiled, strict=True):
            store_of = ReleaseStore(self.directory, release["project"])
            number = before.get(release["project"]) or store_of.number_for(release, fresh)
            present = self.engine.networks() if self.is_there else []
            observed = self.api.services() if self.is_there else []
            if gone:
                present = [one for one in present if (one["Labels"] or {}).get(SWARM_LABEL) != self.stack]
                observed = [one for one in observed if one.label("stack") != self.stack]
            homes = self.homes(wanted, observed)
            running = swarm_apply.Running(
                self.api, self.engine, store, release, number, tell=request.tell, homes=homes, at_once=request.at_once,
                gate=unasked if request.aborted else self.control.gate, canary=request.canary,
            )  # fmt: skip
            made_here = swarm_apply.make_overlays(running, present, request.mtu, check=check)
            report.around += [] if check and request.wave else made_here
            names = {one["Id"]: one["Name"] for one in self.engine.networks()} if self.is_there else {}
            services = on_both(wanted, by_name(observed), names) if request.bridges else wanted
            actions = swarm_plan(services, observed, self.stack, release["project"], names, homes)
            actions = self.without_away(self.chosen(actions, services), held)
            self.refuse_last_copies(actions, services, observed)
            outcome = rollout.Outcome(release["project"], number, actions, "")
            if check:
                report.outcomes.append(outcome)
                continue
            self.apply(running, services, actions, report, store_of, whole=self.is_last(compiled))
        if not check and self.is_last(compiled):
            for kind, name, identity in swarm_apply.unused_objects(self.api, self.stack):
                self.api.remove_object(kind, identity)
                report.afterwards.append(f"- {kind[:-1]} {name}")
            named = [name for release, __ in made for name in release["networks"]]
            for network in swarm_apply.unused_overlays(self.engine, self.stack, named):
                self.api.remove_network(network["Id"])
                report.afterwards.append(f"- network {network['Name']}")
        return self.is_last(compiled)

    def remake(self, report: SwarmReport, services: list[SwarmService]) -> bool:
        """Remove the stack from the Swarm where an overlay is to be made anew; tell whether check mode foresees that.

        A later wave finds it as it should be. What has data must have ended before anything else may write them.

        :raises ApplyError: the run would be refused, something does not end, or an operator aborted the rollout
        """
        if not (self.request.recreate and self.is_there) or self.request.wave:
            return False
        networks = self.engine.networks()
        lines = [line for one in self.request.releases for line in swarm_apply.to_remake(one, networks)]
        if not lines:
            return False
        if not self.request.check:  # what is refused is so while everything runs, and so is a rollout that is paused
            preview = SwarmRollout(replace(self.request, check=True, wave=None), self.api, self.engine)
            preview.bring(SwarmReport(), next_number(self.directory))
        if not (self.request.check or self.request.aborted):
            self.control.gate()
        report.around += dict.fromkeys(lines)
        known = {one.id: one.name for one in self.api.services() if one.label("stack") == self.stack}
        report.around += swarm_apply.tear_down(self.api, self.engine, self.stack, check=self.request.check)
        if not self.request.check:
            swarm_apply.wait_for_the_end(self.api, known, max(map(swarm_apply.stop_seconds, services), default=0))
        return self.request.check

    def moves(self, compiled: list[list[SwarmService]] | None = None) -> bool:
        """Tell whether services that run have to join networks, such as those of another layout."""
        if not self.is_there:
            return False
        services = [one for services in compiled for one in services] if compiled else self.compiled()
        networks = {one["Id"]: one["Name"] for one in self.engine.networks()}
        return lacks_networks(services, by_name(self.api.services()), networks)

    def foresee(self) -> list[str]:
        """Take hosts that are no nodes yet for nodes, as which they have joined before a run gets here; return them."""
        found = [host for host in self.request.addresses if host not in self.nodes]
        self.nodes |= {host: swarm_placement.joined(host, self.request.addresses[host]) for host in found}
        return found

    def chosen(self, actions: list[Action], services: list[SwarmService]) -> list[Action]:
        """Return the actions of the plan that this run carries out."""
        wave = self.request.wave
        if self.request.aborted:
            touched = {one["container"] for one in (self.request.begun or {}).get("changes", [])}
            # What is gone went with an overlay that was to be made anew.
            actions = [one for one in actions if one.container in touched or one.kind == "create"]
        return actions if wave is None else [one for one in actions if wave_of(one, services) == wave]

    def without_away(self, actions: list[Action], held: Mapping[str, str]) -> list[Action]:
        """Leave out the services that wait for a drained host with their data: nobody can bring them up meanwhile.

        :param held: the host with the data of each service
        :raises ApplyError: one of them would have to change
        """
        asked = self.request.availability
        drained = {
            host for host, node in self.nodes.items() if asked.get(host, node["availability"]) == swarm_nodes.DRAINED
        }
        away = {one.container: held[one.container] for one in actions if held.get(one.container) in drained}
        if changing := [one.container for one in actions if one.changes and one.container in away]:
            hosts = " and ".join(dict.fromkeys(away[name] for name in changing))
            raise ApplyError(
                f"{', '.join(changing)} would change, and {hosts} with the data is drained: run ./sse node add first, "
                "which gives it tasks again"
            )
        return [one for one in actions if one.container not in away]

    def refuse_last_copies(
        self, actions: list[Action], services: list[SwarmService], observed: list[ObservedService]
    ) -> None:
        """Refuse to replace a service while another one that keeps copies with it lacks some of them.

        :raises ApplyError: naming both, and what is lacking
        """
        behind = self.request.behind
        if behind is None:
            return
        problems = swarm_copies.problems(actions, services, {one.name: one for one in observed}, behind)
        if problems:
            said = "A copy would be missing while another one is replaced. Expected all of them to run, and in sync"
            raise ApplyError("\n- ".join([f"{said}; then run it again.", *problems]))

    def apply(
        self,
        running: swarm_apply.Running,
        services: list[SwarmService],
        actions: list[Action],
        report: SwarmReport,
        store: ReleaseStore,
        *,
        whole: bool,
    ) -> None:
        """Roll out one project, or a wave of it, and record what came of it."""
        is_new = not store.has_applied(running.number)

        def record(outcome: types.ReleaseOutcome) -> None:
            if is_new:
                asked = self.request.meta
                meta: types.Meta = {"who": asked["who"], "when": asked["when"], "commit": asked["commit"]}
                back = f"rollback to {number}" if (number := asked.get("back_to")) else ""
                if note := ": ".join(filter(None, [back, asked["why"]])):
                    meta["note"] = note
                meta["outcome"] = outcome
                store.write({**running.release, "number": running.number, "meta": meta})

        record("applying")
        applier = swarm_apply.SwarmApplier(running, services)
        try:
            applier.run(actions, {one.name: one for one in self.api.services()})
        except Exception:
            with contextlib.suppress(OSError):
                record("failed")
            raise
        finally:
            done = [action for action in actions if action.container in applier.seconds]
            report.outcomes.append(
                rollout.Outcome(running.release["project"], running.number, done, "", applier.seconds)
            )
        if whole:
            record("applied")

    def is_last(self, compiled: list[list[SwarmService]]) -> bool:
        """Tell whether no wave follows. After those that bridge networks, all do."""
        if self.request.bridges:
            return False
        last = max((service.wave for services in compiled for service in services), default=0)
        return self.request.wave is None or self.request.wave >= last

    def remove(self, report: SwarmReport) -> None:
        """Remove everything of the stack from the Swarm; its data, secrets and releases stay."""
        with self.alone():
            if self.is_there:
                check = self.request.check
                report.around += swarm_apply.tear_down(self.api, self.engine, self.stack, check=check)

    def forget(self, report: SwarmReport) -> None:
        """Take the labels from nodes of the inventory that say who has data: these are about to be deleted there."""
        with self.alone():
            steps = list(swarm_placement.without_data(self.compiled(), self.nodes))
            if self.request.check:
                report.around += [f"~ node {step.host}: {', '.join(step.reasons)}" for step in steps]
            else:
                report.around += swarm_apply.change_nodes(self.api, steps)

    def end(self, recorder: Recorder | None, report: SwarmReport, error: str = "", *, whole: bool = True) -> None:
        """Write the end of the run, or of a wave of it, into the history."""
        if recorder is None:
            return
        changes: list[types.AttemptChange] = [
            {
                "container": one.container,
                "kind": one.kind,
                "reasons": one.reasons,
                "seconds": outcome.seconds.get(one.container, 0.0),
            }
            for outcome in report.outcomes
            for one in outcome.actions
            if one.changes
        ]
        others = [*report.around, *report.afterwards]
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            recorder.end(stack_number(self.directory), changes, others, error, whole=whole)
        report.attempt = recorder.attempt


def by_name(observed: list[ObservedService]) -> dict[str, ObservedService]:
    """Return services by their names."""
    return {one.name: one for one in observed}


def wave_of(action: Action, services: list[SwarmService]) -> int:
    """Return the wave of an action: what is not declared any more goes with the first."""
    waves = {one.name: one.first if action.kind == "create" else one.wave for one in services}
    return waves.get(action.container, 0)
