"""Judging what Prometheus and Grafana say of those that they ask."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import datasources, scraped

ENDPOINT = Endpoint("sse-prometheus", "10.99.0.14", 9090)
NAMES = {"kafka": scraped.Peer("sse-kafka", 1_000_000.0)}
CONFIG = """\
global:
  scrape_interval: 15s
rule_files:
- /etc/prometheus/alerts.yml
scrape_configs:
- job_name: kafka
  honor_timestamps: true
  scrape_interval: 15s
  metrics_path: /metrics
  scheme: http
  follow_redirects: true
  static_configs:
  - targets:
    - kafka:7071
- job_name: app
  metrics_path: /own
  scheme: https
  static_configs:
  - targets:
    - app-1:8000
    - app-2:8000
"""


def target(health: str, peer: str = "kafka:7071", error: str = "", tried: float = 2_000_000) -> dict[str, Any]:
    return {
        "health": health,
        "scrapeUrl": f"http://{peer}/metrics",
        "lastError": error,
        "lastScrape": clock(tried),
        "discoveredLabels": {"__address__": peer},
    }


def clock(when: float) -> str:
    return dt.datetime.fromtimestamp(when, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f999Z")


def api(*active: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps({"status": "success", "data": {"activeTargets": list(active)}}))


class Prometheus:
    """Answers one after the other, the last one for ever; and what a target itself answers."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *answers: Answer, own: int = 200, loaded: float = 0, config: str = CONFIG
    ) -> None:
        self.answers = list(answers)
        self.loaded, self.config = loaded, config  # which it loaded so many seconds after the epoch
        monkeypatch.setattr(scraped, "WAIT_SECONDS", 0.2)
        monkeypatch.setattr(scraped, "APPEAR_SECONDS", 1e9 if loaded else 0.1)
        monkeypatch.setattr(scraped, "PAUSE_SECONDS", 0.01)
        monkeypatch.setattr(scraped, "request", lambda _, __, path, **___: self.answer(path))
        monkeypatch.setattr(
            scraped, "scrape", lambda *_: Answer(own, "metrics" if own == 200 else "connection refused")
        )

    def answer(self, path: str) -> Answer:
        if path == scraped.STATE:
            return Answer(200, json.dumps({"data": {"lastConfigTime": clock(self.loaded)}}))
        if path == scraped.CONFIG:
            return Answer(200, json.dumps({"data": {"yaml": self.config}}))
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
    assert finding.evidence == "401; asked in its place: it answers, and Prometheus still could not scrape it after 0 s"


def test_a_target_is_said_to_have_been_waited_for_only_as_long_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with another one ends the wait at once: then an old error of Prometheus says nothing of now."""
    back = target("down", "app-2:8000", error="lookup app-2: no such host")
    Prometheus(monkeypatch, api(target("down", error="timed out"), back))
    monkeypatch.setattr(scraped, "scrape", lambda _, url: Answer(200 if "app-2" in url else 0, "timed out"))
    [finding], verified, notes = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert finding.subject == "sse-kafka"
    assert verified == 1
    assert notes == ["1 of 2 targets answer again, and Prometheus has not asked them since"]


def test_before_the_first_scrape_an_answer_to_us_is_enough_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("unknown"), target("up")))
    findings, verified, notes = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert (findings, verified) == ([], 2)
    assert notes == ["1 of 2 targets answer but wait for Prometheus' first scrape"]


def test_before_the_first_scrape_silence_is_a_finding_when_the_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("unknown")), own=0)
    [finding], _, _ = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert finding.subject == "sse-kafka"


def test_targets_of_a_configuration_that_was_just_loaded_are_asked_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    Prometheus(monkeypatch, api(), loaded=time.time() - 1)
    monkeypatch.setattr(scraped, "scrape", lambda _, url: asked.append(url) or Answer(200, "metrics"))
    findings, verified, notes = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071", "app-1:8000"], NAMES)
    assert (findings, verified) == ([], 3)
    assert asked == ["http://kafka:7071/metrics", "https://app-1:8000/own", "https://app-2:8000/own"]
    assert notes == ["3 of 3 targets answer but wait for Prometheus' first scrape"]


def test_one_of_them_that_does_not_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(), loaded=time.time() - 1, own=500)
    findings, _, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert [one.subject for one in findings] == ["sse-kafka", "app-1", "app-2"]


@pytest.mark.parametrize(
    ("loaded", "config"),
    [
        pytest.param(0, CONFIG, id="loaded long ago"),
        pytest.param(time.time(), CONFIG.replace("kafka:7071", "kafka:7072"), id="names another port"),
        pytest.param(time.time(), CONFIG.replace("  scheme: http\n", "  relabel_configs:\n", 1), id="may drop it"),
        pytest.param(time.time(), "", id="unreadable"),
    ],
)
def test_what_was_not_just_loaded_is_still_missing(monkeypatch: pytest.MonkeyPatch, loaded: float, config: str) -> None:
    Prometheus(monkeypatch, api(target("up", "127.0.0.1:9090")), loaded=loaded, config=config)
    findings, _, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert "kafka:7071 is not among its targets" in [one.wrong for one in findings]


def test_a_target_that_the_new_configuration_has_no_more_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    up = [target("up", peer) for peer in ("kafka:7071", "app-1:8000", "app-2:8000")]
    Prometheus(monkeypatch, api(*up, target("down", "app-4:8000")), own=0, loaded=time.time() - 1)
    assert scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES) == ([], 3, [])


def test_what_is_discovered_stays_prometheus_own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    config = f"{CONFIG}- job_name: own\n  file_sd_configs:\n  - files:\n    - own.json\n"
    Prometheus(monkeypatch, api(target("up"), target("down", "b:1")), own=0, loaded=time.time(), config=config)
    findings, _, _ = scraped.wait_for_targets(ENDPOINT, 1, ["kafka:7071"], NAMES)
    assert "b" in [one.subject for one in findings]


def test_a_scrape_that_failed_before_the_container_ran_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    Prometheus(monkeypatch, api(target("down", tried=999_999)))
    findings, verified, notes = scraped.wait_for_targets(ENDPOINT, 1, [], NAMES)
    assert (findings, verified, len(notes)) == ([], 1, 1)


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
