"""Exporter of the containers of this stack: processor, memory, kills for memory, and starts, each by name.

It reads the control groups of the kernel (cgroup v1 and v2, mounted read-only), so it needs no socket of the engine.
The kernel knows containers by their id alone. Each run writes which name belongs to which id. An id is never used
again: a file that is too old lacks a name, and gives no wrong one.

Names and meanings are those of cAdvisor, so that rules and dashboards of others fit.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from exporting import family, serve

# Where engines put their containers, below the root of the control groups; {} is the id.
USUAL = ("docker/{}", "system.slice/docker-{}.scope")
AN_ID = re.compile(r"[0-9a-f]{64}")
SEARCH_SECONDS = 60.0  # between two searches for a container that is in no usual place
SEARCH_DEPTH = 6
KEPT_STARTS = 1000  # as many starts are kept; the oldest goes first
BOOT = Path("/proc/sys/kernel/random/boot_id")
UNLIMITED = 2**60  # cgroup v1 says "no limit" by a number near 2**63, rounded down to a page


class Named(NamedTuple):
    """A container as the last run has written it down."""

    id: str
    name: str
    container: str  # the name without that of the stack
    release: str = ""  # the number of the one that it was started from, where the run has said it


class Usage(NamedTuple):
    """What the kernel says of a running container now."""

    incarnation: int  # another number after each start
    started: float
    cpu: float  # seconds
    periods: float
    throttled: float
    throttled_seconds: float
    memory: float
    inactive_file: float
    limit: float  # 0 is none
    oom_kills: float
    threads: float
    threads_max: float  # 0 is none


def words(path: Path) -> dict[str, int]:
    """Read a file of lines such as `nr_periods 12`; empty where it is not there."""
    try:
        pairs = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def count(path: Path) -> int:
    """Read a file with one number; `max`, or no file, is 0."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


