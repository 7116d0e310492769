"""What is read from the log of a proxy, and where a container's clock is read."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import attempts
from ansible_collections.sse.platform.plugins.module_utils.host.elsewhere import Answer
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import NGINX

WHILE = 'while connecting to upstream, client: 192.0.2.1, request: "GET / HTTP/1.1", upstream: "'


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f'connect() failed (113: No route to host) {WHILE}http://10.0.0.9:8000/x"',
            ("113: No route to host", "10.0.0.9", "8000"),
        ),
        (f'upstream timed out (110: timed out) {WHILE}http://10.0.0.9:80/"', ("110: timed out", "10.0.0.9", "80")),
        ('upstream timed out (110: timed out) while reading response, upstream: "http://10.0.0.9:80/"', None),
        (f'connect() failed (111: refused) {WHILE}http://unix:/run/a.sock:/"', None),
    ],
)
def test_an_upstream_that_was_not_reached_is_read_from_a_log(line: str, expected: Any) -> None:
    match = attempts.UPSTREAM.search(line)
    assert (match.groups() if match else None) == expected


def test_only_lines_of_the_present_worker_processes_of_a_proxy_count(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/7/task/7/children": "8 9",
        "/proc/8/status": "Name:\tproxy\nNSpid:\t8\t30\nNSpgid:\t8\n",
        "/proc/9/status": "NSpid:\t9\t31\n",
    }
    log = [
        f'2026/11/28 05:00:0{number} [error] {worker}#{worker}: *5 connect() failed (113: gone) {WHILE}http://{address}:80/"'
        for number, (worker, address) in enumerate(
            [(29, "10.0.0.1"), (30, "10.0.0.2"), (31, "10.0.0.3"), (31, "10.0.0.3")]
        )
    ]
    monkeypatch.setattr(attempts.procfs, "read", lambda path: files[str(path)])
    monkeypatch.setattr(attempts.Api, "log", lambda *_: log)
    found = attempts.refused_upstreams(NGINX)  # pyright: ignore[reportArgumentType] - a part of the facts
    assert [(one.container, one.address, one.port) for one in found] == [
        ("sse-nginx", "10.0.0.2", "80"),
        ("sse-nginx", "10.0.0.3", "80"),
    ]


def test_ports_that_speak_http_come_from_health_checks_and_checks() -> None:
    def one(short: str, port: int | None) -> dict[str, Any]:
        return {"container": short, "healthcheck": {"http": {"port": port, "path": "/"} if port else None}}

    checks = [
        {"kind": "http", "containers": ["app-1"], "parameters": {"port": 8123}},
        {"kind": "http", "containers": ["app-1"], "parameters": {"port": None, "through": "nginx"}},
        {"kind": "tcp", "containers": ["redis"], "parameters": {"port": 6379}},
    ]
    containers = {"s-app-1": one("app-1", None), "s-redis": one("redis", None), "s-web": one("web", 9)}
    release = cast("Release", {"containers": containers, "checks": checks})
    assert attempts.http_ports([release]) == {"s-app-1": [8123], "s-redis": [], "s-web": [9]}


def test_each_running_container_is_asked_about_what_it_uses_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    used: Any = {"service": "log", "name": "Log", "servers": ["a.example:1"], "containers": ["app-1", "app-2"]}
    specs = {f"sse-{short}": {"container": short} for short in ("app-1", "app-2", "nginx")}
    facts: Any = {"releases": [{"containers": specs, "elsewhere": [used]}, {"containers": {}}]}
    running: Any = {name: {"name": name, "id": name} for name in ("sse-app-1", "sse-nginx")}
    asked = attempts.used_elsewhere(facts, running)
    assert [(container["name"], spec["container"]) for container, spec, __ in asked] == [("sse-app-1", "app-1")]
    monkeypatch.setattr(attempts.elsewhere, "ask_in", lambda *_: Answer(["no way", "no user"], ["slow"]))
    assert [one.problem for one in attempts.ask_elsewhere(asked[0])] == [
        "Log at a.example:1: no way",
        "Log at a.example:1: no user",
    ]
