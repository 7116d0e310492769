"""Bad input is refused before anything changes, by the variable's name and with what is accepted."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.tests.integration.stack import CANARY, ROOT, Stack
from docker.types import IPAMConfig, IPAMPool

NAME = "st-bad"
TAKEN = "10.251.85.0/24"

SETTINGS: list[tuple[str, list[str]]] = [
    ("network_subnet=10.251.87.1/24", ["host bits", "10.251.87.0/24"]),
    ("app_replicas=three", ["'three'", "1 to 64"]),
    ("redis_port=65536", ["'65536'", "1 to 65535"]),
    ("prometheus_port=0", ["'0'", "1 to 65535"]),
    ("kafka_memory=lots", ["'lots'", "256m"]),
    ("images_source=floppy", ["'floppy'", "auto, registry, archive, bundle, packages"]),
    ("images_archive=/nowhere/bundle.tar", ["/nowhere/bundle.tar", "no such file on the controller"]),
    ("docker_restart_allowed=maybe", ["'maybe'", "true or false"]),
    ("exposure_profile=staging", ["'staging'", "development, production"]),
    ("exposure_bind=localhost", ["'localhost'", "IPv4 address"]),
    ("exposure_allow_from=10.0.0.1/8", ["networks such as 192.0.2.0/24"]),
    ("network_layout=open", ["'open'", "single, segmented"]),
    ("redis_memmory=1g", ["did you mean redis_memory?"]),
    ("nginx_certificate=/nowhere/chain.pem", ["/nowhere/chain.pem", "no such file"]),
    ('{"app_environment_extra": null}', ["null", "leave the variable out"]),
    (json.dumps({"stack_secrets": {"redis_password": f"{CANARY} and"}}), ["not shown", "16 to 256 letters"]),
]

RULES: list[tuple[str, list[str]]] = [
    ("network_gateway=10.251.86.1", ["outside of network_subnet"]),
    ("network_ip_range=10.251.87.0/25", ["10.251.87.10, which is reserved for a service"]),
    ("redis_port=18280", ["exposure_http_port and redis_port are both 18280"]),
    ("exposure_profile=production", ["exposure_unauthenticated_publishing is false", "expected app_auth true"]),
    ("grafana_archive=/etc/hostname", ["grafana_archive_sha256 is ''", "both or neither"]),
]


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack that is never deployed; what a refused run changed is told at its end."""
    stack = Stack(NAME, "10.251.87.0/24", 18280)
    before = state(stack)
    yield stack
    assert state(stack) == before


def state(stack: Stack) -> dict[str, Any]:
    """What the engine holds in the stack's name, and the files that a run would write."""
    engine = stack.engine
    named = {
        "containers": [(one.id, one.status) for one in engine.containers.list(all=True, filters={"name": NAME})],
        "networks": [one.id for one in engine.networks.list(filters={"name": NAME})],
        "volumes": [one.id for one in engine.volumes.list(filters={"name": NAME})],
        "files": sorted(map(str, stack.state.rglob("*"))),
    }
    daemon = Path("/etc/docker/daemon.json")
    return {**named, "daemon.json": daemon.stat().st_mtime_ns if daemon.exists() else None}


def refusal(stack: Stack, *given: str) -> str:
    """What the refused run says, in one line; it ended before the first role that changes anything."""
    text = " ".join(stack.fail(*(part for one in given for part in ("--extra-vars", one))).split())
    assert "nothing was changed" in text
    assert "failed in prepare" in text
    return text


def pool(subnet: str, gateway: str | None = None) -> IPAMConfig:
    """Addresses of a network."""
    return IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])


