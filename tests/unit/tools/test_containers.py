"""Which containers of a host the words of a command mean."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import containers
import pytest

LISTED = "sse-nginx\tnginx\tnginx\nsse-app-2\tapp\tapp-2\nsse-app-1\tapp\tapp-1\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> containers.Host:
    """A host with the containers of LISTED."""
    monkeypatch.setattr(containers.Host, "output", lambda *_: LISTED)
    return containers.Host(ssh=(), sudo=(), stack="sse", name="box")


def test_a_container_is_meant_by_its_service_its_short_name_and_its_full_name(host: containers.Host) -> None:
    for words, found in (
        ([], ["app-1", "app-2", "nginx"]),
        (["app"], ["app-1", "app-2"]),
        (["app-2", "sse-nginx"], ["app-2", "nginx"]),
    ):
        assert [one.short for one in host.containers(words)] == found


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ngnix", ": did you mean 'nginx'?"),
        ("ap", ": did you mean 'app'?"),
        ("app1", ": did you mean 'app-1'?"),
        ("sse-ngix", ": did you mean 'sse-nginx'?"),
        ("grafana", "."),
    ],
)
def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(host: containers.Host, word: str, meant: str) -> None:
    with pytest.raises(SystemExit) as refused:
        host.containers(["app", word])
    said = f"There is no service or container '{word}'{meant} Expected one of app-1, app-2, nginx."
    assert str(refused.value) == said


def test_a_service_of_a_cluster_is_meant_by_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(_: containers.Host, *words: str) -> str:
        asked.append(words)
        return "id1\nid2\nid3\n" if words[1] == "ls" else LISTED

    monkeypatch.setattr(containers.Host, "output", answer)
    manager = containers.Host(ssh=(), sudo=(), stack="sse", name="one")
    assert [one.short for one in manager.services(["app"])] == ["app-1", "app-2"]
    assert asked[0] == ("service", "ls", "-q", "--filter", "label=sse.platform.stack=sse")
    assert asked[1][-3:] == ("id1", "id2", "id3")
    label = '{{index .Spec.TaskTemplate.ContainerSpec.Labels "sse.platform.%s"}}'
    assert asked[1][3] == "\t".join(["{{.Spec.Name}}", label % "service", label % "container"])


def test_a_verb_about_one_host_is_refused_for_a_cluster_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts.ini").write_text("[managers]\na\n")
    monkeypatch.setattr(containers, "ansible", lambda *_: pytest.fail("a host was asked"))
    monkeypatch.setattr("sys.argv", ["/tools/alert_test.py"])
    asked = argparse.Namespace(inventory=[str(tmp_path)])
    for refuse in (containers.host, lambda options: containers.module(options, "status", {})):
        with pytest.raises(SystemExit, match=r"^sse: \./sse alert-test is not available with deployment: swarm: "):
            refuse(asked)


def test_a_cluster_without_the_stack_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers.Host, "output", lambda *_: "")
    with pytest.raises(SystemExit, match="The stack 'sse' has no service on one"):
        containers.Host(ssh=(), sudo=(), stack="sse", name="one").services([])


def in_cluster(name: str, *listed: str) -> containers.Host:
    """A host of a cluster on which these containers are."""
    made = containers.Host(ssh=("ssh", name), sudo=(), stack="sse", name=name)
    object.__setattr__(made, "listed", "".join(f"{line}\n" for line in listed))
    return made


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[containers.Host]:
    """Two hosts of a cluster; the last one of three says nothing."""

    def answer(host: containers.Host, *words: str) -> str:
        assert words[:4] == ("ps", "-a", "--filter", "label=sse.platform.swarm-stack=sse")
        if host.name == "three":
            raise SystemExit("no engine")
        return host.listed  # type: ignore[attr-defined]

    monkeypatch.setattr(containers.Host, "output", answer)
    return [
        in_cluster(
            "one",
            "a1\tsse-app-1.1.x\trunning\tUp 2 minutes (healthy)\tsse-app-1\tapp\tapp-1",
            "n1\tsse-nginx.1.x\trunning\tUp 2 minutes (healthy)\tsse-nginx\tnginx\tnginx",
        ),
        in_cluster(
            "two",
            "a0\tsse-app-1.1.w\texited\tExited (0) 1 minute ago\tsse-app-1\tapp\tapp-1",  # it ran here before
            "a2\tsse-app-2.1.x\trunning\tUp 2 minutes (healthy)\tsse-app-2\tapp\tapp-2",
            "n2\tsse-nginx.2.x\trunning\tUp 2 minutes (healthy)\tsse-nginx\tnginx\tnginx",
            "r1\tsse-redis.1.x\texited\tExited (0) 1 minute ago\tsse-redis\tredis\tredis",
        ),
        in_cluster("three"),
    ]


def test_a_task_of_a_cluster_is_found_on_its_host(
    two: list[containers.Host], capsys: pytest.CaptureFixture[str]
) -> None:
    for words, found in (
        (["app-1"], [("a1", "one")]),
        (["sse-app-2"], [("a2", "two")]),
        (["app"], [("a1", "one"), ("a2", "two")]),
        (["nginx"], [("n1", "one"), ("n2", "two")]),
    ):
        assert [(task.id, task.host.name) for task in containers.tasks(two, words)] == found
    assert set(capsys.readouterr().err.splitlines()) == {"sse: three is left out: no engine"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("redis", "sse: nothing of 'redis' runs on one, two. ./sse status says what is where."),
        (
            "ap",
            "There is no service or container 'ap': did you mean 'app'? Expected one of app-1, app-2, nginx, redis.",
        ),
    ],
)
def test_a_name_of_which_nothing_runs_in_a_cluster_is_refused(two: list[containers.Host], word: str, said: str) -> None:
    with pytest.raises(SystemExit) as refused:
        containers.tasks(two, [word])
    assert str(refused.value) == said


def test_hosts_of_a_cluster_that_do_not_answer_are_told_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    way = {"ssh": ["ssh"], "target": "one", "uid": 1, "user": "u", "silent": False, "method": "sudo", "stack": "demo"}
    silent = {"two": {"unreachable": True, "msg": "Failed to connect"}}
    answering = {"one": way | {"password": ""}, "four": way | {"password": "", "target": "four"}}
    asked: list[str] = []

    def ask(__: Any, pattern: str, ___: str, arguments: dict[str, str], *____: str) -> Any:
        assert pattern == "managers:edge:app:data"
        for name, found in answering.items():
            Path(arguments["to"].replace("{{ inventory_hostname }}", name)).write_text(json.dumps(found))
        return {name: {} for name in answering} | silent, None

    def password(_: Any, name: str, __: str) -> str:
        asked.append(name)
        return "secret"

    monkeypatch.setattr(containers, "results_of", ask)
    monkeypatch.setattr("reaching.ask", password)
    hosts = containers.of_cluster(argparse.Namespace())
    assert [(one.name, one.ssh, one.sudo, one.stack) for one in hosts] == [
        ("one", ("ssh", "one"), ("sudo",), "demo"),
        ("four", ("ssh", "four"), ("sudo",), "demo"),
    ]
    assert asked == ["one"]  # once for all
    assert capsys.readouterr().err == "sse: two is left out: Failed to connect\n"
    answering.clear()
    with pytest.raises(SystemExit, match=r"^Failed to connect$"):
        containers.of_cluster(argparse.Namespace())


class OfRoot(subprocess.Popen[str]):
    """A process that another user started by sudo."""

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            raise PermissionError(sig, "Operation not permitted")


def test_what_sudo_runs_is_left_to_its_own_end() -> None:
    begun = time.monotonic()
    with OfRoot(["sh", "-c", "read -r line; exit 3"], stdin=subprocess.PIPE, text=True) as waiting:
        assert containers.stop(waiting) == 0
        assert time.monotonic() - begun < 5
        assert waiting.stdin
        waiting.stdin.close()
        assert waiting.wait() == 3
        assert containers.stop(waiting) == 3
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo; read -r line"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as deaf:  # fmt: skip
        assert deaf.stdout
        deaf.stdout.readline()
        assert containers.stop(deaf) == 0
        assert deaf.returncode == -9


@pytest.mark.parametrize(
    ("state", "told", "wanted"),
    [
        ("running", "Up 2 minutes (healthy)", "healthy"),
        ("running", "Up 3 seconds (health: starting)", "starting"),
        ("running", "Up 2 days (unhealthy)", "unhealthy"),
        ("running", "Up 2 days", "running"),
        ("exited", "Exited (0) 2 days ago", "exited"),
    ],
)
def test_how_a_task_is_says_its_health_check(state: str, told: str, wanted: str) -> None:
    assert containers.state_of(state, told) == wanted
