"""What the platform declares for several hosts, and the services of a Swarm that come of it."""

from __future__ import annotations

import re

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    Cluster,
    SwarmService,
    services,
)
from rendered import CLUSTERS, ROOT, Rendered

THREE = Cluster(
    {"managers": ["a"], "edge": ["a", "b"], "app": ["a", "b", "c"], "data": ["b", "c"]}, "/var/lib/sse-platform"
)


@pytest.fixture(params=CLUSTERS)
def each(request: pytest.FixtureRequest, clusters: dict[str, Rendered]) -> Rendered:
    """Every cluster in turn."""
    return clusters[request.param]


def of(rendered: Rendered) -> dict[str, SwarmService]:
    """Every service of both projects, by the short name of its container."""
    found = [one for release in (rendered.platform, rendered.dashboard) for one in services(release, THREE)]
    return {one.request["TaskTemplate"]["ContainerSpec"]["Hostname"]: one for one in found}


def test_nginx_follows_names_on_several_hosts_alone(each: Rendered) -> None:
    nginx = each.containers["nginx"]
    assert [*nginx["entrypoint"], *nginx["command"]] == ["bash", "/etc/nginx/follow_names.sh"]
    assert nginx["reload"]["check"] == ["bash", "/etc/nginx/follow_names.sh", "-t"]
    assert (
        each.config("nginx", "/etc/nginx/follow_names.sh") == (ROOT / "roles/nginx/files/follow_names.sh").read_text()
    )
    names = set(re.findall(r"^ *server ([a-z0-9-]+):[0-9]+.*;$", each.nginx, re.MULTILINE))
    replicas = {f"app-{number}" for number in range(1, each.settings["app_replicas"] + 1)}
    assert replicas <= names <= set(each.containers), names - set(each.containers)
