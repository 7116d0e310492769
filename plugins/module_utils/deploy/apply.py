# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Carry out a plan: in dependency order and in parallel. A container gets healthy, or the earlier one comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import cannot_start, reason, telling, way_on
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, files_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.held_connections import held
from ansible_collections.sse.platform.plugins.module_utils.deploy.made import MARK
from ansible_collections.sse.platform.plugins.module_utils.deploy.reload import Reloader, put_names_back
from ansible_collections.sse.platform.plugins.module_utils.deploy.taken_over import in_order, with_takeovers
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.host import processes
from ansible_collections.sse.platform.plugins.module_utils.model.repair import limits
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.types import CanaryWatch, Spec

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two health checks of a container that is starting
BACK_SECONDS = 10  # in which an earlier container that came back has to end, to be said to have ended
READ_LINES, SHOWN_LINES = 1000, 8  # of the log of a container that failed: where the cause is looked for, and its lines
STOP_TIMEOUT = 10  # seconds, for a container whose spec is unknown


def unasked(*__: object, **___: object) -> None:
    """Ask nothing between two steps, and tell nobody."""


@dataclass(frozen=True)
class Pace:
    """How a rollout goes from one replica to the next."""

    at_once: int = 1  # replicas of a service that may be missing together
    gate: Callable[[], None] = unasked  # before each step; it waits, or raises ApplyError
    verify: Callable[[str], None] = unasked  # raises ApplyError where no event goes through a replica
    canary: CanaryWatch | None = None  # watches a replica; raises ApplyError where it is not good
    tell: Callable[..., None] = unasked  # gets what happens to a container while it happens, as keywords


