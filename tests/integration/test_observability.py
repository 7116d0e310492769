"""What the platform says of itself: metrics and alerts as Prometheus reads them, logs and traces across its parts."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import alert_cases
import dashboards
import httpx
import yaml
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


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


def asked(stack: Stack, query: str) -> dict[str, float]:
    """What Prometheus says of a query, by the label that tells its series apart."""
    url = f"http://127.0.0.1:{stack.http_port + 5}/api/v1/query"
    found = httpx.get(url, params={"query": query}, timeout=60).json()["data"]["result"]
    own = ("verdict", "replica", "outcome", "instance")
    return {
        next((one["metric"][label] for label in own if label in one["metric"]), ""): float(one["value"][1])
        for one in found
    }


def test_a_first_install_has_the_matrix_in_prometheus_and_no_file_that_the_exporter_cannot_read(stack: Stack) -> None:
    eventually(lambda: asked(stack, "sse_reach_edges").get("reached", 0) > 10, "the matrix is scraped")
    found = asked(stack, "sse_reach_edges")
    assert (found["broken"], found["leak"]) == (0, 0)
    assert list(asked(stack, "node_textfile_scrape_error").values()) == [0]
    eventually(lambda: asked(stack, "up == 0") == {}, "every target answers")  # some were replaced just now


def test_the_canary_container_sees_its_events_through_nginx_and_at_each_replica(stack: Stack) -> None:
    """The other tests run without it: it has streams and events of its own."""
    stack.up(canary_interval_seconds=1)
    replicas = {f"app-{number}" for number in range(1, 1 + sum("-app-" in name for name in stack.containers()))}
    for replica in ("nginx", *replicas):
        eventually(
            lambda one=replica: asked(stack, "sse_canary_received_total").get(one, 0) >= 2, f"events at {replica}", 90
        )
    assert set(asked(stack, "sse_canary_seconds < 10")) == {"nginx", *replicas}
    assert asked(stack, "sse_canary_lost_total > 0 or sse_canary_doubled_total > 0") == {}
    assert sum(asked(stack, "sse_subscribers").values()) == 0


def test_each_alert_fires_on_its_trouble_and_ends_after_it_and_none_fires_while_all_is_well(stack: Stack) -> None:
    """All rules of all roles and all their tests, in one process; alert_cases.py has a case for each alert."""
    promtool(stack, "cat >/tmp/rules.yml", alert_cases.rules())
    promtool(stack, "promtool check rules --lint=all --lint-fatal /tmp/rules.yml")
    promtool(stack, "cat >/tmp/tests.yml && promtool test rules /tmp/tests.yml", alert_cases.tests("/tmp/rules.yml"))


def found(stack: Stack, query: str) -> list[dict[str, Any]]:
    """Ask the stack's Prometheus."""
    url = f"http://127.0.0.1:{stack.http_port + 5}/api/v1/query"
    answer = httpx.get(url, params={"query": query}, timeout=15).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    return answer["data"]["result"]


def value(stack: Stack, query: str) -> float:
    return sum(float(one["value"][1]) for one in found(stack, query))


@contextmanager
def load(stack: Stack) -> Iterator[None]:
    """Publish through NGINX, to a subscriber, for as long as this lasts."""
    ends = threading.Event()

    def publish() -> None:
        while not ends.wait(0.1):
            stack.publish("observed", 1)

    worker = threading.Thread(target=publish)
    url = f"http://127.0.0.1:{stack.http_port}/api/v1/stream?channel=observed"
    with httpx.stream("GET", url, timeout=30) as stream:
        assert stream.status_code == 200
        worker.start()
        try:
            yield
        finally:
            ends.set()
            worker.join()


def shown_queries() -> dict[str, str]:
    """Every query of the dashboards and of their annotations, and why it may find nothing where all is well."""
    asked: dict[str, str] = {}
    for path in dashboards.DIRECTORY.glob("*.yml"):
        for row in yaml.safe_load(path.read_text())["rows"]:
            for panel in row["panels"]:
                asked |= {query["expr"]: panel.get("empty", "") for query in panel.get("queries", [])}
    for _, _, expr, _, _, timed in dashboards.ANNOTATIONS:
        asked[expr] = "" if timed else "no alert fires where all is well"
    return asked


