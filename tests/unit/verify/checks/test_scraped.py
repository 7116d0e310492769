"""Judging what Prometheus and Grafana say of those that they ask."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import datasources, scraped

ENDPOINT = Endpoint("sse-prometheus", "10.99.0.14", 9090)
NAMES = {"kafka": "sse-kafka"}


def target(health: str, peer: str = "kafka:7071", error: str = "") -> dict[str, Any]:
    url = f"http://{peer}/metrics"
    return {"health": health, "scrapeUrl": url, "lastError": error, "discoveredLabels": {"__address__": peer}}


def api(*active: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps({"status": "success", "data": {"activeTargets": list(active)}}))


class Prometheus:
    """Answers one after the other, the last one for ever; and what a target itself answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: Answer, own: int = 200) -> None:
        self.answers = list(answers)
        monkeypatch.setattr(scraped, "WAIT_SECONDS", 0.2)
        monkeypatch.setattr(scraped, "APPEAR_SECONDS", 0.1)
        monkeypatch.setattr(scraped, "PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(scraped, "request", lambda *_, **__: self.next())
        monkeypatch.setattr(
            scraped, "scrape", lambda *_: Answer(own, "metrics" if own == 200 else "connection refused")
        )

    def next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_targets_that_are_up_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("up")))
    assert scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES) == ([], 1, [])


def test_a_target_that_prometheus_was_not_told_of_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("up")))
    [finding], verified, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071", "app-1:8000"], NAMES)
    assert (finding.subject, finding.wrong, verified) == ("sse-prometheus", "app-1:8000 is not among its targets", 1)


def test_a_prometheus_that_just_started_is_given_time_to_learn_of_its_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(), api(), api(target("up")))
    assert scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES) == ([], 1, [])


def test_a_target_of_the_configuration_before_is_given_time_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = target("down", "app-4:8000", error="no such host")
    Prometheus(monkeypatch, api(target("up"), gone), api(target("up"), gone), api(target("up")), own=0)
    assert scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES) == ([], 1, [])


def test_a_target_that_nobody_declared_and_that_stays_down_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("up"), target("down", "app-4:8000")), own=0)
    [finding], verified, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert (finding.subject, verified) == ("app-4", 1)


def test_a_target_that_is_down_is_told_with_both_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("down", error="timed out")), own=0)
    [finding], verified, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert (finding.subject, finding.evidence, verified) == (
        "sse-kafka",
        "timed out; asked in its place: connection refused",
        0,
    )


def test_a_target_that_came_back_is_waited_for_until_the_next_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("down")), api(target("down")), api(target("up")))
    assert scraped.wait_for_targets(ENDPOINT, 1, [], NAMES) == ([], 1, [])


def test_a_target_that_answers_us_but_never_prometheus_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("down", error="401")))
    [finding], _, _ = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert finding.evidence.startswith("401; asked in its place: still so after")


def test_before_the_first_scrape_an_answer_to_us_is_enough_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("unknown"), target("up")))
    findings, verified, notes = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert (findings, verified) == ([], 2)
    assert notes == ["1 of 2 targets answer but wait for Prometheus' first scrape"]


def test_before_the_first_scrape_silence_is_a_finding_when_the_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("unknown")), own=0)
    [finding], _, _ = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert finding.subject == "sse-kafka"


@pytest.mark.parametrize("answer", [Answer(503, "starting"), Answer(200, "<html>"), Answer(0, "refused")])
def test_a_prometheus_that_does_not_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    Prometheus(monkeypatch, answer)
    [finding], verified, _ = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert (finding.subject, finding.evidence, verified) == ("sse-prometheus", answer.shown, 0)


SOURCES = Answer(200, json.dumps([{"uid": "p1", "name": "Prometheus", "url": "http://prometheus:9090"}]))


def judged(monkeypatch: pytest.MonkeyPatch, listed: Answer, health: Answer) -> tuple[list[str], int, list[str]]:
    monkeypatch.setattr(datasources, "request", lambda _, __, path, **___: health if "/uid/" in path else listed)
    findings, verified, notes = datasources.ask(Endpoint("sse-grafana", "10.99.0.15", 3000), "admin", "secret")
    return [finding.evidence for finding in findings], verified, list(notes)


def test_a_datasource_that_answers_grafana_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(monkeypatch, SOURCES, Answer(200, '{"status": "OK", "message": "fine"}')) == ([], 1, [])


@pytest.mark.parametrize("health", [Answer(200, '{"status": "ERROR"}'), Answer(404, "{}"), Answer(0, "timed out")])
def test_a_datasource_without_an_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch, health: Answer) -> None:
    assert judged(monkeypatch, SOURCES, health) == ([health.shown], 0, [])


@pytest.mark.parametrize("listed", [Answer(200, "[]"), Answer(200, "not json"), Answer(500, "[{}]"), Answer(200, "{}")])
def test_a_grafana_without_datasources_is_a_finding(monkeypatch: pytest.MonkeyPatch, listed: Answer) -> None:
    assert judged(monkeypatch, listed, Answer(200, '{"status": "OK"}')) == ([listed.shown], 0, [])


def test_a_password_that_was_changed_in_grafana_is_a_note_not_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    findings, verified, [note] = judged(monkeypatch, Answer(401, "{}"), Answer(0, ""))
    assert (findings, verified) == ([], 0)
    assert "password was changed" in note
