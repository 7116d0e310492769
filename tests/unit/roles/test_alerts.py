"""The rules of Prometheus: what each alert says, how bad it is, its section in the runbook, and that it is tested.

Whether they fire is asked of promtool, which the Prometheus of a stack has: tests/integration/test_observability.py.
"""

from __future__ import annotations

import re
from typing import Any

import alert_cases
import pytest
import yaml
from rendered import ROOT, Rendered

SEVERITIES = {"critical", "warning", "info", "none"}
RUNBOOK = ROOT / "docs/runbook.md"
SENTENCE = re.compile(r"[A-Z0-9{`\"].{15,}", re.DOTALL)


def of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


ALL = of(alert_cases.rules())
ALERTS = [rule for rule in ALL if "alert" in rule]


def anchors() -> set[str]:
    """The anchors that GitHub makes of headings of one word."""
    return {heading.lower() for heading in re.findall(r"^### (\w+)$", RUNBOOK.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_the_runbook_has_it(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    said = rule["annotations"]
    assert SENTENCE.match(said["summary"])
    # The page shows it from the moment when the rule begins to be true, so it claims no time that has not passed yet.
    assert not re.search(r"\bfor (a|an|\d+) (minute|hour)|\bin the last \d+", said["summary"])
    assert SENTENCE.match(said["description"])
    file, _, anchor = said["runbook"].partition("#")
    assert ROOT / file == RUNBOOK
    assert anchor in anchors()
    assert said["runbook_url"] == f"https://example.org/runbook.md#{anchor}"


def test_a_section_of_the_runbook_says_what_users_notice_or_refers_to_another() -> None:
    _, *sections = RUNBOOK.read_text().split("\n### ")
    assert len(sections) > 60
    for section in sections:
        name, _, text = section.partition("\n")
        assert "**Users notice:**" in text or re.search(r"\bAs \[", text) or name == "Watchdog", name


def test_links_within_the_runbook_lead_to_sections() -> None:
    assert set(re.findall(r"\(#([\w-]+)\)", RUNBOOK.read_text())) <= anchors()


def test_every_alert_has_a_case_in_which_promtool_must_see_it_fire_and_end() -> None:
    assert {rule["alert"] for rule in ALERTS} == {*(*alert_cases.FIRING, *alert_cases.ABSENT, *alert_cases.UNCOUNTED)}


def test_an_exporter_that_is_down_wakes_nobody() -> None:
    [down] = [rule for rule in ALERTS if rule["alert"] == "TargetDown"]
    assert down["labels"]["severity"] == "warning"


def test_the_rules_that_are_tested_are_those_of_a_host(each: Rendered) -> None:
    tested = {(rule.get("alert") or rule["record"], rule["expr"].strip()) for rule in ALL}
    rules = of(each.config("prometheus", "/etc/prometheus/alerts.yml"))
    # How far AlertsNotDelivered looks back depends on a setting.
    asked = {(one.get("alert") or one["record"], one["expr"].strip().replace("[1200s]", "[2m]")) for one in rules}
    assert {one for one in asked if one[0] not in {"EchoSilent", "Watchdog"}} <= tested


def test_an_alert_carries_the_address_of_the_runbook_that_is_set(rendered: dict[str, Rendered]) -> None:
    host = rendered["bent"]
    rules = {rule.get("alert"): rule for rule in of(host.config("prometheus", "/etc/prometheus/alerts.yml"))}
    where = rules["KafkaUnreachable"]["annotations"]["runbook_url"]
    assert where == "https://wiki.example.org/runbook#kafkaunreachable"
    assert rules["EchoSilent"]["annotations"] == {"summary": "no echo"}  # of a service of the user's own


def test_where_it_is_published_nowhere_no_alert_leads_to_an_address_that_nobody_has(
    rendered: dict[str, Rendered],
) -> None:
    text = rendered["default"].config("prometheus", "/etc/prometheus/alerts.yml")
    assert "example.org" not in text
    notes = [rule["annotations"] for rule in of(text) if "alert" in rule]
    for key in ("runbook", "runbook_url"):
        assert {one[key].partition("#")[0] for one in notes} == {"docs/runbook.md"}


def test_prometheus_keeps_metrics_by_time_and_by_size(rendered: dict[str, Rendered]) -> None:
    command = rendered["default"].containers["prometheus"]["command"]
    assert "--storage.tsdb.retention.time=15d" in command
    assert "--storage.tsdb.retention.size=2GB" in command
