"""gixy finds nothing in the configuration of NGINX but what is meant to be so; each of these has its reason here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rendered import HOSTS, Rendered

MEANT = {
    "proxy_buffering_off": "a stream waits in no buffer; tcp_rmem and the service bound what a slow reader holds",
    "proxy_set_header_redefinition": "the question who takes a stream carries nothing of the stream's own request",
    "stale_dns_cache": "addresses of replicas are reserved, and stand in /etc/hosts, so that no DNS is needed",
    "worker_rlimit_nofile_vs_connections": "the container has the limit of open files: its declaration says so",
}


@pytest.fixture(scope="session")
def found(rendered: dict[str, Rendered], tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return what gixy finds in the configuration of each host, by host."""
    directory, results = tmp_path_factory.mktemp("gixy"), {}
    for name in HOSTS:
        path = directory / f"{name}.conf"
        path.write_text(rendered[name].nginx)
        run = subprocess.run(
            [str(Path(sys.executable).with_name("gixy")), "--format", "json", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        listed: list[dict[str, Any]] = json.loads(run.stdout)
        results[name] = {str(one["plugin"]) for one in listed}
    return results


def test_nothing_is_found_but_what_is_meant(found: dict[str, set[str]]) -> None:
    assert {name: one - MEANT.keys() for name, one in found.items()} == {name: set[str]() for name in HOSTS}


def test_each_exception_is_still_needed(found: dict[str, set[str]]) -> None:
    assert set().union(*found.values()) == MEANT.keys()


def test_the_scan_sees_a_fault(rendered: dict[str, Rendered], tmp_path: Path) -> None:
    path = tmp_path / "nginx.conf"
    path.write_text(rendered["default"].nginx.replace("http {", "http {\n    server_tokens on;", 1))
    bad = "location /bad { return 302 https://example.org$uri; }"
    path.write_text(path.read_text().replace("location /api/v1/ {", f"{bad}\n        location /api/v1/ {{", 1))
    run = subprocess.run(
        [str(Path(sys.executable).with_name("gixy")), str(path)], capture_output=True, text=True, check=False
    )
    assert "http_splitting" in run.stdout
