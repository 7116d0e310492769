"""What the server of the control room gives to a browser: the page, and a few read-only answers of the stack."""

from __future__ import annotations

import itertools
import re
from typing import Any

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.browser import chromium, see_the_control_room
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually


def asked(stack: Stack, path: str, **options: Any) -> httpx.Response:
    """GET a path of the dashboard."""
    return httpx.get(f"http://127.0.0.1:{stack.variables['dashboard_port']}{path}", timeout=15, **options)


def test_the_page_is_compressed_its_parts_are_kept_for_ever_and_its_policy_is_strict(stack: Stack) -> None:
    page = asked(stack, "/")
    assert page.headers["cache-control"] == "no-cache"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    parts = re.findall(r'"(/assets/[^"]+)"', page.text)
    assert parts
    for part in parts:
        answer = asked(stack, part, headers={"Accept-Encoding": "gzip"})
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-security-policy"] == policy


def test_a_foreign_name_is_refused_with_the_variables_that_admit_one(stack: Stack) -> None:
    for path in ("/", "/live/releases.json", "/prom/query?query=up", "/api/v1/health/ready", "/replicas"):
        answer = asked(stack, path, headers={"Host": "evil.example:3001"})
        assert (answer.status_code, answer.headers["content-type"]) == (421, "text/plain"), path
        assert {"exposure_hosts:", "alerts_dashboard_url:"} <= set(answer.text.split()), path
        assert asked(stack, path, headers={"Host": "any-name-without-a-dot"}).status_code == 200, path


@pytest.mark.parametrize("path", ["/prom", "/prom/api/v1"])
def test_five_questions_to_prometheus_are_passed_on(stack: Stack, path: str) -> None:
    now = {"query": "up", "start": "0", "end": "10", "step": "1"}
    for question, more in {"query": now, "query_range": now, "rules": {}, "alerts": {}, "targets": {}}.items():
        answer = asked(stack, f"{path}/{question}", params=more)
        assert answer.json()["status"] == "success", question


def test_nothing_else_of_prometheus_is_reached_and_nothing_is_posted(stack: Stack) -> None:
    for path in ("/prom/", "/prom/metrics", "/prom/api/v1/series", "/prom/api/v1/admin/tsdb/snapshot"):
        assert asked(stack, path).status_code == 404, path
    for method, path in (("POST", "/prom/query"), ("DELETE", "/prom/alerts"), ("POST", "/replicas/app-1/health")):
        url = f"http://127.0.0.1:{stack.variables['dashboard_port']}{path}"
        assert httpx.request(method, url, content="query=up").status_code == 405, path
    assert asked(stack, f"/prom/query?query={'a' * 5000}").status_code == 414


def test_a_replica_that_stops_is_named_while_the_others_answer(stack: Stack) -> None:
    names = asked(stack, "/replicas").json()["replicas"]
    assert names == ["app-1", "app-2", "app-3"]
    stack.container("app-2").stop(timeout=1)
    try:
        gone = asked(stack, "/replicas/app-2/health")
        assert (gone.status_code, gone.json()["code"]) == (502, "replica-gone")
        assert asked(stack, "/replicas/app-1/health").json()["status"] == "ok"
    finally:
        stack.container("app-2").start()
    eventually(lambda: asked(stack, "/replicas/app-2/health").status_code == 200, "app-2 answers again", 60)
    assert asked(stack, "/replicas/kafka/health").status_code == 404


def test_what_runs_write_for_the_page_is_given_and_nothing_beside_it(stack: Stack) -> None:
    for name in ("releases", "topology", "matrix"):
        answer = asked(stack, f"/live/{name}.json")
        assert answer.json()["time"].endswith("Z"), name
    for path in ("/live/", "/live/secrets.json", "/live/../secrets"):
        assert asked(stack, path).status_code == 404, path


def test_what_runs_write_for_the_page_is_what_runs(stack: Stack) -> None:
    # The engine checks by itself half a minute after a start, which no run waits for.
    eventually(lambda: stack.container("app-1").health == "healthy", "the first check by the engine", seconds=60)
    assert stack.verify().code == 0
    containers = stack.containers()
    topology, matrix = asked(stack, "/live/topology.json").json(), asked(stack, "/live/matrix.json").json()
    told = {one["name"]: one for one in topology["containers"]}
    assert told.keys() == containers.keys()
    for name, one in told.items():
        bound = containers[name].attrs["HostConfig"]["PortBindings"] or {}
        published = {(each["HostIp"], int(each["HostPort"])) for each in itertools.chain(*bound.values())}
        assert {(port["address"], port["port"]) for port in one["ports"]} == published, name
        assert containers[name].image.id.startswith(f"sha256:{one['image_id']}"), name
    assert told[f"{stack.name}-app-1"]["checked"]["state"] == "healthy"
    assert 0 in [one["code"] for one in told[f"{stack.name}-app-1"]["checked"]["log"]]
    assert {told[f"{stack.name}-{name}"]["tier"] for name in ("app-1", "app-2", "app-3")} == {"replicas"}
    reached = {(one["source"], one["target"]) for one in matrix["edges"] if one["verdict"] == "reached"}
    assert reached == {(name, reach["to"]) for name, one in told.items() for reach in one["reaches"]}
    assert all(one["ms"] is not None for one in matrix["edges"] if one["verdict"] == "reached")
    releases = asked(stack, "/live/releases.json").json()
    running = next(one for one in releases["releases"] if one["number"] == releases["current"])
    assert running["outcome"] == "applied"
    assert running["verification"]["findings"] == []
    assert running["verification"]["verified"]["healthy"] == len(containers)


@pytest.mark.skipif(not chromium(), reason="chromium is not installed")
def test_a_browser_sees_the_truth_about_a_stack_that_runs_and_breaks(stack: Stack) -> None:
    """Every view in both themes at a desk and on a phone, what can be done there, and the sentence for each fault."""
    see_the_control_room(stack)
    eventually(stack.live_again, "the stack answers again", 60)
