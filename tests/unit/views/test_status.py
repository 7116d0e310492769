"""What is seen of a stack: an entry for each container that runs or should run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host.cgroups import Use
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from ansible_collections.sse.platform.plugins.module_utils.model.release import opened
from ansible_collections.sse.platform.plugins.module_utils.views import status
from ansible_collections.sse.platform.plugins.module_utils.views.status import Seen, Watcher


def ago(**time: int) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(**time)).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")


HEALTHS = ("", "starting", "healthy", "unhealthy")  # as the engine tells


class Engine:
    """An engine with one container, which answers as the real one does."""

    def __init__(self, name: str, state: str) -> None:
        self.found = Observed(name, "id", {f"{LABEL}stack": "sse", f"{LABEL}release": "7"}, state, "")

    def containers(self) -> list[Observed]:
        return [self.found]

    def inspect(self, _: str) -> dict[str, Any]:
        running = self.found.status == "running"
        return {
            "State": {"Running": running, "ExitCode": 137, "StartedAt": ago(minutes=5), "Pid": 0},
            "NetworkSettings": {"Networks": {"a": {"IPAddress": "10.0.0.2"}, "b": {"IPAddress": ""}}},
            "HostConfig": {
                "PortBindings": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}], "81/tcp": None},
                "Memory": 0,
            },
            "Config": {"Image": "web:1"},
            "RestartCount": 2,
        }


def seen(engine: Any, *names: str) -> list[Seen]:
    release: Any = {
        "project": "sse-platform",
        "containers": {name: {"container": name, "service": name} for name in names},
    }
    return Watcher(engine, "sse", LoadedStore("/nowhere")).look([release])


def test_a_reloaded_container_has_the_release_that_it_was_told_last(tmp_path: Path) -> None:
    store, engine = LoadedStore(str(tmp_path)), Engine("sse-web", "running")
    spec: Any = {}
    store.write("sse-web", {"id": "id", "version": "v", "spec": spec, "release": "9", "ended": True})
    found: Any = engine
    assert Watcher(found, "sse", store).look([])[0]["release"] == 9
    store.write("sse-web", {"id": "of another one", "version": "v", "spec": spec, "release": "9", "ended": True})
    assert Watcher(found, "sse", store).look([])[0]["release"] == 7


def test_what_people_open_is_first_and_a_password_is_where_its_place_is() -> None:
    platform: Any = {
        "stack": "sse",
        "project": "sse-platform",
        "endpoints": [{"name": "Grafana (password in /x)", "url": "http://g"}, {"name": "API", "url": "u"}],
    }
    page: Any = {"stack": "sse", "project": "performance-dashboard", "endpoints": [{"name": "Page", "url": "http://p"}]}
    assert opened([platform, page]) == [
        "  Page                      http://p",
        "  Grafana (password in /x)  http://g",
        "  API                       u",
    ]
    assert opened([]) == []


def test_a_container_that_ended_has_its_exit_code_and_no_uptime() -> None:
    (one,) = seen(Engine("sse-web", "exited"), "sse-web")
    assert (one["state"], one["exit_code"], one["uptime_seconds"], one["started"]) == ("exited", 137, None, "")
    assert one["ports"] == [{"host_ip": "::", "host_port": 8080, "port": 80, "protocol": "tcp"}]
    assert (one["addresses"], one["restarts"], one["release"]) == (["10.0.0.2"], 2, 7)


def test_what_is_declared_and_missing_comes_before_what_runs_undeclared() -> None:
    first, second = seen(Engine("sse-old", "running"), "sse-web")
    assert (first["name"], first["state"], first["memory_bytes"]) == ("sse-web", "missing", None)
    assert (second["name"], second["state"], second["uptime_seconds"]) == (
        "sse-old",
        "running",
        pytest.approx(300, abs=5),
    )


def test_a_container_that_is_removed_during_a_look_ends_neither_it_nor_a_watch() -> None:
    class Replacing(Engine):
        """A run removes the container between the list and the question about it."""

        asked = 0

        def inspect(self, _: str) -> dict[str, Any]:
            self.asked += 1
            if self.asked <= 2:
                raise EngineError("container id is not there")
            return super().inspect("id")

    engine: Any = Replacing("sse-web", "running")
    Watcher(engine, "sse", LoadedStore("/nowhere")).begin()
    (one,) = seen(engine)
    assert (one["name"], one["release"]) == ("sse-web", 7)
    engine.asked = -99
    with pytest.raises(EngineError):
        seen(engine)


def test_the_processor_is_known_from_the_second_look_on(monkeypatch: pytest.MonkeyPatch) -> None:
    uses = iter([Use(10.0, 64), Use(10.5, 65)])
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(status.cgroups, "use", lambda _: next(uses))
    monkeypatch.setattr(status.time, "monotonic", lambda: next(clock))
    engine: Any = Engine("sse-web", "running")
    watcher = Watcher(engine, "sse", LoadedStore("/nowhere"))
    assert [(one["cpu_percent"], one["memory_bytes"]) for one in watcher.look([])] == [(None, 64)]
    assert [(one["cpu_percent"], one["memory_bytes"]) for one in watcher.look([])] == [(25.0, 65)]


def test_a_problem_that_a_service_says_it_has_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(endpoint: Any, path: str) -> list[str]:
        asked.append(f"{endpoint.url}{path}")
        return ["there is no new certificate"]

    monkeypatch.setattr(status.told, "ask", ask)
    check = {"kind": "told", "containers": ["keeper", "gone"], "parameters": {"port": 9, "path": "/problems"}}
    release: Any = {
        "containers": {"sse-keeper": {"container": "keeper"}, "sse-gone": {"container": "gone"}},
        "checks": [check, {**check, "kind": "http"}],
    }
    keeper: Any = {"name": "sse-keeper", "addresses": ["10.99.0.85", "10.99.1.85"]}
    gone: Any = {"name": "sse-gone", "addresses": []}
    assert status.said([keeper, gone], [release]) == ["sse-keeper: there is no new certificate."]
    assert asked == ["http://10.99.0.85:9/problems"]


def test_where_nothing_runs_the_stacks_of_the_host_are_named() -> None:
    """Who has misspelt a name is not led to a second stack."""
    assert status.nothing_runs("sse", []) == "nothing runs of the stack 'sse': `./sse up` starts it"
    told = status.nothing_runs("dmeo", ["demo", "sse"])
    assert told.endswith("The stacks here are demo, sse; -e stack_name=NAME chooses one")


def test_a_container_that_the_engine_has_not_checked_yet_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "check_health", lambda *_: (True, ""))
    engine: Any = Engine("sse-web", "running")
    asked: Any = {"healthcheck": {}}

    def shown(health: str) -> str:
        return status.state(engine, engine.found._replace(health=health), asked, engine.inspect(""))

    found = {health: shown(health) for health in HEALTHS}
    assert found == {"": "healthy", "starting": "healthy", "healthy": "healthy", "unhealthy": "unhealthy"}
