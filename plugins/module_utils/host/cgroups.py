# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a process and all that it started uses: CPU time and memory, by its control group (cgroup v1 and v2)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

ROOT = Path("/sys/fs/cgroup")
PROC = Path("/proc")


class Use(NamedTuple):
    """What a control group has used."""

    cpu_seconds: float  # since it began
    memory: int  # bytes, without files that the kernel keeps and would give up, as `docker stats` counts


def use(pid: int, root: Path = ROOT, proc: Path = PROC) -> Use | None:
    """Return what the group of a process uses; None where the process has ended or the host does not count it."""
    try:
        groups = [line.split(":", 2) for line in (proc / str(pid) / "cgroup").read_text().splitlines()]
        by_controller = {name: path for __, names, path in groups for name in names.split(",")}
        if "memory" in by_controller:
            return _of_v1(root / "cpuacct", by_controller["cpuacct"], root / "memory", by_controller["memory"])
        return _of_v2(root / by_controller[""].lstrip("/"))
    except (OSError, ValueError, KeyError):
        return None


def _of_v2(group: Path) -> Use:
    kept = _figures(group / "memory.stat").get("inactive_file", 0)
    micro = _figures(group / "cpu.stat")["usage_usec"]
    return Use(micro / 1e6, max(0, int((group / "memory.current").read_text()) - kept))


def _of_v1(cpu_root: Path, cpu: str, memory_root: Path, memory: str) -> Use:
    cpu_group, memory_group = cpu_root / cpu.lstrip("/"), memory_root / memory.lstrip("/")
    kept = _figures(memory_group / "memory.stat").get("total_inactive_file", 0)
    used = int((memory_group / "memory.usage_in_bytes").read_text())
    return Use(int((cpu_group / "cpuacct.usage").read_text()) / 1e9, max(0, used - kept))


def _figures(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
