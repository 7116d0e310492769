"""Properties of the service roles: what they declare, rendered by Ansible itself, and their public variables."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import dashboards
import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_job, secret_store
from ansible_collections.sse.platform.plugins.module_utils.model import connections, watch
from ansible_collections.sse.platform.plugins.module_utils.settings import options, values
from ansible_collections.sse.platform.plugins.module_utils.views import audit, diagram, project
from rendered import ROOT, Rendered
from sse_app import canary
from sse_app.access import api_keys
from sse_app.access.schemas import Schemas
from sse_app.base import channels
from sse_app.base import settings as app_settings
from sse_app.base.event import Event
from sse_app.base.problem import Problem
from sse_app.service import Service

DECLARING = [
    "acme",
    "alerts",
    "app",
    "canary",
    "dashboard",
    "exporters",
    "grafana",
    "kafka",
    "nginx",
    "prometheus",
    "redis",
]
ROLES = [*DECLARING, "exposure", "services", "verify"]
LOOPBACK = "127.0.0.1"
# A metric of the service's in PromQL, and its matchers; those of other programs have other beginnings.
OTHERS = "reach_|backup_|certificate_|acme_|canary_|verify_|release_|containers?_"
OURS = re.compile(rf"\b(sse_(?!{OTHERS})\w+)(?:\{{([^}}]*)\}})?")
MATCHER = re.compile(r'(\w+)[!=]=?~?"([^"]*)"')


def test_the_readmes_picture_is_the_topology_as_declared(rendered: dict[str, Rendered]) -> None:
    default = rendered["default"]
    picture = diagram.mermaid(diagram.topology([default.platform, default.dashboard]))
    assert f"```mermaid\n{picture}```" in (ROOT / "README.md").read_text(), f"README.md should hold:\n{picture}"


def test_our_own_declarations_keep_every_practice(each: Rendered) -> None:
    assert [audit.audit(project.from_release(one)) for one in (each.platform, each.dashboard)] == [[], []]


def test_the_audit_names_each_limit_that_is_off_where_everybody_may_connect(rendered: dict[str, Rendered]) -> None:
    limited, development = rendered["production"].platform, rendered["default"].platform
    assert limited["unlimited"] == {}
    [off] = development["unlimited"].values()
    assert len(off) == 8
    open_wide: Any = {**limited, "unlimited": {"sse-nginx": off}}
    found = audit.audit(project.from_release(open_wide))
    assert [(one.rule, one.subject, one.evidence) for one in found] == [
        ("NET008", "sse-nginx", f"{name} is 0") for name in off
    ]


def test_the_service_itself_has_limits_in_production(rendered: dict[str, Rendered]) -> None:
    environment = rendered["production"].containers["app-1"]["environment"]
    names = ("PUBLISH_RATE", "PUBLISH_BURST", "MAX_STREAMS_PER_ADDRESS", "TIME_PERCENT_PER_ADDRESS")
    assert {name: int(environment[f"SSE_{name}"]) for name in names} == {
        "PUBLISH_RATE": 2000,
        "PUBLISH_BURST": 20_000,
        "MAX_STREAMS_PER_ADDRESS": 2000,
        "TIME_PERCENT_PER_ADDRESS": 10,
    }
    assert "SSE_PUBLISH_RATE" not in rendered["default"].containers["app-1"]["environment"]


@pytest.mark.parametrize(
    ("path", "pace"),
    [
        ("= /api/v1/stream", "zone=streams burst=2000"),
        ("= /api/v1/stats/stream", "zone=streams burst=2000"),
        ("= /api/v1/events", "zone=large burst=128"),
    ],
)
def test_what_an_address_begins_too_soon_waits_and_its_requests_have_their_limit_there_as_well(
    rendered: dict[str, Rendered], path: str, pace: str
) -> None:
    """A location with a limit_req of its own has none of the server's."""
    location = rendered["production"].nginx.partition(f"location {path} {{")[2].partition("\n        }")[0]
    limits = re.findall(r"limit_req (.*);", location)
    assert limits == [pace, "zone=requests burst=4000 nodelay"]
    assert "limit_req zone" not in rendered["default"].nginx


def published(containers: dict[str, dict[str, Any]]) -> dict[int, str]:
    return {port["host_port"]: port["host_ip"] for one in containers.values() for port in one["ports"]}


def test_the_default_is_the_documented_topology(rendered: dict[str, Rendered]) -> None:
    default = rendered["default"]
    assert set(default.platform["containers"]) == {
        *("sse-nginx", "sse-app-1", "sse-app-2", "sse-app-3", "sse-redis-master", "sse-kafka", "sse-prometheus"),
        *("sse-grafana", "sse-redis-exporter", "sse-nginx-exporter", "sse-container-exporter", "sse-node-exporter"),
        "sse-canary",
    }
    assert set(default.dashboard["containers"]) == {"performance-dashboard"}
    aliases = {alias for one in default.containers.values() for alias in one["aliases"]}
    assert aliases >= {"nginx", "redis", "redis-master", "kafka", "prometheus", "grafana", "dashboard", "app-3"}


def test_the_dashboard_shows_the_platform_s_api_or_that_of_a_service_on_the_host(rendered: dict[str, Rendered]) -> None:
    default, host = (rendered[name].containers["performance-dashboard"] for name in ("default", "host_api"))
    platform = ["nginx:80", "prometheus:9090", "app-1:8000", "app-2:8000", "app-3:8000"]
    assert ([one["to"] for one in default["reaches"]], default["reaches_host"]) == (platform, [])
    assert ([one["to"] for one in host["reaches"]], host["reaches_host"]) == ([], [8123])
    assert (default["hosts"], host["hosts"]) == ({}, {"host.docker.internal": "host-gateway"})
    config = rendered["host_api"].config("performance-dashboard", "/etc/nginx/nginx.conf")
    assert "proxy_pass http://host.docker.internal:8123;" in config


