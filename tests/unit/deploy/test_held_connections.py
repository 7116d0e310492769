"""New connections to a container that is being replaced wait, and no rule outlives the replacement."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import held_connections
from ansible_collections.sse.platform.plugins.module_utils.deploy.held_connections import held, targets
from ansible_collections.sse.platform.plugins.module_utils.host import iptables


def spec(*, http: int | None = None, ports: list[tuple[str, int, int]] | None = None) -> Any:
    given = [("127.0.0.1", 80, 8080)] if ports is None else ports
    return {
        "healthcheck": {"http": {"port": http, "path": "/"} if http else None},
        "networks": {"n": "10.0.0.9", "free": ""},
        "ports": [{"host_ip": ip, "host_port": port, "container_port": inside} for ip, port, inside in given],
    }


class Tables:
    """The table raw, as one list of rules."""

    def __init__(self, *, works: bool = True) -> None:
        self.works = works
        self.rules: list[list[str]] = []

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        words = list(command)
        action = next(word for word in words if word in {"-I", "-D", "-S"})
        at = words.index(action)
        if action == "-S":
            lines = [f"-A {' '.join(map(quoted, rule))}" for rule in self.rules if rule[0] == words[at + 1]]
            return subprocess.CompletedProcess(command, 0, "\n".join(lines), "")
        if action == "-I" and self.works:
            self.rules.append(words[at + 1 :])
        if action == "-D":
            self.rules.remove(words[at + 1 :])
        return subprocess.CompletedProcess(command, 0 if self.works else 1, "", "")


def quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Tables:
    made = Tables()
    monkeypatch.setattr(iptables, "run", made.run)
    monkeypatch.setattr(iptables, "program", lambda family: family.iptables)
    return made


def test_connections_wait_at_the_published_port_and_at_the_container_itself() -> None:
    assert targets(spec()) == [("127.0.0.1", 80), ("10.0.0.9", 8080)]
    assert targets(spec(ports=[])) == []


def test_the_port_of_its_http_health_check_stays_open_to_the_host() -> None:
    assert targets(spec(http=8080)) == [("127.0.0.1", 80)]


def test_rules_are_there_only_while_the_container_is_replaced(tables: Tables) -> None:
    with held("s-web", spec()):
        assert len(tables.rules) == 4
        assert {rule[0] for rule in tables.rules} == {"PREROUTING", "OUTPUT"}
        for rule in tables.rules:
            assert "--syn" in rule  # open connections go on
            assert "--datestop" in rule  # a killed run closes no port for ever
    assert tables.rules == []


def test_a_failed_replacement_leaves_no_rule(tables: Tables) -> None:
    def replace() -> None:
        with held("s-web", spec(ports=[("0.0.0.0", 80, 80)])):
            assert any("LOCAL" in rule for rule in tables.rules)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        replace()
    assert tables.rules == []


def test_the_next_replacement_removes_what_a_killed_run_left_and_nothing_of_others(tables: Tables) -> None:
    left = ["PREROUTING", "-d", "127.0.0.1", "-m", "comment", "--comment", "s-web starts anew", "-j", "DROP"]
    others = ["PREROUTING", "-d", "127.0.0.1", "-j", "DROP"]
    tables.rules = [left, others]
    with held("s-web", spec()):
        assert left not in tables.rules
    assert tables.rules == [others]


def test_where_the_kernel_cannot_hold_connections_the_replacement_goes_on(tables: Tables) -> None:
    tables.works = False
    with held("s-web", spec()):
        assert tables.rules == []


def test_each_ip_family_has_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        asked.append(command[0])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(iptables, "run", run)
    monkeypatch.setattr(iptables, "program", lambda family: family.iptables)
    with held_connections.held("s-web", spec(ports=[("::1", 80, 80), ("127.0.0.1", 80, 80)])):
        pass
    assert set(asked) == {"iptables", "ip6tables"}
