"""What the dashboard gets of a stack: whole, without any value of a setting or secret, and true after each run."""

from __future__ import annotations

import datetime as dt
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import permissions
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.host import live_files
from ansible_collections.sse.platform.plugins.module_utils.model import tiers
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.releases import verifications
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix
from ansible_collections.sse.platform.plugins.module_utils.views import live
from ansible_collections.sse.platform.tests.unit.views.kept_release import keep

EXAMPLES = Path(__file__).parents[3] / "dashboard/src/logic/examples"
WORD = "correct-horse-battery"


def make(state: Path, number: int, outcome: str = "applied", **more: Any) -> None:
    keep(state, number, outcome=outcome, note="for the fair", **more)


def shown(state: Path, name: str) -> Any:
    return json.loads((state / "live" / name).read_text())


def attempt(state: Path, error: str = "", **meta: str) -> None:
    recorder = Recorder(str(state), run_meta({"asked": "up", "who": "ada", **meta}), 1)
    kind: Any = {
        "container": "s-web",
        "kind": "replace",
        "reasons": [f"environment.X: 'a' -> '{WORD}'"],
        "seconds": 1.5,
    }
    recorder.end(1, [kind], [], error)


def test_a_release_says_who_made_it_what_it_changed_what_came_of_it_and_how_to_go_back(tmp_path: Path) -> None:
    make(tmp_path, 1, web={}, db={})
    make(tmp_path, 2, web={"environment": {"X": WORD}}, db={})
    make(tmp_path, 3, "failed", web={"environment": {"X": 2}}, db={})
    verifications.keep(tmp_path, 2, {"health checks": 3, "nothing": 0}, [])
    assert live.write(str(tmp_path)) == []
    told = shown(tmp_path, "releases.json")
    assert dt.datetime.fromisoformat(told["time"]).tzinfo == dt.UTC
    assert (told["stack"], told["current"]) == ("s", 2)
    failed, current, first = told["releases"]
    assert [one["number"] for one in (failed, current, first)] == [3, 2, 1]
    assert [one["outcome"] for one in (failed, current, first)] == ["failed", "applied", "applied"]
    assert [one["back"] for one in (failed, current, first)] == ["", "", "./sse rollback 1"]
    assert {"who": "ada", "commit": "abc1234", "why": "for the fair", "changed": "web (environment)"}.items() <= (
        current.items()
    )
    assert current["changes"] == [{"container": "s-web", "kind": "replace", "what": ["environment.X"]}]
    assert current["verification"]["verified"] == {"health checks": 3}
    assert first["verification"] is None


def test_runs_that_failed_or_changed_something_are_told_and_those_that_did_nothing_are_not(tmp_path: Path) -> None:
    make(tmp_path, 1, web={})
    attempt(tmp_path, "s-web did not get healthy\nand more", why="try")
    Recorder(str(tmp_path), run_meta({"asked": "up"}), 1).end(1, [], [])
    attempt(tmp_path)
    live.write(str(tmp_path))
    runs = shown(tmp_path, "releases.json")["runs"]
    assert [(one["outcome"], one["error"], one["why"]) for one in runs] == [
        ("applied", "", ""),
        ("failed", "s-web did not get healthy", "try"),
    ]
    assert runs[0]["changes"] == [{"container": "s-web", "kind": "replace", "what": ["environment.X"]}]


def test_from_which_address_somebody_came_is_not_for_everybody_who_sees_the_page(tmp_path: Path) -> None:
    make(tmp_path, 1, web={})
    attempt(tmp_path, where="laptop (198.51.100.7)")
    live.write(str(tmp_path))
    assert (tmp_path / "history.jsonl").read_text().count("198.51.100.7") == 2
    assert not [one.name for one in (tmp_path / "live").iterdir() if "198.51.100.7" in one.read_text()]


def test_a_run_that_an_older_version_wrote_is_told(tmp_path: Path) -> None:
    make(tmp_path, 1, web={})
    (tmp_path / "history.jsonl").write_text('{"run": "1:1@1", "outcome": "failed", "error": "no"}\n')
    assert live.write(str(tmp_path)) == []
    assert [one["error"] for one in shown(tmp_path, "releases.json")["runs"]] == ["no"]


def test_no_value_of_a_setting_or_secret_gets_out(tmp_path: Path) -> None:
    make(tmp_path, 1, web={})
    make(tmp_path, 2, web={"environment": {"X": WORD}, "config": {"/etc/w": {"f": f"{WORD}\n"}}})
    attempt(tmp_path, f"the server said: password {WORD} is wrong")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "given").write_text(f"{WORD}\n")
    live.write(str(tmp_path))
    texts = {one.name: one.read_text() for one in (tmp_path / "live").iterdir()}
    assert set(texts) == {"releases.json", "topology.json"}
    assert not [name for name, text in texts.items() if WORD in text]
    error = shown(tmp_path, "releases.json")["runs"][0]["error"]
    assert error == "the server said: password [secret] is wrong"


