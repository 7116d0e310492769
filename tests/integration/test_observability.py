"""What the platform says of itself: metrics and alerts as Prometheus reads them, logs and traces across its parts."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import alert_cases
import httpx
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack, eventually

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
DASHBOARD = ROOT / "roles/grafana/templates/overview.json.j2"
METRIC = re.compile(r"\b(?!sse_reach_)(?:sse|kafka|redis|nginx|node|jvm|process)_\w+")


def promtool(stack: Stack, command: str, text: str = "") -> None:
    """Run promtool in the stack's Prometheus, with a text on its standard input."""
    run = subprocess.run(
        ["docker", "exec", "-i", f"{stack.name}-prometheus", "sh", "-c", command],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert not run.stderr, run.stderr  # its lint


def lines(stack: Stack, short: str) -> list[dict[str, Any]]:
    # Beside its access log, NGINX writes what it does and what fails, as text.
    logged = stack.container(short).logs().decode().splitlines()
    return [json.loads(line) for line in logged if short != "nginx" or line.startswith("{")]


def replica(stack: Stack, number: int) -> str:
    return f"http://{stack.prefix}.{20 + number}:8000"


def test_promtool_finds_nothing_to_say_of_the_metrics_of_a_replica(stack: Stack) -> None:
    promtool(stack, "promtool check metrics", httpx.get(f"{replica(stack, 1)}/metrics").text)


def test_prometheus_accepts_its_configuration_and_has_loaded_every_rule(stack: Stack) -> None:
    promtool(stack, "promtool check config --lint=all --lint-fatal /etc/prometheus/prometheus.yml")
    groups = httpx.get(f"http://127.0.0.1:{stack.http_port + 5}/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    assert {group["name"] for group in groups} >= {"app", "host", "kafka", "nginx", "prometheus", "redis", "objectives"}


def test_each_alert_fires_on_its_trouble_and_ends_after_it_and_none_fires_while_all_is_well(stack: Stack) -> None:
    """All rules of all roles and all their tests, in one process; alert_cases.py has a case for each alert."""
    promtool(stack, "cat >/tmp/rules.yml", alert_cases.rules())
    promtool(stack, "promtool check rules --lint=all --lint-fatal /tmp/rules.yml")
    promtool(stack, "cat >/tmp/tests.yml && promtool test rules /tmp/tests.yml", alert_cases.tests("/tmp/rules.yml"))


def test_every_series_of_the_dashboard_is_one_that_prometheus_has(stack: Stack) -> None:
    assert stack.publish("observed", 1).status_code == 202
    asked = set(METRIC.findall(DASHBOARD.read_text()))
    assert len(asked) > 30
    url = f"http://127.0.0.1:{stack.http_port + 5}/api/v1/label/__name__/values"
    missing: set[str] = set()

    def there() -> bool:
        missing.clear()
        missing.update(asked - set(httpx.get(url).json()["data"]))
        return not missing

    eventually(there, "every series scraped")


def test_a_trace_and_a_request_id_go_from_the_publisher_through_nginx_to_subscribers_and_logs(stack: Stack) -> None:
    streams = f"{replica(stack, 1)}/api/v1/stream?channel=traced"
    with (
        httpx.stream("GET", f"{streams}&trace=1", timeout=15) as traced,
        httpx.stream("GET", streams, timeout=15) as plain,
    ):
        begun = [(line for line in stream.iter_lines() if line) for stream in (traced, plain)]
        for stream in begun:
            opening = [next(stream).partition(":")[0] for _ in range(4)]
            assert opening == ["retry", "event", "data", "id"]
        answers = [
            httpx.post(
                f"http://127.0.0.1:{stack.http_port}/api/v1/events",
                json={"channel": "traced", "data": n},
                headers={"traceparent": TRACE, "X-Request-ID": "spoofed"},
                timeout=15,
            )
            for n in range(6)
        ]
        assert {answer.status_code for answer in answers} == {202}
        assert (
            len({answer.headers["x-replica"] for answer in answers}) > 1
        )  # not all of them through the one that reads
        ids = [answer.json()["ids"][0] for answer in answers]
        for n, id_ in enumerate(ids):
            event = [f"data: {n}", f"id: {id_}"]
            assert [next(begun[0]) for _ in range(4)] == ["event: traceparent", f"data: {TRACE}", *event]
            assert [next(begun[1]) for _ in range(2)] == event
    requests = {answer.headers["x-request-id"] for answer in answers}
    assert len(requests) == 6
    assert "spoofed" not in requests
    logged = {line["request_id"]: line["trace_id"] for line in lines(stack, "nginx") if "request_id" in line}
    assert {logged[id_] for id_ in requests} == {TRACE_ID}


def test_a_refused_publish_is_one_json_line_of_a_replica_with_the_request_id_of_nginx(stack: Stack) -> None:
    refused = httpx.post(
        f"http://127.0.0.1:{stack.http_port}/api/v1/events",
        content=b"{",
        headers={"traceparent": TRACE, "Content-Type": "application/json"},
    )
    assert refused.status_code == 400
    id_ = refused.json()["request_id"]
    assert id_ == refused.headers["x-request-id"]
    replicas = [name.removeprefix(f"{stack.name}-") for name in stack.containers() if "-app-" in name]
    found = [line for short in replicas for line in lines(stack, short) if line.get("request_id") == id_]
    assert [(line["replica"], line["trace_id"]) for line in found] == [(refused.headers["x-replica"], TRACE_ID)]
    unknown = httpx.get(f"http://127.0.0.1:{stack.http_port}/nowhere")  # nginx's own answer
    assert unknown.json()["request_id"] == unknown.headers["x-request-id"]
