"""What a run changes, and what it leaves alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually

CACHE: dict[str, Any] = {
    "listens": [6379],
    "image": "redis",
    "entrypoint": ["redis-server"],
    "command": ["--dir", "/data", "--save", "1 1", "--bind", "0.0.0.0", "--protected-mode", "no"],
    "user": "6379:6379",
    "data": {"/data": "cache"},
    "memory": "64m",
    "healthcheck": {
        "command": ["redis-cli", "-e", "ping"],
        "start": 10,
        "interval": 5,
        "timeout": 3,
        "retries": 1,
    },
}


def extra(**changes: Any) -> dict[str, Any]:
    return {"cache": {"containers": {"cache": {**CACHE, **changes}}}}


@pytest.fixture(scope="module")
def extended(deployed: Stack) -> Iterator[Stack]:
    """The session's stack with a service more."""
    deployed.up(services_extra=extra())
    yield deployed
    deployed.up()


@pytest.fixture
def cached(extended: Stack) -> Iterator[Stack]:
    """The same; a test that changed its cache has it put back."""
    before = extended.container("cache").id
    yield extended
    if "it-cache" not in extended.containers() or extended.container("cache").id != before:
        extended.up(services_extra=extra())


def files(stack: Stack) -> dict[str, tuple[int, int]]:
    """Every file that belongs to the stack, but for what services write themselves."""
    written = {stack.state / "data", stack.state / "shared"}
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in stack.state.rglob("*")
        if path.is_file() and not written.intersection(path.parents)
    }


def test_a_second_up_changes_nothing_and_says_so(stack: Stack) -> None:
    before = stack.ids()
    run = stack.up()
    assert run.unchanged, run.output
    assert stack.ids() == before


def test_a_second_run_is_refused_with_who_runs_the_first_or_waits_for_it(stack: Stack) -> None:
    # A process of this machine that has "ansible" in its command line counts as a run.
    runner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)  # ansible"])
    process = run_lock.process(runner.pid)
    run = {"asked": "up", "who": "ann", "where": "laptop", "controller": run_lock.this_machine(), "process": process}
    try:
        run_lock.keep(str(stack.state), run)
        before = stack.ids()
        refused = stack.fail()
        assert "./sse up of ann on laptop" in refused
        assert "failed in prepare" in refused
        assert stack.ids() == before
        assert "./sse up of ann on laptop was at work" in stack.fail("--check")
        waiting = stack.begin("site", "-e", "asked_wait=60")
        threading.Timer(4, runner.kill).start()
        waited = waiting.end()
        assert waited.code == 0, waited.output
    finally:
        runner.kill()
        runner.wait()


def test_a_run_of_some_services_is_honest_about_the_others(stack: Stack) -> None:
    before = stack.ids()
    unknown = stack.fail("--tags", "ap")
    assert "nothing was changed" in unknown
    assert "--tags ap: did you mean app?" in unknown
    unaware = stack.fail("--tags", "app", "-e", "app_replicas=4")
    assert "run `./sse up --tags app,nginx,prometheus`" in unaware
    assert stack.ids() == before


def test_a_changed_variable_touches_only_its_service_one_at_a_time_and_no_publish_fails(stack: Stack) -> None:
    before = stack.ids()
    others_down: list[str] = []
    stopped: list[int] = []
    answers: list[int] = []
    done = threading.Event()

    def judge(event: dict[str, Any]) -> None:
        if event["action"] == "kill" and event.get("sse.platform.service") == "app":
            number = int(event["sse.platform.container"].removeprefix("app-"))
            stopped.append(number)
            others_down.extend(f"app-{one}" for one in {1, 2, 3} - {number} if not stack.ready(one))

    def publish() -> None:
        while not done.is_set():
            answers.append(stack.publish("it.rolling", len(answers)).status_code)

    publisher = threading.Thread(target=publish)
    with stack.events() as events:
        events.watch(judge)
        publisher.start()
        try:
            run = stack.up(app_environment_extra={"SSE_MAX_BODY_BYTES": "300000"})
        finally:
            done.set()
            publisher.join()
    assert sorted(stopped) == [1, 2, 3]
    assert others_down == []
    assert len(answers) > 20
    assert set(answers) == {202}
    touched = {name for name, seen in stack.ids().items() if before.get(name) != seen}
    assert touched == {"it-app-1", "it-app-2", "it-app-3"}
    assert "environment.SSE_MAX_BODY_BYTES: 262144 -> 300000" in run.output
    preview = stack.up("--check")
    assert "These came by -e or ./sse scale, and they would go back: app_environment_extra" in " ".join(
        preview.output.split()
    )


