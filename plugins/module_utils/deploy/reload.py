# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Check a service's new files with the program that reads them, and have a running container read them anew."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import program
from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import cause
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.program import taken
from ansible_collections.sse.platform.plugins.module_utils.deploy.trials import trial_name
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import hosts_file, processes
from ansible_collections.sse.platform.plugins.module_utils.model.observed import TRIAL

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
    from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import Loaded
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.host.processes import Process
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.types import OldProcesses, Release, Reload, Spec

CHECK_SECONDS = 60.0  # a check reads some files; on a machine that is busy starting containers it waits its turn
RELOAD_SECONDS = 30.0  # until a container says that it has read its files
HANDOVER_SECONDS = 5.0  # until the old processes of a reload accept no more connections; they do at once
SHARED_BYTES = 2**20  # in a trial, of each directory that a container shares with others
PAUSE = 0.05  # seconds between two looks
ONE_RELOAD = 0.5  # seconds within which a reload starts all its processes
MEMORY_SHARE = 0.75  # of its memory that a container may have in use after a reload: connections need the rest

# How programs name the place in a file.
PLACE = re.compile(r"(/[\w./-]+):(\d+)\b")


def trial_of(spec: Spec, reload: Reload) -> Spec:
    """Return a container that checks files.

    What it shares with others is no part of that: a program that opens a file there gets an empty directory.
    """
    empty = dict.fromkeys(spec.get("shared", {}), SHARED_BYTES)
    tmpfs = {**spec["tmpfs"], **empty}
    return {**spec, "entrypoint": reload["check"], "command": [], "init": False, "tmpfs": tmpfs}


