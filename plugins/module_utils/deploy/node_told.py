# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have containers of a Swarm read the files that changed on their host, and run the programs of roles beside them.

A service whose files change makes no new tasks: on each host that runs one, the files are checked by its own program
before they are written, and its container is told afterwards. A container that started since then has read them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import node_files, program, told_metrics
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, files_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import contents
from ansible_collections.sse.platform.plugins.module_utils.deploy.reload import (
    CHECK_SECONDS,
    not_valid,
    refuse_invalid,
    signalled,
    trial_of,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.trials import trial_name
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import seconds
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_services
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, TRIAL
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import RELOADED, SWARM_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Mounts
    from ansible_collections.sse.platform.plugins.module_utils.deploy.node_files import NodeFiles
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected, ListedContainer
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Reload, Spec
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

SERVICE = "com.docker.swarm.service.name"  # the label that the engine gives the container of a task

# A program may wait until a container has what others of its kind on other hosts have, which it copies meanwhile. It
# ends by itself where nothing is copied any more.
PROGRAM_SECONDS = 6 * 3600.0

What = Literal["nothing", "remember", "start", "tell"]


class Told(TypedDict):
    """What a container of a service was told last."""

    id: str  # of the container
    files: str  # the hash of those that it has read
    given: NotRequired[dict[str, str]]  # to the program of its service: what that has to take back is what counts still


class Moment(NamedTuple):
    """A container and the files of its host, at one moment."""

    id: str
    started: float  # seconds since the epoch
    files: str  # the hash of those that it mounts
    changed: float  # when the newest of them changed


def what_to_do(told: Told | None, now: Moment, reload: Reload) -> What:
    """Say what a container has to be told.

    :param told: what the last run told a container of this service; None where nobody knows
    """
    if told and (told["id"], told["files"]) == (now.id, now.files):
        return "nothing"
    if now.changed > now.started or (told and told["id"] == now.id):
        return "tell"
    return "start" if reload.get("program") and reload.get("at_start", True) else "remember"


def names(listed: Iterable[ListedContainer], stack: str, now: dt.datetime) -> str:
    """Return the names of a stack's containers on one host as JSON, as `told_metrics.names` does for a single host."""
    found = {
        one["Id"]: {"name": labels[SERVICE], "container": labels.get(f"{LABEL}container", ""), "release": ""}
        for one in listed
        for labels in [one["Labels"] or {}]
        if labels.get(SWARM_LABEL) == stack and SERVICE in labels
    }
    return json.dumps({"written": int(now.timestamp()), "containers": found}, indent=1) + "\n"


def running(engine: Engine, stack: str) -> Iterator[tuple[str, str]]:
    """Yield each container that runs on this host for a service of a stack, by the name of the service and its id."""
    for one in engine.ask(engine.questions.containers) or []:
        labels = one["Labels"] or {}
        if labels.get(SWARM_LABEL) == stack and SERVICE in labels and one["State"] == "running":
            yield labels[SERVICE], one["Id"]


class Node:
    """The containers of one stack on one host of a cluster."""

    def __init__(self, engine: Engine, state_directory: str, stack: str, specs: Mapping[str, Spec]) -> None:
        """Work on one host.

        :param specs: of the services whose files are read anew, and which this host may run
        """
        self.engine, self.state, self.stack = engine, Path(state_directory), stack
        self.specs = {name: one for name, one in specs.items() if one.get("reload")}

    def check(self, directories: list[NodeFiles]) -> None:
        """Have the program of each service check its files, where they differ from those of this host.

        :raises ApplyError: with the reason that the program gives; nothing was touched
        """
        for name, spec in self.specs.items():
            own = [one for one in directories if one["service"] == name]
            reload = cast("Reload", spec.get("reload"))
            if reload["check"] and any(list(node_files.differences(self.state, one)) for one in own):
                code, output = self.tried(name, spec, reload, own)
                if code:
                    raise not_valid(name, spec, reload, code, output)

    @files_told()
    def tried(self, name: str, spec: Spec, reload: Reload, own: list[NodeFiles]) -> tuple[int, str]:
        """Run the check of a service over files that are written for that alone."""
        place = self.state / "trial" / trial_name(name)
        is_first = not self.state.is_dir()
        mounts: Mounts = {target: (source, True) for target, source in spec["binds"].items() if Path(source).is_dir()}
        try:
            for number, one in enumerate(own):
                path = place / str(number)
                state_modes.make(self.state / "trial")
                node_files.write(path, one, self.state / "trial")
                state_modes.hand_over(path, self.state / "trial", state_modes.PRIVATE, node_files.owner_of(one["user"]))
                mounts[one["target"]] = (str(path), True)
            return self.engine.try_out(f"{place.name}{TRIAL}", trial_of(spec, reload), {}, mounts, CHECK_SECONDS)
        finally:
            shutil.rmtree(self.state if is_first else place, ignore_errors=True)

    def tell(self) -> list[str]:
        """Tell each container what it has not read yet; return one line for each that was told.

        :raises ApplyError: a container did not take its files; the next run tells it again
        """
        changes: list[str] = []
        for name, found in self.running():
            spec = self.specs[name]
            reload = cast("Reload", spec.get("reload"))
            now = self.moment(name, found, reload)
            told = self.told(name)
            what = what_to_do(told, now, reload)
            given = program.taken(found, reload.get("takes", [])) if reload.get("program") else {}
            earlier = told.get("given", {}) if told else {}
            if what == "tell" and not reload.get("program"):
                signalled(self.engine, now.id, name, reload, spec["memory"])
                changes.append(f"~ {name}: reads its files anew")
            elif what in {"tell", "start"} and reload.get("program"):
                before = earlier if earlier != given else {}
                pid, config = found["State"]["Pid"], program.config_of(spec)
                said = program.run(name, pid, reload.get("program", ""), given, before, config, seconds=PROGRAM_SECONDS)
                changes.append(f"~ {name}: {said or 'its program has run'}")
            if what != "nothing" or earlier != given:
                self.remember(name, {"id": now.id, "files": now.files, "given": given})
        return changes

    def again(self) -> list[str]:
        """Have each container read its files as they are on this host, after a check; return those that did.

        :raises ApplyError: they are not valid, and it goes on with what it has read before
        """
        done: list[str] = []
        for name, found in self.running():
            spec = self.specs[name]
            reload = cast("Reload", spec.get("reload"))
            if reload.get("program"):
                given = program.taken(found, reload.get("takes", []))
                program.run(name, found["State"]["Pid"], reload.get("program", ""), given, {}, program.config_of(spec))
            else:
                refuse_invalid(self.engine, name, spec, found, {})
                signalled(self.engine, found["Id"], name, reload, spec["memory"])
            done.append(name)
        return done

    def behind(self) -> dict[str, str]:
        """Return what each container here that keeps copies with others lacks of them, by the name of its service."""
        found: dict[str, str] = {}
        for name, running in self.running():
            reload = cast("Reload", self.specs[name].get("reload"))
            if swarm_services.keeps_copies(self.specs[name]):
                given = program.taken(running, reload.get("takes", []))
                try:
                    found[name] = program.behind(name, running["State"]["Pid"], reload.get("program", ""), given)
                except ApplyError as error:
                    found[name] = str(error).removeprefix(f"{name}: ")
        return found

    def gather(self, names: Iterable[str]) -> None:
        """Have containers get the only copy of everything, where they are to be alone soon.

        :raises ApplyError: one of them does not run, or with what its program says
        """
        found = dict(self.running())
        for name in names:
            if name not in found:
                raise ApplyError(f"{name}: it does not run here, so it cannot get what the others have")
            reload = cast("Reload", self.specs[name].get("reload"))
            given = program.taken(found[name], reload.get("takes", []))
            program.gather(name, found[name]["State"]["Pid"], reload.get("program", ""), given, PROGRAM_SECONDS)

    def tell_names(self) -> None:
        """Write down the containers of this host by their ids, for whoever reads the figures of the kernel."""
        now = dt.datetime.now(dt.timezone.utc)
        listed = self.engine.ask(self.engine.questions.containers) or []
        told_metrics.write(str(self.state), told_metrics.NAMES, names(listed, self.stack, now))

    def running(self) -> Iterator[tuple[str, Inspected]]:
        """Yield the newest container of each service that runs here."""
        found: dict[str, list[Inspected]] = {}
        for name, identity in running(self.engine, self.stack):
            if name in self.specs:
                found.setdefault(name, []).append(self.engine.inspect(identity))
        for name, all_of_it in sorted(found.items()):
            yield name, max(all_of_it, key=lambda one: seconds(one["State"]["StartedAt"]))

    def moment(self, name: str, found: Inspected, reload: Reload) -> Moment:
        """Look at a container and at the files that a program or a signal makes count."""
        takes = reload.get("takes", [])
        below = str(self.state / "files" / name / RELOADED)
        mounts = [(one["Destination"], Path(one["Source"])) for one in found["Mounts"] or []]
        read = {to: path for to, path in mounts if (to in takes if takes else str(path).startswith(f"{below}/"))}
        texts = {target: contents(path) for target, path in sorted(read.items())}
        digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]
        times = [path.stat().st_ctime for directory in read.values() for path in directory.rglob("*")]
        return Moment(found["Id"], seconds(found["State"]["StartedAt"]), digest, max(times, default=0.0))

    def told(self, name: str) -> Told | None:
        """Return what a container of a service was told last. A damaged file counts as none."""
        try:
            return cast("Told", json.loads(self.record(name).read_text()))
        except (OSError, ValueError):
            return None

    @files_told()
    def remember(self, name: str, told: Told) -> None:
        """Write down what a container was told."""
        state_modes.make(self.record(name).parent)
        write_file(self.record(name), json.dumps(told), durable=True)

    def record(self, name: str) -> Path:
        """Return the file for what a container of a service was told."""
        return self.state / "loaded" / f"{name}.task.json"
