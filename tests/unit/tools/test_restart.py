"""`./sse restart` asks by itself whether a container is healthy: the engine's health checks are half a minute apart."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import containers
import pytest
import restart
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import holds_label

CHECK = ["CMD", "redis-cli", "ping"]


class Host:
    """A host whose container has a health check that ends like this, run after run."""

    def __init__(self, test: list[str] | None, *ends: str, running: bool = True, restarts: int = 0) -> None:
        self.ends = list(ends)
        self.found = {
            "Config": {"Healthcheck": {"Test": test, "StartPeriod": 30 * 10**9} if test else None},
            "State": {"Running": running},
            "RestartCount": restarts,
        }
        self.asked: list[tuple[str, ...]] = []

    def output(self, *arguments: str) -> str:
        return json.dumps([self.found]) if arguments[0] == "inspect" else ""

    def start(self, *arguments: str, errors: int | None = None) -> subprocess.Popen[str]:
        self.asked.append(arguments)
        return subprocess.Popen([self.ends.pop(0)], stdout=subprocess.PIPE, stderr=errors, text=True)


def restarted(host: Any, monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setattr(restart, "PAUSE_SECONDS", 0)
    return restart.restart(host, "sse-redis")


def test_a_container_is_back_when_its_own_health_check_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(CHECK, "false", "false", "true")
    assert restarted(host, monkeypatch) is None
    assert host.asked == [("exec", "sse-redis", "redis-cli", "ping")] * 3


def test_a_health_check_for_a_shell_is_run_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(["CMD-SHELL", "redis-cli ping | grep PONG"], "true")
    assert restarted(host, monkeypatch) is None
    assert host.asked == [("exec", "sse-redis", "sh", "-c", "redis-cli ping | grep PONG")]


def test_a_container_without_a_health_check_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert restarted(Host(None), monkeypatch) is None
    assert restarted(Host(["NONE"]), monkeypatch) is None


@pytest.mark.parametrize(("running", "restarts"), [(False, 0), (True, 1)])
def test_a_container_that_ends_again_is_told(monkeypatch: pytest.MonkeyPatch, running: bool, restarts: int) -> None:
    host = Host(CHECK, running=running, restarts=restarts)
    assert restarted(host, monkeypatch) == "ended right after its start"


def test_a_container_that_stays_unhealthy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restart, "START_SECONDS", -29.9)  # with the start period of 30 s: until it is too late
    host = Host(CHECK, *["false"] * 500)
    assert restarted(host, monkeypatch) == "did not become healthy in time"


class Manager:
    """A manager of a cluster on which an update ends like this."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.asked: tuple[str, ...] = ()

    def start(self, *arguments: str, errors: int | None = None) -> subprocess.Popen[str]:
        self.asked = arguments
        return subprocess.Popen(["sh", "-c", self.script], stdout=subprocess.PIPE, stderr=errors, text=True)


def test_the_tasks_of_a_service_of_a_cluster_are_replaced_by_its_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    manager: Any = Manager("echo sse-app-1")
    assert restart.replaced(manager, "sse-app-1") is None
    assert manager.asked == ("service", "update", "--force", "--quiet", "sse-app-1")
    failing: Any = Manager("echo sse-app-1; echo 'service rolled back: update rolled back due to failure' >&2; exit 1")
    assert restart.replaced(failing, "sse-app-1") == "service rolled back: update rolled back due to failure"
    monkeypatch.setattr(restart, "CLUSTER_SECONDS", 0.1)
    waiting: Any = Manager("exec sleep 60")
    assert restart.replaced(waiting, "sse-app-1") == "not replaced after 0.1 s; the Swarm goes on with it"


def test_a_health_check_that_hangs_under_sudo_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as hangs:
        monkeypatch.setattr(hangs, "send_signal", refused)
        assert not restart.passes(hangs, 0.1)


def test_of_those_that_keep_copies_one_is_restarted_at_a_time() -> None:
    class Asked:
        def output(self, *words: str) -> str:
            return "".join(f'["node.labels.{holds_label(name)} == true"]\n' for name in words[4:])

    host: Any = Asked()
    log = [containers.Container(f"sse-log-{number}", "log", f"log-{number}") for number in (1, 2)]
    with pytest.raises(SystemExit, match=r"^sse: log-1, log-2 keep copies for each other, .*: restart one\."):
        restart.refuse_copies(host, log)
    restart.refuse_copies(host, [log[0], containers.Container("sse-store", "store", "store")])
    host.output = lambda *words: "[]\n" * len(words[4:])
    restart.refuse_copies(host, log)  # replicas without data
