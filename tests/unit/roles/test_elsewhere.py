"""Kafka and Redis elsewhere: what is not declared then, how replicas sign in there, and whom they may reach."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.action import cluster
from ansible_collections.sse.platform.plugins.module_utils.deploy import firewall_rules
from ansible_collections.sse.platform.plugins.module_utils.images import catalogue
from ansible_collections.sse.platform.plugins.module_utils.model import connections, elsewhere
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Cluster, services
from ansible_collections.sse.platform.plugins.module_utils.views import audit, diagram, live, project, svg
from rendered import CA, ELSEWHERE, ROOT, Rendered, images
from sse_app.base.settings import Settings, load
from sse_app.log.kafka import KafkaLog

NAMES = [name for name, one in ELSEWHERE.items() if "deployment" not in one]


@pytest.fixture(params=NAMES)
def away(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Every host of ELSEWHERE that is alone, in turn."""
    return rendered[request.param]


def of_service(one: Rendered) -> Settings:
    """The settings that the service itself reads; its files are where they are on this machine."""
    environment = dict(one.containers["app-1"]["environment"])
    return load(
        {
            name: CA if str(value).startswith("/run/") and "FILE" in name else value
            for name, value in environment.items()
        }
        | {"SSE_TRUSTED_PROXIES": "10.0.0.1"}
    )


def test_what_is_elsewhere_has_no_container_no_exporter_no_image_and_no_metrics(rendered: dict[str, Rendered]) -> None:
    redis, both = rendered["redis_elsewhere"], rendered["kafka_elsewhere"]
    absent = {"redis-master", "redis-exporter"}
    assert set(rendered["default"].containers) - set(redis.containers) == absent
    assert set(rendered["default"].containers) - set(both.containers) == {*absent, "kafka"}
    jobs = {one["job_name"] for one in both.prometheus["scrape_configs"]}
    assert not jobs & {"kafka", "redis"}
    assert not {"kafka", "redis", "redis-exporter"} & set(images(both.settings))
    assert {"redis", "kafka"} - set(images(redis.settings)) == {"redis"}
    rules = both.config("prometheus", "/etc/prometheus/alerts.yml")
    for metric in ("kafka_request", "kafka_log", "absent(redis_up)", "redis_aof"):
        assert metric not in rules
        assert metric in rendered["default"].config("prometheus", "/etc/prometheus/alerts.yml")
    assert "KafkaUnreachable" in rules
    assert "dashboards/kafka.json" not in both.containers["grafana"]["config"]["/etc/grafana"]


def test_the_release_is_whole_and_the_topology_holds(away: Rendered) -> None:
    releases = [away.platform, away.dashboard]
    assert connections.problems(releases) == []
    assert [audit.audit(project.from_release(one)) for one in releases] == [[], []]
    notes = project.from_release(away.platform).notes
    assert any("send data out of this host, to Redis at " in one for one in notes)
    if away.settings["kafka_remote_servers"]:
        assert any("to topic sse-events of Kafka at " in one for one in notes)


def test_replicas_sign_in_there(rendered: dict[str, Rendered]) -> None:
    redis, both = of_service(rendered["redis_elsewhere"]), of_service(rendered["kafka_elsewhere"])
    assert (redis.redis_host, redis.redis_port, redis.redis_user) == ("redis.example.org", 6380, "sse")
    assert (redis.redis_tls, bool(redis.redis_ca_file), redis.kafka_brokers) == (True, True, "kafka:9092")
    assert (redis.kafka_tls, redis.topic_given) == (False, False)
    assert both.kafka_brokers == "kafka-1.example.org:9093,kafka-2.example.org:9093"
    assert (both.kafka_tls, both.kafka_user, both.kafka_mechanism) == (True, "sse", "SCRAM-SHA-256")
    assert both.topic_given
    assert (both.redis_host, both.redis_tls, both.redis_password_file) == ("10.20.30.40", False, "")


def test_the_secrets_are_files_that_the_replicas_alone_have(away: Rendered) -> None:
    values = [one for each in away.containers.values() for one in map(str, each["environment"].values())]
    assert not any("PASSWORD=" in one or CA in one for one in values)
    given = {
        name for name, one in away.platform["secrets"].items() if name.startswith(("kafka_remote", "redis_remote"))
    }
    for name, one in away.containers.items():
        mounted = {file["secret"] for files in one["live_secrets"].values() for file in files.values()}
        assert (given <= mounted) == name.startswith("app-"), name
        assert name.startswith("app-") or not given & mounted, name
    assert given == {name for one in away.platform["elsewhere"] for name in one["secrets"].values()}
    for one in away.platform["elsewhere"]:
        replica: Any = away.containers["app-1"]
        paths = elsewhere.files(one, replica)
        assert set(paths) == set(one["secrets"])
        assert all(path.startswith("/run/secrets/") for path in paths.values())


def test_the_message_size_that_is_asked_for_is_the_service_s_own(rendered: dict[str, Rendered]) -> None:
    both = rendered["kafka_elsewhere"]
    [asked] = [one["asks"] for one in both.platform["elsewhere"] if one["name"] == "Kafka"]
    assert asked["message_bytes"] == KafkaLog(of_service(both))._max_batch
    assert asked["retention_ms"] == of_service(both).retention_seconds * 1000
    assert asked["segments"] is False


def test_a_stack_that_has_all_itself_is_what_it_was(rendered: dict[str, Rendered]) -> None:
    default = rendered["default"]
    assert "elsewhere" not in default.platform
    assert not any("ways_out" in one for one in default.containers.values())
    assert not {"KAFKA_TLS", "REDIS_TLS", "KAFKA_MECHANISM", "SSE_TOPIC_GIVEN"} & set(
        default.containers["app-1"]["environment"]
    )


