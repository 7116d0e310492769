"""How alerts reach people: what Alertmanager is told, and that nothing of a receiver that is secret is in a release."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from ansible_collections.sse.platform.plugins.module_utils.images import catalogue
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.views import project
from rendered import ROOT, Rendered

PEOPLE = {"webhook", "email", "slack", "ntfy"}
NAMED = re.compile(r'alertname=~?"([^"]+)"')


def config(host: Rendered) -> dict[str, Any]:
    return yaml.safe_load(host.config("alertmanager", "/etc/alertmanager/alertmanager.yml"))


def rules() -> set[str]:
    """The names of all alerts of all roles."""
    found: set[str] = set()
    for path in ROOT.glob("roles/*/files/*.yml"):
        content = yaml.safe_load(path.read_text())
        found |= {one["alert"] for one in content if isinstance(one, dict) and "alert" in one} if content else set()
    return found


def test_without_a_receiver_nothing_more_runs_and_nothing_is_sent(rendered: dict[str, Rendered]) -> None:
    default = rendered["default"]
    assert "alertmanager" not in default.containers
    assert default.prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == []


def test_no_secret_of_a_receiver_is_in_the_release_or_in_the_settings(rendered: dict[str, Rendered]) -> None:
    host = rendered["dual"]
    settings = {name: value for name, value in host.settings.items() if name != "stack_secrets"}
    for text in (json.dumps(host.platform), json.dumps(host.declared), json.dumps(settings)):
        assert "s3cret" not in text
        assert "t0ken" not in text
    assert {name for name in host.settings["stack_secrets"] if name.startswith("alerts_")} == {
        *("alerts_webhook_url", "alerts_webhook_token", "alerts_slack_url", "alerts_ntfy_url", "alerts_watchdog_url")
    }


def test_each_receiver_gets_every_alert_and_the_watchdog_alone_the_one_that_always_fires(
    rendered: dict[str, Rendered],
) -> None:
    told = config(rendered["dual"])
    first, quiet, *others = told["route"]["routes"]
    assert (first["receiver"], first["matchers"]) == ("watchdog", ['alertname="Watchdog"'])
    assert quiet["receiver"] == "nobody"
    groups = yaml.safe_load(rendered["dual"].config("prometheus", "/etc/prometheus/alerts.yml"))["groups"]
    [always] = [one for group in groups for one in group["rules"] if one.get("alert") == "Watchdog"]
    assert (always["expr"], always["labels"]) == ("vector(1)", {"severity": "none"})
    assert not {"continue"} & {*first, *quiet}
    assert {one["receiver"] for one in others if one["continue"]} == PEOPLE
    assert {one["name"] for one in told["receivers"]} == {"nobody", "watchdog", *PEOPLE}


def test_a_receiver_that_sends_on_or_never_answers_did_not_take_it_and_a_proxy_counts(
    rendered: dict[str, Rendered],
) -> None:
    told = config(rendered["dual"])
    of_each = [one for receiver in told["receivers"] for one in receiver.get("webhook_configs", [])]
    assert len(of_each) == 3
    assert {one["timeout"] for one in of_each} == {"30s"}
    assert of_each[0]["http_config"]["authorization"] == {"credentials_file": "/run/receivers/webhook_token"}
    for http in (told["global"]["http_config"], of_each[0]["http_config"]):
        assert (http["follow_redirects"], http["proxy_from_environment"]) == (False, True)
    assert rendered["dual"].containers["alertmanager"]["environment"] == {
        "HTTPS_PROXY": "http://proxy.example.org:3128",
        "NO_PROXY": "host.docker.internal",
    }


def test_every_file_that_a_receiver_reads_is_mounted(rendered: dict[str, Rendered]) -> None:
    container = rendered["dual"].containers["alertmanager"]
    mounted = {f"/run/receivers/{name}" for name in container["secrets"]["/run/receivers"]}
    text = rendered["dual"].config("alertmanager", "/etc/alertmanager/alertmanager.yml")
    assert set(re.findall(r"/run/receivers/\w+", text)) == mounted


def test_a_way_out_is_its_own_and_it_publishes_nothing(rendered: dict[str, Rendered]) -> None:
    container, networks = rendered["dual"].containers["alertmanager"], rendered["dual"].platform["networks"]
    open_ones = [name for name in container["networks"] if not networks[name]["internal"]]
    assert open_ones == ["sse-alertmanager-ports"]
    others = [name for name, one in rendered["dual"].containers.items() if open_ones[0] in one["networks"]]
    assert others == ["alertmanager"]
    assert container["ports"] == []
    assert set(container["networks6"]) == set(container["networks"])
    assert container["reaches_host"] == [8080]
    edges = [one for each in rendered["dual"].containers.values() for one in each["reaches"]]
    assert len([one for one in edges if one["to"] == "alertmanager:9093"]) == 1  # Prometheus alone


def test_every_alert_that_is_left_out_or_leaves_others_out_exists() -> None:
    known = rules()
    inhibited = (ROOT / "roles/alerts/files/inhibited.yml").read_text()
    names = {name for found in NAMED.findall(inhibited) for name in found.split("|")}
    unknown = {name for name in names if not any(re.fullmatch(name, one) for one in known)}
    assert unknown == set()


def test_each_alert_about_the_way_of_alerts_says_how_it_is_mended() -> None:
    own = yaml.safe_load((ROOT / "roles/alerts/files/alerts.yml").read_text())
    assert [one["alert"] for one in own if not one["annotations"].get("mend", "").startswith("./sse ")] == []


def test_how_long_an_alert_waits_can_be_set_by_its_name(rendered: dict[str, Rendered]) -> None:
    groups = yaml.safe_load(rendered["dual"].config("prometheus", "/etc/prometheus/alerts.yml"))["groups"]
    [rule] = [one for group in groups for one in group["rules"] if one.get("alert") == "KafkaUnreachable"]
    assert rule["for"] == "7m"
    assert rule["annotations"]["runbook"].endswith("#kafkaunreachable")


def test_a_receiver_that_failed_counts_so_until_the_next_message(rendered: dict[str, Rendered]) -> None:
    groups = yaml.safe_load(rendered["dual"].config("prometheus", "/etc/prometheus/alerts.yml"))["groups"]
    [rule] = [one for group in groups for one in group["rules"] if one.get("alert") == "AlertsNotDelivered"]
    assert "failed_total[1200s]" in rule["expr"]
    assert rule["expr"].replace("[1200s]", "[2m]") == next(
        one["expr"]
        for one in yaml.safe_load((ROOT / "roles/alerts/files/alerts.yml").read_text())
        if one["alert"] == "AlertsNotDelivered"
    )


def test_the_audit_names_where_alerts_go(rendered: dict[str, Rendered]) -> None:
    for name, notes in (("default", ()), ("dual", ("webhook, email, slack, ntfy, watchdog",))):
        host = rendered[name]
        release: Any = {**host.platform, "checks": kinds.declared(host.declared)}
        found = project.from_release(release).notes
        assert len(found) == len(notes)
        assert all(wanted in one for wanted, one in zip(notes, found, strict=True))


def test_its_image_is_got_where_somebody_is_to_be_told_and_nowhere_else(rendered: dict[str, Rendered]) -> None:
    content = yaml.safe_load((ROOT / "roles/images/vars/main.yml").read_text())["__images_catalogue"]
    wanted = {name: catalogue.parse_catalogue(content, rendered[name].settings) for name in ("default", "dual")}
    assert {name: images["alertmanager"].wanted for name, images in wanted.items()} == {"default": False, "dual": True}
    assert {one.key for one in wanted["dual"].values() if one.wanted} >= {"prometheus", "redis", "app"}
