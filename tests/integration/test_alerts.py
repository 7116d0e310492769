"""Something breaks, and people are told by real receivers: it fires, arrives, and is said to be over."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.receivers import Receivers, receiving
from ansible_collections.sse.platform.tests.integration.stack import CANARY, Stack, eventually

ARRIVES_SECONDS = 90.0
HOST = "host.docker.internal"
# So that each fault fires at once: what an alert waits for in real life is in its rule.
AT_ONCE = ("TargetDown", "RedisDown", "KafkaUnreachable", "DiskFull")
DISK_BYTES = 8 * 2**20
FILLED = 0.985


class Told(NamedTuple):
    """A stack that tells people, and who hears it."""

    stack: Stack
    receivers: Receivers


@pytest.fixture(scope="module")
def told(deployed: Stack) -> Iterator[Told]:
    """The session's stack with receivers; afterwards it has none, as before."""
    with receiving() as receivers:
        deployed.up(
            alerts_to={
                "webhook": {"url": f"http://{HOST}:{receivers.web}/hook/{CANARY}", "token": CANARY},
                "email": {
                    "to": "ops@example.org",
                    "from": "sse@example.org",
                    "server": f"{HOST}:{receivers.mail}",
                    "tls": False,
                },
                "watchdog": f"http://{HOST}:{receivers.web}/watchdog",
            },
            alerts_wait_seconds=0,
            alerts_update_seconds=5,
            prometheus_alert_for=dict.fromkeys(AT_ONCE, "0s"),
            prometheus_scrape_seconds=2,
            prometheus_config_extra={"global": {"evaluation_interval": "2s"}},
        )
        yield Told(deployed, receivers)
        deployed.up()


def test_a_test_alert_comes_to_each_receiver_and_no_secret_is_anywhere_else(told: Told) -> None:
    run = told.stack.play("alert_test")
    assert run.code == 0, run.output
    assert "webhook: took the test alert" in run.output
    assert "email: took the test alert" in run.output
    [hook] = [one for one in told.receivers.got if one.path.startswith("/hook") and "TestAlert" in one.text]
    assert hook.token == f"Bearer {CANARY}"
    [mail] = [one for one in told.receivers.got if not one.path and "TestAlert" in one.text]
    for wanted in ("Subject:", "stack it", "Since: ", "/#/alerts", "This is a test"):
        assert wanted in mail.text
    container = told.stack.container("alertmanager")
    assert CANARY not in json.dumps(container.attrs)
    assert CANARY not in container.logs().decode()
    below = told.stack.state / "files" / container.name
    holding = [path for path in told.stack.state.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    of_receivers = [path for path in holding if path.name in ("webhook_url", "webhook_token")]
    assert of_receivers
    assert all(below in path.parents and path.stat().st_mode & 0o777 == 0o400 for path in of_receivers)
    assert not [path for path in holding if "releases" in path.parts or path.suffix == ".jsonl"]


@contextlib.contextmanager
def stopped(stack: Stack, short: str) -> Iterator[None]:
    container = stack.container(short)
    container.stop(timeout=1)
    try:
        yield
    finally:
        container.start()


@contextlib.contextmanager
def paused(stack: Stack, short: str) -> Iterator[None]:
    container = stack.container(short)
    container.pause()
    try:
        yield
    finally:
        container.unpause()


@contextlib.contextmanager
def cut(stack: Stack) -> Iterator[None]:
    """The connection from the exporter of Redis to Redis; the matrix is measured before and after."""
    pid = stack.container("redis-exporter").attrs["State"]["Pid"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "6379", "-j", "REJECT"]
    inside = ["nsenter", "-t", str(pid), "-n", "iptables", "-w"]
    subprocess.run([*inside, "-A", *rule], check=True)
    try:
        stack.verify()
        yield
    finally:
        subprocess.run([*inside, "-D", *rule], check=True)
        stack.verify()


@contextlib.contextmanager
def nearly_full(stack: Stack) -> Iterator[None]:
    """A small disk below the state directory, which the exporter of the host sees from its next start on."""
    place, exporter = stack.state / "matrix", stack.container("node-exporter")
    kept = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "small", place], check=True)
    try:
        for name, content in kept.items():
            (place / name).write_bytes(content)
        exporter.restart(timeout=1)
        (place / "filling").write_bytes(bytes(int(DISK_BYTES * FILLED)))
        yield
        (place / "filling").unlink()
        eventually(lambda: not told_of(stack, "DiskFull"), "the disk has room again", ARRIVES_SECONDS)
    finally:
        exporter.stop(timeout=1)
        subprocess.run(["umount", place], check=True)
        exporter.start()