@pytest.fixture
def theirs(stack: Stack) -> Iterator[str]:
    """Somebody else's network, and a container of theirs with a name of ours."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    stack.engine.api.import_image_from_data(empty.getvalue(), repository=f"{NAME}-empty", tag="1")
    network = stack.engine.networks.create(f"{NAME}-taken", ipam=pool(TAKEN))
    container = stack.engine.containers.create(f"{NAME}-empty:1", command=["none"], name=f"{NAME}-redis-master")
    yield str(container.name)
    container.remove()
    network.remove()
    stack.engine.images.remove(f"{NAME}-empty:1")


@pytest.mark.parametrize("table", [SETTINGS, RULES], ids=["values", "rules between them"])
def test_all_bad_settings_are_told_at_once(stack: Stack, table: list[tuple[str, list[str]]]) -> None:
    text = refusal(stack, *(given for given, _ in table))
    for given, said in table:
        name = next(iter(json.loads(given))) if given.startswith("{") else given.partition("=")[0]
        assert name in text, given
        assert [part for part in said if part not in text] == [], given


@pytest.mark.parametrize(
    "subnet", ["10.251/24", "8.8.8.0/24", "10.251.87.0/27"], ids=["malformed", "public", "too small"]
)
def test_a_bad_subnet_is_refused(stack: Stack, subnet: str) -> None:
    assert f"network_subnet is '{subnet}'" in refusal(stack, f"network_subnet={subnet}")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"reaches": [{"to": "kafak:9092", "why": "consume"}, {"to": "kafka:9093", "why": "control"}]},
            [
                "echo.containers.echo.reaches: kafak:9092 (consume): no container is called 'kafak'",
                "echo.containers.echo.reaches: kafka:9093 (control): st-bad-kafka does not listen on 9093",
            ],
        ),
        ({"reaches": ["kafka:9092"]}, ["echo.containers.echo.reaches[0]: 'kafka:9092' is not accepted"]),
        (
            {"after": ["echo"]},
            ["echo.containers.echo.after: st-bad-echo waits for st-bad-echo; take one of these names out"],
        ),
    ],
    ids=["reaches nobody", "without a reason", "a cycle"],
)
def test_services_that_do_not_fit_together_are_refused(stack: Stack, keys: dict[str, Any], said: list[str]) -> None:
    echo = {"image": "app", "entrypoint": ["true"], "user": "1:1", "healthcheck": {"command": ["true"]}, **keys}
    text = refusal(stack, json.dumps({"services_extra": {"echo": {"containers": {"echo": echo}}}}))
    assert [part for part in said if part not in text] == [], text


def test_a_segment_that_overlaps_and_a_service_on_none_are_refused(stack: Stack) -> None:
    text = refusal(
        stack, json.dumps({"network_layout": "segmented", "network_segment_subnets": {"data": "10.251.87.0/25"}})
    )
    assert "network_segment_subnets.data is '10.251.87.0/25': it overlaps network_subnet" in text
    echo = {"image": "app", "entrypoint": ["true"], "user": "1:1", "healthcheck": {"command": ["true"]}, "address": 60}
    text = refusal(
        stack,
        json.dumps({"network_layout": "segmented", "services_extra": {"echo": {"containers": {"echo": echo}}}}),
    )
    assert "echo.containers.echo.segments: on no network; name at least one of network, app, data, monitoring" in text


def test_nobody_locks_out_the_address_that_they_come_from_by_ssh(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.9 50000 192.0.2.1 22")
    text = refusal(stack, json.dumps({"exposure_allow_from": ["198.51.100.0/24"]}))
    assert "exposure_allow_from is 198.51.100.0/24: it leaves out 192.0.2.9" in text
    assert "such as 192.0.2.9/32" in text


def test_all_that_the_host_lacks_is_told_at_once(stack: Stack, theirs: str, tmp_path: Path) -> None:
    kafka = tmp_path / "data" / f"{NAME}-kafka" / "kafka" / "meta.properties"
    kafka.parent.mkdir(parents=True)
    kafka.write_text("version=0\ncluster.id=one\nbroker.id=0\n")
    port = stack.variables["redis_port"]
    with socket.create_server(("127.0.0.1", port)):
        given = [f"network_subnet={TAKEN}", "app_memory=9000g", f"stack_state_directory={tmp_path}"]
        text = refusal(stack, *given)
    assert stack.engine.containers.get(theirs).status == "created"
    assert kafka.exists()
    said = [
        *("network_subnet", f"Docker network {NAME}-taken ({TAKEN})", "is free"),
        *(f"Port {port} on 127.0.0.1", f"(pid {os.getpid()})", "choose another redis_port"),
        *(f"A container named {theirs}", "never touched"),
        *("of memory: expected", "Lower app_replicas"),
        *("kafka_coordination is 'kraft'", "expected zookeeper"),
    ]
    assert [part for part in said if part not in text] == [], text


@pytest.mark.parametrize(
    ("labels", "said"),
    [({}, "choose another network_name"), ({"sse.platform.stack": NAME}, "network_recreate_allowed")],
)
def test_a_network_that_differs_is_not_made_anew(stack: Stack, labels: dict[str, str], said: str) -> None:
    network = stack.engine.networks.create(f"{NAME}-network", ipam=pool("10.251.87.0/24", "10.251.87.9"), labels=labels)
    try:
        text = refusal(stack)
        network.reload()
    finally:
        network.remove()
    assert "gateway is 10.251.87.9, wanted 10.251.87.1" in text
    assert said in text


def test_kafkas_data_of_another_cluster_are_refused(stack: Stack, tmp_path: Path) -> None:
    kafka = tmp_path / "data" / f"{NAME}-kafka" / "kafka" / "meta.properties"
    kafka.parent.mkdir(parents=True)
    kafka.write_text(f"version=1\ncluster.id={'A' * 22}\nnode.id=1\n")
    text = refusal(stack, f"stack_state_directory={tmp_path}", f"kafka_cluster_id={'B' * 22}")
    assert f"kafka_cluster_id is '{'B' * 22}'" in text
    assert f"written with {'A' * 22}" in text


@pytest.fixture
def converted(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The settings that the action makes of given variables."""
    playbook, result = tmp_path / "settings.yml", tmp_path / "settings.json"
    tasks = [
        {"name": "Convert", "sse.platform.settings": None},
        {
            "name": "Keep",
            "ansible.builtin.copy": {"dest": str(result), "content": "{{ settings | to_json }}", "mode": "0600"},
        },
    ]
    play = {"name": "Settings", "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play]))

    def run(*arguments: str) -> dict[str, Any]:
        command = [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            str(playbook),
            *arguments,
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(result.read_text())

    return run


def test_every_integer_and_boolean_is_the_same_by_command_line_and_by_yaml(
    converted: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    defaults = converted()
    numbers = {name: value for name, value in defaults.items() if isinstance(value, (int, bool))}
    # Settings that are refused as they stand have no place here, nor limits of 1, which would turn the canary away.
    refused = {"app_replicas", "app_auth", "app_streams_per_address", "exposure_connections_per_address"}
    refused |= {"kafka_brokers", "network_encrypted"}  # which is odd, and for clusters alone
    changed = {
        name: not value if isinstance(value, bool) else value + 1
        for name, value in numbers.items()
        if name not in refused
    }
    by_text = converted(
        *(part for name, value in changed.items() for part in ("--extra-vars", f"{name}={str(value).lower()}"))
    )
    given = tmp_path / "given.yml"
    given.write_text(yaml.safe_dump(changed))
    by_yaml = converted("--extra-vars", f"@{given}")
    assert by_text == by_yaml
    assert {name: by_text[name] for name in changed} == changed
    assert all(type(by_text[name]) is type(value) for name, value in numbers.items())


def test_values_built_from_others_see_them_converted(converted: Callable[..., dict[str, Any]]) -> None:
    settings = converted(
        "--extra-vars", "exposure_http_port=8000", "--extra-vars", "redis_port={{ exposure_http_port + 5 }}"
    )
    assert settings["redis_port"] == 8005