def test_replicas_reach_what_they_declare_outside_and_nothing_else(rendered: dict[str, Rendered]) -> None:
    segmented = rendered["redis_elsewhere"]
    assert segmented.containers["app-1"]["ways_out"] == [
        *("redis.example.org:6380", "login.example.org:443", "other.example.org:8443", "traces.example.org:443")
    ]
    rules = [" ".join(one) for one in firewall_rules.rules([segmented.platform, segmented.dashboard])]
    address = segmented.containers["app-1"]["networks"]["sse-app"]
    own = [one for one in rules if one.startswith(f"-s {address} ") and "-d 10." not in one]
    allowed = [one for one in own if one.endswith("RETURN")]
    assert [one.partition("--ctorigdstport ")[2].split()[0] for one in allowed[:4]] == ["6380", "443", "8443", "443"]
    assert [one.split("-m comment")[0].split(" ", 2)[2].strip() for one in allowed[4:]] == [
        "-p udp -m udp --dport 53",
        "-p tcp -m tcp --dport 53",
    ]
    assert [one.split(" ", 2)[2] for one in own[len(allowed) :]] == [
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-j REJECT --reject-with icmp-port-unreachable",
    ]
    assert max(map(rules.index, allowed)) < min(rules.index(one) for one in own[len(allowed) :])
    # One network for all closes nothing, and data and monitoring lead nowhere anyway.
    single: Any = rendered["kafka_elsewhere"].platform
    assert not any("6379" in " ".join(one) for one in firewall_rules.rules([single]))
    assert not any(one.startswith("-s 10.99.2.21") and "REJECT" in one for one in rules)


def test_both_pictures_show_what_is_elsewhere(rendered: dict[str, Rendered]) -> None:
    drawn = diagram.topology([rendered["kafka_elsewhere"].platform])
    text = diagram.mermaid(drawn)
    assert "  app_1 -->|9093| elsewhere_kafka([Kafka elsewhere])\n" in text
    assert "  app_1 -->|6379| elsewhere_redis([Redis elsewhere])\n" in text
    picture = svg.draw(drawn)
    assert ">Kafka elsewhere</text>" in picture
    assert ">9093</text>" in picture


def test_the_control_room_knows_the_ways_out(rendered: dict[str, Rendered]) -> None:
    both, own = (live.topology([rendered[name].platform])["containers"] for name in ("kafka_elsewhere", "default"))
    assert {one["short"]: one["ways_out"] for one in both if "ways_out" in one} == {
        name: ["kafka-1.example.org:9093", "kafka-2.example.org:9093", "10.20.30.40:6379"]
        for name in ("app-1", "app-2", "app-3")
    }
    assert not [one for one in own if "ways_out" in one]


def test_on_several_hosts_replicas_alone_need_it_and_nothing_of_it_is_a_service(rendered: dict[str, Rendered]) -> None:
    releases = [rendered["elsewhere_swarm"].platform, rendered["elsewhere_swarm"].dashboard]
    hosts: Any = {"managers": ["a"], "edge": ["a", "b"], "app": ["b", "c"], "data": ["a"]}
    made = [service for one in releases for service in services(one, Cluster(hosts, "/state"))]
    assert {one.name for one in made if one.group == "data"} == {"sse-prometheus", "sse-grafana"}
    assert not {one.name for one in made if re.search("kafka|redis", one.name)}
    held = {"sse-prometheus": "a", "sse-grafana": "a"}
    assert cluster.uses_elsewhere(releases, made, hosts, held) == ["b", "c"]
    assert cluster.uses_elsewhere([rendered["default"].platform], made, hosts, held) == []
    # A new password there is a file of each host, and replaces no task.
    replica = next(one for one in made if one.name == "sse-app-1")
    [secrets] = [one for one in replica.directories if one["target"] == "/run/secrets"]
    assert set(secrets["secrets"]) == {"kafka_password", "kafka_ca.pem", "redis_password"}


@pytest.mark.parametrize("name", ["site", "restore", "rollback", "cluster/up", "cluster/rollback", "cluster/restore"])
def test_it_is_asked_for_before_anything_changes(name: str) -> None:
    """In the play that decides, nothing comes between what refuses a run and the question."""
    import yaml  # noqa: PLC0415

    changes = "docker|stack|images|network|lock|Lock|place_backup|services.yml"
    tasks = [task for play in yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text()) for task in flat(play)]
    words = [json.dumps({key: value for key, value in one.items() if key in DOES}) for one in tasks]
    [first, *_] = [index for index, said in enumerate(words) if re.search(changes, said)]
    assert any("elsewhere.yml" in said or "tasks/host.yml" in said for said in words[:first]), words
    inner = yaml.safe_load((ROOT / "playbooks/tasks/host.yml").read_text())
    assert inner[0]["ansible.builtin.import_tasks"] == "elsewhere.yml"


DOES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "ansible.builtin.import_role")
DOES += ("ansible.builtin.include_role",)


def flat(of: dict[str, Any]) -> list[dict[str, Any]]:
    """The tasks of a play or of a block, in their order."""
    inner = [task for key in ("tasks", "block") for task in of.get(key, [])]
    return [one for task in inner for one in (flat(task) if "block" in task else [task])]


def test_an_image_is_wanted_only_where_it_runs() -> None:
    import yaml  # noqa: PLC0415

    entries = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]
    away = {"kafka_coordination": "kraft", "kafka_remote_servers": ["a:1"], "redis_remote_server": "b:2"}
    here = {"kafka_coordination": "kraft", "kafka_remote_servers": [], "redis_remote_server": ""}
    for name in ("kafka-kraft", "redis", "redis-exporter"):
        assert (catalogue.fits(entries[name], here), catalogue.fits(entries[name], away)) == (True, False)
