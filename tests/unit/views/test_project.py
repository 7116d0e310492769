"""A running project is read as a Compose file is: the same services, ports and networks."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.views import project
from ansible_collections.sse.platform.plugins.module_utils.views.project import Network, Port, Service


def inspected(**host: Any) -> Any:
    return {
        "Id": "1",
        "Name": "/demo-web-1",
        "Config": {
            "Env": ["DB=db:5432", "EMPTY="],
            "Labels": {
                "com.docker.compose.service": "web",
                "com.docker.compose.depends_on": "db:service_healthy:false,cache:service_started:false",
            },
            "Healthcheck": {"Test": ["CMD", "true"]},
        },
        "HostConfig": {
            "NetworkMode": "demo_app",
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}], "81/tcp": None},
            "Memory": 1,
            "PidsLimit": None,
            "Privileged": False,
            **host,
        },
        "Mounts": [{"Source": "/run/docker.sock", "Destination": "/s"}],
        "NetworkSettings": {"Networks": {"demo_app": {}}},
    }


def test_a_container_has_what_its_compose_file_said() -> None:
    networks: Any = [{"Name": "demo_app", "Containers": {"1": {}, "2": {}}}, {"Name": "demo_old"}]
    assert project.from_engine("demo", [inspected()], networks) == project.Project(
        "demo",
        (
            Service(
                name="web",
                networks=("demo_app",),
                ports=(Port("0.0.0.0", 80, published="80"),),
                environment={"DB": "db:5432", "EMPTY": ""},
                checked=True,
                needs=("db", "cache"),
                memory=True,
                engine_socket=True,
            ),
        ),
        (Network("demo_app", others=1), Network("demo_old")),
    )


def test_a_container_on_the_host_network_is_on_no_network() -> None:
    found = project.running_service(inspected(NetworkMode="host"))
    assert (found.mode, found.networks) == ("host", ())
