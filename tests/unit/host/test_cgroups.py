"""What a container uses is read from its control group, in both versions of Linux' control groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import cgroups


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_2(tmp_path: Path) -> None:
    group = tmp_path / "sys" / "system.slice" / "docker-1.scope"
    write(tmp_path / "proc" / "7" / "cgroup", "0::/system.slice/docker-1.scope\n")
    write(group / "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(group / "memory.current", "1000\n")
    write(group / "memory.stat", "anon 1\ninactive_file 400\n")
    assert cgroups.use(7, tmp_path / "sys", tmp_path / "proc") == cgroups.Use(2.5, 600)


def test_version_1(tmp_path: Path) -> None:
    sys, path = tmp_path / "sys", "docker/1"
    write(tmp_path / "proc" / "7" / "cgroup", f"4:memory:/{path}\n3:cpu,cpuacct:/{path}\n0::/x\n")
    write(sys / "cpuacct" / path / "cpuacct.usage", "2500000000\n")
    write(sys / "memory" / path / "memory.usage_in_bytes", "1000\n")
    write(sys / "memory" / path / "memory.stat", "inactive_file 1\ntotal_inactive_file 400\n")
    assert cgroups.use(7, sys, tmp_path / "proc") == cgroups.Use(2.5, 600)


@pytest.mark.parametrize("content", [None, "", "0::/gone\n", "what is this\n"])
def test_what_the_host_does_not_count_is_not_known(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        write(tmp_path / "7" / "cgroup", content)
    assert cgroups.use(7, tmp_path / "sys", tmp_path) is None