def test_a_secret_that_looks_like_json_leaves_the_file_json(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "keys").write_text('{"keys": [\n"time":"\n')
    live_files.write(tmp_path, "x.json", {"a": 'see {"keys": [ there', "list": [{"keys": [1, None, True]}]})
    assert {**shown(tmp_path, "x.json"), "time": ""} == {
        "time": "",
        "a": "see [secret] there",
        "list": [{"keys": [1, None, True]}],
    }


def test_the_topology_follows_a_change_of_any_project(tmp_path: Path) -> None:
    port = {"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}
    make(tmp_path, 1, web={"ports": [port], "reaches": [{"to": "db:5", "why": "rows"}]}, db={"listens": [5]})
    make(tmp_path, 2, project="q", board={"ports": [{**port, "host_ip": "127.0.0.1", "host_port": 81}]})
    live.write(str(tmp_path))
    told = shown(tmp_path, "topology.json")
    assert told["release"] == 2
    web, db, board = told["containers"]
    assert (web["ports"][0]["who"], board["ports"][0]["who"]) == ("everybody", "this host")
    assert web["reaches"] == [{"to": "s-db", "name": "db", "port": 5, "why": "rows"}]
    assert db["listens"] == [5]
    make(tmp_path, 3, web={})
    live.write(str(tmp_path))
    assert [one["name"] for one in shown(tmp_path, "topology.json")["containers"]] == ["s-web", "s-board"]


def test_without_a_release_nothing_is_written_and_a_damaged_one_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert live.write(str(tmp_path)) == []
    assert not (tmp_path / "live").exists()
    make(tmp_path, 1, web={})
    (tmp_path / "releases/p/0001.json").write_text("{")
    [told] = live.write(str(tmp_path))
    assert told.startswith("The control room may show old releases")


def test_files_are_replaced_in_one_step_and_only_the_group_that_mounts_them_may_enter(tmp_path: Path) -> None:
    make(tmp_path, 1, web={})
    live.write(str(tmp_path))
    directory = tmp_path / "live"
    before = (directory / "releases.json").stat().st_ino
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    live.write(str(tmp_path))
    assert (directory / "releases.json").stat().st_ino != before
    assert [one.name for one in directory.iterdir() if one.name.startswith(".")] == []
    make(tmp_path, 2, web={"binds": {"/run/live": str(directory)}})
    assert "mode 0700 -> 0750" in [how for path, how in permissions.differences(str(tmp_path)) if path == directory]


@pytest.mark.parametrize("tier", [None, "data"])
def test_a_tier_recreates_nothing_and_is_told_by_the_connections_where_nobody_declares_it(
    tmp_path: Path, tier: str | None
) -> None:
    more = {"tier": tier} if tier else {}
    port = {"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}
    replica = {"rolling": True, "listens": [8], "reaches": [{"to": "db:5", "why": "rows"}]}
    make(
        tmp_path,
        1,
        door={"ports": [port], "reaches": [{"to": "app:8", "why": "pass"}, {"to": "own:7", "why": "pass"}]},
        app=replica,
        db={"listens": [5]},
        own={"listens": [7], **more},
        watch={"reaches": [{"to": "app:8", "why": "look"}]},
    )
    release = ReleaseStore(str(tmp_path), "p").read(1)
    assert release is not None
    found = tiers.of_all(release["containers"])
    assert found == {
        "s-door": "entry",
        "s-app": "replicas",
        "s-db": "data",
        "s-own": tier or "replicas",
        "s-watch": "watchers",
    }
    assert ("tier" in release["containers"]["s-own"]) == bool(tier)


def keys_of(value: Any, path: str = "") -> set[str]:
    """Return the paths of all fields, without those of free names."""
    if isinstance(value, dict):
        free = path.endswith((".verified", ".meanings", ".counts", ".unavailable"))
        return {path} | (
            set() if free else {one for key, item in value.items() for one in keys_of(item, f"{path}.{key}")}
        )
    if isinstance(value, list):
        return {path} | {one for item in value for one in keys_of(item, path)}
    return {path}


def test_the_last_health_checks_are_told_without_secrets_and_an_engine_that_is_gone_is_no_reason_to_fail(
    tmp_path: Path, engine_socket: tuple[str, dict[str, Any]]
) -> None:
    path, answers = engine_socket
    make(tmp_path, 1, web={}, db={}, old={})
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "given").write_text(f"{WORD}\n")
    runs = [
        {"End": f"2026-03-03T10:20:0{n}.123456789+02:00", "ExitCode": n % 2, "Output": f"{n} {WORD}{'x' * 900}\n"}
        for n in range(5)
    ]
    state = {"Status": "running", "Running": True}
    answers["/containers/s-web/json"] = {"State": {**state, "Health": {"Status": "unhealthy", "Log": runs}}}
    answers["/containers/s-db/json"] = {"State": {"Status": "exited", "Running": False, "Health": {"Status": "none"}}}
    answers["/containers/s-db/json"]["State"]["Health"]["Log"] = None
    assert live.write(str(tmp_path), Api(path)) == []
    told = {one["short"]: one["checked"] for one in shown(tmp_path, "topology.json")["containers"]}
    assert (told["web"]["state"], [one["code"] for one in told["web"]["log"]]) == ("unhealthy", [0, 1, 0])
    assert told["web"]["log"][0]["at"] == "2026-03-03T08:20:04Z"
    assert told["web"]["log"][0]["said"].startswith("4 [secret]xxx")
    assert len(told["web"]["log"][0]["said"]) < 520
    assert (told["db"], told["old"]) == ({"state": "exited", "log": []}, {"state": "", "log": []})
    assert live.write(str(tmp_path), Api("/nonexistent.sock")) == []


def test_the_examples_of_the_dashboard_have_the_fields_that_the_platform_writes(
    tmp_path: Path, engine_socket: tuple[str, dict[str, Any]]
) -> None:
    """The page's own tests read these examples, so they stay what a run writes."""
    port = {"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}
    web = {"ports": [port], "reaches": [{"to": "db:5", "why": "rows"}], "healthcheck": {"http": {"port": 80}}}
    make(tmp_path, 1, web={}, db={"listens": [5]})
    make(tmp_path, 2, web=web, db={"listens": [5]})
    finding = {"rule": "r", "subject": "s", "wrong": "w", "evidence": "e"}
    verifications.keep(tmp_path, 2, {"health checks": 3}, [finding])
    attempt(tmp_path)
    path, answers = engine_socket
    check = {"End": "2026-03-03T08:20:04Z", "ExitCode": 0, "Output": ""}
    state = {"Status": "running", "Running": True, "Health": {"Status": "healthy", "Log": [check]}}
    answers["/containers/s-web/json"] = {"State": state}
    live.write(str(tmp_path), Api(path))
    cell = matrix.Cell(Edge("s-web", "s-db", 5, "db", "rows"), "reached", "10.0.0.1", seconds=0.001)
    (tmp_path / "matrix").mkdir()
    matrix.keep(tmp_path, [cell], [], enforced=False)
    for name in ("releases.json", "topology.json", "matrix.json"):
        written, example = keys_of(shown(tmp_path, name)), keys_of(json.loads((EXAMPLES / name).read_text()))
        free = {one for one in written | example if ".endpoints." in one or ".allow_from" in one}
        assert written - free == example - free, name


def test_a_cluster_is_told_with_the_hosts_of_each_container_and_without_ports_that_it_does_not_publish(
    tmp_path: Path,
) -> None:
    ports = [
        {"host_ip": "127.0.0.1", "host_port": 9000, "container_port": 9000},
        {"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80},
    ]
    make(tmp_path, 1, web={"ports": ports}, db={})
    (tmp_path / "secrets").mkdir(exist_ok=True)
    (tmp_path / "secrets/word").write_text(WORD)
    attempt(tmp_path, f"it said {WORD}")
    texts = live.of_cluster(str(tmp_path), {"s-web": ["one", "two"]})
    assert sorted(texts) == ["releases.json", "topology.json"]
    assert WORD not in "".join(texts.values())
    found = {one["name"]: one for one in json.loads(texts["topology.json"])["containers"]}
    assert (found["s-web"]["runs_on"], found["s-db"]["runs_on"]) == (["one", "two"], [])
    assert [port["port"] for port in found["s-web"]["ports"]] == [80]
    assert live.of_cluster(str(tmp_path / "elsewhere"), {}) == {}


def test_a_manager_knows_what_runs_elsewhere_by_what_it_was_told(tmp_path: Path) -> None:
    assert live.used_elsewhere(str(tmp_path)) == []
    make(tmp_path, 1, web={})
    [path] = (tmp_path / "releases").rglob("*.json")
    one = {"name": "Kafka", "servers": ["k:9093"], "part": "topic t", "containers": ["web"], "why": "w", "program": "p"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "elsewhere": [one]}))
    (tmp_path / "live").mkdir(exist_ok=True)
    for name, text in live.of_cluster(str(tmp_path), {}).items():
        (tmp_path / "live" / name).write_text(text)
    assert live.used_elsewhere(str(tmp_path)) == ["topic t of Kafka at k:9093"]
    (tmp_path / "live/topology.json").write_text("[")
    assert live.used_elsewhere(str(tmp_path)) == []
