"""A canary is judged by expressions with limits; what has no value is never taken as good."""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import unasked
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import AbortedError
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model import watch
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify import canary
from ansible_collections.sse.platform.plugins.module_utils.verify.canary import Canary, CanaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

METRICS = [{"targets": ["other:1"]}, {"targets": ["a-1:80", "a-2:80", "a-3:80"]}]
SPEC = cast("Any", {"service": "a", "container": "a-1", "rolling": True})


class Prometheus(HTTPServer):
    """Answers each query with the next value of its list, and the last one for ever."""

    answers: list[Any]
    asked: list[str]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast("Prometheus", self.server)
        server.asked.append(urllib.parse.unquote(self.path.partition("query=")[2]))
        value = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        body = json.dumps(value if isinstance(value, dict) else vector(*value)).encode()
        self.send_response(400 if isinstance(value, dict) and "error" in value else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def vector(*values: str) -> dict[str, Any]:
    return {"data": {"resultType": "vector", "result": [{"value": [0, value]} for value in values]}}


@pytest.fixture
def prometheus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Prometheus]:
    monkeypatch.setattr(canary, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(canary, "LATE_SECONDS", 0.2)
    server = Prometheus(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def judge(server: Prometheus, *answers: Any, gate: Callable[[], None] = unasked, **limits: Any) -> None:
    server.answers = list(answers)
    [one] = watch.parse_all(
        [{"service": "a", "name": "gaps", "expr": 'x{i="$instance",o=~"$others"}[$window]', **limits}], "p"
    )
    made = Canary([one], METRICS, 1)
    made.prometheus = Endpoint("prometheus", "127.0.0.1", server.server_port)
    made.watch("s-a-1", SPEC, gate)


def test_a_good_canary_is_asked_by_its_own_name_those_of_the_others_and_the_time(prometheus: Prometheus) -> None:
    judge(prometheus, ["0"], above=0)
    assert prometheus.asked[0] == 'x{i="a-1:80",o=~"a\\\\-2:80|a\\\\-3:80"}[10s]'


@pytest.mark.parametrize(
    ("answers", "limits"),
    [([["0", "3"]], {"above": 1}), ([["1"], ["0.5"]], {"below": 0.9}), ([["0"], ["7"]], {"above": 6})],
)
def test_a_bad_value_is_told_with_the_expression_the_value_and_the_limit(
    prometheus: Prometheus, answers: list[Any], limits: dict[str, Any]
) -> None:
    with pytest.raises(
        CanaryError, match=r"s-a-1: the canary is not good: gaps is [\d.]+, expected at (most|least) [\d.]+"
    ):
        judge(prometheus, *answers, **limits)


def test_one_bad_look_at_the_start_is_forgiven(prometheus: Prometheus) -> None:
    judge(prometheus, ["9"], ["0"], above=1)


def test_an_operator_who_aborts_does_not_wait_for_the_end_of_the_watch(prometheus: Prometheus) -> None:
    """A watch takes minutes; the gate of the rollout is asked before each look."""
    looks: list[int] = []

    def gate() -> None:
        looks.append(len(prometheus.asked))
        if len(looks) == 2:
            raise AbortedError("The rollout was aborted by ana.")

    with pytest.raises(AbortedError):
        judge(prometheus, ["0"], ["0"], gate=gate, above=0)
    assert looks == [0, 1]


@pytest.mark.parametrize("answer", [[], ["NaN"], {"error": "parse error"}])
def test_no_value_is_never_taken_as_good(prometheus: Prometheus, answer: Any) -> None:
    with pytest.raises(CanaryError, match="gaps has no value"):
        judge(prometheus, answer, above=0)


def running(*subjects: Any, checks: Any = ()) -> Any:
    return SimpleNamespace(subjects=list(subjects), releases=[{"checks": list(checks)}], named=lambda _: [])


def test_a_canary_that_nobody_could_judge_is_refused_before_anything_changes() -> None:
    one = watch.parse_all([{"service": "a", "name": "n", "expr": "$instance", "above": 0}], "p")
    replica = SimpleNamespace(spec=SPEC)
    with pytest.raises(CanaryError, match="a declares no expression"):
        Canary([], METRICS, 1).refuse(running(replica))
    with pytest.raises(CanaryError, match="no Prometheus runs"):
        Canary(one, METRICS, 1).refuse(running(replica))
    Canary(one, METRICS, 1).refuse(running())  # nothing runs yet, so nothing is replaced


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expr": "sum(x{i='$instance'}"}, "'\\(' is not closed"),
        ({"expr": "sum(x{i='$instance']))"}, "closes nothing"),
        ({"expr": "up"}, r"\$instance"),
        ({"above": None}, "either above or below"),
        ({"below": 1}, "either above or below"),
        ({"above": "1"}, "expected a number"),
        ({"limit": 1}, "unknown key"),
    ],
)
def test_an_expression_of_another_shape_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        watch.parse_all([{"service": "a", "name": "n", "expr": "x{i='$instance'}", "above": 1, **change}], "p")


def test_a_setting_replaces_what_the_service_declares_under_the_same_name() -> None:
    def one(name: str, above: int) -> Any:
        return watch.parse_all([{"service": "a", "name": name, "expr": "$instance", "above": above}], "p")

    found = watch.chosen([*one("x", 1), *one("y", 2)], [*one("y", 3), *one("z", 4)])
    assert [(each["name"], each["above"]) for each in found] == [("x", 1), ("y", 3), ("z", 4)]