def test_every_query_of_every_dashboard_has_an_answer_under_load(stack: Stack) -> None:
    asked = shown_queries()
    assert len(asked) > 80
    assert any("sse_reach_" in query for query in asked)
    stack.up(canary_interval_seconds=1)  # one query shows what it measures
    lacking = {query for query, empty in asked.items() if not empty}

    def answered() -> bool:
        for query in sorted(lacking):
            plain = query.replace("$window", "1m").replace("$replica", ".*")
            if found(stack, plain):
                lacking.discard(query)
        return not lacking

    with load(stack):
        try:
            eventually(answered, "an answer to every query", seconds=90)
        finally:
            assert not lacking
    for query, empty in asked.items():
        if empty:
            found(stack, query)  # Prometheus understands it


def test_prometheus_knows_the_release_that_runs_from_its_first_minute(stack: Stack) -> None:
    for project in (f"{stack.name}-platform", f"{stack.name}-performance-dashboard"):
        newest = max(int(path.stem) for path in (stack.state / "releases" / project).glob("*.json"))
        # By number: a Prometheus that was replaced shows what it knew before for five minutes more.
        known = f'sse_release_info{{project="{project}",number="{newest}"}}'
        eventually(lambda query=known: bool(found(stack, query)), f"{project}'s release {newest} is known")
        begun = value(stack, known.replace("_info", "_timestamp_seconds"))
        assert time.time() - begun < 86_400


def test_each_container_of_the_stack_is_measured_by_its_name(stack: Stack) -> None:
    names = set(stack.containers())

    def of(query: str) -> set[str]:
        return {one["metric"]["name"] for one in found(stack, query)}

    for query in ("sse_container_up == 1", "container_memory_working_set_bytes > 0"):
        eventually(lambda query=query: of(query) == names, f"{query} for all, and for none that is gone")
    limits = {one["metric"]["name"]: int(one["value"][1]) for one in found(stack, "container_spec_memory_limit_bytes")}
    assert limits == {name: one.attrs["HostConfig"]["Memory"] for name, one in stack.containers().items()}


def test_a_restart_of_a_container_shows_under_its_name(stack: Stack) -> None:
    starts = "changes(container_start_time_seconds[30s]) > 0"
    eventually(lambda: not found(stack, starts), "that nothing has started for 30 s", seconds=90)
    query = f'container_start_time_seconds{{name="{stack.name}-redis-exporter"}}'
    before = value(stack, query)
    stack.container("redis-exporter").restart(timeout=2)
    eventually(lambda: value(stack, query) > before, "another time of its start")
    assert {one["metric"]["name"] for one in found(stack, starts)} == {f"{stack.name}-redis-exporter"}


def test_what_nginx_answers_is_counted_by_route_and_status_and_streams_are_no_slow_requests(stack: Stack) -> None:
    route = 'route="/api/v1/events"'
    refused = f'nginx_http_responses_total{{{route},status="413",by="nginx"}}'
    accepted = f'nginx_http_request_duration_seconds_count{{{route},status="2xx"}}'
    opened = 'nginx_http_responses_total{route="/api/v1/stream",status="200"}'
    every, fast = (f"nginx_http_request_duration_seconds_{one}" for one in ("count", 'bucket{le="2.0"}'))
    slow = f"sum({every}) - sum({fast})"
    before = {query: value(stack, query) for query in (refused, accepted, opened, slow)}
    url = f"http://127.0.0.1:{stack.http_port}/api/v1/events"
    assert httpx.post(url, content=b"x" * 2**21, timeout=15).status_code == 413
    with httpx.stream("GET", f"http://127.0.0.1:{stack.http_port}/api/v1/stream?channel=x", timeout=15) as stream:
        next(stream.iter_lines())
        for _ in range(5):
            assert stack.publish("observed", 1).status_code == 202
        threading.Event().wait(2.5)  # a stream that lasts longer than any request here
    eventually(lambda: value(stack, refused) == before[refused] + 1, "the refusal of NGINX")
    eventually(lambda: value(stack, accepted) >= before[accepted] + 5, "the publishes")
    eventually(lambda: value(stack, opened) > before[opened], "the stream")
    assert value(stack, slow) == before[slow]
    assert value(stack, "nginx_http_strange_lines_total") == 0


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

    def logged() -> dict[str, str]:
        return {line["request_id"]: line["trace_id"] for line in lines(stack, "nginx") if "request_id" in line}

    eventually(lambda: requests <= set(logged()), "the lines of all requests, which NGINX writes once a second")
    assert {logged()[id_] for id_ in requests} == {TRACE_ID}


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