class Applier:
    """Carries out the actions of one plan."""

    def __init__(
        self,
        engine: Engine,
        files: Files,
        containers: Mapping[str, Spec],
        labels: Mapping[str, str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        """Apply one release.

        :param containers: the specs of the release, by full name
        :param labels: of every container that is created, as `Engine.create` takes them
        :param pace: how many replicas at once, and what is asked between two of them
        """
        self.engine = engine
        self.files = files
        self.containers = containers
        self.labels = labels or {}
        self.reloader = Reloader(engine, files, containers, self.labels)
        self.pace = pace or Pace()
        self.started: Callable[[], None] = unasked  # told whenever a container has another id, or runs again
        self.canaries: set[str] = set()  # the first replica of each service that is replaced
        self.failed = threading.Event()
        self.seconds: dict[str, float] = {}  # by container, of the actions that are done
        self.stops: dict[str, list[Action]] = {}  # by container, those that must stop before it can start

    def refuse_invalid(self, actions: list[Action], *, check: bool = False) -> None:
        """Check the new files of every container that gets some, before anything is touched.

        Of one that is new, only where they need nothing that other containers make or that the rollout places.

        :param check: in check mode; then what needs an image or a secret that is not there yet is not checked
        :raises ApplyError: naming the first that is not valid, with the reason
        """
        for action in actions:
            known = action.kind in {"reload", "replace"} or (action.kind == "create" and self.alone(action.container))
            if known and not (check and self.lacks(action.container)):
                # In check mode a run may begin at the same time. It takes the throwaway container for a leftover.
                with contextlib.suppress(EngineError) if check else contextlib.nullcontext():
                    self.reloader.check(action.container)

    def alone(self, name: str) -> bool:
        """Tell whether the files of a container can be checked before there is anything else of the stack."""
        spec = self.containers[name]
        return not spec["binds"] and not spec.get("live_secrets") and not spec.get("shared")

    def lacks(self, name: str) -> bool:
        """Tell whether the image of a container or one of its secrets is not there yet."""
        spec = self.containers[name]
        return spec.get("image_id") is None or not self.files.store.foreseen.keys().isdisjoint(
            spec.get("fingerprints", {})
        )

    def run(self, actions: list[Action], parallel: int) -> None:
        """Remove containers first, since another may need their name, address or port. Then bring up the others.

        :param parallel: how many containers are worked on at once
        :raises ApplyError: naming every container that failed
        """
        removals = {action.container: action for action in actions if action.kind == "remove"}
        self.graph({name: self.step(action) for name, action in removals.items()}, {}, parallel)
        wanted = {action.container: action for action in actions if action.kind != "remove"}
        found = with_takeovers(self.needed(wanted), wanted, self.containers, self.engine)
        self.stops = found.stops
        order = self.in_rows(wanted, found.after)
        self.graph({name: self.step(action) for name, action in wanted.items()}, order, parallel)

    def needed(self, wanted: dict[str, Action]) -> dict[str, set[str]]:
        """Return which containers each one needs."""
        after = {name: set(self.containers[name]["after"]) & set(wanted) for name in wanted}
        for name, action in wanted.items():
            if action.kind == "reload":  # what it may read of is there then: a proxy gets a server that answers
                after[name] |= self.made_for(name, wanted)
        return after

    def in_rows(self, wanted: dict[str, Action], needed: Mapping[str, set[str]]) -> dict[str, set[str]]:
        """Return which containers each one waits for: those that it needs, and the replica before it in a row."""
        after = {name: set(others) for name, others in needed.items()}
        rows: dict[str, list[str]] = {}
        for name, action in wanted.items():
            if self.containers[name]["rolling"] and action.changes:
                rows.setdefault(self.containers[name]["service"], []).append(name)
        for row in rows.values():
            if any(wanted[name].kind in {"replace", "restart"} for name in row):
                # Replicas that are down start first, so that never more than one replica is missing.
                row.sort(key=lambda name: wanted[name].kind in {"replace", "restart"})
                row[:] = in_order(row, after)
                for earlier, later in zip(row, row[self.pace.at_once :], strict=False):
                    after[later].add(earlier)
            canary = next((name for name in row if wanted[name].kind == "replace"), None)
            if self.pace.canary and canary:
                self.canaries.add(canary)
                for name in row[row.index(canary) + 1 :]:
                    after[name].add(canary)
        return after

    def made_for(self, name: str, wanted: dict[str, Action]) -> set[str]:
        """Return the containers that are created, that a container connects to, and that do not wait for it."""
        peers = {one["to"].partition(":")[0] for one in self.containers[name].get("reaches", ())}
        made = {other for other, action in wanted.items() if action.kind == "create"}
        return {
            other
            for other in made
            if self.containers[other].get("container") in peers and name not in self.needed_by(other)
        }

    def needed_by(self, name: str) -> set[str]:
        """Return every container that one waits for, also by way of others."""
        found: set[str] = set()
        queue = [name]
        while queue:
            new = set(self.containers[queue.pop()]["after"]) & self.containers.keys() - found
            found |= new
            queue += new
        return found

    def graph(self, steps: dict[str, Callable[[], None]], after: dict[str, set[str]], parallel: int) -> None:
        """Run steps in parallel, each after those that it waits for. After a failure no new step starts."""
        waiting = dict(steps)
        running: dict[Future[None], str] = {}
        done: set[str] = set()
        errors: list[str] = []
        with ThreadPoolExecutor(max_workers=max(1, parallel)) as pool:
            while waiting or running:
                for name in [name for name in waiting if after.get(name, set()) <= done]:
                    if not errors and self.may_go_on(errors):
                        running[pool.submit(waiting.pop(name))] = name
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    name = running.pop(future)
                    error = future.exception()
                    if error is None:
                        done.add(name)
                    elif isinstance(error, (ApplyError, EngineError)):
                        errors.append(str(error))
                        self.failed.set()
                    else:
                        raise error
        if steps and not errors:
            self.may_go_on(errors)  # it may have been aborted during the last step
        if errors:
            raise ApplyError("\n\n".join(errors))
        if waiting:
            raise ApplyError(f"these containers wait for each other: {', '.join(sorted(waiting))}")

    def may_go_on(self, errors: list[str]) -> bool:
        """Wait while the rollout is paused; add an error where it is aborted."""
        try:
            self.pace.gate()
        except ApplyError as error:
            errors.append(str(error))
            self.failed.set()
        return not errors

    def step(self, action: Action) -> Callable[[], None]:
        """Return a function that carries out an action and keeps how long it took."""

        def run() -> None:
            begun = time.monotonic()
            self.tell(action.container, doing=action.kind)
            try:
                with files_told():
                    self.carry_out(action)
            except (ApplyError, EngineError) as error:
                self.tell(action.container, failed=str(error).partition("\n")[0].removeprefix(f"{action.container}: "))
                raise
            self.seconds[action.container] = round(time.monotonic() - begun, 2)
            self.tell(action.container, seconds=self.seconds[action.container])

        return run

    def tell(self, name: str, **what: str | float) -> None:
        """Tell what happens to a container, by its short name."""
        spec = self.containers.get(name)
        self.pace.tell(row=spec["container"] if spec else name, **what)

    def carry_out(self, action: Action) -> None:
        """Carry out an action. Pyright reports a kind of action that has no case here."""
        name = action.container
        match action.kind:
            case "keep":
                if action.health != "healthy":
                    self.wait_until_healthy(action.id, name, patient=False)
            case "mend":
                self.mend(action)
            case "reload":
                self.repair(action)
                if self.reloader.has_program(name):  # it asks what may have just started
                    self.wait_until_healthy(action.id, name, patient=False)
                self.reloader.reload(action)
                self.wait_until_healthy(action.id, name, patient=False)
            case "create":
                with self.room(name):
                    self.create(name)
            case "replace":
                with self.room(name):
                    self.replace(action)
            case "start":
                self.repair(action)
                self.start(action.id, name)
            case "restart":
                self.restart(action)
            case "remove":  # its data stays
                known = self.containers.get(name)
                self.engine.stop(action.id, known["stop_timeout"] if known else STOP_TIMEOUT)
                self.engine.remove(action.id)
                self.files.forget(name)
            case "restore" | "rename":  # a killed run left it aside under another name, or somebody renamed it
                self.engine.rename(action.id, name)
            case "clear":  # a killed run left it half made, or somebody made it by hand
                self.engine.remove(action.id)

    @contextlib.contextmanager
    def room(self, name: str) -> Generator[None]:
        """Stop those that have an address or a port which a container needs; they run again if it fails."""
        stopped = self.stops.get(name, [])
        for one in stopped:
            self.engine.stop(one.id, self.containers[one.container]["stop_timeout"])
        try:
            yield
        except (ApplyError, EngineError):
            for one in stopped:
                self.engine.start(one.id)
            raise

    def create(self, name: str) -> None:
        """Create a container that was not there."""
        made = self.make(name, name)
        self.files.loaded.forget(name)
        self.files.made.only(name, made)
        try:
            self.start(made, name)
        except (ApplyError, EngineError):
            if name in self.stops:
                self.engine.stop(made, 0)  # those that stopped for it run again
            raise

    def start(self, container: str, name: str) -> None:
        """Start a container, wait until it is healthy, and have its files count where a program does that."""
        with self.reloader.program_due(container, name):
            self.begin(container, name)
            self.wait_until_healthy(container, name, patient=False)
            self.reloader.run_program(container, name, {}, started=True)

    def mend(self, action: Action) -> None:
        """Repair a container in place. One that was unhealthy and stays so is restarted."""
        before = self.reloader.taken(action.id, action.container)
        self.repair(action)
        try:
            self.wait_until_healthy(action.id, action.container, patient=False)
            if any(one.kind in {"write", "tell"} for one in action.repairs):
                self.reloader.run_program(action.id, action.container, before)
        except ApplyError:
            if "is unhealthy" not in action.reasons:
                raise
            self.restart(action._replace(repairs=()))

    def restart(self, action: Action) -> None:
        """Stop a container, repair it, and start it again. New connections wait meanwhile."""
        name, spec = action.container, self.containers[action.container]
        with held(name, spec):
            self.farewell(spec)
            self.engine.stop(action.id, spec["stop_timeout"])
            try:
                self.repair(action)
            except (ApplyError, EngineError):
                self.engine.start(action.id)  # as it was is better than not at all
                raise
            self.start(action.id, name)
        if spec["rolling"]:
            self.pace.verify(name)

    def repair(self, action: Action) -> None:
        """Make the repairs of an action."""
        name, spec = action.container, self.containers[action.container]
        for one in action.repairs:
            match one.kind:
                case "connect":
                    self.engine.connect(action.id, one.subject, spec)
                case "disconnect":
                    self.engine.disconnect(action.id, one.subject)
                case "names" | "update" | "write" | "tell":
                    pass  # all of a kind are made at once
                case "restart":
                    pass  # the action itself is one
        kinds = {one.kind for one in action.repairs}
        if not kinds.isdisjoint({"connect", "disconnect", "names"}):
            put_names_back(self.engine, action.id, spec)
        if "update" in kinds:
            self.engine.update(action.id, limits(spec))
        if "write" in kinds:
            self.files.mounts(name, spec)

    def replace(self, action: Action) -> None:
        """Replace a container. The new one is made before the old one stops; if it fails, the old one comes back."""
        name = action.container
        spec = self.containers[name]
        # After a reload, what the old one has mounted may be the very directory that the new one gets.
        put_back = self.files.kept(self.files.directories(name, spec, self.files.version(name, spec)).values())
        before, earlier = self.reloader.taken(action.id, name), self.files.loaded.read(name)
        try:
            made = self.make(name, f"{name}-next")
        except (ApplyError, EngineError):
            put_back()
            raise
        try:
            with held(name, spec), self.reloader.program_due(made, name):
                self.farewell(spec)
                self.exchange(action, made)
                self.reloader.run_program(made, name, before, started=True)
            self.judge(name, spec)
        except (ApplyError, EngineError) as error:
            with contextlib.suppress(EngineError):
                self.engine.stop(made, spec["stop_timeout"])  # what it serves gets a bye
            self.engine.remove(made)
            lost = put_back()
            self.engine.rename(action.id, name)
            self.files.loaded.put_back(name, earlier)
            back = f"The earlier {name} is back and {self.come_back(action.id, name)}"
            with contextlib.suppress(ApplyError):  # why the new one failed counts more
                self.files.made.only(name, action.id)
            raise ApplyError("\n".join(filter(None, [str(error), back, lost]))) from error
        self.engine.remove(action.id)
        self.files.loaded.forget(name)
        self.files.made.only(name, made)

    def come_back(self, container: str, name: str) -> str:
        """Start the earlier container, and say how that went: what it reads may be of today, or it did not run before.

        Why the new one failed counts more: it is waited for until it answers, and not for long.
        """
        try:
            self.engine.start(container)
            before, begun = self.engine.inspect(container)["RestartCount"], time.monotonic()
            while time.monotonic() < begun + BACK_SECONDS:
                found = self.engine.inspect(container)
                if not found["State"]["Running"] or found["RestartCount"] > before:
                    return f"does not run either: `docker logs {name}` says why."
                with contextlib.suppress(EngineError):  # it ended in between; the next inspection says how
                    if check_health(self.engine, container, self.containers[name])[0]:
                        break
                time.sleep(LONGEST_PAUSE)
        except EngineError as error:
            return f"can't start either: {reason(str(error))}"
        return "runs."

    def judge(self, name: str, spec: Spec) -> None:
        """Verify a new replica, and watch it if it is the canary; raises ApplyError."""
        if spec["rolling"]:
            self.tell(name, doing="verify")
            self.pace.verify(name)
            if name in self.canaries and self.pace.canary:
                self.tell(name, doing="watch")
                self.pace.canary(name, spec, self.pace.gate)

    def farewell(self, spec: Spec) -> None:
        """Have the containers behind this one say bye on the streams that end with it, so that no client is cut off.

        One of an earlier version that does not know the signal gets none: it would end by it.
        """
        wanted = spec.get("farewell", {})
        for name, other in self.containers.items():
            if sent := wanted.get(other["container"]):
                with contextlib.suppress(EngineError):  # it does not run, so it has no stream
                    if processes.handles(self.engine.inspect(name)["State"]["Pid"], sent):
                        self.engine.signal(name, sent)

    def exchange(self, action: Action, made: str) -> None:
        """Stop the old container, start the new one in its place, and wait until it is healthy."""
        name = action.container
        self.engine.stop(action.id, self.containers[name]["stop_timeout"])
        self.engine.rename(action.id, f"{name}-previous")
        self.engine.rename(made, name)
        self.begin(made, name)
        self.wait_until_healthy(made, name, patient=True)

    def begin(self, container: str, name: str) -> None:
        """Start a container.

        :raises ApplyError: the engine can't start it; the message names it, and says why in the words that count
        """
        self.tell(name, doing="start")
        try:
            self.engine.start(container)
        except EngineError as error:
            raise ApplyError(cannot_start(name, str(error))) from error
        self.started()

    def make(self, name: str, temporary: str) -> str:
        """Create a container with our labels under a name; return its id."""
        spec, mark = self.containers[name], self.files.made.begin(name)
        base, __, number = spec["container"].rpartition("-")
        labels = {
            **self.labels,
            "service": spec["service"],
            "container": spec["container"],
            "spec": fingerprint(spec),
            MARK: mark,
            # With the project's label, these two group the containers in Portainer, Docker Desktop and lazydocker.
            # Never add config-hash or oneoff: then `docker compose down` of that project deletes our containers.
            "com.docker.compose.service": base if base and number.isdigit() else spec["container"],
            "com.docker.compose.container-number": number if base and number.isdigit() else "1",
        }
        made = self.engine.create(
            temporary, spec, labels, self.files.mounts(name, spec, self.files.version(name, spec))
        )
        self.files.made.end(name, mark, made)
        return made

    def wait_until_healthy(self, container: str, name: str, *, patient: bool) -> None:
        """Wait until a container is healthy. This asks what its health check asks, but sooner than the engine would.

        :param patient: go on waiting although another container failed
        :raises ApplyError: when it exits, restarts, or is not healthy within its start time
        """
        spec = self.containers[name]
        begun = time.monotonic()
        restarts = self.engine.inspect(container)["RestartCount"]
        pause = FIRST_PAUSE
        while True:
            found = self.engine.inspect(container)
            state = found["State"]
            if not state["Running"] or found["RestartCount"] > restarts:
                why = "ran out of memory" if state.get("OOMKilled") else f"exit code {state['ExitCode']}"
                raise ApplyError(self.report(container, name, f"stopped while starting ({why})"))
            try:
                healthy, answer = check_health(self.engine, container, spec)
            except EngineError as error:  # it ended in between; the next inspection says how
                healthy, answer = False, str(error)
            if healthy:
                return
            waited = time.monotonic() - begun
            if waited > spec["healthcheck"]["start"]:
                raise ApplyError(self.report(container, name, f"not healthy after {waited:.0f} s: {answer}"))
            if self.failed.is_set() and not patient:
                raise ApplyError(f"{name}: not healthy yet, and not waited for, because another container failed")
            (threading.Event() if patient else self.failed).wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def report(self, container: str, name: str, what: str) -> str:
        """Write what happened to a container and why, by what it wrote, its last health checks, and what to do next."""
        health = self.engine.inspect(container)["State"].get("Health")
        log = (health and health["Log"]) or []
        checks = [f"  check: exit {one['ExitCode']}: {one['Output'].strip()[-200:]}" for one in log[-3:]]
        why, *more = told = telling(self.engine.last_lines(container, READ_LINES), SHOWN_LINES) or ["it wrote nothing"]
        ways = [way] if (way := way_on(told)) else []
        return "\n".join(
            [
                f"{name}: {what}: {why}",
                *(f"  {line}" for line in more),
                *checks,
                *ways,
                f"Next: read `docker logs {name}`, correct its configuration or image, and run `./sse up` again.",
            ]
        )