def test_the_dashboard_lets_pass_every_body_that_the_service_may_take(each: Rendered) -> None:
    config = each.config("performance-dashboard", "/etc/nginx/nginx.conf")
    [most] = set(re.findall(r"client_max_body_size (\d+)m;", config))
    assert int(most) * 2**20 >= int(each.containers["app-1"]["environment"]["SSE_MAX_BODY_BYTES"])


def foreign(config: str, asked: str) -> bool:
    """Whether the map for foreign hosts has no expression for this."""
    block = config.split("$foreign_host {", 1)[1].split("\n    }", 1)[0]
    known = re.findall(r'^        "~(\*?)(.*)" "";$', block, re.MULTILINE)
    return not any(re.search(pattern, asked, re.IGNORECASE if star else 0) for star, pattern in known)


def test_names_stand_in_one_order_so_that_a_second_run_changes_nothing(rendered: dict[str, Rendered]) -> None:
    own = re.findall(r'^        "~\*\^1:(.*)\$" "";$', rendered["bent"].nginx, re.MULTILINE)
    assert [re.sub(r"\\", "", name) for name in own] == ["vm.example.com", "room.example.org", "vm.example.net"]


EVIL = ("evil.example", "sse.example.org.evil.example", "ssexexample.org", "1.evil.example", "evil.localhost", "1.2.x")
ALWAYS = ("localhost", "dashboard", "vm", "192.0.2.7", "[fd00::7]", "_")  # the last one is that of who gives no name


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("default", ()),
        ("host_api", ()),
        ("acme", ("events.example.org", "stream.example.org")),
        ("by-name.example.org", ("by-name.example.org",)),
        ("bent", ("sse.example.org", "room.example.org", "vm.example.net", "vm.example.com", "VM.Example.Com")),
    ],
)
def test_the_dashboard_knows_the_names_of_the_host_and_refuses_every_other_one(
    rendered: dict[str, Rendered], host: str, names: tuple[str, ...]
) -> None:
    """Else a foreign page whose name leads here could read it. Whoever is right learns which variable says so."""
    config = rendered[host].config("performance-dashboard", "/etc/nginx/nginx.conf")
    assert [name for name in (*ALWAYS, *names) if foreign(config, name)] == []
    assert [name for name in EVIL if not foreign(config, name)] == []
    server = config.partition("server {")[2]
    assert "if ($foreign_host) {\n            rewrite ^ /foreign last;" in server.partition("location")[0]
    refusal = server.partition("location = /foreign {")[2].partition("location")[0]
    assert "internal;" in refusal
    assert "return 421 " in refusal
    assert "exposure_hosts: [$host]" in refusal
    assert "alerts_dashboard_url: http://$host:" in refusal


def test_nginx_answers_what_the_dashboard_passes_on_and_nobody_else_by_these_names(
    rendered: dict[str, Rendered],
) -> None:
    config = rendered["bent"].nginx
    long = "a-name-of-more-than-the-sixty-four-bytes-of-a-bucket.example.org"
    for name in ("sse.example.org", "SSE.example.org", long, "localhost", "127.0.0.1", "[::1]", "nginx"):
        assert [foreign(config, f"{of_stack}:{name}") for of_stack in (0, 1)] == [False, False], name
    for name in ("room.example.org", "vm.example.net", "vm.example.com", "vm", "172.30.0.16", "[fd00::16]"):
        assert [foreign(config, f"{of_stack}:{name}") for of_stack in (0, 1)] == [True, False], name
    for name in EVIL:
        assert [foreign(config, f"{of_stack}:{name}") for of_stack in (0, 1)] == [True, True], name