class Groups:
    """The control groups of this host, in either version."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unified = (root / "cgroup.controllers").exists()
        self.places: list[str] = [*USUAL]
        self.searched = -SEARCH_SECONDS

    def controller(self, name: str) -> Path:
        """Return where the groups of a controller are."""
        return self.root if self.unified else self.root / name

    @property
    def base(self) -> Path:
        """Where containers are looked for: not every kernel has every controller, and some have one switched off."""
        there = (path for name in ("memory", "cpuacct", "pids") if (path := self.controller(name)).is_dir())
        return next(there, self.root)

    def find(self, id_: str) -> str | None:
        """Return the group of a container as a path below the root; None where it does not run."""
        base = self.base
        for place in self.places:
            if (base / place.format(id_)).is_dir():
                return place.format(id_)
        return None

    def search(self, wanted: Collection[str]) -> bool:
        """Look for other places of containers, at most once a minute: an engine may be told to use one of its own.

        :returns: whether there is a new place
        """
        known = len(self.places)
        if time.monotonic() - self.searched < SEARCH_SECONDS:
            return False
        base = self.base
        for parent, directories, __ in os.walk(base):
            below = Path(parent).relative_to(base)
            for name in directories:
                found = AN_ID.search(name)
                if found and found[0] in wanted:
                    place = str(below / name.replace(found[0], "{}"))
                    if place not in self.places:
                        self.places.append(place)
            deep = len(below.parts) >= SEARCH_DEPTH
            directories[:] = [] if deep else [name for name in directories if not AN_ID.search(name)]
        self.searched = time.monotonic()
        return len(self.places) > known

    def usage(self, place: str, started: Mapping[int, float]) -> Usage | None:
        """Read all figures of a container; None where it has just ended.

        :param started: when the groups that were seen before began
        """
        memory, cpu, pids = (self.controller(name) / place for name in ("memory", "cpu", "pids"))
        try:
            found = (self.base / place).stat()
        except OSError:
            return None
        threads = count(pids / "pids.current")
        if not threads and (pids / "pids.current").exists():  # without this controller, only the group tells
            return None
        stat = words(cpu / "cpu.stat")
        if self.unified:
            seconds, throttled = stat.get("usage_usec", 0) / 1e6, stat.get("throttled_usec", 0) / 1e6
            used, limit = count(memory / "memory.current"), count(memory / "memory.max")
            inactive = words(memory / "memory.stat").get("inactive_file", 0)
            kills = words(memory / "memory.events").get("oom_kill", 0)
        else:
            seconds = count(self.controller("cpuacct") / place / "cpuacct.usage") / 1e9
            throttled = stat.get("throttled_time", 0) / 1e9
            used, limit = count(memory / "memory.usage_in_bytes"), count(memory / "memory.limit_in_bytes")
            inactive = words(memory / "memory.stat").get("total_inactive_file", 0)
            kills = words(memory / "memory.oom_control").get("oom_kill", 0)
        return Usage(
            found.st_ino,
            started.get(found.st_ino, found.st_mtime),
            seconds,
            stat.get("nr_periods", 0),
            stat.get("nr_throttled", 0),
            throttled,
            used,
            inactive,
            0 if limit >= UNLIMITED else limit,
            kills,
            threads,
            count(pids / "pids.max"),
        )


class Starts:
    """When the control groups that were seen began, kept in a file: the kernel tells it at the first look only.

    The kernel forgets a group that nobody has looked at for long, and says at the next look that it began just then. So
    the first answer holds, also after a restart of this exporter. Numbers of groups begin anew when the host starts.
    """

    def __init__(self, file: Path, boot: Path = BOOT) -> None:
        self.file = file
        self.boot = boot.read_text().strip()
        self.known: dict[int, float] = {}
        try:
            read: Any = json.loads(file.read_text())
            if read["boot"] == self.boot:
                self.known = {int(group): float(at) for group, at in read["starts"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            print(f"{file} can't be read: {error!r}", file=sys.stderr, flush=True)

    def add(self, seen: Collection[Usage]) -> None:
        """Keep the starts of the groups that are new."""
        new = {one.incarnation: one.started for one in seen if one.incarnation not in self.known}
        if not new:
            return
        self.known = dict([*self.known.items(), *new.items()][-KEPT_STARTS:])
        fresh = self.file.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"boot": self.boot, "starts": self.known}))
            fresh.replace(self.file)
        except OSError as error:  # the figures are right as long as this exporter runs
            print(f"{self.file} can't be written: {error!r}", file=sys.stderr, flush=True)


class Containers:
    """What is known of the containers of the stack from one look to the next."""

    def __init__(self, names: Path, groups: Groups, vmstat: Path, starts: Starts) -> None:
        self.names_file = names
        self.starts = starts
        self.groups = groups
        self.vmstat = vmstat
        self.last: dict[str, Usage] = {}  # by id
        self.kills: dict[str, float] = {}  # by name, since this exporter runs
        self.host_kills = self.read_host_kills()
        self.unexplained = 0.0  # kills on the host that no container has shown yet

    def read_host_kills(self) -> float:
        """Return how many processes the kernel of this host has killed for their memory."""
        return words(self.vmstat).get("oom_kill", 0)

    def names(self) -> tuple[list[Named], float]:
        """Return the containers that the last run wrote down, and when; none before the first run has."""
        try:
            read: Any = json.loads(self.names_file.read_text())
            found = [
                Named(id_, str(one["name"]), str(one["container"]), str(one.get("release", "")))
                for id_, one in read["containers"].items()
            ]
            return found, float(read["written"])
        except FileNotFoundError:
            return [], 0.0
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            print(f"{self.names_file} can't be read: {error!r}", file=sys.stderr, flush=True)
            return [], 0.0

    def look(self, known: list[Named]) -> dict[str, Usage]:
        """Read the figures of every container that runs, by its id."""
        places = {one.id: self.groups.find(one.id) for one in known}
        lost = [id_ for id_, place in places.items() if place is None]
        if lost and self.groups.search(lost):
            places |= {id_: self.groups.find(id_) for id_ in lost}
        seen: dict[str, Usage] = {}
        for id_, place in places.items():
            found = self.groups.usage(place, self.starts.known) if place else None
            if found:
                seen[id_] = found
        return seen

    def count_kills(self, known: list[Named], seen: Mapping[str, Usage]) -> None:
        """Count what the kernel killed for its memory, also where that ended the container and its counter with it.

        A group that is gone says nothing any more. But the kernel counts for the whole host, too: where one container
        alone has ended since the last look, and the host has a kill that no other container shows, it was that one.
        """
        host = self.read_host_kills()
        rise, self.host_kills = host - self.host_kills, host
        ended: list[str] = []
        for one in known:
            self.kills.setdefault(one.name, 0)
            before, now = self.last.get(one.id), seen.get(one.id)
            same = before is not None and now is not None and before.incarnation == now.incarnation
            more = now.oom_kills - (before.oom_kills if before and same else 0) if now else 0
            if before is None and now is not None:
                more = 0  # from before this exporter ran, or a container that has just begun
            self.kills[one.name] += more
            rise -= more
            if before is not None and not same:
                ended.append(one.name)
        rest = max(0.0, rise + self.unexplained)
        if rest and len(ended) == 1:
            self.kills[ended[0]] += rest
            rest = 0
        # For one more look: the kernel may have counted before the group was gone.
        self.unexplained = max(0.0, min(rest, rise))

    def collect(self) -> Iterator[str]:
        """Yield the lines of an answer."""
        known, written = self.names()
        seen = self.look(known)
        self.count_kills(known, seen)
        self.starts.add(seen.values())
        self.last = seen
        every = [({"name": one.name, "container": one.container}, seen.get(one.id)) for one in known]
        running = [(named, use) for named, use in every if use]
        for name, kind, text, value in FIGURES:
            yield from family(name, kind, text, [(named, float(value(use))) for named, use in running])
        kills = [(named, self.kills[named["name"]]) for named, __ in every]
        yield from family("container_oom_events_total", "counter", "Processes killed for their memory", kills)
        ups = [(named, float(use is not None)) for named, use in every]
        yield from family("sse_container_up", "gauge", "1 while a container of the stack runs", ups)
        releases = [
            ({"name": one.name, "container": one.container}, float(one.release))
            for one in known
            if one.release.isdecimal()
        ]
        text = "Number of the release that a container was started from"
        yield from family("sse_container_release", "gauge", text, releases)
        text = "When a run last wrote down which name belongs to which container"
        yield from family("sse_containers_map_timestamp_seconds", "gauge", text, [({}, written)] if written else [])


FIGURES = (
    ("container_cpu_usage_seconds_total", "counter", "Processor time", lambda use: use.cpu),
    ("container_cpu_cfs_periods_total", "counter", "Periods of a processor limit", lambda use: use.periods),
    (
        "container_cpu_cfs_throttled_periods_total",
        "counter",
        "Periods in which the container had to wait because of its processor limit",
        lambda use: use.throttled,
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Seconds that it waited because of that limit",
        lambda use: use.throttled_seconds,
    ),
    ("container_memory_usage_bytes", "gauge", "Memory, with all of its file cache", lambda use: use.memory),
    (
        "container_memory_working_set_bytes",
        "gauge",
        "Memory that the kernel cannot take back at once",
        lambda use: max(0, use.memory - use.inactive_file),
    ),
    ("container_spec_memory_limit_bytes", "gauge", "Limit of its memory; 0 is none", lambda use: use.limit),
    (
        "container_start_time_seconds",
        "gauge",
        "When it started; the value changes with each start",
        lambda use: use.started,
    ),
    ("container_threads", "gauge", "Processes and threads", lambda use: use.threads),
    ("container_threads_max", "gauge", "Limit of those; 0 is none", lambda use: use.threads_max),
)


def main() -> None:
    """Serve the figures of the containers in NAMES at PORT: PORT NAMES CGROUPS STARTS."""
    port, names, root, starts = int(sys.argv[1]), *map(Path, sys.argv[2:])
    containers = Containers(names, Groups(root), Path("/proc/vmstat"), Starts(starts))
    serve(port, containers.collect, lambda: None)


if __name__ == "__main__":
    main()
