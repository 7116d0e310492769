"""Something breaks, and people are told by real receivers: it fires, arrives, and is said to be over."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.faults import FAULTS, Fault, told_of
from ansible_collections.sse.platform.tests.integration.receivers import Receivers, receiving
from ansible_collections.sse.platform.tests.integration.stack import CANARY, Stack, eventually

ARRIVES_SECONDS = 90.0
HOST = "host.docker.internal"
# So that each fault fires at once: what an alert waits for in real life is in its rule.
AT_ONCE = ("TargetDown", "RedisDown", "KafkaUnreachable", "DiskFull")


class Told(NamedTuple):
    """A stack that tells people, and who hears it."""

    stack: Stack
    receivers: Receivers
    authority: str


@pytest.fixture(scope="module")
def told(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The session's stack with receivers, whose authority only we know; afterwards it has none, as before."""
    place = tmp_path_factory.mktemp("receivers")
    with receiving(place) as receivers:
        deployed.up(
            alerts_to={
                "webhook": {"url": f"https://{HOST}:{receivers.web}/hook/{CANARY}", "token": CANARY},
                "email": {
                    "to": "ops@example.org",
                    "from": "sse@example.org",
                    "server": f"{HOST}:{receivers.mail}",
                    "tls": False,
                },
                "watchdog": f"https://{HOST}:{receivers.web}/watchdog",
            },
            alerts_authorities_file=str(place / "authority.pem"),
            alerts_wait_seconds=0,
            alerts_update_seconds=5,
            prometheus_alert_for=dict.fromkeys(AT_ONCE, "0s"),
            prometheus_scrape_seconds=2,
            prometheus_config_extra={"global": {"evaluation_interval": "2s"}},
        )
        yield Told(deployed, receivers, str(place / "authority.pem"))
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
            assert first["annotations"]["runbook"] == f"docs/runbook.md#{fault.alert.lower()}"
            seconds[name]["arrived after"] = round(at(told, fault, "firing") - begun[name], 1)
    awaited("resolved")
    print(json.dumps(seconds, indent=1))


def test_the_watchdog_is_asked_while_all_is_well_and_nobody_else_hears_of_it(told: Told) -> None:
    eventually(lambda: any(one.path == "/watchdog" for one in told.receivers.got), "it is asked", ARRIVES_SECONDS)
    assert not told.receivers.alerts("Watchdog", "firing")


def at(told: Told, fault: Fault, status: str) -> float:
    """Return when the first message about a fault came."""
    for got in told.receivers.got:
        for one in got.alerts if got.path.startswith("/hook") else ():
            named = one["labels"]["alertname"] == fault.alert and fault.labels.items() <= one["labels"].items()
            if named and one["status"] == status:
                return got.at
    raise AssertionError(fault.alert)


def test_what_follows_from_a_cause_is_not_sent_while_it_lasts(told: Told) -> None:
    networks = told.stack.container("alertmanager").attrs["NetworkSettings"]["Networks"]
    address = next(iter(networks.values()))["IPAddress"]

    def fires(name: str) -> None:
        """Say to Alertmanager what Prometheus would say."""
        labels = {"alertname": name, "severity": "critical", "stack": "it", "host": "of-the-test"}
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)
        alert = {"labels": labels, "annotations": {}, "endsAt": until.isoformat()}
        assert httpx.post(f"http://{address}:9093/api/v2/alerts", json=[alert], timeout=10).status_code == 200

    def came(name: str) -> bool:
        return bool(told.receivers.alerts(name, "firing", host="of-the-test"))

    fires("KafkaUnreachable")
    eventually(lambda: came("KafkaUnreachable"), "the cause is sent", ARRIVES_SECONDS)
    fires("PublishesFail")
    fires("Refusals")  # has nothing to do with it
    eventually(lambda: came("Refusals"), "another trouble is sent", ARRIVES_SECONDS)
    assert not came("PublishesFail")


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


def test_a_receiver_that_sends_on_to_a_page_did_not_take_the_alert(told: Told) -> None:
    told.receivers.moved.add(f"/hook/{CANARY}")
    run = told.stack.play("alert_test")
    told.receivers.moved.clear()
    assert run.code != 0
    assert "the receiver webhook did not take the test alert" in run.output
    assert "unexpected status code 302" in run.output


def test_other_receivers_count_without_a_new_container(told: Told) -> None:
    before = told.stack.ids()[f"{told.stack.name}-alertmanager"]
    receivers = {"webhook": f"https://{HOST}:{told.receivers.web}/hook-2"}
    told.stack.up(alerts_to=receivers, alerts_update_seconds=5, alerts_authorities_file=told.authority)
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
