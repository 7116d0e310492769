"""What the platform declares for several hosts, and the services of a Swarm that come of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.model import connections
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


def brokers(rendered: Rendered) -> set[str]:
    return {"kafka", *(f"kafka-{number}" for number in range(2, rendered.settings["kafka_brokers"] + 1))}


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


def test_a_stream_of_a_host_that_is_lost_ends_before_a_replica_that_hangs_does(each: Rendered) -> None:
    sysctls = {
        name.removeprefix("net.ipv4.tcp_keepalive_"): value
        for name, value in each.containers["nginx"]["sysctls"].items()
    }
    seconds = int(sysctls["time"]) + int(sysctls["intvl"]) * int(sysctls["probes"])
    assert "proxy_socket_keepalive on;" in each.nginx
    assert (
        seconds < 15 < min(int(one) for one in re.findall(r"proxy_read_timeout (\d+)s;", each.nginx) if int(one) > 20)
    )


def test_on_one_host_the_kernel_of_nginx_is_as_it_was(rendered: dict[str, Rendered]) -> None:
    for one in (one for one in rendered.values() if one.settings["deployment"] == "host"):
        names = [name.rpartition(".")[2] for name in one.containers["nginx"]["sysctls"]]
        assert names == ["ip_unprivileged_port_start", "tcp_rmem", "tcp_retries2"]


def test_the_whole_platform_runs_in_a_swarm_where_it_belongs(each: Rendered) -> None:
    found = of(each)
    assert len(found) == len(each.containers)
    where: dict[str, set[str]] = {}
    for name, one in found.items():
        where.setdefault(one.group, set()).add(name)
    assert where.pop("edge") == {"nginx", "nginx-exporter"}
    assert where.pop("every") == {"node-exporter", "container-exporter"}
    assert where.pop("data") == {*brokers(each), "redis-master", "prometheus", "grafana"}
    replicas = {f"app-{number}" for number in range(1, each.settings["app_replicas"] + 1)}
    assert where.pop("app") == {*replicas, "redis-exporter", "canary", "performance-dashboard"}
    assert not where
    several = brokers(each) if len(brokers(each)) > 1 else set[str]()
    assert {name for name, one in found.items() if one.together} == replicas | several


def test_what_waits_for_users_of_kafka_comes_in_a_later_wave(each: Rendered) -> None:
    waves = {name: one.wave for name, one in of(each).items()}
    assert sorted(waves[name] for name in brokers(each)) == list(range(len(brokers(each))))
    assert waves["app-1"] == max(waves.values()) == len(brokers(each))


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


def properties(rendered: Rendered, broker: str) -> dict[str, str]:
    lines = rendered.config(broker, "/etc/kafka/server.properties").splitlines()
    return {key: value for line in lines for key, __, value in [line.partition("=")]}


def test_three_brokers_agree_by_name_and_keep_three_copies(clusters: dict[str, Rendered]) -> None:
    three = clusters["guarded_swarm"]
    for number, name in enumerate(["kafka", "kafka-2", "kafka-3"], 1):
        has = properties(three, name)
        assert has["node.id"] == str(number)
        assert has["controller.quorum.voters"] == "1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093"
        assert has["advertised.listeners"].startswith(f"INTERNAL://{name}:9092,BROKER://{name}:9095,")
        assert (has["default.replication.factor"], has["min.insync.replicas"]) == ("3", "2")
        assert has["unclean.leader.election.enable"] == "false"
        # Nobody without a password reaches a listener from outside of its container.
        protocols = dict(one.split(":") for one in has["listener.security.protocol.map"].split(","))
        open_to_others = {one.split("://")[0] for one in has["listeners"].split(",") if "//0.0.0.0:" in one}
        assert {protocols[listener] for listener in open_to_others} == {"SASL_PLAINTEXT"}
        container = three.containers[name]
        others = {"kafka", "kafka-2", "kafka-3"} - {name}
        assert {one["to"].split(":")[0] for one in container["reaches"]} == others
        assert container["ports"] == []
        place = json.loads(three.config(name, "/etc/accounts/place.json"))
        assert place == {"number": number, "brokers": 3, "port": 9096, "copies": 3, "in_sync": 2}
    app = three.containers["app-1"]["environment"]
    assert app["KAFKA_BROKERS"] == "kafka:9092,kafka-2:9092,kafka-3:9092"
    assert app["SSE_TOPIC_REPLICATION"] == "3"
    [job] = [one for one in three.prometheus["scrape_configs"] if one["job_name"] == "kafka"]
    assert job["static_configs"] == [{"targets": ["kafka:7071", "kafka-2:7071", "kafka-3:7071"]}]


def test_one_broker_of_a_cluster_is_that_of_one_host(clusters: dict[str, Rendered]) -> None:
    one = clusters["swarm"]
    assert properties(one, "kafka")["controller.quorum.voters"] == "1@127.0.0.1:9093"
    assert "SSE_TOPIC_REPLICATION" not in one.containers["app-1"]["environment"]
    assert "kafka_broker_password" not in one.platform["secrets"]


def test_replicas_need_no_name_to_start_and_believe_every_edge_about_its_clients(each: Rendered) -> None:
    for number in range(1, each.settings["app_replicas"] + 1):
        trusted = each.containers[f"app-{number}"]["environment"]["SSE_TRUSTED_PROXIES"]
        subnets = {one["segment"]: one["subnet"] for one in each.platform["networks"].values()}
        assert trusted == subnets.get("app", subnets["network"])


def test_what_the_control_room_is_told_is_read_on_a_host_that_has_no_place_for_it(tmp_path: Path) -> None:
    play = yaml.safe_load((ROOT / "playbooks/cluster/told.yml").read_text())
    script = next(one["ansible.builtin.shell"]["cmd"] for one in play if "ansible.builtin.shell" in one)
    environment = {"PATH": "/bin:/usr/bin", "directory": str(tmp_path / "live"), "name": "x.json"}
    for there in (False, True):
        with subprocess.Popen(["/bin/sh", "-c", script], stdin=subprocess.PIPE, env=environment) as told:
            assert told.stdin is not None
            told.stdin.write(b"x" * 1_000_000)  # more than a pipe holds: a program that does not read it breaks it
            told.stdin.close()
            assert told.wait(10) == 0
        assert (tmp_path / "live/x.json").exists() == there
        (tmp_path / "live").mkdir(exist_ok=True)


def test_each_segment_is_an_overlay_where_all_find_what_they_need(clusters: dict[str, Rendered]) -> None:
    cluster = clusters["segmented_swarm"]
    networks = cluster.platform["networks"]
    assert {name: one["internal"] for name, one in networks.items()} == {
        "sse-network": False,
        "sse-app": False,
        "sse-data": True,
        "sse-monitoring": False,
    }
    assert connections.problems([cluster.platform, cluster.dashboard]) == []
    joined = {
        name: [network["Target"].removeprefix("sse-") for network in one.request["TaskTemplate"]["Networks"]]
        for name, one in of(cluster).items()
    }
    assert (joined["nginx"], joined["app-1"]) == (["network", "app"], ["app", "data", "monitoring"])
    assert joined["kafka"] == joined["kafka-3"] == ["data", "monitoring"]
    assert (joined["grafana"], joined["redis-master"]) == (["monitoring"], ["data"])
