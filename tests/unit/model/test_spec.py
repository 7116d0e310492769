"""Properties of declarations and specs."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import route, spec, types, watch

SMALLEST = {"image": "redis", "entrypoint": ["redis-server"], "user": "1:1", "healthcheck": {"command": ["true"]}}


def test_the_smallest_declaration_gets_every_default() -> None:
    parsed = spec.parse(SMALLEST, "here")
    assert set(parsed) == set(spec.DECLARATION)
    assert parsed["read_only"] is True
    assert parsed["capabilities"] == []


def test_sizes_become_bytes_as_docker_counts_them() -> None:
    parsed = spec.parse({**SMALLEST, "memory": "256m", "tmpfs": {"/tmp": "1g"}}, "here")
    assert parsed["memory"] == 256 * 1024 * 1024
    assert parsed["tmpfs"] == {"/tmp": 1024**3}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (spec.DECLARATION, types.Declaration),
        (spec.HEALTH_CHECK, types.HealthCheck),
        (spec.HTTP_CHECK, types.HttpCheck),
        (spec.PUBLISHED_PORT, types.PublishedPort),
        (spec.OLD_PROCESSES, types.OldProcesses),
        (route.ROUTE, types.RouteDeclaration),
        (spec.REACH, types.Reach),
        (spec.RELOAD, types.Reload),
        (spec.SECRET_FILE, types.SecretFile),
        (watch.WATCH, types.Watch),
    ],
)
def test_a_parser_knows_the_keys_of_its_type(fields: dict[str, object], kind: type) -> None:
    assert set(fields) == set(kind.__annotations__)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memmory": "1g"}, "redis.memmory: unknown key; known keys are"),
        ({"image": None}, "redis.image"),
        ({"user": "redis"}, "redis.user: 'redis' is not accepted; expected numeric uid:gid"),
        ({"memory": "lots"}, "redis.memory: 'lots' is not accepted; expected a size"),
        ({"pids": True}, "redis.pids: True is not accepted"),
        # What the engine, runc or the kernel would refuse: after others have been replaced.
        *(
            ({"memory": one}, "redis.memory: .* from 6m to 65536g .6m is the least that Docker gives a container")
            for one in (0, "1k", "6143k", 2**63)
        ),
        *(({"pids": one}, "redis.pids: .* from 1 to 4194304") for one in (0, 2**31)),
        *(({"open_files": one}, "redis.open_files: .* from 16 to 1048576") for one in (0, 2**31)),
        *(({"tmpfs": {"/tmp": one}}, "redis.tmpfs./tmp: .* from 4k") for one in (0, "1k")),
        *(({"cpu_shares": one}, "redis.cpu_shares: .* from 2 to 262144") for one in (0, 1, 2**20)),
        *(({"stop_timeout": one}, "redis.stop_timeout: ") for one in (-1, 10**9)),
        *(({"stop_signal": one}, "redis.stop_signal: .* such as SIGTERM") for one in ("SIGNONE", "term", "0", "65")),
        *(({"capabilities": [one]}, "redis.capabilities") for one in ("NET", "net_raw", "SYS_ADMIN ")),
        *(
            ({"sysctls": {one: 1}}, "redis.sysctls: .* for itself")
            for one in ("vm.swappiness", "kernel.pid_max", "net")
        ),
        *(({"environment": {one: "b"}}, "redis.environment: .* without '='") for one in ("A=B", "A B", "=")),
        *(({"user": one}, "redis.user: ") for one in ("2147483648:0", "0:2147483648", "٣:0")),
        *(
            ({"ports": [{"host_ip": one, "host_port": 1, "container_port": 1}]}, r"redis.ports\[0\].host_ip: ")
            for one in ("localhost", "127.0.0.256", "127.0.0.1:80")
        ),
        *(({"name": one}, "redis.name: ") for one in ("-a", "a b", "a" * 64, "ä")),
        *(
            ({key: {one: "/x"}}, f"redis.{key}: .* below / without a colon")
            for key in ("data", "binds", "tmpfs")
            for one in ("/", "//", "/a:ro")
        ),
        ({"data": {"/x": "x"}, "tmpfs": {"/x/": "1m"}}, "redis: /x is mounted twice"),
        *(
            ({"healthcheck": {"command": ["x"], key: one}}, f"redis.healthcheck.{key}: ")
            for key, one in (("interval", 0), ("interval", 10**9), ("timeout", 0), ("retries", 0), ("start", 10**9))
        ),
        ({"aliases": ["a b"]}, r"redis.aliases\[0\]: 'a b' is not accepted"),
        ({"ports": [{"host_ip": "::", "host_port": 0, "container_port": 1}]}, r"redis.ports\[0\].host_port: 0"),
        ({"ports": [{"host_port": 1, "container_port": 1}]}, r"redis.ports\[0\].host_ip: required"),
        ({"config": {"etc": {}}}, "redis.config: 'etc' is not accepted; expected an absolute path"),
        ({"config": {"/etc": {"../shadow": "x"}}}, "redis.config./etc: '../shadow' is not accepted"),
        (
            {"reaches": [{"to": "kafka", "why": "x"}]},
            r"redis.reaches\[0\].to: 'kafka' is not accepted; expected name:port",
        ),
        ({"reaches": [{"to": "kafka:0", "why": "x"}]}, r"redis.reaches\[0\].to: 'kafka:0' is not accepted"),
        ({"reaches": [{"to": "kafka:9092"}]}, r"redis.reaches\[0\].why: required"),
        ({"listens": [70000]}, r"redis.listens\[0\]: 70000 is not accepted; expected a port"),
        ({"reload": {"says": "done"}}, "redis.reload: give either check and says, or program"),
        ({"reload": {"check": ["c"], "says": "x", "signal": "SIGKILL"}}, "redis.reload.signal: 'SIGKILL' is not"),
        ({"healthcheck": {}}, "redis.healthcheck: give command, http, or both"),
        ({"healthcheck": {"command": "http"}}, "redis.healthcheck.http: required"),
        ({"healthcheck": {"command": "https", "http": {"port": 1}}}, "redis.healthcheck.command: "),
        ({"healthcheck": {"command": ["x"], "http": {"port": 0}}}, "redis.healthcheck.http.port"),
        ({"environment": {"A": {"b": 1}}}, "redis.environment.A"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_path(change: dict[str, object], message: str) -> None:
    declaration = {key: value for key, value in {**SMALLEST, **change}.items() if value is not None}
    with pytest.raises(spec.SpecError, match=message):
        spec.parse(declaration, "redis")


def test_a_fingerprint_ignores_how_containers_relate_and_nothing_else() -> None:
    parsed = spec.parse(SMALLEST, "here")
    assert spec.fingerprint(parsed) == spec.fingerprint({**parsed, "after": ["kafka"], "listens": [1]})
    for key in set(spec.DECLARATION) - spec.RELATIONS:
        assert spec.fingerprint(parsed) != spec.fingerprint({**parsed, key: "other"}), key


def test_differences_name_the_place_and_both_values() -> None:
    old = {"environment": {"A": "1", "B": "2"}, "memory": 1, "after": []}
    new = {"environment": {"A": "3"}, "memory": 1, "after": ["x"]}
    assert spec.differences(old, new) == ["environment.A: 1 -> 3", "environment.B: 2 -> absent"]


def test_differences_of_long_texts_are_named_and_not_printed() -> None:
    assert spec.differences({"config": {"/e": {"f": "a\nb"}}}, {"config": {"/e": {"f": "a\nc"}}}) == [
        "config./e.f: content"
    ]
