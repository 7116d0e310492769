"""`./sse forward` opens what a cluster publishes to nobody: which ports, through which host, and where."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import containers
import forward
import pytest


def port(host_ip: str, host_port: int, inside: int) -> dict[str, Any]:
    return {"host_ip": host_ip, "host_port": host_port, "container_port": inside}


CONTAINERS: dict[str, Any] = {
    "sse-graphs": {"ports": [port("127.0.0.1", 3000, 3000)], "listens": [3000]},
    "sse-page": {"ports": [port("127.0.0.1", 3001, 80)], "listens": [80]},
    "sse-store": {"ports": [port("127.0.0.1", 6379, 6379)], "listens": [6379]},
    "sse-door": {"ports": [port("0.0.0.0", 80, 80)], "listens": [80]},
    "sse-app-1": {"ports": [], "listens": [8000]},
    "sse-job": {"ports": [], "listens": []},
}
ENDPOINTS = [
    {"name": "Charts", "url": "http://127.0.0.1:3000"},
    {"name": "Control room", "url": "http://127.0.0.1:3001"},
    {"name": "Store", "url": "redis://127.0.0.1:6379"},
    {"name": "Events", "url": "http://192.0.2.1"},
]
RELEASES: Any = [
    {"stack": "sse", "project": "sse-platform", "containers": CONTAINERS, "endpoints": ENDPOINTS},
]


FREE = forward.free


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> list[containers.Host]:
    one, two = (containers.Host(ssh=("ssh", "-C", name), sudo=(), stack="sse", name=name) for name in ("one", "two"))

    def tasks(__: Any, names: list[str]) -> list[containers.Task]:
        found = [containers.Container(name, name[4:], name[4:]) for name in CONTAINERS]
        chosen = [each for each in found if any(each.is_called(name) for name in names)]
        return [containers.Task(each, f"id-{each.short}", each.name, True, two if each.short == "page" else one)
                for each in chosen]  # fmt: skip

    def listed(*words: str) -> str:
        assert words[1:4] == ("network", "inspect", "docker_gwbridge")
        return json.dumps({f"id-{name[4:]}0123": {"IPv4Address": "172.18.0.3/16"} for name in CONTAINERS})

    monkeypatch.setattr(containers, "tasks", tasks)
    monkeypatch.setattr(containers.Host, "output", listed)
    monkeypatch.setattr(forward, "free", lambda wanted, __: wanted)
    return [one, two]


def test_what_people_open_is_forwarded_by_default(hosts: list[containers.Host]) -> None:
    ways = forward.chosen(RELEASES, [], hosts)
    assert [(way.name, way.task.host.name, way.at) for way in ways] == [
        ("Charts", "one", "http://127.0.0.1:3000"),
        ("Control room", "two", "http://127.0.0.1:3001"),
    ]
    assert forward.command(ways[1:]) == [
        *("ssh", "-o", "ControlPath=none", "-C", "-N", "-o", "ExitOnForwardFailure=yes"),
        *("-L", "127.0.0.1:3001:172.18.0.3:80", "two"),
    ]


def test_a_service_that_is_named_is_forwarded_with_all_its_ports(hosts: list[containers.Host]) -> None:
    for word, at in (("store", "127.0.0.1:6379"), ("app-1", "127.0.0.1:8000"), ("graphs", "http://127.0.0.1:3000")):
        assert [way.at for way in forward.chosen(RELEASES, [word], hosts)] == [at]
    with pytest.raises(SystemExit, match=r"^sse: sse-job listens on no port that the release"):
        forward.chosen(RELEASES, ["job"], hosts)


def test_a_container_of_this_machine_is_told_by_its_own_address(
    hosts: list[containers.Host], capsys: pytest.CaptureFixture[str]
) -> None:
    [way] = forward.chosen(RELEASES, ["page"], hosts)
    local = way._replace(task=containers.Task(way.task.container, "", "", True, containers.Host((), (), "sse", "here")))
    assert local.at == "http://172.18.0.3:80"
    assert forward.forward([local]) == 0
    assert capsys.readouterr().out == "  Control room  http://172.18.0.3:80  (page on here)\n"


def test_another_port_is_taken_where_somebody_has_that_one() -> None:
    with socket.socket() as taken:
        taken.bind((forward.HERE, 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        assert forward.free(wanted, ()) != wanted
    assert forward.free(wanted, ()) == wanted


def test_replicas_with_the_same_port_get_ports_of_their_own_here(
    hosts: list[containers.Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "free", FREE)
    listens = {"ports": [], "listens": [9092]}
    monkeypatch.setitem(CONTAINERS, "sse-broker-1", listens)
    monkeypatch.setitem(CONTAINERS, "sse-broker-2", listens)
    ways = forward.chosen(RELEASES, ["broker-1", "broker-2"], hosts)
    assert len({way.port for way in ways}) == 2


HANGS_UP = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = []
while True:
    connection, _ = server.accept()
    if sys.argv[2] == "closed":
        connection.close()
    else:
        kept.append(connection)
"""


@pytest.mark.parametrize(("behind", "answers"), [("open", True), ("closed", False)])
def test_a_port_behind_which_nobody_is_is_told(
    hosts: list[containers.Host], monkeypatch: pytest.MonkeyPatch, behind: str, answers: bool
) -> None:
    monkeypatch.setattr(forward, "READY_SECONDS", 3.0)
    monkeypatch.setattr(forward, "CLOSED_SECONDS", 0.2)
    [way] = forward.chosen(RELEASES, ["page"], hosts)
    with socket.socket() as trial:
        trial.bind((forward.HERE, 0))
        number = trial.getsockname()[1]
    ssh = subprocess.Popen([sys.executable, "-c", HANGS_UP, str(number), behind])
    try:
        assert forward.ready(way._replace(port=number), ssh) is answers
    finally:
        forward.stop([ssh])
    assert not forward.ready(way._replace(port=number), ssh)  # it has ended


FORWARDS = """
import sys
import containers, forward
host = containers.Host(ssh=(sys.argv[1], "there"), sudo=(), stack="sse", name="there")
task = containers.Task(containers.Container("sse-page", "page", "page"), "", "", True, host)
forward.forward([forward.Way("page", task, "192.0.2.1", 80, int(sys.argv[2]), True)])
"""


def test_whoever_ends_it_ends_what_forwards(tmp_path: Path) -> None:
    ssh, pid = tmp_path / "ssh", tmp_path / "pid"
    ssh.write_text(f"#!/bin/sh\necho $$ >{pid}.new; mv {pid}.new {pid}; exec sleep 60\n")
    ssh.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    tool = subprocess.Popen([sys.executable, "-c", FORWARDS, str(ssh), str(forward.free(0, ()))], env=environment)
    until = time.monotonic() + 20
    while not pid.exists() and time.monotonic() < until:
        time.sleep(0.05)
    tool.terminate()
    assert tool.wait(10) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
