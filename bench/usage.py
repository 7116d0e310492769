"""What a deployed stack uses of the processor: by container, by process, and the whole machine beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

from measurements import Usage

CGROUPS = Path("/sys/fs/cgroup")
DAEMONS = ("dockerd", "containerd")
SHIM = "containerd-shim"  # /proc cuts its name after 15 characters
CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


class Meter:
    """Reads the counters of the containers of one stack; `containers` gives the first process of each."""

    def __init__(self, containers: dict[str, int]) -> None:
        self.counters = {name: counter_of(pid) for name, pid in containers.items()}
        self.homes = {name: home(Path(f"/proc/{pid}/cgroup").read_text()) for name, pid in containers.items()}

    def read(self) -> Usage:
        """Read every counter, in microseconds since some time in the past."""
        return {
            "containers": {name: read_counter(path) for name, path in self.counters.items()},
            "processes": self.processes(),
            "engine": self.engine_us(),
            "machine": busy_us(Path("/proc/stat").read_text()),
            "client": time.process_time() * 1e6,
        }

    def engine_us(self) -> float:
        """Return the time of the engine, and of the shims of these containers with the runtimes that they started."""
        ids = {place.rpartition("/")[2].removeprefix("docker-").removesuffix(".scope") for place in self.homes.values()}
        total = 0.0
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                name = (directory / "comm").read_text().strip()
                ours = name.startswith(SHIM) and not ids.isdisjoint(arguments(directory))
                if ours or (name in DAEMONS and not inside(directory)):
                    fields = (directory / "stat").read_text().rpartition(")")[2].split()
                    total += sum(map(int, fields[11:15])) * TICK_US  # utime, stime, cutime, cstime
        return total

    def resident_kb(self) -> float:
        """Return the resident memory of all processes of the stack."""
        pids = [int(key.rpartition("/")[2]) for key in self.processes()]
        return sum(_resident_kb(pid) for pid in pids)

    def processes(self) -> dict[str, float]:
        """Return the time of each process of the stack, by container, name and id."""
        found: dict[str, float] = {}
        names = {place: name for name, place in self.homes.items()}
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                name = names.get(home((directory / "cgroup").read_text()))
                if name:
                    comm = (directory / "comm").read_text().strip()
                    found[f"{name}/{comm}/{directory.name}"] = time.clock_gettime((~int(directory.name) << 3) | 2) * 1e6
        return found


def _resident_kb(pid: int) -> float:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    return 0.0  # it ended


def since(before: Usage, after: Usage) -> Usage:
    """Return what was used between two readings. Processes of one name in one container are added up."""
    processes: dict[str, float] = {}
    for key, us in after["processes"].items():
        name = key.rpartition("/")[0]
        processes[name] = processes.get(name, 0.0) + us - before["processes"].get(key, 0.0)
    return {
        "containers": {name: us - before["containers"][name] for name, us in after["containers"].items()},
        "processes": processes,
        "engine": after["engine"] - before["engine"],
        "machine": after["machine"] - before["machine"],
        "client": after["client"] - before["client"],
    }


def home(text: str) -> str:
    """Return the cgroup in /proc/PID/cgroup that counts processor time: the controller's, or that of version 2."""
    unified = ""
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            return path
        unified = path if not controllers else unified
    return unified


def counter_of(pid: int) -> Path:
    """Return the file that counts the time of a process' cgroup."""
    text = Path(f"/proc/{pid}/cgroup").read_text()
    version1 = CGROUPS / "cpuacct" / home(text).lstrip("/") / "cpuacct.usage"
    return version1 if version1.exists() else CGROUPS / home(text).lstrip("/") / "cpu.stat"


def read_counter(path: Path) -> float:
    """Return the microseconds that a counter of a cgroup shows: cpuacct.usage has nanoseconds, cpu.stat has lines."""
    words = path.read_text().split()
    return float(words[words.index("usage_usec") + 1]) if "usage_usec" in words else int(words[0]) / 1000


def busy_us(stat: str) -> float:
    """Return how long the cores of a machine did not idle, by /proc/stat; another guest's time is not ours."""
    user, nice, system, _idle, _iowait, irq, softirq = map(int, stat.split("\n", 1)[0].split()[1:8])
    return (user + nice + system + irq + softirq) * TICK_US


def inside(directory: Path) -> bool:
    """Tell whether a process is in a container, such as an engine within an engine."""
    return CONTAINER_ID.search((directory / "cgroup").read_text()) is not None


def arguments(directory: Path) -> list[str]:
    """Return the command line of a process."""
    return (directory / "cmdline").read_bytes().decode(errors="replace").split("\0")


def inspected(stack: str) -> list[dict[str, Any]]:
    """Return what the engine knows about each running container of a stack."""
    listed = ["docker", "ps", "--quiet", "--filter", f"label=sse.platform.stack={stack}"]
    ids = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    if not ids:
        raise SystemExit(f"no container of the stack {stack} runs: deploy it, or leave out --stack")
    return json.loads(subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True).stdout)


def name_of(container: dict[str, Any], stack: str) -> str:
    """Return the name of a container without its stack."""
    return container["Name"].removeprefix("/").removeprefix(f"{stack}-")