def test_a_foreign_container_of_our_name_is_refused_and_never_touched(stack: Stack) -> None:
    image = stack.container("redis-master").attrs["Image"]
    foreign = stack.engine.containers.create(image, ["true"], name="it-cache")
    try:
        before = stack.ids()
        output = stack.fail(services_extra=extra())
        foreign.reload()
        assert "named it-cache exists" in output
        assert "choose another stack_name" in output
        assert (foreign.status, foreign.attrs["RestartCount"]) == ("created", 0)
        assert stack.ids() == before
    finally:
        foreign.remove()


def test_check_touches_nothing_and_tells_what_up_then_does(stack: Stack) -> None:
    change = {"exporters_environment_extra": {"GOMAXPROCS": "1"}}
    containers, kept = stack.ids(), files(stack)
    preview = stack.up("--check", "--diff", **change)
    assert (stack.ids(), files(stack)) == (containers, kept)
    told = set(re.findall(r"^\s*~ (\S+)$", preview.output, re.MULTILINE))
    assert told == {"it-redis-exporter", "it-nginx-exporter", "it-container-exporter", "it-node-exporter"}
    assert "environment.GOMAXPROCS: absent -> 1" in preview.output
    stack.up(**change)
    assert {name for name, seen in stack.ids().items() if containers[name] != seen} == told


def test_check_of_no_change_says_that_nothing_would_change(stack: Stack) -> None:
    assert "nothing would change" in stack.up("--check", "--diff").output


def test_check_on_a_host_without_the_stack_works_and_leaves_nothing(other: Stack) -> None:
    preview = other.up("--check", "--diff")
    assert re.search(r"\+ it2-nginx\b", preview.output)
    assert other.containers() == {}
    assert not other.state.exists()
    assert other.engine.networks.list(names=["it2-network"]) == []


@pytest.mark.whole
def test_a_container_that_answers_again_is_not_restarted_for_its_last_check(cached: Stack) -> None:
    process = cached.container("cache").attrs["State"]["Pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        eventually(lambda: cached.container("cache").health == "unhealthy", "cache is unhealthy")
        assert "> restart it-cache: is unhealthy" in cached.play("site", "--check", services_extra=extra()).output
    finally:
        os.kill(process, signal.SIGCONT)
    assert (again := cached.up(services_extra=extra())).unchanged, again.output


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"command": ["--nonsense", "yes"]}, r"it-cache: stopped while starting[\s\S]*nonsense"),
        (
            {"healthcheck": {"command": ["redis-cli", "-e", "NOPE"], "start": 2}},
            r"it-cache: not healthy after[\s\S]*NOPE",
        ),
    ],
    ids=["it exits", "it never gets healthy"],
)
def test_a_replacement_that_fails_shows_its_log_and_the_old_one_keeps_serving(
    cached: Stack, changes: dict[str, Any], said: str
) -> None:
    old = cached.container("cache")
    output = cached.fail(services_extra=extra(**changes))
    assert re.search(said, output), output
    assert cached.container("cache").id == old.id
    eventually(
        lambda: b"PONG" in cached.container("cache").exec_run(["redis-cli", "ping"]).output, "the old one answers"
    )
    assert not [name for name in cached.containers() if name.endswith(("-next", "-previous"))]


def test_a_failed_run_names_what_it_did_before_and_the_next_run_goes_on_from_there(cached: Stack) -> None:
    broken = {**CACHE, "command": ["--nonsense", "yes"], "after": ["helper"]}
    output = cached.fail(services_extra={"cache": {"containers": {"cache": broken, "helper": CACHE}}})
    assert "The earlier it-cache is back and runs." in output
    assert "Done before that, and kept: + it-helper (new)." in output
    assert "- it-helper: no longer declared" in cached.up(services_extra=extra()).output


def test_a_removed_service_disappears_and_its_data_comes_back_with_it(cached: Stack) -> None:
    cached.container("cache").exec_run(["redis-cli", "set", "kept", "for-ever"])
    cached.container("cache").exec_run(["redis-cli", "save"])
    cached.up()
    assert "it-cache" not in cached.containers()
    assert (cached.state / "data/it-cache/cache/dump.rdb").exists()
    cached.up(services_extra=extra())
    assert b"for-ever" in cached.container("cache").exec_run(["redis-cli", "get", "kept"]).output