@pytest.mark.parametrize(("size", "left"), [(2**26, 2**26), (2**26 + 1, 0), (None, None)])
def test_what_nobody_counts_does_not_fill_the_disk(
    rendered: dict[str, Rendered], tmp_path: Path, size: int | None, left: int | None
) -> None:
    """The exporter may be away for days: the health check of NGINX empties the file, and still tells the health."""
    container, log = rendered["default"].containers["nginx"], tmp_path / "requests.log"
    assert set(container["shared"]) == {"/run/requests"}
    assert "access_log /run/requests/requests.log " in rendered["default"].nginx
    if size is not None:
        with log.open("wb") as stream:
            stream.truncate(size)
    command = [part.replace("/run/requests", str(tmp_path)) for part in container["healthcheck"]["command"]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        command[-1] = command[-1].replace("/8080", f"/{server.getsockname()[1]}")
        asked = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        connection = server.accept()[0]
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            assert asked.wait(10) == 0
    assert (log.stat().st_size if log.exists() else None) == left
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0  # nobody listens any more


def test_a_client_makes_no_line_of_the_log_longer_than_one_write(rendered: dict[str, Rendered]) -> None:
    """Else lines of two workers mix, and some thousand requests leave nothing else in a log of 30 MB."""
    config = rendered["default"].nginx
    [line] = re.findall(r"log_format line escape=json (.*?);\n", config, re.DOTALL)
    # What nginx makes itself, or takes from a list of words.
    bounded = {"time_iso8601", "remote_addr", "status", "bytes_sent", "request_time", "upstream_addr"}
    bounded |= {"upstream_status", "limit", "request_id", "trace_id", "hint"}
    cut: dict[str, int] = {}
    for name in set(re.findall(r"\$(\w+)", line)) - bounded:
        [body] = re.findall(rf"map \S+ \${name} {{\n(.*?)\n    }}", config, re.DOTALL)
        [[expression, kept, most]] = re.findall(r'"~(\S*\(\?<(\w+)>\.{(\d+)}\)\.)" ', body)
        assert f'"${kept}..."' in body
        pattern = re.compile(expression.replace("(?<", "(?P<"))
        assert not pattern.match("x" * int(most))
        assert pattern.match("\n" * (int(most) + 1)) or name == "method"
        cut[name] = int(most)
    assert cut.keys() == {"path", "method"}
    assert 6 * sum(cut.values()) < 2048  # a control character is six in JSON


def test_one_viewer_gets_at_most_half_of_what_prometheus_is_asked(rendered: dict[str, Rendered]) -> None:
    config = rendered["default"].config("performance-dashboard", "/etc/nginx/nginx.conf")
    zones = dict(re.findall(r"limit_req_zone (\S+) zone=(\w+):", config))
    assert zones == {"$server_name": "all_questions", "$binary_remote_addr": "questions"}
    rates = {name: int(rate) for name, rate in re.findall(r"limit_req_zone .* zone=(\w+):\S+ rate=(\d+)r/s;", config)}
    bursts = {name: int(burst) for name, burst in re.findall(r"limit_req zone=(\w+) burst=(\d+) nodelay;", config)}
    answers = {name: int(most) for name, most in re.findall(r"limit_conn (\w+) (\d+);", config)}
    for found, one, everybody in (
        (rates, "questions", "all_questions"),
        (bursts, "questions", "all_questions"),
        (answers, "answers", "all_answers"),
    ):
        assert found[one] * 2 == found[everybody]


def test_the_dashboard_writes_no_body_to_a_file(each: Rendered) -> None:
    config = each.config("performance-dashboard", "/etc/nginx/nginx.conf")
    assert config.count("proxy_request_buffering off;") == config.count("client_max_body_size") > 0


def test_development_publishes_on_loopback_only(rendered: dict[str, Rendered]) -> None:
    ports = published(rendered["default"].containers)
    assert ports == dict.fromkeys([80, 443, 3000, 3001, 6379, 9090, 9092, 9094], LOOPBACK)


def test_production_opens_http_and_https_and_nothing_else(rendered: dict[str, Rendered]) -> None:
    ports = published(rendered["production"].containers)
    assert {port for port, address in ports.items() if address != LOOPBACK} == {80, 443}


def test_no_replica_is_ever_published(each: Rendered) -> None:
    assert not [name for name, one in each.containers.items() if name.startswith("app-") and one["ports"]]


def test_every_upstream_that_nginx_passes_on_to_is_defined(each: Rendered) -> None:
    defined = re.findall(r"^ *upstream (\S+) {", each.nginx, re.MULTILINE)
    used = re.findall(r"proxy_pass http://([^;/$]+)[;/]", each.nginx)
    later = re.findall(r'^ *"1:\d+:\d+" (\S+);', each.nginx, re.MULTILINE)  # where the first could not be reached
    offers = re.findall(r'^ *"~\^ \?\S+ " (\S+);', each.nginx, re.MULTILINE)
    without = re.findall(r"^ *default (route_\S+);", each.nginx, re.MULTILINE)
    turns = re.findall(r'^ *"1" (\S+);', each.nginx, re.MULTILINE)
    assert {*used, *later, *offers, *without, *turns} == set(defined)
    assert len(offers) == (each.settings["app_replicas"] if each.settings["app_replicas"] > 1 else 0)


def test_each_replica_is_asked_once_where_the_first_could_not_be_reached(each: Rendered) -> None:
    replicas = each.settings["app_replicas"]
    for first in range(1, replicas + 1):
        asked = re.findall(rf'^ *"1:{first}:\d+" (route_1_only_\d+);', each.nginx, re.MULTILINE)
        assert len(asked) == 2 * min(replicas, 8)  # for streams, and for everything else
        assert len(set(asked)) == min(replicas, 8)


def test_a_body_is_as_long_as_the_service_reads_and_is_gathered_in_memory(rendered: dict[str, Rendered]) -> None:
    publish = rendered["default"].nginx.split("location = /api/v1/events {", 1)[1].split("\n        }", 1)[0]
    most = app_settings.Settings.model_fields["max_body_bytes"].default
    assert f"client_max_body_size {most};" in publish
    [buffer] = re.findall(r"client_body_buffer_size (\d+);", publish)
    assert int(buffer) > most
    [bodies] = re.findall(r"limit_conn bodies (\d+);", publish)
    assert int(bodies) * int(buffer) <= 256 * 2**20 + int(buffer)
    [small] = re.findall(r"limit_conn small_bodies (\d+);", publish)
    assert int(small) * 4096 == 64 * 2**20
    bent = rendered["bent"].nginx
    assert "proxy_request_buffering off;" in bent.split("    server {", 1)[1].split("location", 1)[0]


def test_shares_are_on_in_production_and_off_in_development(rendered: dict[str, Rendered]) -> None:
    production, default = rendered["production"].nginx, rendered["default"].nginx
    for limit in ("limit_conn connections 2000;", "limit_req zone=requests burst=4000", "limit_conn publishes 128;"):
        assert limit in production
        assert limit.rpartition(" ")[0] not in default


def test_plain_http_is_redirected_in_production_and_served_in_development(rendered: dict[str, Rendered]) -> None:
    production, default = rendered["production"].nginx, rendered["default"].nginx
    assert "return 308 https://$host$request_uri;" in production
    for exact in ("/api/v1/stream", "/api/v1/stats/stream", "/api/v1/events"):
        found = production.split(f"location = {exact} {{", 1)[1].split("\n        }", 1)[0]
        assert "if ($plain) {" in found
        assert "308" not in found
    assert "$plain" not in default
    assert "10.99.0.1 0;" in production  # the host itself, and whatever its own proxies let in


def test_browsers_are_told_to_stay_with_https_only_where_the_certificate_is_given(
    rendered: dict[str, Rendered],
) -> None:
    assert "Strict-Transport-Security" not in rendered["production"].nginx
    assert rendered["production"].nginx.count("X-Content-Type-Options nosniff always;") >= 5


def test_no_line_of_an_error_holds_the_query_of_a_request_that_may_bring_a_ticket(each: Rendered) -> None:
    for path, level in (("stream", "crit"), ("stats/stream", "crit"), ("events", "alert")):
        location = each.nginx.partition(f"location = /api/v1/{path} {{")[2].partition("\n        }")[0]
        assert re.findall(r"error_log stderr (.*);", location) == [level]
    dashboard = each.config("performance-dashboard", "/etc/nginx/nginx.conf")
    for path in ("/api/", "= /api/v1/health/ready"):
        location = dashboard.partition(f"location {path} {{")[2].partition("\n        }")[0]
        assert re.findall(r"error_log stderr (.*);", location) == ["crit"]


def test_every_location_with_headers_of_its_own_has_the_common_ones(each: Rendered) -> None:
    for block in re.findall(r"\n        location [^{]+{\n(.*?)\n        }", each.nginx, re.DOTALL):
        assert ("add_header" in block) == ("nosniff" in block), block


def test_every_name_and_port_that_a_container_reaches_exists(each: Rendered) -> None:
    assert connections.problems([each.platform, each.dashboard]) == []


def test_nothing_but_these_pairs_is_reached(rendered: dict[str, Rendered]) -> None:
    mode = rendered["segmented"]
    edges = [edge for edge in connections.reachability([mode.platform, mode.dashboard]) if edge.declared]
    pairs = {(edge.source.removeprefix("sse-"), f"{edge.target.removeprefix('sse-')}:{edge.port}") for edge in edges}
    replicas = ("app-1", "app-2", "app-3")
    scraped = (
        "kafka:7071",
        "redis-exporter:9121",
        "nginx-exporter:9113",
        "container-exporter:9104",
        "node-exporter:9100",
        "canary:9310",
    )
    assert pairs == {
        *(("nginx", f"{name}:8000") for name in replicas),
        *((name, peer) for name in replicas for peer in ("kafka:9092", "redis-master:6379")),
        *(("prometheus", peer) for peer in (*scraped, "grafana:3000", *(f"{name}:8000" for name in replicas))),
        *(("canary", peer) for peer in ("nginx:80", *(f"{name}:8000" for name in replicas))),
        ("kafka", "zookeeper:2181"),
        ("redis-exporter", "redis-master:6379"),
        ("nginx-exporter", "nginx:8080"),
        ("grafana", "prometheus:9090"),
        *(("performance-dashboard", peer) for peer in ("nginx:80", "prometheus:9090")),
        *(("performance-dashboard", f"{name}:8000") for name in replicas),
    }


def test_segments_hold_who_needs_them_and_nobody_else(rendered: dict[str, Rendered]) -> None:
    mode = rendered["segmented"]
    on: dict[str, set[str]] = {}
    for name, one in mode.containers.items():
        for network in one["networks"]:
            on.setdefault(network, set()).add(name)
    replicas = {"app-1", "app-2", "app-3"}
    assert on == {
        "sse-network": {"nginx", "performance-dashboard", "canary", "nginx-exporter"},
        "sse-app": {"nginx", *replicas},
        "sse-data": {*replicas, "redis-master", "kafka", "zookeeper", "redis-exporter"},
        "sse-monitoring": {
            *("prometheus", "grafana", "redis-exporter", "nginx-exporter", "container-exporter", "node-exporter"),
            *("kafka", "performance-dashboard", "canary", *replicas),
        },
        **{f"sse-{name}-ports": {name} for name in ("redis-master", "kafka", "prometheus", "grafana")},
    }
    networks = mode.platform["networks"]
    assert {name for name, one in networks.items() if one["internal"]} == {"sse-data", "sse-monitoring"}
    assert not {"redis-master", "kafka", "zookeeper"} & (on["sse-network"] | on["sse-app"])


def test_whoever_sends_nginx_a_credential_over_plain_http_is_on_the_network_where_it_takes_one(
    rendered: dict[str, Rendered],
) -> None:
    asking = {
        name: one["networks"]
        for name, one in rendered["segmented"].containers.items()
        if any(peer["to"] == "nginx:80" for peer in one["reaches"])
    }
    assert set(asking) >= {"canary", "performance-dashboard"}
    assert {name for name, networks in asking.items() if "sse-network" not in networks} == set()


def test_production_has_segments_unless_it_is_told_otherwise(rendered: dict[str, Rendered]) -> None:
    assert set(rendered["production"].platform["networks"]) > {"sse-network", "sse-app", "sse-data", "sse-monitoring"}


def test_the_log_is_limited_to_half_of_the_disk_or_to_what_is_asked(rendered: dict[str, Rendered]) -> None:
    found = {name: one.containers["app-1"]["environment"]["SSE_RETENTION_BYTES"] for name, one in rendered.items()}
    # Nobody has looked at the host here.
    assert (found["default"], found["production"]) == ("-1", str(5 * 2**30))


def test_single_is_the_default_and_one_network_for_all(rendered: dict[str, Rendered]) -> None:
    for one in rendered["default"].containers.values():
        assert list(one["networks"]) == ["sse-network"]


def test_nginx_starts_with_every_replica_down(each: Rendered) -> None:
    replicas = {name for name in each.containers if name.startswith("app-")}
    assert len(replicas) == each.settings["app_replicas"]
    assert set(each.containers["nginx"]["hosts"]) >= replicas
    for name in replicas:
        assert f"server {name}:8000 " in each.nginx
        assert each.containers["nginx"]["hosts"][name] in each.containers[name]["networks"].values()


def test_the_number_of_replicas_is_in_the_config_of_nginx_alone_so_that_it_reloads(each: Rendered) -> None:
    nginx, first = each.containers["nginx"], each.containers["app-1"]
    [address] = set(first["networks"].values()) & set(nginx["hosts"].values())
    later = ipaddress.ip_address(address) + 63
    assert nginx["hosts"]["app-64"] == str(later)
    assert len([name for name in nginx["hosts"] if name.startswith("app-")]) == 64
    assert nginx["farewell"] == {name: "SIGUSR1" for name in each.containers if name.startswith("app-")}


def test_every_service_with_replicas_says_what_a_canary_of_it_is_judged_by(each: Rendered) -> None:
    rolling = {one["service"] for one in each.platform["containers"].values() if one["rolling"]}
    judged = {one["service"] for one in watch.declared(each.declared)}
    assert rolling <= judged


def test_every_replica_knows_its_own_name(each: Rendered) -> None:
    for name, spec in each.platform["containers"].items():
        if spec["service"] == "app":
            assert spec["environment"]["SSE_REPLICA"] == name


def test_the_service_understands_every_variable_it_is_given(each: Rendered) -> None:
    known = {app_settings.variable(field) for field in app_settings.Settings.model_fields}
    for spec in each.platform["containers"].values():
        if spec["service"] == "app":
            assert set(spec["environment"]) <= known


def test_the_service_asks_for_credentials_only_where_it_is_to(rendered: dict[str, Rendered]) -> None:
    for one in rendered.values():
        replica = one.containers["app-1"]
        asked = "/run/auth" in replica["live_secrets"]
        assert ("SSE_AUTH" in replica["environment"]) == asked == one.settings["app_auth"]


def test_every_file_that_the_service_judges_by_is_mounted_and_read_anew(rendered: dict[str, Rendered]) -> None:
    replica = rendered["guarded"].containers["app-1"]
    mounted = {f"/run/auth/{file}": one["secret"] for file, one in replica["live_secrets"]["/run/auth"].items()}
    named = [
        path
        for variable in ("SSE_KEYS_FILES", "SSE_JWKS_FILE", "SSE_TICKET_KEY_FILE")
        for path in replica["environment"][variable].split(",")
    ]
    assert {path: mounted[path] for path in named} == mounted
    assert set(mounted.values()) == {"app_keys", "app_jwks", "app_ticket_key", "app_proof_key", "app_canary_key"}
    assert "app_" not in json.dumps(replica["secrets"])  # a change of those would recreate the replica


def test_the_key_of_verify_is_good_for_its_channel_alone(rendered: dict[str, Rendered], tmp_path: Path) -> None:
    proof = rendered["guarded"].containers["app-1"]["live_secrets"]["/run/auth"]["proof.json"]
    store = secret_store.Store(str(tmp_path), {"app_proof_key": "the-secret-of-verify"}, {})
    text = store.render(proof["secret"], proof["format"])
    assert "the-secret-of-verify" not in text
    [check] = [one for one in rendered["guarded"].declared["app"]["checks"] if one["kind"] == "deliveries"]
    assert check["key"]["secret"] == proof["secret"]
    principal = api_keys.KeyRing(api_keys.parse(text.encode())).find(f"{check['key']['name']}.the-secret-of-verify")
    assert principal is not None
    assert principal.publish.names() == principal.subscribe.names() == [check["channel"]]


def test_the_key_of_the_canary_is_good_for_its_channel_alone(rendered: dict[str, Rendered], tmp_path: Path) -> None:
    asked = rendered["guarded"].containers["app-1"]["live_secrets"]["/run/auth"]["canary.json"]
    sends = rendered["guarded"].containers["canary"]["live_secrets"]["/run/secrets"]["key"]
    store = secret_store.Store(str(tmp_path), {"app_canary_key": "the-secret-of-the-canary"}, {})
    ring = api_keys.KeyRing(api_keys.parse(store.render(asked["secret"], asked["format"]).encode()))
    principal = ring.find(store.render(sends["secret"], sends["format"]))
    assert principal is not None
    assert principal.publish.names() == principal.subscribe.names() == ["sse-platform.canary"]
    assert rendered["default"].containers["canary"]["live_secrets"] == {}  # where nobody is asked for a key


def test_the_canary_watches_every_replica_and_what_everybody_gets(each: Rendered) -> None:
    replicas = [name for name in each.containers if name.startswith("app-")]
    made, address, port = canary.build(each.containers["canary"]["command"][2:])
    assert address == ""  # Prometheus and the matrix come over IPv6, too
    assert [one.name for one in made.watched] == ["nginx", *replicas]
    # Else the first of its streams would not open, and a first install would begin without a budget of errors.
    assert each.containers["canary"]["after"] == [
        f"{each.settings['stack_name']}-{name}" for name in ("nginx", *replicas)
    ]
    assert {one.server.url.rpartition("?")[2] for one in made.watched} == {"channel=sse-platform.canary"}
    assert port in each.containers["canary"]["listens"]
    assert made.publish
    assert made.publish.url == "http://nginx/api/v1/events"


def test_streams_take_the_sockets_of_the_replicas_and_tcp_where_there_is_none_or_it_is_asked_for(
    rendered: dict[str, Rendered],
) -> None:
    one, nginx = rendered["default"], rendered["default"].containers["nginx"]
    [(link, directory)] = nginx["binds"].items()  # one mount for all: for more replicas NGINX needs only a reload
    assert directory == "/var/lib/sse-platform/shared/app"
    assert len(f"{link}/app-64.sock") < 108  # the kernel takes no longer path, and the state directory may be anywhere
    upstream = one.nginx.split("upstream route_1_stream {", 1)[1].split("}", 1)[0]
    assert "proxy_pass http://$route_1_taken;" in one.nginx.split("location = /api/v1/stream", 1)[1].split("}", 1)[0]
    assert "default route_1_stream;" in one.nginx
    for name in ("app-1", "app-2", "app-3"):
        replica = one.containers[name]
        assert f"server unix:{link}/{name}.sock max_fails=0;" in upstream
        assert f"server {name}:8000 max_fails=0 backup;" in upstream
        own = one.nginx.split(f"upstream route_1_offer_{name[-1]} {{", 1)[1].split("}", 1)[0]
        sockets = f"unix:{link}/{name}.sock"
        assert re.findall(r"server (\S+)", own) == [sockets, f"{name}:8000"]
        assert replica["shared"] == {"/run/sse": "app"}
        assert replica["environment"]["SSE_SOCKET_PATH"] == f"/run/sse/{name}.sock"
        assert nginx["group_add"] == [replica["user"].split(":")[1]]
    tcp = rendered["tcp"]
    assert "unix:" not in tcp.nginx
    assert (tcp.containers["nginx"]["binds"], tcp.containers["nginx"]["group_add"]) == ({}, [])
    assert "shared" not in tcp.containers["app-1"]
    assert "SSE_SOCKET_PATH" not in tcp.containers["app-1"]["environment"]


def test_nginx_reads_key_and_certificate_from_one_file_in_each_handshake(each: Rendered) -> None:
    nginx = each.containers["nginx"]
    assert nginx["secrets"] == {}  # a change of those would need a reload
    keeper = each.containers.get("acme")
    if keeper is None:
        assert nginx["live_secrets"]["/run/tls"]["tls.pem"] == {"secret": "tls_key", "format": "{}\n{pair}"}
    else:
        directory = f"{each.settings['stack_state_directory']}/data/{each.settings['stack_name']}-acme"
        assert nginx["binds"]["/run/tls"] == f"{directory}/{keeper['data']['/var/lib/acme/serving']}"
        assert nginx["binds"]["/run/challenges"] == f"{directory}/{keeper['data']['/var/lib/acme/challenges']}"
        assert nginx["user"] == keeper["user"]  # or NGINX could not read the key
        assert "location ^~ /.well-known/acme-challenge/" in each.nginx
    assert "ssl_certificate $certificate;" in each.nginx
    assert "ssl_certificate_key $certificate;" in each.nginx


def test_nginx_waits_longer_than_three_heartbeats_and_than_a_publish(each: Rendered) -> None:
    environment = each.containers["app-1"]["environment"]
    stream = each.nginx.split("location = /api/v1/stream", 1)[1].split("}", 1)[0]
    publish = each.nginx.split("location = /api/v1/events", 1)[1].split("}", 1)[0]
    assert f"proxy_read_timeout {3 * int(environment['SSE_HEARTBEAT_SECONDS'])}s;" in stream
    assert f"proxy_read_timeout {int(environment['SSE_PUBLISH_DEADLINE_SECONDS']) + 1}s;" in publish


def test_connections_end_by_their_own_limits_before_descriptors_do(each: Rendered) -> None:
    connections = each.settings["nginx_worker_connections"]
    assert f"worker_connections {connections};" in each.nginx
    assert each.containers["nginx"]["open_files"] >= connections + 1000
    streams = app_settings.Settings.model_fields["max_streams"].default
    assert each.containers["app-1"]["open_files"] >= streams + 1000


def test_trusted_proxies_are_believed_and_nobody_else(rendered: dict[str, Rendered]) -> None:
    assert "set_real_ip_from" not in rendered["default"].nginx
    assert "set_real_ip_from 10.0.0.5;" in rendered["production"].nginx
    assert "192.168.0.0/16 1;" in rendered["production"].nginx


def test_who_forwards_for_others_and_is_not_believed_is_named_in_the_log_with_the_variable(each: Rendered) -> None:
    """All clients of such a proxy share one budget, and nothing else says why they are refused."""
    assert '"hint":"$hint"}' in each.nginx
    block = each.nginx.split('map "$of_others:$trusted_proxy:$http_x_forwarded_for" $hint {', 1)[1].split("}", 1)[0]
    [(pattern, said)] = re.findall(r'"~([^"]+)" "([^"]+)";', block)
    assert "exposure_trusted_proxies" in said
    told = {one: bool(re.search(pattern, one)) for one in ("1:0:198.51.100.7", "1:0:", "1:1:198.51.100.7", "0:0:::1")}
    assert told == {"1:0:198.51.100.7": True, "1:0:": False, "1:1:198.51.100.7": False, "0:0:::1": False}
    outside = each.nginx.split("geo $realip_remote_addr $of_others {", 1)[1].split("}", 1)[0]
    assert f"{each.settings['network_subnet']} 0;" in outside
    assert re.search(r"\.1 1;", outside)  # the host itself, where a proxy may run


def test_a_published_kafka_port_leads_to_the_listener_that_advertises_it(each: Rendered) -> None:
    listeners = dict(one.split("://") for one in each.kafka["listeners"].split(","))
    advertised = dict(one.split("://") for one in each.kafka["advertised.listeners"].split(","))
    external = each.settings["kafka_external_port"]
    hosts = {each.settings["kafka_port"]: LOOPBACK, external: each.settings["kafka_external_host"]}
    for port in each.containers["kafka"]["ports"]:
        (name,) = [name for name, at in listeners.items() if at == f"0.0.0.0:{port['container_port']}"]
        assert advertised[name] == f"{hosts[port['host_port']]}:{port['host_port']}"
    assert advertised["INTERNAL"] == "kafka:9092"
    # Without KRaft the controller of the cluster is a part of the broker, and asks it there.
    assert advertised.get("CONTROLLER", "127.0.0.1:9093") == "127.0.0.1:9093"


def test_zookeeper_comes_with_its_mode_only(rendered: dict[str, Rendered]) -> None:
    assert "zookeeper" not in rendered["default"].containers
    assert "process.roles" in rendered["default"].kafka
    mode = rendered["zookeeper"]
    assert mode.containers["kafka"]["after"] == ["sse-zookeeper"]
    assert mode.kafka["zookeeper.connect"] == "zookeeper:2181"
    assert "process.roles" not in mode.kafka


def test_data_are_declared_as_written_by_the_version_of_the_image(each: Rendered) -> None:
    catalogue = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]
    kraft = each.settings["kafka_coordination"] == "kraft"
    kafka = catalogue["kafka-kraft" if kraft else "kafka-zookeeper"]["packages"]["args"]["VERSION"]
    redis = catalogue["redis"]["registry"]["pull"].partition(":")[2]
    declared = {
        one["container"]: one["writes"]
        for service in ("kafka", "redis")
        for one in each.declared[service]["existing_data"]
    }
    assert declared == {"kafka": kafka.rpartition(".")[0], "redis-master": redis.rpartition(".")[0]}