class Reloader:
    """Checks and reloads the containers of one release."""

    def __init__(self, engine: Engine, files: Files, containers: Mapping[str, Spec], labels: Mapping[str, str]) -> None:
        """Work on one release.

        :param containers: the specs of the release, by full name
        :param labels: as `Engine.create` takes them; the next run removes what it finds of a killed one by them
        """
        self.engine = engine
        self.files = files
        self.containers = containers
        self.labels = dict(labels)
        self.told: list[str] = []  # what the programs of roles have verified

    def taken(self, container: str, name: str) -> dict[str, str]:
        """Return the files of a container that a program makes count; empty where its service declares none."""
        takes = (self.containers[name].get("reload") or {}).get("takes", [])
        return taken(self.engine.inspect(container), takes) if takes else {}

    def run_program(self, container: str, name: str, before: Mapping[str, str], *, started: bool = False) -> None:
        """Have the program of a service make the files count that its container has now, where it declares one.

        :param before: the files that it had
        :param started: whether the container has just started
        :raises ApplyError: they do not count
        """
        reload = self.containers[name].get("reload")
        if not reload or not reload.get("program") or (started and not before and not reload.get("at_start", True)):
            return
        pid = self.engine.inspect(container)["State"]["Pid"]
        told = program.run(name, pid, reload.get("program", ""), self.taken(container, name), before, self.config(name))
        if told:
            self.told.append(f"{name}: {told}")

    def config(self, name: str) -> dict[str, str]:
        """Return the config of a container, by path in it."""
        return program.config_of(self.containers[name])

    def differences(self, container: str, name: str) -> list[str]:
        """Say what differs in a running server from its files, where its program can tell.

        A program that fails tells nothing: what is wrong with a server that does not answer is told by its health.
        """
        reload = self.containers[name].get("reload")
        if not reload or not reload.get("looks"):
            return []
        with contextlib.suppress(ApplyError, EngineError):
            pid = self.engine.inspect(container)["State"]["Pid"]
            return program.look(name, pid, reload.get("program", ""), self.taken(container, name), self.config(name))
        return []

    def has_program(self, name: str) -> bool:
        """Tell whether a program makes the files of a container count."""
        return bool((self.containers[name].get("reload") or {}).get("program"))

    @contextlib.contextmanager
    def program_due(self, container: str, name: str) -> Generator[None]:
        """Remember while a container starts that the program of its service is to run.

        Where this run fails or is killed before, the next one finds that out, and runs it.
        """
        spec = self.containers[name]
        if not self.has_program(name):
            yield
            return
        loaded = self.files.loaded
        earlier = loaded.read(name)
        version = self.files.version(name, spec).name
        release = self.labels.get("release", "")
        loaded.write(name, {"id": container, "version": version, "spec": spec, "release": release, "ended": False})
        yield
        ours = earlier if earlier and earlier["id"] == container else None
        loaded.put_back(name, ours and {**ours, "spec": spec, "ended": True})

    def check(self, name: str) -> None:
        """Have the program of a container's new image check the new files, if its service declares how.

        :raises ApplyError: with the reason that the program gives; nothing was touched
        """
        spec = self.containers[name]
        reload = spec.get("reload")
        if not reload or not reload["check"]:
            return
        trial = trial_of(spec, reload)
        with self.files.trial(name, spec) as mounts:
            code, output = self.engine.try_out(f"{trial_name(name)}{TRIAL}", trial, self.labels, mounts, CHECK_SECONDS)
        if code != 0:
            raise not_valid(name, spec, reload, code, output)

    def again(self, name: str, container: str) -> None:
        """Have a running container read its files as they are on the host, after a check.

        :raises ApplyError: they are not valid, and it goes on with what it has read before
        """
        spec = self.containers[name]
        reload = spec.get("reload")
        if not reload:
            raise ApplyError(f"{name}: its service declares no way to reload")
        inspected = self.engine.inspect(container)
        if not inspected["State"]["Running"] or inspected["State"]["Paused"]:
            raise ApplyError(f"{name} does not run, so it can't reload. Run `./sse up`, which starts it.")
        if reload.get("program"):
            self.run_program(container, name, {})
            return
        refuse_invalid(self.engine, name, spec, inspected, self.labels)
        self.signalled(container, name, reload)

    def reload(self, action: Action) -> None:
        """Write a running container's files in place and have it read them; it loses no connection.

        :raises ApplyError: the container did not take them; it has its earlier files
        """
        name, spec = action.container, self.containers[action.container]
        reload = spec.get("reload")
        if not reload:
            raise ApplyError(f"{name}: its service declares no way to reload")
        mounted = {one["Destination"]: Path(one["Source"]) for one in self.engine.inspect(action.id)["Mounts"] or []}
        version = next(mounted[target].parent for target in (*spec["config"], *spec["secrets"]))
        # With those that it reads by itself: a certificate and a setting may come in one run.
        directories = list(self.files.directories(name, spec, version).values())
        earlier = self.files.loaded.read(name)
        loaded = self.files.loaded
        last = earlier.get("release", "") if earlier and earlier["id"] == action.id else ""
        release = self.labels.get("release", last)
        told: Loaded = {"id": action.id, "version": version.name, "spec": spec, "release": release, "ended": False}
        put_back = self.files.kept(directories)
        loaded.write(name, told)
        before = self.taken(action.id, name)
        try:
            for one in directories:
                self.files.write(one)
            self.told_to(action.id, name, reload, before)
        except (EngineError, ApplyError) as error:
            after = self.taken(action.id, name)
            if worse := put_back():  # the next run finds a reload that has not ended
                raise ApplyError(f"{error}\n{name} runs on. {worse}") from error
            with contextlib.suppress(EngineError, ApplyError):  # in case it took them, but too late
                if reload.get("program"):
                    self.run_program(action.id, name, after)
                else:
                    self.engine.signal(action.id, reload["signal"])
            loaded.put_back(name, earlier if earlier and earlier["id"] == action.id else None)
            raise ApplyError(f"{error}\n{name} runs on with its earlier files.") from error
        loaded.write(name, {**told, "ended": True})

    def told_to(self, container: str, name: str, reload: Reload, before: Mapping[str, str]) -> None:
        """Have a container read its files by the way that its service declares."""
        if reload.get("program"):
            self.run_program(container, name, before)
        else:
            self.signalled(container, name, reload)

    def signalled(self, container: str, name: str, reload: Reload) -> None:
        """Have a container read its files, and wait until it serves by them.

        :raises ApplyError: it did not say so in time
        """
        put_names_back(self.engine, container, self.containers[name])  # a program may ask for them when it reads
        signalled(self.engine, container, name, reload, self.containers[name]["memory"])


def refuse_invalid(engine: Engine, name: str, spec: Spec, inspected: Inspected, labels: dict[str, str]) -> None:
    """Have the program of a service check the files that its running container has.

    :raises ApplyError: they are not valid
    """
    reload = cast("Reload", spec.get("reload"))
    # That of a Swarm has directories in memory, too, which come from nowhere.
    mounts = {one["Destination"]: (one["Source"], True) for one in inspected["Mounts"] or [] if one["Source"]}
    writes = {*spec["data"], *spec.get("shared", {})}
    read = {target: mount for target, mount in mounts.items() if target not in writes}
    trial = trial_of(spec, reload)
    code, output = engine.try_out(f"{trial_name(name)}{TRIAL}", trial, labels, read, CHECK_SECONDS)
    if code != 0:
        raise ApplyError(
            f"{name}: its files are not valid, so it did not get the signal to read them: {cause(output)}\n"
            f"Its own program says so: `{' '.join(reload['check'])}`, exit code {code}.\n"
            "Next: if you changed a file on the host, `./sse up` writes it as it was."
        )


