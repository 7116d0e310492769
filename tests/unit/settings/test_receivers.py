"""Who is told of alerts: which forms are accepted, and that no secret is in what is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.settings import options, receivers, values

SECRET = "7d1f0c2b9e"
MAIL = {"to": "ops@example.org", "from": "sse@example.org", "server": "smtp.example.org:587"}
RECEIVERS: dict[str, Any] = {
    "webhook": {"url": f"https://alerts.example.org/hook/{SECRET}", "token": SECRET},
    "email": {**MAIL, "username": "sse", "password": SECRET},
    "slack": f"https://hooks.slack.com/services/T0/B0/{SECRET}",
    "ntfy": {"url": f"https://ntfy.sh/{SECRET}?auth={SECRET}", "token": SECRET},
    "watchdog": f"https://hc-ping.com/{SECRET}",
}


def said(given: Any, **others: Any) -> list[str]:
    return list(receivers.problems({"alerts_to": given, **others}))


@pytest.mark.parametrize(
    "given",
    [
        {},
        RECEIVERS,
        {"webhook": "https://[fd00::1]:8080/hook"},
        {"webhook": {"url": "http://host.docker.internal:8080/hook", "token": SECRET}},
        {"webhook": "https://host.docker.internal"},
        {"email": {**MAIL, "to": ["a@example.org", "b@example.org"], "server": "[fd00::1]:25", "tls": False}},
        {"email": {**MAIL, "to": "a@example.org, b@example.org"}},
        {"slack": {"url": "https://chat.internal/hooks/x", "channel": "#ops"}},
        {"ntfy": {"url": "https://push.example.org/base/topic", "token": "tk_x"}},
    ],
    ids=str,
)
def test_each_form_is_accepted(given: Any) -> None:
    assert said(given) == []


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"webhok": "https://a.b/c"}, "'webhok', which is no receiver"),
        ({"https://ntfy.example/secret-topic": ""}, "alerts_to has a key that is no name, which is no receiver"),
        ({"webhook": ""}, "alerts_to.webhook is empty"),
        ({"webhook": None}, "alerts_to.webhook is empty"),
        ({"webhook": 7}, "neither text nor a dictionary"),
        ({"webhook": [f"https://a.b/{SECRET}"]}, "neither text nor a dictionary"),
        ({"webhook": f"ftp://a.b/{SECRET}"}, "does not begin with https://"),
        ({"webhook": f"alerts.example.org/{SECRET}"}, "does not begin with https://"),
        ({"webhook": f"https:///{SECRET}"}, "names no host"),
        ({"webhook": f"https://127.0.0.1:8080/{SECRET}"}, "leads to the container of Alertmanager itself"),
        ({"ntfy": f"https://LOCALHOST./{SECRET}"}, "this host is host.docker.internal there"),
        ({"slack": f"https://[::1]:8080/{SECRET}"}, "leads to the container of Alertmanager itself"),
        ({"email": {**MAIL, "server": "localhost:25"}}, "a server that leads to the container of Alertmanager itself"),
        ({"email": {**MAIL, "server": "[::1]:25"}}, "a server that leads to the container of Alertmanager itself"),
        ({"webhook": f"https://a.b:99999/{SECRET}"}, "is no address"),
        ({"webhook": f"https://[::1/{SECRET}"}, "is no address"),
        ({"webhook": f"https://a.b/{SECRET}\nx"}, "a control character"),
        ({"webhook": {"token": SECRET}}, "has no url"),
        ({"webhook": {"url": "https://a.b", "tokn": SECRET}}, "unknown key 'tokn'"),
        ({"email": "ops@example.org"}, "mail needs a server"),
        ({"email": {**MAIL, "to": "nobody"}}, "a to that is no mail address"),
        ({"email": {**MAIL, "to": []}}, "a to that is no mail address"),
        ({"email": {**MAIL, "server": "smtp.example.org"}}, "a server that is not host:port"),
        ({"email": {**MAIL, "server": "smtp.example.org:0"}}, "a server that is not host:port"),
        ({"email": {**MAIL, "password": SECRET}}, "only one of username and password"),
        ({"email": {**MAIL, "username": "a", "password": SECRET, "tls": False}}, "everybody on the way"),
        ({"email": {**MAIL, "tls": "no"}}, "neither true nor false"),
        ({"email": {"to": "a@b", "from": "c@d"}}, "has no server"),
        ({"slack": "https://hooks.slack.com"}, "without a path"),
        ({"slack": {"url": f"https://a.b/{SECRET}", "channel": "a b"}}, "is no channel"),
        ({"ntfy": "https://ntfy.sh/"}, "names no topic"),
        ({"ntfy": f"https://ntfy.sh/topic#{SECRET}"}, "what follows it is never sent"),
        ({"watchdog": f"https://hc-ping.com/{SECRET}#"}, "what follows it is never sent"),
        ({"watchdog": "hc-ping.com"}, "does not begin with https://"),
    ],
    ids=str,
)
def test_a_wrong_one_is_refused_with_the_accepted_form_and_no_secret(given: Any, wrong: str) -> None:
    [sentence] = said(given)
    assert wrong in sentence
    kind = next(iter(given))
    assert receivers.FORMS.get(kind, receivers.EXPECTED) in sentence
    assert SECRET not in sentence


@pytest.mark.parametrize("kind", ["webhook", "slack", "ntfy", "watchdog"])
@pytest.mark.parametrize("host", ["push.internal", "[fd00::1]:8080", "10.0.0.5", "host.docker.internal.example.org"])
def test_what_opens_a_receiver_goes_over_no_wire_in_the_clear_unless_that_is_allowed(kind: str, host: str) -> None:
    address = f"http://{host}/{SECRET}"
    for given in (
        {kind: address},
        {kind: {"url": address, **({"token": SECRET} if kind in ("webhook", "ntfy") else {})}},
    ):
        [sentence] = said(given)
        assert sentence.startswith(f"alerts_to.{kind} has an address with http://")
        assert "expected https://, or alerts_allow_http true" in sentence
        assert SECRET not in sentence
        assert said(given, alerts_allow_http=True) == []


def test_what_is_shown_holds_no_secret_and_each_secret_has_a_name() -> None:
    found = receivers.split(RECEIVERS)
    assert SECRET not in json.dumps(found.shown)
    assert set(found.secrets) == set(receivers.SECRETS.values())
    assert all(SECRET in one for one in found.secrets.values())
    assert found.shown["email"]["username"] == "sse"
    assert found.shown["ntfy"]["joint"] == "&"


def test_a_receiver_on_the_host_itself_names_its_port() -> None:
    given = {"webhook": "http://host.docker.internal/x", "email": {**MAIL, "server": "host.docker.internal:25"}}
    shown = receivers.split({**given, "slack": "https://a.b/c"}).shown
    assert {name: one["host_port"] for name, one in shown.items()} == {"webhook": 80, "email": 25, "slack": 0}


def test_the_forms_in_words_are_those_of_the_readme() -> None:
    declared = options.load(Path(__file__).parents[3] / "roles", yaml.safe_load)["alerts"]["alerts_to"]
    assert values.expected(declared) == receivers.EXPECTED
