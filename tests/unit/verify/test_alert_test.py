"""A test alert: who took it, who did not, and why, by the words of a real Alertmanager 0.28."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify import alert_test
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import firing, receivers

RETRIED = (
    'time=2026-11-29T04:29:49.401Z level=WARN source=notify.go:865 msg="Notify attempt failed, will retry later" '
    'component=dispatcher receiver=ntfy integration=webhook[0] aggrGroup="{}/{alertname=\\"TestAlert\\"}" attempts=1 '
    'err="Post \\"<redacted>\\": dial tcp 172.17.0.1:1: connect: connection refused"'
)
GIVEN_UP = (
    'time=2026-11-29T04:29:49.405Z level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" '
    'component=dispatcher num_alerts=1 err="slack/slack[0]: notify retry canceled due to unrecoverable error after 1 '
    'attempts: channel \\"#ops\\": unexpected status code 404"'
)


class Said:
    """A server that says what a test asks for, by path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str]] = {}
        self.posted: list[Any] = []
        self.counts: dict[str, tuple[int, int]] = {}
        outer = self

        class Web(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                metrics = "\n".join(
                    f'{name}{{integration="x",receiver_name="{receiver}"}} {count}'
                    for receiver, counts in outer.counts.items()
                    for name, count in zip((alert_test.SENT, alert_test.FAILED), counts, strict=True)
                )
                status, text = (200, metrics) if self.path == "/metrics" else outer.answers.get(self.path, (404, ""))
                self.answer(status, text)

            def do_POST(self) -> None:
                outer.posted += json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(*outer.answers.get(self.path, (200, "")))

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = Endpoint("sse-alertmanager", "127.0.0.1", self.server.server_port)


@pytest.fixture
def said() -> Iterator[Said]:
    server = Said()
    yield server
    server.server.shutdown()
    server.server.server_close()


class Subject:
    """What a check sees of a container."""

    name = "sse-alertmanager"
    runs = True

    def __init__(self, endpoint: Endpoint) -> None:
        self.at = endpoint
        self.inspected = {"Id": "nobody"}

    def endpoint(self, _port: int) -> Endpoint:
        return self.at


class Running:
    """A stack with a container that has receivers."""

    def __init__(self, said: Said, people: list[str]) -> None:
        parameters = {"port": 9093, "people": people, "others": [], "labels": {"stack": "sse", "host": "vm"}}
        check = {"service": "x", "kind": "receivers", "containers": ["one"], "parameters": parameters}
        self.releases = [{"containers": {"sse-alertmanager": {"container": "one"}}, "checks": [check]}]
        self.found = {"sse-alertmanager": Subject(said.endpoint)}


def test_each_receiver_is_told_apart_and_the_alert_says_that_it_is_a_test(said: Said) -> None:
    said.counts = {"webhook": (3, 1), "email": (3, 1)}

    def later(_seconds: float) -> None:
        said.counts = {"webhook": (4, 1), "email": (4, 2)}

    running: Any = Running(said, ["webhook", "email"])
    found = alert_test.run(running, later)
    [line] = found.lines
    assert line.startswith("webhook: took the test alert after ")
    [finding] = found.findings
    assert (finding.rule, finding.wrong) == ("receivers", "the receiver email did not take the test alert")
    [alert] = said.posted
    assert alert["labels"].items() >= {"alertname": "TestAlert", "stack": "sse", "host": "vm"}.items()
    assert "This is a test" in alert["annotations"]["summary"]


def test_one_that_fails_first_and_takes_it_then_is_well(said: Said) -> None:
    said.counts = {"ntfy": (0, 0), "webhook": (0, 0)}
    steps = iter([{"ntfy": (1, 1), "webhook": (0, 0)}, {"ntfy": (2, 1), "webhook": (1, 0)}])

    def later(_seconds: float) -> None:
        said.counts = next(steps)

    running: Any = Running(said, ["ntfy", "webhook"])
    assert alert_test.run(running, later).findings == []


def test_nobody_is_tested_where_nobody_is_told(said: Said) -> None:
    running: Any = Running(said, [])
    with pytest.raises(alert_test.AlertTestError, match="alerts_to names no receiver"):
        alert_test.run(running)


def test_in_a_cluster_the_host_that_has_what_sends_alerts_sends_it_from_within_its_network(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases: Any = [{**one, "stack": "sse"} for one in Running(said, ["webhook"]).releases]
    engine: Any = SimpleNamespace(inspect=lambda identity: {"State": {"Pid": int(identity)}})
    tasks = [("sse-other", "8")]
    monkeypatch.setattr(alert_test.node_told, "running", lambda _, stack: tasks if stack == "sse" else [])
    assert alert_test.sender_of(engine, releases) is None
    tasks.append(("sse-alertmanager", "7"))
    sender = alert_test.sender_of(engine, releases)
    assert sender
    assert (sender.id, sender.endpoint(9093).url) == ("7", "http://127.0.0.1:9093")
    entered: list[int] = []

    def inside(pid: int, work: Any) -> Any:
        entered.append(pid)
        return work()

    monkeypatch.setattr(alert_test, "inside", inside)
    monkeypatch.setattr(alert_test, "send", lambda *given: alert_test.Outcome([given[0].name, *given[2]], []))
    assert alert_test.run_in(sender, releases).lines == ["sse-alertmanager", "webhook"]
    assert entered == [7]


def test_an_alert_that_is_not_accepted_is_told(said: Said) -> None:
    said.answers["/api/v2/alerts"] = (400, "bad timestamp")
    running: Any = Running(said, ["email"])
    with pytest.raises(alert_test.AlertTestError, match="400 bad timestamp"):
        alert_test.run(running)


def test_the_reason_is_that_of_the_receiver_and_of_its_last_failure() -> None:
    lines = ["level=INFO", RETRIED, GIVEN_UP]
    assert alert_test.reason(lines, "ntfy") == 'Post "<redacted>": dial tcp 172.17.0.1:1: connect: connection refused'
    assert alert_test.reason(lines, "slack").endswith("unexpected status code 404")
    assert alert_test.reason(lines, "email") == ""


def test_receivers_are_those_that_are_declared(said: Said) -> None:
    said.answers[receivers.PATH] = (200, json.dumps([{"name": "nobody"}, {"name": "email"}]))
    subject: Any = Subject(said.endpoint)
    running: Any = None
    asked: receivers.Parameters = {"port": 1, "people": ["email", "slack"], "others": [], "labels": {}}
    found = receivers.check(running, subject, asked)
    assert [one.wrong for one in found.findings] == ["it does not know the receivers slack"]
    said.answers[receivers.PATH] = (200, "<h1>no</h1>")
    assert receivers.check(running, subject, asked).findings[0].wrong.endswith("email, slack")


def test_alerts_that_fire_and_say_how_they_are_mended_are_told_and_no_others(said: Said) -> None:
    def alert(state: str, **notes: str) -> dict[str, Any]:
        at = "2026-11-29T04:29:49.97Z"
        return {"labels": {"alertname": "A"}, "annotations": notes, "state": state, "activeAt": at}

    alerts = [
        alert("firing", summary="it is broken", mend="./sse up"),
        alert("pending", summary="soon", mend="./sse up"),
        alert("firing", summary="another rule of doctor knows this"),
    ]
    said.answers[firing.PATH] = (200, json.dumps({"status": "success", "data": {"alerts": alerts}}))
    [one] = firing.ask(said.endpoint)
    assert one.sentence == "it is broken (alert A, since 2026-11-29T04:29:49Z)"
    assert one.mend == "./sse up"
    for text in ("<h1>no</h1>", "{}", '{"data": {"alerts": 1}}', '{"data": []}'):
        said.answers[firing.PATH] = (200, text)
        assert firing.ask(said.endpoint) == []