def put_names_back(engine: Engine, container: str, spec: Spec) -> None:
    """Have the names that a container has pinned lead to their addresses.

    :raises ApplyError: its file can't be written
    """
    path = engine.inspect(container).get("HostsPath", "")
    try:
        hosts_file.put_back(path, spec["hosts"])
    except OSError as error:
        raise ApplyError(f"{spec['container']}: its /etc/hosts can't be written: {error}") from error


def signalled(engine: Engine, container: str, name: str, reload: Reload, memory: int) -> None:
    """Have a container read its files, and wait until it serves by them.

    :param memory: bytes that the container may have
    :raises ApplyError: it did not say so in time
    """
    first, old = engine.inspect(container)["State"]["Pid"], reload["old_processes"]
    if old:
        for pid in too_many(processes.below(first), old, memory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    earlier = {one.pid for one in processes.below(first)}
    begun = time.time()
    engine.signal(container, reload["signal"])
    ends = time.monotonic() + RELOAD_SECONDS
    while not any(reload["says"] in line for line in engine.lines_since(container, begun)):
        if time.monotonic() > ends:
            lines = "\n".join(engine.lines_since(container, begun))
            why = f": {cause(lines)}" if lines else ", and wrote nothing"
            raise ApplyError(f"{name}: did not read its files within {RELOAD_SECONDS:g} s{why}")
        time.sleep(PAUSE)
    if old:
        handed_over(first, earlier, old)


def not_valid(name: str, spec: Spec, reload: Reload, code: int, output: str) -> ApplyError:
    """Build the error for files that the program which reads them refuses."""
    return ApplyError(
        f"{name}: its new configuration is not valid, so nothing was touched: {cause(output)}\n"
        f"{quoted(output, spec)}"
        f"Its own program says so: `{' '.join(reload['check'])}`, exit code {code}.\n"
        "Next: correct the setting that this text comes from, and run `./sse up` again."
    )


def chosen(releases: Sequence[Release], words: Sequence[str]) -> list[tuple[Release, str]]:
    """Return the containers with these names or of these services, each with its release.

    :raises ApplyError: for a word that means no container, or one that can't reload; it names those that can
    """
    containers = [(release, name, spec) for release in releases for name, spec in release["containers"].items()]
    able = sorted({spec["container"] for __, __, spec in containers if spec.get("reload")})
    can = f"These can: {', '.join(able)}." if able else "No service here can: run `./sse up` once."
    found: list[tuple[Release, str]] = []
    for word in words:
        meant = [one for one in containers if word in {one[1], one[2]["service"], one[2]["container"]}]
        if not meant:
            near = difflib.get_close_matches(word, able, n=1)
            ask = f" Did you mean {near[0]!r}?" if near else ""
            raise ApplyError(f"There is no service or container {word!r}.{ask} Not every service can reload. {can}")
        if unable := [name for __, name, spec in meant if not spec.get("reload")]:
            raise ApplyError(
                f"{unable[0]} can't read its files anew while it runs: its service declares no key `reload`. {can} "
                f"`./sse restart {word}` restarts it."
            )
        found += [(release, name) for release, name, __ in meant if (release, name) not in found]
    return found


def handed_over(first: int, earlier: set[int], old: OldProcesses) -> None:
    """Wait until each process from before the reload has ended, or only serves the connections that it has."""
    ends = time.monotonic() + HANDOVER_SECONDS
    while time.monotonic() < ends:
        if not any(one.pid in earlier and old["title"] not in one.title for one in processes.below(first)):
            return
        time.sleep(PAUSE)


def too_many(running: list[Process], old: OldProcesses, memory: int) -> list[int]:
    """Return the processes of the oldest reloads that must end before the next reload, by their ids.

    The next reload turns the newest processes into old ones, and its own need as much memory as those.

    :param memory: bytes that the container may have
    """
    groups = processes.generations([one for one in running if old["title"] in one.title], ONE_RELOAD)
    used = sum(one.memory for one in running)
    used += sum(one.memory for one in running if old["title"] not in one.title)
    ended: list[int] = []
    while groups and (len(groups) + 1 > old["generations"] or used > MEMORY_SHARE * memory):
        oldest = groups.pop(0)
        used -= sum(one.memory for one in oldest)
        ended += [one.pid for one in oldest]
    return ended


def quoted(output: str, spec: Spec) -> str:
    """Return the line of the config that a message points at, as a sentence of its own line; empty without one."""
    found = PLACE.search(cause(output))
    if not found:
        return ""
    for directory, files in spec["config"].items():
        text = files.get(found[1].removeprefix(f"{directory.rstrip('/')}/"), "").splitlines()
        if 0 < int(found[2]) <= len(text):
            return f"Line {found[2]} of {found[1]} is: {text[int(found[2]) - 1].strip()}\n"
    return ""