def test_prometheus_scrapes_what_every_service_declares(each: Rendered) -> None:
    wanted = {
        target
        for name, declaration in each.declared.items()
        if name not in each.platform["unavailable"]
        for metric in declaration.get("metrics", [])
        for target in metric["targets"]
    }
    scraped = {
        target
        for job in each.prometheus["scrape_configs"]
        for static in job.get("static_configs", [])
        for target in static["targets"]
    }
    assert scraped == wanted | {"127.0.0.1:9090"}
    assert {one["to"] for one in each.containers["prometheus"]["reaches"]} == wanted


def test_every_part_of_the_platform_is_measured(rendered: dict[str, Rendered]) -> None:
    jobs = {job["job_name"] for job in rendered["default"].prometheus["scrape_configs"]}
    assert jobs == {"app", "canary", "redis", "kafka", "nginx", "containers", "host", "grafana", "prometheus"}


def test_without_grafana_nothing_else_suffers(rendered: dict[str, Rendered]) -> None:
    left = rendered["no_grafana"]
    assert left.platform["unavailable"] == {"grafana": "in no package registry"}
    assert set(rendered["default"].containers) - set(left.containers) == {"grafana"}
    assert "grafana" not in json.dumps(left.prometheus["scrape_configs"])


def test_a_service_of_the_users_is_routed_and_scraped(rendered: dict[str, Rendered]) -> None:
    bent = rendered["bent"]
    assert "server echo:8000 " in bent.nginx
    assert "echo:8000" in [one["to"] for one in bent.containers["prometheus"]["reaches"]]


