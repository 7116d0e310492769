"""What the host shows of dockerd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon


@pytest.mark.parametrize(
    ("configuration", "flags", "route_localnet", "expected"),
    [
        ({}, [], "0", True),
        ({"userland-proxy": False}, [], "1", False),
        ({"userland-proxy": False}, [], "0", True),  # the file is younger than the engine
        ({}, ["--userland-proxy=false"], "1", False),
        ({"userland-proxy": True}, [], "1", True),
        ({"userland-proxy": False}, [], "", False),  # docker0 is switched off
    ],
)
def test_userland_proxy_is_off_only_where_the_kernel_shows_it(
    configuration: dict[str, Any], flags: list[str], route_localnet: str, expected: bool
) -> None:
    assert daemon.has_userland_proxy(configuration, flags, route_localnet) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", {}), ('{"debug": true}', {"debug": True}), ("{,}", None), ("[1]", None), ("null", None)]
)
def test_a_broken_daemon_json_is_not_taken_for_an_empty_one(tmp_path: Path, text: str, expected: Any) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    assert daemon.configuration(str(path)) == expected


def test_a_process_with_an_odd_name_is_not_dockerd_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = r"open('/proc/self/comm', 'wb').write(b'\xd0\xd0'); input(print(flush=True) or '')"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as named:
        assert named.stdout
        named.stdout.readline()
        (tmp_path / "pid").write_text(f"{named.pid}\n")
        monkeypatch.setattr(daemon, "PID_FILE", str(tmp_path / "pid"))
        found = daemon.dockerd_pid()
        named.communicate("\n")
    assert found != named.pid


def test_a_missing_daemon_json_is_an_empty_one(tmp_path: Path) -> None:
    assert daemon.configuration(str(tmp_path / "none.json")) == {}
