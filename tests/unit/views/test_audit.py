"""Each practice is found where it is broken, and only there; the same in a Compose file and in what runs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.views import audit
from ansible_collections.sse.platform.plugins.module_utils.views.project import ProjectError
from compose_files import reading

SECRET = "hunter2-5f1d"
PORT = "expected [[address:]host port:]container port, found 'http'"
GOOD: dict[str, Any] = {
    "services": {
        "web": {
            "image": "nginx",
            "networks": ["app"],
            "ports": ["80:80", "443:443/tcp", "127.0.0.1:9000:9000"],
            "depends_on": {"db": {"condition": "service_healthy"}},
            "environment": ["DB=db:5432", "DB_PASSWORD_FILE=/run/secrets/db", "LISTEN=0.0.0.0:80", "DNS=8.8.8.8"],
            "mem_limit": "64m",
            "pids_limit": 100,
        },
        "db": {
            "image": "postgres",
            "networks": {"app": {"aliases": ["database"]}},
            "ports": [{"target": 5432, "published": "5432", "host_ip": "127.0.0.1"}, "[::1]:5433:5432"],
            "healthcheck": {"test": ["CMD", "pg_isready"]},
            "deploy": {"resources": {"limits": {"memory": "64m", "pids": 100}}},
        },
    },
    "networks": {"app": {"name": "app-network"}},
}


def bent(service: str, **changes: Any) -> dict[str, Any]:
    """The good file with one service changed."""
    document = copy.deepcopy(GOOD)
    document["services"][service] |= changes
    return document


def found(document: Any) -> list[tuple[str, str, str]]:
    return [(one.rule, one.subject, one.evidence) for one in audit.audit(reading.parse(document, "demo"))]


def test_a_project_that_keeps_every_practice_has_no_finding() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (bent("web", networks=None, network_mode="bridge"), ("NET001", "web", "is on the default bridge")),
        (bent("web", environment={"DB": "172.18.0.5"}), ("NET002", "web", "DB holds the address 172.18.0.5")),
        (bent("web", environment={"DB": "tcp://10.0.0.9:5432/x"}), ("NET002", "web", "DB holds the address 10.0.0.9")),
        (bent("db", ports=["5432:5432"]), ("NET003", "db", "port 5432 (PostgreSQL) is published on 0.0.0.0")),
        (bent("db", ports=[5432]), ("NET003", "db", "port 5432 (PostgreSQL) is published on 0.0.0.0")),
        (bent("db", ports=["[::]:5432:5432"]), ("NET003", "db", "port 5432 (PostgreSQL) is published on ::")),
        (bent("web", ports=["9000-9005:9000-9005"]), ("NET004", "web", "port 9000-9005 is published on 0.0.0.0")),
        ({**GOOD, "networks": {"app": None}}, ("NET005", "app", "has no name of its own")),
        (bent("web", networks=None), ("NET005", "default", "has no name of its own")),
        (bent("web", networks=None, network_mode="host", ports=[]), ("NET006", "web", "network_mode: host")),
        (
            {**GOOD, "networks": {**GOOD["networks"], "old": {"name": "old"}}},
            ("NET007", "old", "no container is on it"),
        ),
        (bent("db", healthcheck=None), ("RUN001", "db", "has no health check, and web depends on it")),
        (bent("db", healthcheck={"disable": True}), ("RUN001", "db", "has no health check, and web depends on it")),
        (bent("db", healthcheck={"test": "NONE"}), ("RUN001", "db", "has no health check, and web depends on it")),
        (bent("web", mem_limit=None), ("RUN002", "web", "has no limit of memory")),
        (bent("db", deploy=None), ("RUN002", "db", "has no limit of memory and processes")),
        (bent("web", environment={"API_TOKEN": SECRET}), ("SEC001", "web", "API_TOKEN holds a secret")),
        (bent("web", environment=[f"DB=postgres://u:{SECRET}@db/x"]), ("SEC001", "web", "DB holds a secret")),
        (bent("web", privileged=True), ("SEC002", "web", "privileged: true")),
        (
            bent("web", volumes=["/var/run/docker.sock:/var/run/docker.sock:ro"]),
            ("SEC002", "web", "mounts the engine's socket"),
        ),
        (
            bent("web", volumes=[{"type": "bind", "source": "/run/docker.sock", "target": "/s"}]),
            ("SEC002", "web", "mounts the engine's socket"),
        ),
        *(
            (bent("web", volumes=["data:/d", f"{source}:/x:ro"]), ("SEC002", "web", "mounts the engine's socket"))
            for source in ("/", "/run/", "/var/run", "/run/podman/podman.sock", "/run/containerd/containerd.sock")
        ),
    ],
)
def test_what_does_not_keep_a_practice_is_found_and_nothing_else(
    document: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert found(document) == [expected]


def test_a_job_that_has_to_end_first_needs_no_health_check_and_a_provider_no_limit() -> None:
    document = bent("db", healthcheck=None)
    assert [rule for rule, _, _ in found(document)] == ["RUN001"]
    document["services"]["web"]["depends_on"]["db"]["condition"] = "service_completed_successfully"
    assert found(document) == []
    document["services"]["model"] = {"provider": {"type": "model"}, "networks": ["app"]}
    assert found(document) == []


def test_what_holds_no_socket_of_an_engine_is_no_power() -> None:
    for source in ("run", "./run", "/run/lock", "/var/lib/x", "/srv/docker.sock.d", "/var/log"):
        assert found(bent("web", volumes=[f"{source}:/x"])) == [], source


def test_every_practice_has_a_case_above_an_id_of_its_own_and_a_mend() -> None:
    [table] = [
        mark
        for mark in test_what_does_not_keep_a_practice_is_found_and_nothing_else.pytestmark  # type: ignore[attr-defined]
        if mark.name == "parametrize"
    ]
    tried = {expected[0] for _, expected in table.args[1]}
    of_releases = {"NET008"}  # which no Compose file can break: see test_declarations.py of the roles
    assert [rule.id for rule in audit.RULES] == sorted(tried | of_releases)
    assert all(rule.mend and rule.reason and rule.severity in audit.SEVERITIES for rule in audit.RULES)


def test_no_finding_shows_a_secret() -> None:
    document = bent("web", environment={"DB_PASSWORD": SECRET, "URL": f"amqp://u:{SECRET}@10.0.0.9/"})
    assert SECRET not in str(found(document))


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "the file: expected a mapping, found a list"),
        ({"services": {}}, "services: expected at least one service, found none"),
        ({"services": {"web": "nginx"}}, "services.web: expected a mapping, found text"),
        (
            bent("web", ports=["http"]),
            "services.web.ports[0]: expected [[address:]host port:]container port, found 'http'",
        ),
        (
            bent("web", ports=[{"target": "http"}]),
            "services.web.ports[0]: expected [[address:]host port:]container port",
        ),
        (bent("web", volumes="/run"), "services.web.volumes: expected a list, found text"),
        (bent("web", deploy={"resources": 1}), "services.web.deploy.resources: expected a mapping"),
    ],
)
def test_what_is_no_compose_file_is_refused_with_the_place(document: Any, place: str) -> None:
    with pytest.raises(ProjectError) as refused:
        reading.parse(document, "demo")
    assert str(refused.value).startswith(place)