def test_extra_configuration_wins(rendered: dict[str, Rendered]) -> None:
    bent = rendered["bent"]
    redis = bent.config("redis-master", "/etc/redis/redis.conf").splitlines()
    assert [line for line in redis if line.startswith("maxmemory-policy")][-1] == "maxmemory-policy noeviction"
    assert bent.kafka["num.partitions"] == "3"
    assert re.findall(r"^    client_max_body_size .*$", bent.nginx, re.MULTILINE) == ["    client_max_body_size 8m;"]
    assert bent.prometheus["global"]["scrape_interval"] == "1s"
    assert bent.prometheus["scrape_configs"][-1] == {"job_name": "mine"}
    assert len(bent.prometheus["scrape_configs"]) > 1
    assert "default_theme = light" in bent.config("grafana", "/etc/grafana/grafana.ini")
    assert bent.containers["app-2"]["environment"]["SSE_LOG_LEVEL"] == "debug"


def test_no_container_has_a_capability_or_a_writable_root_or_runs_as_root(each: Rendered) -> None:
    for one in each.containers.values():
        assert one["capabilities"] == []
        assert one["read_only"] is True
        assert not one["user"].startswith("0:")


def test_every_container_has_a_weight_and_what_events_pass_through_has_more_than_what_only_looks(
    each: Rendered,
) -> None:
    weights = {name: one["cpu_shares"] for name, one in each.containers.items() if "cpu_shares" in one}
    assert weights.keys() == each.containers.keys()
    path = [weight for name, weight in weights.items() if re.fullmatch(r"kafka|nginx|redis-master|app-\d+", name)]
    looking = [weights[name] for name in weights if re.search(r"prometheus|grafana|-exporter|dashboard", name)]
    assert min(path) > max(looking)


