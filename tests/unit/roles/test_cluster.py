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


def test_the_whole_platform_runs_in_a_swarm_where_it_belongs(each: Rendered) -> None:
    found = of(each)
    assert len(found) == len(each.containers)
    where: dict[str, set[str]] = {}
    for name, one in found.items():
        where.setdefault(one.group, set()).add(name)
    assert where.pop("edge") == {"nginx", "nginx-exporter"}
    assert where.pop("every") == {"node-exporter", "container-exporter"}
    assert where.pop("data") == {"kafka", "redis-master", "prometheus", "grafana"}
    replicas = {f"app-{number}" for number in range(1, each.settings["app_replicas"] + 1)}
    assert where.pop("app") == {*replicas, "redis-exporter", "canary", "performance-dashboard"}
    assert not where
    assert {name for name, one in found.items() if one.together} == replicas


def test_what_waits_for_users_of_kafka_comes_in_a_later_wave(each: Rendered) -> None:
    waves = {name: one.wave for name, one in of(each).items()}
    assert waves["kafka"] == 0
    assert waves["app-1"] == 1
    assert max(waves.values()) == 1


def test_a_setting_of_nginx_or_of_users_makes_no_new_task(each: Rendered) -> None:
    for name in ("nginx", "kafka", "prometheus"):
        one = of(each)[name]
        assert [directory["target"] for directory in one.directories if directory["kind"] in {"config", "secrets"}], (
            name
        )
    assert not of(each)["nginx"].files


def test_what_is_on_each_host_is_scraped_on_each(each: Rendered) -> None:
    jobs = {job["job_name"]: job for job in each.prometheus["scrape_configs"]}
    for name, target in (("nginx", "tasks.nginx-exporter"), ("host", "tasks.node-exporter")):
        [asked] = jobs[name]["dns_sd_configs"]
        assert (asked["names"], asked["type"]) == ([target], "A")
    assert jobs["app"]["static_configs"][0]["targets"][0] == "app-1:8000"
    declared = {job["job"] for one in each.declared.values() for job in one.get("metrics", []) if job.get("each_host")}
    assert declared == {name for name, job in jobs.items() if "dns_sd_configs" in job}


def test_metrics_of_each_host_are_those_of_containers_of_each_host(each: Rendered) -> None:
    found = of(each)
    for declaration in each.declared.values():
        for metric in declaration.get("metrics", []):
            for target in metric["targets"]:
                name = target.partition(":")[0]
                assert found[name].is_global is metric.get("each_host", False), target


def test_the_exporter_of_nginx_asks_the_one_of_its_host(each: Rendered) -> None:
    assert "unix:/run/requests/status.sock:/stub_status" in each.containers["nginx-exporter"]["command"]
    assert "listen unix:/run/requests/status.sock;" in each.nginx
    assert "/run/requests" in each.containers["nginx-exporter"]["shared"]
