"""A rollout on a real engine: a canary, an abort, more replicas; and publishing that is paused under traffic."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.stack import eventually
from ansible_collections.sse.platform.tests.integration.traffic import Traffic
from docker.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.sse.platform.tests.integration.stack import Running, Stack

OTHER = {"SSE_MAX_BODY_BYTES": "190000"}
SCRAPE: dict[str, Any] = {"prometheus_scrape_seconds": 1}


@contextlib.contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[None]:
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.1):
            with contextlib.suppress(Exception):
                act()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def tell(stack: Stack, verb: str, **variables: Any) -> str:
    run = stack.play(verb, **variables)
    assert run.code == 0, run.output
    return run.output


def published(stack: Stack, key: str) -> httpx.Response:
    event = {"channel": "it.pause", "data": 1}
    url = f"http://127.0.0.1:{stack.http_port}/api/v1/events"
    return httpx.post(url, json=event, headers={"Idempotency-Key": key}, timeout=15)


def ask_for_what_is_gone(stack: Stack) -> None:
    """Resume at the first replica after an event that never was: it answers with a gap."""
    url = f"http://{stack.prefix}.21:8000/api/v1/stream?channel=it.gap"
    with httpx.stream("GET", url, headers={"Last-Event-ID": "0-00000000"}, timeout=2) as answer:
        next(answer.iter_bytes())


def slow_down(stack: Stack) -> None:
    """Let the canary, once it runs, stand still while publishes are on their way from it to Kafka."""
    process = stack.container("app-1").attrs["State"]["Pid"]
    url, event = f"http://{stack.prefix}.21:8000/api/v1/events", {"channel": "it.slow", "data": 1}
    with httpx.Client(timeout=10) as client, concurrent.futures.ThreadPoolExecutor(20) as pool:
        for _ in range(5):
            sent = [pool.submit(client.post, url, json=event) for _ in range(20)]
            concurrent.futures.wait(sent, return_when=concurrent.futures.FIRST_COMPLETED)
            os.kill(process, signal.SIGSTOP)
            try:
                time.sleep(0.7)  # Prometheus waits a second for an answer
            finally:
                os.kill(process, signal.SIGCONT)
            concurrent.futures.wait(sent)


@pytest.mark.parametrize(
    ("trouble", "named"),
    [
        (ask_for_what_is_gone, "gaps is "),
        pytest.param(slow_down, "(p99) over twice those of the others is ", marks=pytest.mark.whole),
    ],
)
def test_a_bad_canary_goes_and_the_earlier_container_is_back(
    stack: Stack, trouble: Callable[[Stack], None], named: str
) -> None:
    stack.up(**SCRAPE)
    before = {name: one.id for name, one in stack.containers().items()}
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        eventually(lambda: len(traffic.heard) > 100, "some traffic")

        def disturb() -> None:
            if stack.container("app-1").id != before["it-app-1"] and stack.ready(1):
                trouble(stack)

        with again_and_again(disturb):
            said = " ".join(stack.fail(**SCRAPE, app_environment_extra=OTHER, asked_canary=20).split())
    assert "it-app-1: the canary is not good: " in said
    assert named in said
    assert "The earlier it-app-1 is back and runs." in said
    assert {name: one.id for name, one in stack.containers().items()} == before
    assert traffic.broken == ""
    assert "the canary is not good" in tell(stack, "history")


def test_a_rollout_is_paused_and_aborted_at_its_canary_and_a_good_one_is_followed_by_the_others(stack: Stack) -> None:
    stack.up(**SCRAPE)
    before = {name: one.attrs["Config"] for name, one in stack.containers().items()}
    assert "No rollout runs now" in stack.play("abort").output
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        run = stack.begin("site", **SCRAPE, app_environment_extra=OTHER, asked_canary=5)
        assert follow(stack, run, {name: one["Env"] for name, one in before.items()}) == {"it-app-1"}
        assert traffic.broken in {"", "it did not end"}
    assert traffic.broken == ""
    assert {name: one.attrs["Config"]["Env"] for name, one in stack.containers().items()} == {
        name: one["Env"] for name, one in before.items()
    }
    assert "was aborted by" in tell(stack, "history")
    assert "No drift" in tell(stack, "drift")
    stack.up(**SCRAPE, app_environment_extra=OTHER, asked_canary=5)
    stack.up(**SCRAPE)


def follow(stack: Stack, run: Running, before: dict[str, Any]) -> set[str]:
    """Pause a rollout at its canary, abort it, and return what it had changed."""

    def changed() -> set[str]:
        with contextlib.suppress(NotFound):  # one that is being replaced
            found = {name: one for name, one in stack.containers().items() if name in before}
            return {name for name, one in found.items() if one.attrs["Config"]["Env"] != before[name]}
        return set()

    eventually(lambda: bool(changed()), "the canary", 120)
    assert "The rollout was paused by" in tell(stack, "pause", asked_pause="rollout")
    assert "THE ROLLOUT IS PAUSED" in tell(stack, "status")
    eventually(lambda: stack.ready(1), "the canary")
    threading.Event().wait(8)  # the five seconds of the canary, and time to begin with the next replica
    assert run.process.poll() is None
    done = changed()
    tell(stack, "abort", asked_why="a test")
    said = run.end()
    assert said.code != 0
    assert "it-app-1 is back" in said.output
    return done


def test_more_and_fewer_replicas_reload_nginx_and_end_no_stream_of_the_others(stack: Stack) -> None:
    process = stack.container("nginx").attrs["State"]["Pid"]
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        heard = len(traffic.byes)
        stack.up(app_replicas=4)
        assert stack.ready(4)
        stack.up()
        assert len(traffic.byes) == heard
    assert traffic.broken == ""
    assert stack.container("nginx").attrs["State"]["Pid"] == process


def test_a_pause_of_publishing_counts_everywhere_at_once_and_loses_nothing(stack: Stack) -> None:
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        said = tell(stack, "pause", asked_pause="publishing", asked_why="a test")
        try:
            assert "PUBLISHING IS PAUSED by" in said
            answers = [published(stack, "it-pause") for _ in range(6)]
            stack.container("app-2").restart()
            stack.container("redis-master").restart()
            eventually(lambda: stack.ready(2), "the replica that was restarted")
            answers.append(published(stack, "it-pause"))
            assert {(one.status_code, one.headers["retry-after"]) for one in answers} == {(503, "5")}
            assert answers[0].headers["content-type"] == "application/problem+json"
            for verb in ("status", "plan", "drift"):
                assert "PUBLISHING IS PAUSED by" in tell(stack, verb)
            verified = stack.verify()
            assert verified.code == 0, verified.output
            assert "the operator's own" in verified.output
            assert (again := stack.play("pause", asked_pause="publishing")).unchanged, again.output
            assert "Did you mean 'publishing'?" in stack.play("pause", asked_pause="publish").output
        finally:
            tell(stack, "resume", asked_pause="publishing")
        assert published(stack, "it-pause").status_code == 202
    assert traffic.broken == ""