def test_exporters_mount_the_matrix_and_the_control_groups_and_nothing_else_of_the_host(
    rendered: dict[str, Rendered],
) -> None:
    for each in rendered.values():
        for name, one in each.containers.items():
            mounted = {source for source in one["binds"].values() if not source.startswith("/var/lib/")}
            assert mounted == ({"/sys/fs/cgroup"} if name == "container-exporter" else set()), name
    own = rendered["default"].containers["node-exporter"]
    assert list(own["binds"].values()) == ["/var/lib/sse-platform/matrix"]


def test_no_container_has_the_socket_of_the_engine(each: Rendered) -> None:
    mounted = {source for one in each.containers.values() for source in one["binds"].values()}
    assert not [source for source in mounted if "docker" in source or "containerd" in source or source == "/"]
    assert not [source for source in mounted if source in ("/run", "/var", "/var/run", "/var/lib")]


def test_secrets_are_files_and_never_in_the_environment(each: Rendered) -> None:
    for one in each.containers.values():
        assert not [key for key in one["environment"] if "PASSWORD" in key and not key.endswith("_FILE")]
    assert {"admin.acl", "app.acl", "exporter.acl", "password"} <= set(
        each.containers["redis-master"]["secrets"]["/run/users"]
    )


def test_every_listener_of_kafka_but_the_controllers_asks_who_a_client_is(each: Rendered) -> None:
    protocols = dict(one.split(":") for one in each.kafka["listener.security.protocol.map"].split(","))
    listeners = dict(one.split("://") for one in each.kafka["listeners"].split(","))
    open_ones = {name for name in listeners if protocols[name] == "PLAINTEXT"}
    assert open_ones == {"CONTROLLER"}
    assert listeners["CONTROLLER"] == "127.0.0.1:9093"
    assert each.kafka["sasl.enabled.mechanisms"] == "SCRAM-SHA-512"
    assert each.kafka["allow.everyone.if.no.acl.found"] == "false"
    assert int(each.kafka["sasl.server.max.receive.size"]) <= 8192
    request = int(each.kafka["socket.request.max.bytes"])
    assert 2**20 < request <= 2**21
    of_host = sum(int(each.kafka[f"listener.name.{name}.max.connections"]) for name in ("host", "external"))
    heap = 2**20 * int(each.settings["kafka_heap"].removesuffix("m"))
    assert of_host * request <= heap // 2
    assert each.kafka["authorizer.class.name"].endswith("Authorizer")


