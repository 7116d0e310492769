"""The whole verification against a stand-in engine: what it finds without touching a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import Lost
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.host import iptables, listeners
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix, verifier
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import health, http_answer, published_ports
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running


def spec(**keys: Any) -> dict[str, Any]:
    return {
        "service": "redis",
        "user": "0:0",
        "data": {},
        "binds": {},
        "networks": {"sse-network": "10.99.0.11"},
        "container": "redis-master",
        "aliases": ["redis-master", "redis"],
        "reaches": [],
        "listens": [],
        "reaches_host": [],
        "ports": [],
        "healthcheck": {"command": ["true"], "http": None, "interval": 10, "timeout": 5},
        **keys,
    }


def release(containers: dict[str, Any], number: int = 1, outcome: str = "applied") -> Any:
    return {
        "format": FORMAT,
        "stack": "sse",
        "project": "sse-platform",
        "layout": "single",
        "networks": {},
        "allow_from": [],
        "containers": containers,
        "unavailable": {},
        "number": number,
        "meta": {"outcome": outcome},
    }


class Engine:
    """Containers by name; a state other than running is told as exited."""

    def __init__(self, containers: dict[str, dict[str, Any]], **states: str) -> None:
        self.specs = containers
        self.states = states

    def containers(self) -> list[Observed]:
        return [
            Observed(
                name=name,
                id=name,
                labels={
                    "sse.platform.stack": "sse",
                    "sse.platform.project": "sse-platform",
                    "sse.platform.release": "1",
                    "sse.platform.spec": fingerprint(one),
                },
                status=self.states.get(name.replace("-", "_"), "running"),
                health="",
            )
            for name, one in self.specs.items()
        ]

    def inspect(self, container: str) -> dict[str, Any]:
        state = self.states.get(container.replace("-", "_"), "running")
        return {
            "Id": container,
            "State": {"Pid": 1, "Status": state, "Running": state == "running", "Paused": False, "ExitCode": 137},
            "NetworkSettings": {"Ports": {}, "Networks": {"sse-network": {"IPAddress": "10.99.0.11", "Gateway": ""}}},
        }

    def execute(self, container: str, command: list[str], _: float) -> tuple[int, str]:
        return (0, "") if command == ["true"] else (1, f"{container} says no")

    def last_lines(self, container: str, lines: int = 20) -> list[str]:
        return ["out of memory"][:lines]


class WholeHost:
    """What the engine keeps on the host for networks, of which something may be gone."""

    gone: tuple[Lost, ...] = ()

    def __init__(self, *_: object) -> None:
        pass

    def lost(self) -> list[Lost]:
        return list(self.gone)


@pytest.fixture(autouse=True)
def quiet_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    monkeypatch.setattr(listeners, "listeners", lambda _: [])
    monkeypatch.setattr(published_ports, "host_address", lambda _: "")
    monkeypatch.setattr(iptables, "place", lambda _: None)
    monkeypatch.setattr(verifier, "HostSide", WholeHost)


def verified(engine: Engine, tmp_path: Path, containers: dict[str, Any], **keys: Any) -> verifier.Verifier:
    found = verifier.Verifier(engine, str(tmp_path), [{**release(containers), **keys}])  # type: ignore[arg-type,list-item]
    found.run()
    return found


def test_a_stack_as_declared_has_no_findings(tmp_path: Path) -> None:
    verdict = verified(Engine({"sse-redis": spec()}), tmp_path, {"sse-redis": spec()})
    assert verdict.findings == []
    assert verdict.report()["msg"].startswith("verified: 1 containers running, 1 healthy")


def test_a_missing_container_is_told(tmp_path: Path) -> None:
    [finding] = verified(Engine({}), tmp_path, {"sse-redis": spec()}).findings
    assert finding.lines == [
        "sse-redis: does not exist on this host [container]",
        "  evidence: there is no such container",
        "  mend: ./sse up",
    ]


def test_a_stopped_container_is_told_with_its_last_words_and_not_asked_further(tmp_path: Path) -> None:
    engine = Engine({"sse-redis": spec()}, sse_redis="exited")
    [finding] = verified(engine, tmp_path, {"sse-redis": spec()}).findings
    assert finding.evidence == "exited, exit code 137; its last lines: out of memory"


def test_a_container_of_ours_that_no_release_names_is_told(tmp_path: Path) -> None:
    engine = Engine({"sse-redis": spec(), "sse-old": spec()})
    [finding] = verified(engine, tmp_path, {"sse-redis": spec()}).findings
    assert (finding.subject, finding.wrong) == ("sse-old", "no release declares it")


def test_what_a_running_rollout_goes_back_to_is_no_finding(tmp_path: Path) -> None:
    engine = Engine({"sse-redis": spec(), "sse-redis-previous": spec()})
    with run_lock.locked(str(tmp_path), {}):
        assert verified(engine, tmp_path, {"sse-redis": spec()}).findings == []
    [finding] = verified(engine, tmp_path, {"sse-redis": spec()}).findings
    assert finding.subject == "sse-redis-previous"


def test_a_reloaded_container_is_taken_for_what_it_was_told_last(tmp_path: Path) -> None:
    """It was created for three replicas. Since then there are two, and it only read its files anew."""
    made = spec(config={"/etc/p": {"targets": "one two"}}, reaches=[{"to": "one:1"}, {"to": "two:1"}])
    told = spec(config={"/etc/p": {"targets": "one"}}, reaches=[{"to": "one:1"}])
    store = ReleaseStore(str(tmp_path), "sse-platform")
    store.write(release({"sse-prometheus": made}))
    now = release({"sse-prometheus": told}, number=2)
    store.write(now)

    def reaches() -> list[str]:
        running = Running(Engine({"sse-prometheus": made}), str(tmp_path), [now])  # type: ignore[arg-type]
        return [one["to"] for one in running.subjects[0].spec["reaches"]]

    assert reaches() == ["one:1", "two:1"]  # as a failed run leaves it
    loaded: Any = {"id": "sse-prometheus", "version": "v", "spec": told, "release": "2", "ended": True}
    LoadedStore(str(tmp_path)).write("sse-prometheus", loaded)
    assert reaches() == ["one:1"]
    loaded["id"] = "another container of this name"
    LoadedStore(str(tmp_path)).write("sse-prometheus", loaded)
    assert reaches() == ["one:1", "two:1"]


def test_a_failing_healthcheck_is_told_with_its_output(tmp_path: Path) -> None:
    sick = spec(healthcheck={"command": ["false"], "http": None, "interval": 10, "timeout": 5})
    [finding] = verified(Engine({"sse-redis": sick}), tmp_path, {"sse-redis": sick}).findings
    assert (finding.wrong, finding.evidence) == ("its health check failed (false)", "sse-redis says no")


def test_what_can_be_asked_over_http_is_asked_now_however_fresh_the_engines_result_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"port": 8000, "path": "/health/ready"}
    one = spec(healthcheck={"command": ["true"], "http": asked, "interval": 30, "timeout": 5})
    monkeypatch.setattr(health, "passed_lately", lambda *_: True)
    monkeypatch.setattr(health, "check_health", lambda *_: (False, "503 still behind"))
    [finding] = verified(Engine({"sse-app-1": one}), tmp_path, {"sse-app-1": one}).findings
    assert (finding.wrong, finding.evidence) == ("its health check failed (GET /health/ready)", "503 still behind")


def test_all_findings_are_told_at_once(tmp_path: Path) -> None:
    sick = spec(healthcheck={"command": ["false"], "http": None, "interval": 10, "timeout": 5})
    engine = Engine({"sse-redis": sick, "sse-kafka": sick})
    findings = verified(engine, tmp_path, {"sse-redis": sick, "sse-kafka": sick, "sse-nginx": spec()}).findings
    assert [one.subject for one in findings] == ["sse-nginx", "sse-redis", "sse-kafka"]


def test_every_edge_of_the_matrix_is_measured_and_what_is_broken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: object, edges: list[Edge], *__: object, enforced: bool) -> list[matrix.Cell]:
        return [matrix.Cell(edge, "broken" if edge.declared else "open", got="refused") for edge in edges]

    monkeypatch.setattr(matrix, "measure", measure)
    app = spec(container="app", aliases=["app"], reaches=[{"to": "redis:6379", "why": "test"}])
    there = {"sse-app": app, "sse-redis": spec(listens=[6379, 9121]), "sse-gone": spec(container="gone", aliases=[])}
    checked = verified(Engine(there, sse_gone="exited"), tmp_path, there)
    assert [(one.subject, one.wrong) for one in checked.findings] == [
        ("sse-gone", "does not run"),
        ("sse-app", "could not connect to redis:6379 ()"),
    ]
    assert matrix.totals(checked.cells) == {"edges": 4, "measured": 2, "broken": 1, "open": 1, "unmeasured": 2}


def test_a_port_that_is_listened_on_and_not_declared_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [("0.0.0.0", 6379), ("0.0.0.0", 9999), ("127.0.0.1", 9093)]
    monkeypatch.setattr(listeners, "listeners", lambda _: [listeners.Listener(at, port) for at, port in ports])
    one = spec(listens=[6379])
    [finding] = verified(Engine({"sse-redis": one}), tmp_path, {"sse-redis": one}).findings
    assert (finding.subject, finding.evidence) == ("sse-redis", "it listens on 9999")


def test_a_declared_check_is_made_of_the_containers_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def request(endpoint: Endpoint, _: str, path: str, **__: float) -> Answer:
        asked.append((endpoint.url, path))
        return Answer(503, "Kafka is away")

    monkeypatch.setattr(http_answer, "request", request)
    there = {"sse-redis": spec(), "sse-gone": spec(container="gone")}
    parameters = {"port": 8000, "through": None, "path": "/health"}
    check = {"service": "x", "kind": "http", "containers": ["redis-master", "gone"], "parameters": parameters}
    verdict = verified(Engine(there, sse_gone="exited"), tmp_path, there, checks=[check])
    assert asked == [("http://10.99.0.11:8000", "/health")]
    [stopped, unready] = verdict.findings
    assert (stopped.rule, unready.rule, unready.evidence) == ("container", "http", "503 Kafka is away")
    assert verdict.notes == ["this engine has no chain DOCKER-USER, so no rule closes the stack"]


def test_a_release_of_an_older_version_is_verified_without_its_checks_and_said_so(tmp_path: Path) -> None:
    verdict = verified(Engine({"sse-redis": spec()}), tmp_path, {"sse-redis": spec()})
    assert verdict.findings == []
    assert "older version" in verdict.notes[0]
    assert "./sse up" in verdict.notes[0]


def test_a_container_of_another_release_is_judged_by_that_release(tmp_path: Path) -> None:
    newer = spec(healthcheck={"command": ["false"], "http": None, "interval": 10, "timeout": 5})
    ReleaseStore(str(tmp_path), "sse-platform").write(release({"sse-redis": spec()}, 1))
    assert verified(Engine({"sse-redis": spec()}), tmp_path, {"sse-redis": newer}).findings == []


def test_what_the_host_has_lost_is_told_before_what_fails_because_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WholeHost, "gone", (Lost("bridge-down", "sse-network", "its bridge is down", "flags", ("ip",)),)
    )
    assert verified(Engine({"sse-redis": spec()}), tmp_path, {"sse-redis": spec()}).findings == []
    gone = {"sse-redis": spec(), "sse-gone": spec(container="gone", aliases=[])}
    first, second = verified(Engine(gone, sse_gone="exited"), tmp_path, gone).findings
    assert (first.subject, first.wrong, first.mend) == ("sse-network", "its bridge is down", ("./sse up",))
    assert second.subject == "sse-gone"
