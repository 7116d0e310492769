"""Public variables: conversion, ranges, misspelt names, and rules between variables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis
import jinja2
import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.settings import conversion, cross_rules, names, options
from hypothesis import given
from hypothesis import strategies as st
from sse_app.base.settings import Settings
from sse_app.base.settings import issuers as read_by_the_service

ROLES = Path(__file__).parents[3] / "roles"
OPTIONS: dict[str, Any] = {
    name: one for role in options.load(ROLES, yaml.safe_load).values() for name, one in role.items()
}


MEMORIES = [name for name in OPTIONS if name.endswith("_memory")]


def of_type(kind: str) -> list[str]:
    return [name for name, option in OPTIONS.items() if option.get("type", "str") == kind]


def accepts(name: str, value: Any) -> Any:
    return conversion.convert(value, OPTIONS[name])


def refuses(name: str, value: Any) -> str:
    with pytest.raises(conversion.RefusedError) as refused:
        conversion.convert(value, OPTIONS[name])
    text = conversion.problem(name, value, OPTIONS[name], refused.value)
    assert text.startswith(f"{name} is ")
    assert "expected " in text
    return text


@pytest.mark.parametrize("name", of_type("int"))
def test_every_integer_is_taken_as_text_and_as_number(name: str) -> None:
    default = jinja2.Template(str(OPTIONS[name]["default"])).render(stack_offset=0)
    default = int(default)
    assert accepts(name, default) == default
    assert accepts(name, str(default)) == default
    for value in ("1.5", 1.5, "three", "", "0x10", "1e3", "٣", True, "true", [], {}, None, -1, "-1", 10**30):
        refuses(name, value)


@pytest.mark.parametrize("name", of_type("bool"))
def test_every_boolean_is_taken_as_text_and_as_boolean(name: str) -> None:
    for value in (True, "true", "yes", "True", "on", "1", 1):
        assert accepts(name, value) is True
    for value in (False, "false", "no", "False", "off", "0", 0):
        assert accepts(name, value) is False
    for value in ("", "maybe", 2, 1.0, None, [], {}):
        refuses(name, value)


@pytest.mark.parametrize("name", [*of_type("str"), *of_type("path")])
def test_no_text_takes_what_yaml_made_of_it(name: str) -> None:
    for value in (3, True, 1.1, None, [], {}):
        refuses(name, value)


@pytest.mark.parametrize("name", OPTIONS)
def test_null_is_refused_with_the_way_to_the_default(name: str) -> None:
    assert "leave the variable out for its default" in refuses(name, None)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_default_is_accepted(name: str) -> None:
    default = OPTIONS[name].get("default")
    if default is not None and "{{" not in str(default):
        assert accepts(name, default) == default


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("app_replicas", 0, "1 to 64"),
        ("exposure_trusted_proxies", ["0.0.0.0/0"], "none that is everybody"),
        ("exposure_trusted_proxies", ["10.0.0.5", "::/0"], "none that is everybody"),
        ("exposure_trusted_proxies", ["0.0.0.0/1", "128.0.0.0/1"], "none that is everybody"),
        ("exposure_hosts", ["a.example:443"], "without a port"),
        ("exposure_hosts", ['a"; return 200; #'], "without a port"),
        ("exposure_plain_http", "maybe", "one of redirect, refuse, serve"),
        ("app_replicas", -1, "1 to 64"),
        ("app_replicas", 1_000_000, "1 to 64"),
        ("app_replicas", "three", "1 to 64"),
        ("exposure_http_port", 0, "1 to 65535"),
        ("exposure_http_port", "65536", "1 to 65535"),
        ("images_source", "floppy", "auto, registry, archive, bundle, packages"),
        ("exposure_profile", "staging", "development, production"),
        ("kafka_coordination", "etcd", "kraft, zookeeper"),
        ("exposure_bind", "localhost", "IPv4 address"),
        ("exposure_trusted_proxies", ["10.0.0.1/8"], "list of addresses"),
        ("redis_memory", "256", "256m"),
        # What only the engine, or a program in its container, would refuse: after others have been replaced.
        *(
            (name, value, "from 6m (the least that Docker gives a container) to 65536g")
            for name in MEMORIES
            for value in ("1k", "6143k", "5m", "9" * 30 + "g", "0m", "-1m", "6M", "")
        ),
        ("kafka_heap", "1m", "at least 64m"),
        ("redis_maxmemory", "1kb", "from 4mb"),
        ("redis_maxmemory", "9" * 30 + "gb", "to 65536gb"),
        ("docker_log_max_size", "9" * 30 + "g", "size"),
        ("docker_log_max_files", 0, "1 to 100"),
        ("prometheus_retention_size", "9" * 30 + "g", "size"),
        ("prometheus_retention_days", 0, "1 to 3650"),
        ("prometheus_alert_for", {"KafkaDown": "9" * 20 + "d"}, "30s, 5m or 1h"),
        ("app_retention_seconds", 0, "60 to"),
        ("app_heartbeat_seconds", 0, "1 to 300"),
        ("nginx_drain_seconds", 0, "1 to 86400"),
        ("exposure_http_port", -1, "1 to 65535"),
        ("images_registry_prefix", "registry.example.org:99999", "registry.example.org:5000"),
        ("images_registry_prefix", "registry.example.org:0/mirror", "registry.example.org:5000"),
        *(("network_name", name, "none of Docker's own") for name in ("bridge", "host", "none", "default")),
        *(
            (name, value, "list of names")
            for name in ("exposure_hosts", "acme_names")
            for value in (
                ["a" * 64 + ".example.org"],
                ["a..example.org"],
                ["-a.example.org"],
                ["a-.example.org"],
                [".".join(["a" * 60] * 5)],
            )
        ),
        ("kafka_external_host", "a" * 64, "at most 63"),
        ("kafka_external_host", "a..example.org", "host name"),
        ("app_environment_extra", {"A=B": "c"}, "variable names"),
        ("app_environment_extra", {"": "c"}, "variable names"),
        ("app_environment_extra", {"A": "c\0"}, "variable names"),
        ("stack_name", "sse; rm -rf /", "a-z"),
        ("stack_name", "Sse", "a-z"),
        ("stack_name", "sse-", "a-z"),
        ("stack_name", "s" * 21, "1 to 20"),
        ("network_name", "a b", "2 to 63"),
        ("stack_state_directory", "/", "absolute path"),
        ("stack_state_directory", "/var/../etc", "absolute path"),
        ("stack_state_directory", "var/lib", "absolute path"),
        ("images_registry_prefix", "https://registry.example.org", "registry.example.org:5000"),
        ("app_environment_extra", {"A B": "c"}, "variable names"),
        ("app_schemas", {"a b": {}}, "prefix.*"),
        ("app_schemas", {"a.*.b": {}}, "prefix.*"),
        ("app_schemas", {"orders": "object"}, "JSON Schema"),
        ("app_schemas", ["orders"], "JSON Schema"),
        ("kafka_users", {"admin": {}}, "not admin, app or broker"),
        ("kafka_users", {"Reports": {}}, "names of a-z"),
        ("kafka_users", {"reports": ["orders"]}, "lists of names under read"),
        ("kafka_users", {"reports": {"reads": ["orders"]}}, "lists of names under read"),
        ("kafka_users", {"reports": {"read": "orders"}}, "lists of names under read"),
        ("kafka_users", {"reports": {"read": ["or*ders"]}}, "prefix.*"),
        ("redis_users", {"default": {}}, "not admin, app, default or exporter"),
        ("redis_users", {"carts": {"keys": ["a b"]}}, "lists under keys"),
        ("redis_users", {"carts": {"keys": ["a{}"]}}, "lists under keys"),
        ("redis_users", {"carts": {"commands": ["get nopass"]}}, "lists under keys"),
        ("kafka_remote_servers", ["a.example:9093", " b.example:9093"], "without spaces"),
        ("kafka_remote_servers", ["a.example:9093 b.example:9093"], "without spaces"),
        ("kafka_remote_servers", "a.example:9093 b.example:9093", "without spaces"),
        ("kafka_remote_servers", ["a.example:0"], "ports from 1 to 65535"),
        ("kafka_remote_servers", ["a.example:65536"], "ports from 1 to 65535"),
        ("kafka_remote_servers", ["a.example"], "list of host:port"),
        ("kafka_remote_servers", ["SASL_SSL://a.example:9093"], "list of host:port"),
        ("kafka_remote_mechanism", "GSSAPI", "one of SCRAM-SHA-512, SCRAM-SHA-256, PLAIN"),
        ("kafka_remote_user", "a b", "without spaces"),
        ("kafka_remote_replication", 0, "1 to 10"),
        ("redis_remote_server", "rediss://a.example:6380", "host:port"),
        ("redis_remote_server", "a.example:70000", "a port from 1 to 65535"),
        ("acme_directory", "https://a.example:abc/", "a port from 1 to 65535"),
        ("acme_directory", "https://a.example:99999/directory", "a port from 1 to 65535"),
        ("acme_directory", "https://[fd00::1/directory", "an address such as https://"),
        ("acme_directory", "https://a..example/directory", "an address such as https://"),
        ("acme_directory", "https://a.example/\xe4", "an address such as https://"),
        ("redis_remote_server", "a.example:6380/0", "host:port"),
        ("app_environment_extra", {"A": True}, "in quotes"),
        ("app_environment_extra", "A=b", "variable names"),
        ("kafka_cluster_id", "short", "22 characters"),
        ("backup_schedule", "daily 25:00", "daily 03:30"),
        ("backup_schedule", "0 3 * * *", "weekly sunday 03:30"),
        ("backup_schedule", "weekly sun", "weekly sunday"),
        ("backup_keep", 0, "1 to 1000"),
        ("backup_directory", "backups", "absolute path"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_range(name: str, value: Any, said: str) -> None:
    assert said in refuses(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redis_remote_server", "rediss://sse:canary-4711@a.example:6380"),
        ("redis_remote_server", "redis://:canary-4711@a.example:6379"),
        ("kafka_remote_servers", ["kafka://sse:canary-4711@a.example:9093"]),
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(name: str, value: Any) -> None:
    text = refuses(name, value)
    assert "4711" not in text
    assert "***@a.example" in text


def test_a_list_and_a_dictionary_come_from_the_command_line_too() -> None:
    assert accepts("exposure_trusted_proxies", "10.0.0.0/8, 192.168.1.1") == ["10.0.0.0/8", "192.168.1.1"]
    assert accepts("exposure_trusted_proxies", '["10.0.0.0/8"]') == ["10.0.0.0/8"]
    assert accepts("exposure_trusted_proxies", "") == []
    assert accepts("app_environment_extra", '{"A": "b"}') == {"A": "b"}


@pytest.mark.parametrize(
    "secret", ["", "short", "with space in it 1234", "quote'quote'quote'", "${HOME}-and-more-text", "a\nb" * 9]
)
def test_a_bad_secret_is_refused_and_never_shown(secret: str) -> None:
    text = refuses("stack_secrets", {"redis_password": secret})
    assert "a secret (not shown)" in text
    assert not secret or secret not in text


@hypothesis.settings(max_examples=30, deadline=None)
@given(value=st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.text())))
def test_no_value_breaks_the_conversion(value: Any) -> None:
    told: list[str] = []
    for name, option in OPTIONS.items():
        try:
            conversion.convert(value, option)
        except conversion.RefusedError as refused:
            told.append(conversion.problem(name, value, option, refused))
    assert all(len(text) < 500 for text in told)


def test_a_misspelt_variable_is_refused_with_the_nearest_real_one() -> None:
    given_names = ["redis_memmory", "app_replica", "reddis_port", "network_subnet", "ndis_port_speed"]
    problems, warnings = names.unknown_names(given_names, OPTIONS, ["redis", "app", "network"])
    assert problems == [
        "app_replica is not a variable of this collection: did you mean app_replicas?",
        "reddis_port is not a variable of this collection: did you mean redis_port?",
        "redis_memmory is not a variable of this collection: did you mean redis_memory?",
    ]
    assert warnings == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("redis_porting", "redis_port"),
        ("redis_sentinel_quorum", "redis_"),  # of a later version
        ("network_subnet_v6_prefix", "network_subnet"),
        ("app_too", "app_"),
    ],
)
def test_an_unknown_variable_with_a_prefix_of_ours_is_refused(name: str, nearest: str) -> None:
    [problem], warnings = names.unknown_names([name], OPTIONS, ["redis", "app", "network"])
    assert problem.startswith(f"{name} is not a variable of this collection: the nearest is {nearest}")
    assert "stack_foreign_variables" in problem
    assert warnings == []
    assert names.unknown_names([name], OPTIONS, ["redis", "app", "network"], ignored=[f"{name[:-2]}*"]) == ([], [])


def test_a_variable_whose_prefix_is_nearly_ours_only_warns() -> None:
    problems, warnings = names.unknown_names(
        ["reddis_cluster_name", "netwrk_mtu_all", "api_name", "x"], OPTIONS, ["redis", "app", "network"]
    )
    assert problems == []
    assert warnings == [
        "not variables of this collection, so they change nothing here: netwrk_mtu_all, reddis_cluster_name"
    ]


@pytest.mark.parametrize(
    ("left", "right", "distance"), [("abc", "abc", 0), ("abc", "acb", 2), ("abc", "xyz", 3), ("a", "abcd", 3)]
)
def test_edit_distance_counts_up_to_its_limit(left: str, right: str, distance: int) -> None:
    assert names.edits(left, right) == distance


CREDENTIALS = dict.fromkeys(("app_keys_file", "app_jwks_file", "app_jwt_secret_file"), "")


def test_production_with_authorization_needs_no_leave_to_publish_unauthenticated() -> None:
    given = {"exposure_profile": "production", "exposure_unauthenticated_publishing": False, "app_auth": True}
    assert cross_rules.problems({**given, "app_keys_file": "/keys"}, OPTIONS) == []


@pytest.mark.parametrize(
    ("given_settings", "said"),
    [
        ({"redis_port": 80, "exposure_http_port": 80}, ["exposure_http_port and redis_port", "80"]),
        ({"images_archive": "", "images_source": "archive"}, ["images_archive", "path of a bundle"]),
        ({"grafana_archive": "/g.tar", "grafana_archive_sha256": ""}, ["grafana_archive_sha256", "both or neither"]),
        ({"nginx_certificate": "/c.pem", "nginx_certificate_key": ""}, ["nginx_certificate_key", "both or neither"]),
        (
            {"exposure_profile": "production", "exposure_unauthenticated_publishing": False, "app_auth": False},
            ["exposure_unauthenticated_publishing", "app_auth true"],
        ),
        ({"app_auth": True, **CREDENTIALS}, ["app_auth is true", "app_keys_file", "one or more"]),
        ({"app_auth": False, **CREDENTIALS, "app_jwks_file": "/j"}, ["app_auth is false", "app_jwks_file"]),
        ({"exposure_profile": "production", "exposure_admin_bind": "0.0.0.0"}, ["exposure_admin_bind", "127.0.0.1"]),
        ({"network_subnet": "10.0.0.0/28", "app_replicas": 3}, ["network_subnet", "/26"]),
        ({"exposure_tls": "files", "nginx_certificate": ""}, ["nginx_certificate is ''", "self_signed"]),
        ({"exposure_tls": "self_signed", "nginx_certificate": "/c.pem"}, ["exposure_tls is 'self_signed'", "/c.pem"]),
        (
            {"kafka_remote_servers": ["a:1"], "kafka_remote_tls": False, "kafka_remote_plain_allowed": False},
            ["kafka_remote_tls is false: everybody on the way", "kafka_remote_plain_allowed true"],
        ),
        (
            {"redis_remote_server": "a:1", "redis_remote_tls": False, "redis_remote_plain_allowed": False},
            ["redis_remote_tls is false: everybody on the way", "redis_remote_plain_allowed true"],
        ),
        (
            {"kafka_remote_user": "sse", "kafka_remote_password_file": ""},
            ["kafka_remote_password_file is ''", "both or neither"],
        ),
        (
            {"kafka_remote_servers": [], "kafka_remote_ca_file": "/ca.pem", "kafka_remote_tls": True},
            ["kafka_remote_servers is []: kafka_remote_ca_file is given"],
        ),
        (
            {"redis_remote_server": "a:1", "redis_remote_ca_file": "/ca.pem", "redis_remote_tls": False},
            ["redis_remote_ca_file is '/ca.pem': redis_remote_tls is false"],
        ),
        ({"exposure_tls": "acme", "acme_accept_terms": False}, ["exposure_tls is 'acme'", "terms of service"]),
        ({"exposure_tls": "acme", "acme_email": ""}, ["exposure_tls is 'acme'", "acme_email"]),
        ({"exposure_tls": "acme", "acme_names": []}, ["exposure_tls is 'acme'", "exposure_hosts"]),
        ({"acme_eab_kid": "kid-1", "acme_eab_hmac_file": ""}, ["acme_eab_hmac_file is ''", "both or neither"]),
        ({"acme_eab_kid": "", "acme_eab_hmac_file": "/h"}, ["acme_eab_kid is ''", "both or neither"]),
        ({"kafka_brokers": 2}, ["kafka_brokers is 2: more than half of the brokers must agree", "expected 1, 3 or 5"]),
        ({"kafka_brokers": 4}, ["kafka_brokers is 4"]),
        ({"kafka_brokers": 3, "deployment": "host"}, ["on one host several brokers are lost together", "swarm"]),
        ({"kafka_brokers": 5, "deployment": "host"}, ["on one host several brokers are lost together"]),
        ({"kafka_brokers": 3, "kafka_coordination": "zookeeper"}, ["keep their metadata themselves", "kraft"]),
        (
            {"network_encrypted": True, "deployment": "host"},
            ["network_encrypted is true: the network of one host leads to no other host", "deployment swarm"],
        ),
        (
            {"exposure_tls": "acme", "acme_challenge": "http-01", "acme_names": ["a.test", "*.b.test"]},
            ["begins with *", "dns-01"],
        ),
    ],
)
def test_a_rule_between_variables_is_told_by_name(given_settings: dict[str, Any], said: list[str]) -> None:
    problems = "\n".join(cross_rules.problems(given_settings, OPTIONS))
    assert all(part in problems for part in said), problems


@pytest.mark.parametrize(("share", "least"), [("app_streams_per_address", 5), ("exposure_connections_per_address", 3)])
def test_a_share_that_turns_the_canary_away_is_refused(share: str, least: int) -> None:
    def told(value: int, interval: int = 10) -> str:
        given = {"app_replicas": 3, "canary_interval_seconds": interval, share: value}
        return "\n".join(cross_rules.problems(given, OPTIONS))

    assert f"{share} is {least - 1}: the canary" in told(least - 1)
    assert f"expected {least} or more, 0 for no limit" in told(least - 1)
    assert [told(0), told(least), told(1, interval=0)] == ["", "", ""]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://x/", "app_issuers_allow_http is false"),
        *((f"https://{host}/x", "app_issuers_allow_private is false") for host in (
            "10.0.0.1", "127.0.0.1:8443", "169.254.169.254", "100.64.0.1", "[::1]", "[fd00::5]:443",
            "[::ffff:10.0.0.1]", "224.0.0.1", "localhost", "a.localhost")),
        *((f"https://{host}/x", "nothing can be asked there") for host in (
            "x:99999", "x:0", "x:jwks", "[::1", "\u00e9.example")),
    ],
)  # fmt: skip
def test_an_issuer_that_would_never_be_asked_is_refused(address: str, said: str) -> None:
    def told(address: str, **given: Any) -> str:
        return "\n".join(cross_rules.problems({"app_issuers": {"a": address}, **given}, OPTIONS))

    never = {"app_issuers_allow_http": False, "app_issuers_allow_private": False}
    assert told(address, **never).startswith(f"app_issuers holds {address} for a: ")
    assert said in told(address, **never)
    assert bool(told(address, **dict.fromkeys(never, True))) is ("asked there" in said)
    for good in ("https://login.example.org:8443/jwks.json", "https://[2001:4860:4860::8888]/jwks.json"):
        assert told(good, **never) == ""


@pytest.mark.parametrize(
    "issuers",
    [
        {f"https://{number}/": "https://login.example.org/" for number in range(101)},
        {"https://a\u00a0b/": "https://login.example.org/"},
        {"a": "https://login.example.org/\u00e9"},
        {"a": "https://login.example.org/\x01"},
    ],
)
def test_issuers_are_refused_here_where_the_service_would_refuse_them(issuers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_by_the_service(json.dumps(issuers))
    assert cross_rules.problems({"app_issuers": issuers}, OPTIONS)


def test_good_settings_break_no_rule() -> None:
    defaults = {
        name: option["default"] for name, option in OPTIONS.items() if "{{" not in str(option.get("default", "{{"))
    }
    assert cross_rules.problems(defaults, OPTIONS) == []
    plain = {"redis_remote_tls": False, "redis_remote_plain_allowed": False, "redis_remote_server": ""}
    assert cross_rules.problems({**defaults, **plain}, OPTIONS) == []


@pytest.mark.parametrize("port", ["", ":0", ":1", ":4318", ":65535", ":65536", ":", ":otlp"])
@pytest.mark.parametrize("host", ["http://collector", "https://[fd00::5]", "http://", "http://[fd00::5", "http://u@c"])
def test_the_collector_is_refused_here_where_the_service_would_refuse_it(host: str, port: str) -> None:
    pattern = Settings.model_json_schema()["properties"]["otlp_endpoint"]["pattern"]
    for path in ("", "/otlp", "?a=b"):
        given = f"{host}{port}{path}"
        if re.search(pattern, given):
            assert accepts("app_otlp_endpoint", given) == given
        else:
            refuses("app_otlp_endpoint", given)


@pytest.mark.parametrize(
    "given", ["", "https://dash.example.org", "http://[fd00::5]:3001/room/", "http://10.0.0.5:3001"]
)
def test_messages_lead_to_an_address(given: str) -> None:
    assert accepts("alerts_dashboard_url", given) == given


@pytest.mark.parametrize(
    "given", ["dash", "http://", "http://:3001", "http://h:room", "http://h:65536", "http://h/?a=b"]
)
def test_what_leads_nowhere_is_refused_before_alertmanager_would_end_by_it(given: str) -> None:
    refuses("alerts_dashboard_url", given)


def test_every_setting_of_memory_takes_the_least_of_docker_and_has_a_name_that_tells_it() -> None:
    assert len(MEMORIES) > 8
    for name in MEMORIES:
        assert accepts(name, "6m") == "6m"
        assert accepts(name, "6144k") == "6144k"
    assert [name for name, one in OPTIONS.items() if one.get("format") == "memory" and name not in MEMORIES] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka_heap": "1g", "kafka_memory": "1g"}, "kafka_heap is '1g': kafka_memory is 1g, and the whole container"),
        ({"kafka_heap": "2048m", "kafka_memory": "1g"}, "expected less than that"),
        ({"redis_maxmemory": "256mb", "redis_memory": "256m"}, "redis_maxmemory is '256mb': redis_memory is 256m"),
        ({"kafka_heap": "512m", "kafka_memory": "1g"}, ""),
        ({"redis_maxmemory": "128mb", "redis_memory": "256m"}, ""),
    ],
)
def test_a_program_is_given_less_memory_than_its_container_has(settings: dict[str, str], said: str) -> None:
    assert [said in text for text in cross_rules.problems(settings, OPTIONS)] == [True] * bool(said)