def test_the_app_may_use_its_own_topic_and_its_own_keys_alone(each: Rendered) -> None:
    rights = json.loads(each.config("kafka", "/etc/accounts/users.json"))
    assert rights["app"] == {"read": ["sse-events"], "write": ["sse-events"], "create": ["sse-events"]}
    users = each.containers["redis-master"]["secrets"]["/run/users"]
    assert users["app.acl"]["format"].split()[:4] == ["user", "app", "on", ">{}"]
    assert [one for one in users["app.acl"]["format"].split() if one[0] in "~&"] == ["~sse-events:*"]
    assert users["exporter.acl"]["format"].split()[4:] == ["+ping", "+info", "+client|setname"]
    assert "user default off" in each.config("redis-master", "/etc/redis/redis.conf")


def test_grafana_gets_four_dashboards_as_they_are_declared(each: Rendered) -> None:
    if "grafana" not in each.containers:
        pytest.skip("no Grafana on this host")
    texts = dashboards.texts()
    assert set(texts) == {"overview.json", "streams.json", "kafka.json", "host.json"}
    for name, text in texts.items():
        assert each.config("grafana", f"/etc/grafana/dashboards/{name}") == text, "run tools/dashboards.py"


def test_replicas_may_connect_to_a_collector_that_is_a_container_and_send_spans_nowhere_without_one(
    rendered: dict[str, Rendered],
) -> None:
    traced, default = (rendered[name].containers["app-2"] for name in ("traced", "default"))
    assert traced["environment"]["SSE_OTLP_ENDPOINT"] == "http://collector:4318"
    assert "collector:4318" in [one["to"] for one in traced["reaches"]]
    assert not [name for name in default["environment"] if "OTLP" in name]
    assert [one["to"] for one in default["reaches"]] == ["kafka:9092", "redis-master:6379"]
    assert default["reaches_host"] == traced["reaches_host"] == []


