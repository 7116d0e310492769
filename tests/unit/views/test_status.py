"""The table of what runs: a row for each container that runs or should run."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from ansible_collections.sse.platform.plugins.module_utils.views import status
from ansible_collections.sse.platform.plugins.module_utils.views.status import Row


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
            "State": {"Running": running, "ExitCode": 137, "StartedAt": ago(minutes=5)},
            "NetworkSettings": {"Networks": {"a": {"IPAddress": "10.0.0.2"}, "b": {"IPAddress": ""}}},
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}], "81/tcp": None}},
            "Config": {"Image": "web:1"},
            "RestartCount": 2,
        }


def rows(engine: Any, *names: str) -> list[Row]:
    release: Any = {"containers": dict.fromkeys(names)}
    return status.observe(engine, "sse", [release], LoadedStore("/nowhere"))


def test_a_reloaded_container_has_the_release_that_it_was_told_last(tmp_path: Path) -> None:
    store, engine = LoadedStore(str(tmp_path)), Engine("sse-web", "running")
    spec: Any = {}
    store.write("sse-web", {"id": "id", "version": "v", "spec": spec, "release": "9", "ended": True})
    found: Any = engine
    assert status.observe(found, "sse", [], store)[0].release == "9"
    store.write("sse-web", {"id": "of another one", "version": "v", "spec": spec, "release": "9", "ended": True})
    assert status.observe(found, "sse", [], store)[0].release == "7"


def test_the_places_to_open_and_where_a_password_is_follow_the_table() -> None:
    release: Any = {"endpoints": [{"name": "Grafana (password in /x)", "url": "http://g"}, {"name": "API", "url": "u"}]}
    assert status.opened([release]) == ["", "Grafana (password in /x)  http://g", "API                       u"]
    assert status.opened([]) == []


def test_a_container_that_ended_has_its_exit_code_and_no_uptime() -> None:
    assert rows(Engine("sse-web", "exited"), "sse-web") == [
        Row("sse-web", "exited (137)", "10.0.0.2", "[::]:8080->80", "web:1", "2", "", "7")
    ]


def test_what_is_declared_and_missing_comes_before_what_runs_undeclared() -> None:
    found = rows(Engine("sse-old", "running"), "sse-web")
    assert found[0] == Row("sse-web", "missing")
    assert (found[1].container, found[1].state, found[1].uptime) == ("sse-old", "running", "5 m")


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
    found = [Row("sse-keeper", "healthy", "10.99.0.85 10.99.1.85"), Row("sse-gone", "missing")]
    assert status.said(found, [release]) == ["sse-keeper: there is no new certificate."]
    assert asked == ["http://10.99.0.85:9/problems"]


@pytest.mark.parametrize(
    ("time", "shown"),
    [({"days": 3}, "3 d"), ({"hours": 47}, "47 h"), ({"minutes": 3}, "3 m"), ({"seconds": 90}, "90 s")],
)
def test_a_time_is_shown_in_its_largest_unit_of_which_there_are_two(time: dict[str, int], shown: str) -> None:
    assert status.uptime(ago(**time)) == shown


def test_the_table_has_a_head_and_one_line_for_each_row() -> None:
    assert status.table([Row("sse-web", "missing"), Row("b", "running", release="7")]) == [
        "CONTAINER  STATE    ADDRESS  PORTS  IMAGE  RESTARTS  UPTIME  RELEASE",
        "sse-web    missing",
        "b          running                                           7",
    ]


def test_where_nothing_runs_the_stacks_of_the_host_are_named() -> None:
    """Who has misspelt a name is not led to a second stack."""
    assert status.table([], "sse") == ["nothing runs of the stack 'sse': `./sse up` starts it"]
    told = status.table([], "dmeo", ["demo", "sse"])
    assert told[0].endswith("The stacks here are demo, sse; -e stack_name=NAME chooses one")


def test_a_container_that_the_engine_has_not_checked_yet_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "check_health", lambda *_: (True, ""))
    engine: Any = Engine("sse-web", "running")
    asked: Any = {"healthcheck": {}}

    def shown(health: str) -> str:
        return status.state(engine, engine.found._replace(health=health), asked, engine.inspect(""))

    found = {health: shown(health) for health in HEALTHS}
    assert found == {"": "healthy", "starting": "healthy", "healthy": "healthy", "unhealthy": "unhealthy"}