def told_of(stack: Stack, name: str) -> bool:
    url = f"http://127.0.0.1:{stack.variables['prometheus_port']}/api/v1/alerts"
    alerts = httpx.get(url, timeout=10).json()["data"]["alerts"]
    return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in alerts)


class Fault(NamedTuple):
    """What is broken, and the alert that tells it."""

    alert: str
    labels: dict[str, str]
    broken: Callable[[Stack], contextlib.AbstractContextManager[None]]


# In this order: the matrix of connections can only be measured while the rest works.
FAULTS = {
    "a connection is cut": Fault("NetworkNotAsDeclared", {}, cut),
    "a small disk is nearly full": Fault("DiskFull", {}, nearly_full),
    "a replica is down": Fault("TargetDown", {"instance": "app-2:8000"}, lambda stack: stopped(stack, "app-2")),
    "Redis is down": Fault("RedisDown", {}, lambda stack: stopped(stack, "redis-master")),
    "Kafka is paused": Fault("KafkaUnreachable", {}, lambda stack: paused(stack, "kafka")),
}


def test_each_of_five_real_faults_fires_arrives_and_is_said_to_be_over(told: Told) -> None:
    begun: dict[str, float] = {}
    seconds: dict[str, dict[str, float]] = {name: {} for name in FAULTS}

    def awaited(status: str) -> None:
        for name, fault in FAULTS.items():
            eventually(
                lambda fault=fault: bool(told.receivers.alerts(fault.alert, status, **fault.labels)),
                f"{name}: {fault.alert} is {status}",
                ARRIVES_SECONDS,
            )

    with contextlib.ExitStack() as broken:
        for name, fault in FAULTS.items():
            begun[name] = time.time()
            broken.enter_context(fault.broken(told.stack))
        awaited("firing")
        for name, fault in FAULTS.items():
            [first, *_] = told.receivers.alerts(fault.alert, "firing", **fault.labels)
            assert first["labels"]["stack"] == "it"
            assert first["labels"]["host"]
            assert first["annotations"]["summary"]
            assert first["annotations"]["runbook_url"].endswith(f"#{fault.alert.lower()}")
            seconds[name]["arrived after"] = round(at(told, fault, "firing") - begun[name], 1)
    awaited("resolved")
    print(json.dumps(seconds, indent=1))


def at(told: Told, fault: Fault, status: str) -> float:
    """Return when the first message about a fault came."""
    for got in told.receivers.got:
        for one in got.alerts if got.path.startswith("/hook") else ():
            named = one["labels"]["alertname"] == fault.alert and fault.labels.items() <= one["labels"].items()
            if named and one["status"] == status:
                return got.at
    raise AssertionError(fault.alert)


def test_a_receiver_that_is_down_is_an_alert_that_doctor_knows_and_others_hear_of(told: Told) -> None:
    told.receivers.refused.add(f"/hook/{CANARY}")
    run = told.stack.play("alert_test")
    assert run.code != 0
    assert "the receiver webhook did not take the test alert" in run.output
    assert "unexpected status code 500" in run.output
    eventually(lambda: told_of(told.stack, "AlertsNotDelivered"), "Prometheus says so", ARRIVES_SECONDS)
    diagnosis = told.stack.play("doctor").output
    assert "The receiver webhook does not take alerts" in diagnosis
    assert "./sse logs alertmanager" in diagnosis
    eventually(
        lambda: any(not one.path and "AlertsNotDelivered" in one.text for one in told.receivers.got),
        "the mail server hears of it",
        ARRIVES_SECONDS,
    )
    told.receivers.refused.clear()
    assert told.stack.play("alert_test").code == 0


def test_other_receivers_count_without_a_new_container(told: Told) -> None:
    before = told.stack.ids()[f"{told.stack.name}-alertmanager"]
    receivers = {"webhook": f"http://{HOST}:{told.receivers.web}/hook-2"}
    told.stack.up(alerts_to=receivers, alerts_update_seconds=5)
    assert told.stack.ids()[f"{told.stack.name}-alertmanager"] == before
    assert told.stack.play("alert_test").code == 0
    assert [one for one in told.receivers.got if one.path == "/hook-2"]


@pytest.mark.parametrize("wrong", [{"webhok": "https://a.b/c"}, {"webhook": f"ftp://a.b/{CANARY}"}], ids=str)
def test_a_wrong_receiver_is_refused_before_anything_changes(told: Told, wrong: dict[str, Any]) -> None:
    before = told.stack.ids()
    said = told.stack.fail(alerts_to=wrong)
    assert "nothing was changed" in said
    assert "https://alerts.example.org/hook" in said
    assert told.stack.ids() == before