async def test_schemas_reach_every_replica_as_the_service_reads_them(
    rendered: dict[str, Rendered], tmp_path: Path
) -> None:
    bent = rendered["bent"]
    for name in ("app-1", "app-3"):
        directory = bent.containers[name]["environment"]["SSE_SCHEMAS_DIR"]
        (tmp_path / "schemas.json").write_text(bent.config(name, f"{directory}/schemas.json"))
        schemas = Schemas(str(tmp_path))
        await schemas.check([Event(channel="orders", data={"n": 1}), Event(channel="stock.eu", data=1)])
        with pytest.raises(Problem, match="'n' is a required property"):
            await schemas.check([Event(channel="orders", data={})])
    default = rendered["default"].containers["app-1"]
    assert "SSE_SCHEMAS_DIR" not in default["environment"]
    assert not default["config"]


@pytest.mark.parametrize(
    "name",
    ["a", "a.b", "a.*", "*", ".*", "a..*", "x" * 200, "x" * 199 + ".*", "x" * 200 + ".*", "a*", "", "a.*.*", "a b"],
)
def test_the_collection_and_the_service_take_the_same_channels(name: str) -> None:
    try:
        channels.parse([name])
        taken = True
    except ValueError:
        taken = False
    option = options.load(ROOT / "roles", yaml.safe_load)["app"]["app_schemas"]
    assert values.holds({name: {}}, option) == taken


def queries(each: Rendered) -> list[str]:
    """Every query of the dashboards and the alerts."""
    rules = yaml.safe_load(each.config("prometheus", "/etc/prometheus/alerts.yml"))
    boards = [json.loads(text) for text in dashboards.texts().values()]
    return [
        *(rule["expr"] for group in rules["groups"] for rule in group["rules"]),
        *(target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", [])),
    ]


def test_alerts_about_backups_ask_for_series_that_the_timer_writes(rendered: dict[str, Rendered]) -> None:
    asked = {name for query in queries(rendered["default"]) for name in re.findall(r"\bsse_backup_\w+", query)}
    assert asked
    assert asked <= {name for name, _ in backup_job.HELP.values()}


def test_dashboard_and_alerts_ask_for_series_that_the_service_exposes(rendered: dict[str, Rendered]) -> None:
    settings = app_settings.load({"REDIS_HOST": "redis"})  # so that every gauge is there
    samples = [sample for family in Service(settings).metrics.collect() for sample in family.samples]
    asked = [(name, rest) for query in queries(rendered["default"]) for name, rest in OURS.findall(query)]
    assert len({name for name, _ in asked}) > 15
    for name, matchers in asked:
        series = [sample.labels for sample in samples if sample.name == name]
        assert series, f"{name} is not exposed"
        for label, matched in MATCHER.findall(matchers):
            if label == "instance":  # Prometheus' own, and a variable of a dashboard
                continue
            for value in matched.split("|"):
                assert value in {labels[label] for labels in series}, f"{name} has no {label}={value}"


def test_alerts_are_about_every_kind_of_trouble_and_each_says_what_it_means(each: Rendered) -> None:
    rules = yaml.safe_load(each.config("prometheus", "/etc/prometheus/alerts.yml"))
    alerts = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert set(alerts) >= {"TargetDown", "ReplicaNotReady", "KafkaUnreachable", "RedisUnreachable", "ConsumerLag"}
    assert set(alerts) >= {"Gaps", "SlowReaders", "PublishesFail", "DeliveryLatency"}
    assert "{{ $labels.instance }}" in alerts["ReplicaNotReady"]["annotations"]["summary"]  # Prometheus' own template
    assert each.prometheus["rule_files"] == ["alerts.yml"]


@pytest.mark.parametrize("inventory", ["local", "vm-example"])
def test_inventories_hold_overrides_of_public_variables_only(inventory: str) -> None:
    public = {
        name
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for name in yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options", {})
    }
    files = {path.stem: path for path in (ROOT / f"inventory/{inventory}/group_vars/all").iterdir()}
    assert set(files) == {"network", "images", "services", "exposure"}
    for path in files.values():
        assert set(yaml.safe_load(path.read_text()) or {}) <= public


def test_a_route_that_strips_its_path_says_which_it_was(rendered: dict[str, Rendered]) -> None:
    bent = rendered["bent"].nginx
    kept, bare = (bent[bent.index(f"location /{name}/ {{") :].partition("}")[0] for name in ("echo", "bare"))
    assert re.search(r"proxy_pass http://route_\d+;", kept)
    assert re.search(r"proxy_pass http://route_\d+/;", bare)
    stream = bent[bent.index("location = /bare/stream {") :].partition("}")[0]
    assert re.search(r"proxy_pass http://route_\d+/stream;", stream)
    assert '"~^/bare/" /bare;' in bent
    assert '"~^/echo/" /echo;' not in bent
    assert "X-Forwarded-Prefix" not in rendered["default"].nginx
