"""Carry out a plan: in dependency order and in parallel, gated on health, undone where a new container fails."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two questions to a container that is still starting
STOP_TIMEOUT = 10  # seconds, for a container whose spec is no longer known


class ApplyError(RuntimeError):
    """One container failed; the message says which, what was waited for, and what it said last."""


class Applier:
    """Applies the actions of one plan."""

    def __init__(self, engine: Engine, files: Files, release: dict[str, Any]) -> None:
        """Apply one numbered release."""
        self.engine = engine
        self.files = files
        self.release = release
        self.failed = threading.Event()
        self.seconds: dict[str, float] = {}

    def run(self, actions: list[Action], parallel: int) -> None:
        """Remove first (a name, address or port may be wanted again), then bring up the rest.

        :raises ApplyError: naming every container that failed
        """
        removals = {action.container: action for action in actions if action.kind == "remove"}
        self.graph({name: self.step(action) for name, action in removals.items()}, {}, parallel)
        wanted = {action.container: action for action in actions if action.kind != "remove"}
        self.graph({name: self.step(action) for name, action in wanted.items()}, self.order(wanted), parallel)

    def order(self, wanted: dict[str, Action]) -> dict[str, set[str]]:
        """Say which containers each one waits for: those it needs, and replicas of its own service in a row."""
        containers = self.release["containers"]
        after = {name: set(containers[name]["after"]) & set(wanted) for name in wanted}
        rows: dict[str, list[str]] = {}
        for name, action in wanted.items():
            if containers[name]["rolling"] and action.changes:
                rows.setdefault(containers[name]["service"], []).append(name)
        for row in rows.values():
            if any(wanted[name].kind in {"replace", "restart"} for name in row):
                # Those that are down come up first, so that never more than one replica is missing.
                row.sort(key=lambda name: wanted[name].kind in {"replace", "restart"})
                for earlier, later in itertools.pairwise(row):
                    after[later].add(earlier)
        return after

    def graph(self, steps: dict[str, Callable[[], None]], after: dict[str, set[str]], parallel: int) -> None:
        """Run steps in parallel, each when those it waits for are done; after a failure nothing new starts."""
        waiting = dict(steps)
        running: dict[Future[None], str] = {}
        done: set[str] = set()
        errors: list[str] = []
        with ThreadPoolExecutor(max_workers=max(1, parallel)) as pool:
            while waiting or running:
                for name in [name for name in waiting if after.get(name, set()) <= done]:
                    if not errors:
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
        if errors:
            raise ApplyError("\n\n".join(errors))
        if waiting:
            raise ApplyError(f"these wait for each other: {', '.join(sorted(waiting))}")

    def step(self, action: Action) -> Callable[[], None]:
        """Bind an action to what carries it out, and time it."""
        how = getattr(self, action.kind)

        def run() -> None:
            begun = time.monotonic()
            how(action)
            self.seconds[action.container] = round(time.monotonic() - begun, 2)

        return run

    def spec(self, name: str) -> Spec:
        """Return the spec of a container of this release."""
        return self.release["containers"][name]

    # One method per kind of action.

    def keep(self, action: Action) -> None:
        """Make sure that a container which is as it should be is healthy too."""
        if action.health != "healthy":
            self.gate(action.id, action.container, patient=False)

    def refresh(self, action: Action) -> None:
        """Write the secrets that a running container reads anew."""
        self.files.refresh(action.container, self.spec(action.container))
        self.keep(action)

    def create(self, action: Action) -> None:
        """Create and start a container."""
        made = self.make(action.container, action.container)
        self.engine.start(made)
        self.gate(made, action.container, patient=False)

    def start(self, action: Action) -> None:
        """Start a container that stands still."""
        self.engine.start(action.id)
        self.gate(action.id, action.container, patient=False)

    def restart(self, action: Action) -> None:
        """Restart a container that is unhealthy."""
        self.engine.stop(action.id, self.spec(action.container)["stop_timeout"])
        self.start(action)

    def remove(self, action: Action) -> None:
        """Stop and remove a container; its data stays."""
        spec = self.release["containers"].get(action.container)
        self.engine.stop(action.id, spec["stop_timeout"] if spec else STOP_TIMEOUT)
        self.engine.remove(action.id)
        self.files.forget(action.container)

    def replace(self, action: Action) -> None:
        """Replace a container: the new one is made before the old one stops, and the old one comes back on failure."""
        name = action.container
        made = self.make(name, f"{name}-next")
        try:
            self.engine.stop(action.id, self.spec(name)["stop_timeout"])
            self.engine.rename(action.id, f"{name}-previous")
            self.engine.rename(made, name)
            self.engine.start(made)
            self.gate(made, name, patient=True)
        except (ApplyError, EngineError) as error:
            self.engine.remove(made)
            self.engine.rename(action.id, name)
            self.engine.start(action.id)
            raise ApplyError(f"{error}\nThe earlier {name} is back and runs.") from error
        self.engine.remove(action.id)

    def make(self, name: str, temporary: str) -> str:
        """Create a container with our labels under a name; return its id."""
        spec = self.spec(name)
        base, _, number = spec["container"].rpartition("-")
        labels = {
            "stack": self.release["stack"],
            "project": self.release["project"],
            "service": spec["service"],
            "container": spec["container"],
            "release": str(self.release["number"]),
            "spec": fingerprint(spec),
            # These three group the containers in Portainer, Docker Desktop and lazydocker. Never config-hash or
            # oneoff beside them: with those, `docker compose down` of that project name deletes our containers.
            "com.docker.compose.project": self.release["project"],
            "com.docker.compose.service": base if base and number.isdigit() else spec["container"],
            "com.docker.compose.container-number": number if base and number.isdigit() else "1",
        }
        return self.engine.create(temporary, spec, labels, self.files.mounts(name, spec))

    def gate(self, container: str, name: str, *, patient: bool) -> None:
        """Wait until a container is healthy, asking just what its healthcheck asks, only sooner than the engine would.

        :param patient: go on waiting though another container failed
        :raises ApplyError: when it exits, restarts, or is not healthy within its start time
        """
        spec = self.spec(name)
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
            except EngineError as error:  # it ended between the two looks: the next one tells
                healthy, answer = False, str(error)
            if healthy:
                return
            waited = time.monotonic() - begun
            if waited > spec["healthcheck"]["start"]:
                raise ApplyError(self.report(container, name, f"not healthy after {waited:.0f} s: {answer}"))
            if self.failed.is_set() and not patient:
                raise ApplyError(f"{name}: not waited for any longer, because another container failed")
            (threading.Event() if patient else self.failed).wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)

    def report(self, container: str, name: str, what: str) -> str:
        """Say what happened to a container, with its health log, its last lines, and what to do next."""
        health = self.engine.inspect(container)["State"].get("Health")
        log = (health and health["Log"]) or []
        checks = [f"  check: exit {one['ExitCode']}: {one['Output'].strip()[-200:]}" for one in log[-3:]]
        lines = [f"  {line}" for line in self.engine.last_lines(container)]
        return "\n".join(
            [
                f"{name}: {what}",
                *checks,
                *(["its last lines:", *lines] if lines else ["it wrote nothing"]),
                f"Next: `docker logs {name}`, mend its configuration or image, and run `./sse up` again.",
            ]
        )


def clear_leftovers(engine: Engine, actions: list[Action]) -> None:
    """Undo what a killed run left behind."""
    for action in actions:
        if action.kind == "clear":
            engine.remove(action.id)
        else:
            engine.rename(action.id, action.container)
