"""All rules together: silent on a healthy host, and each with a fault that is injected for real."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor import diagnosis, severity
from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import count, of_others, summary, told
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import RefusedUpstream
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    APP,
    BRIDGE,
    DISK,
    EMPTY,
    NETWORK,
    NGINX,
    Changes,
    changed,
    facts,
    findings,
)


def test_a_healthy_host_has_no_finding_and_says_so_in_one_line() -> None:
    assert findings({}) == []
    assert summary(facts({})) == "all is well: looked at 2 networks, 3 containers, 1 connections, 1 ports"


def test_a_host_without_an_engine_has_no_finding() -> None:
    bare = {"host": {"engine": None, "dockerd": "", "dockerd_pid": None, "daemon_json": {}}}
    bare |= {key: [] for key in ("networks", "containers", "connections", "ports", "clocks", "releases")} | {
        "rules": ""
    }
    assert findings(bare) == []
    assert "no Docker Engine" in summary(facts(bare))


@pytest.mark.parametrize(
    "changes",
    [
        {"daemon_json_changed": 600.0, "host": {"daemon_json": {"live-restore": True}}},  # loaded by SIGHUP
        {"bridge_nf_call_iptables": "", "host": {"engine": {"userland_proxy": True}, "daemon_json": {}}},
        {"rules": EMPTY, "info": {"FirewallBackend": {"Driver": "nftables"}}},
        {"rules": EMPTY, "host": {"daemon_json": {"iptables": False}}, "daemon_json_changed": 0.0},
        {"rules": ""},
        {"refused_upstreams": [RefusedUpstream("sse-nginx", "10.99.0.21", "8000", "111")]},
        {"refused_upstreams": [RefusedUpstream("sse-nginx", "192.0.2.9", "8000", "111")]},
        {"networks": [changed(NETWORK, internal=True), BRIDGE], "mtu": {"eth0": 1400}},
        {"host": {"routes": [{"destination": "0.0.0.0/1", "device": "tun0"}]}},
        {"releases": [], "containers": [], "connections": [], "ports": [], "networks": [BRIDGE]},
        {"disks": [DISK._replace(inodes=0, inodes_free=0)]},  # a file system that counts none
    ],
)
def test_what_only_looks_sick_is_no_finding(changes: Changes) -> None:
    assert findings(changes) == []


@pytest.mark.parametrize(
    ("subject", "others"),
    [
        ("sse-nginx", False),
        ("demo-app-1", True),
        ("declared", False),
        ("sse-network", False),
        ("other", True),  # nobody of the stack is on it
        ("shared", False),
        ("gone", True),  # only a container of others was made with it
        ("engine", False),
        ("/var/lib/docker", False),
    ],
)
def test_what_is_wrong_with_things_of_others_is_told_apart(subject: str, *, others: bool) -> None:
    demo = changed(APP, name="demo-app-1", id="d", labels={}, networks={"other": {}, "gone": {}, "shared": {}})
    declared = changed(APP, name="declared", id="e", labels={})
    nginx = changed(NGINX, networks={"sse-network": {}, "shared": {}})
    networks = [NETWORK, BRIDGE, changed(BRIDGE, name="other", id="o"), changed(BRIDGE, name="shared", id="s")]
    given = facts({"containers": [nginx, APP, demo, declared], "networks": networks})
    release: Any = {"containers": {"declared": {}}, "networks": {}}
    given["releases"] = [release]
    assert of_others(given, Finding("any", subject, "it is broken", "", ())) == others


def test_every_rule_has_a_fault_that_is_injected_for_real() -> None:
    """On this machine's engine (integration) or on a whole host (Molecule); only what Windows needs has words alone."""
    doctor = Path(diagnosis.__file__).resolve().parent
    root = doctor.parents[2]
    sources = {path.stem: path.read_text() for path in (*doctor.glob("*.py"), *doctor.glob("rules/*.py"))}
    rules = {rule for text in sources.values() for rule in re.findall(r'Finding\(\s*"([a-z-]+)"', text)}
    for name in ("connections", "ports", "names"):
        prefix = "name-" if name == "names" else ""
        rules |= {prefix + rule for rule in re.findall(r'\bfound\(\s*"([a-z-]+)"', sources[name])}
    rules |= set(re.findall(r'return "([a-z-]+)", ', sources["connections"]))
    stages = "".join(
        (root / "molecule" / place).read_text() for place in ("doctor/vars/stages.yml", "swarm/vars/stages.yml")
    )
    tested = {
        rule for listed in re.findall(r"^    rules: \[(.*)\]$", stages, re.MULTILINE) for rule in listed.split(", ")
    }
    integration = (root / "tests" / "integration" / "test_doctor.py").read_text()
    integration += (root / "tests" / "integration" / "test_acme.py").read_text()
    tested |= set(re.findall(r'["[]([a-z-]+)["\]]', integration))
    assert len(rules) > 40
    assert rules - tested == set()


def test_what_the_same_commands_mend_is_one_thing_and_the_worst_is_first() -> None:
    down = Finding(
        "not-running", "sse-redis", "it does not run", "exited", ("docker logs sse-redis", "docker start sse-redis")
    )
    name = Finding("name-stopped", "sse-app-1", "it cannot resolve redis", "exited", ("docker start sse-redis",))
    clock = Finding("clock-skew", "host", "it is late", "3 s", ("# look at the clock",), severity="warning")
    late = clock._replace(subject="sse-app-1")
    assert count([down, name]) == "1 thing to mend"
    assert count([down, name, clock, late]) == "3 things to mend"  # advice alone makes no two things one
    lines = told([down._replace(severity="critical"), name]).splitlines()
    assert lines[:2] == ["1 thing to mend:", "1. critical: sse-redis: it does not run [not-running]"]
    assert lines[-2] == "  mended by it, too: sse-app-1: it cannot resolve redis [name-stopped]"
    assert lines[-1].startswith("    evidence: ")


def test_every_finding_has_a_severity_and_the_worst_comes_first() -> None:
    found = findings({"networks": [NETWORK, BRIDGE, changed(NETWORK, name="left", id="left", endpoints={})]})
    assert all(one.severity in severity.ORDER for one in found)
    ranks = [severity.ORDER.index(one.severity) for one in found if one.rule not in diagnosis.ROOT_CAUSES]
    assert ranks == sorted(ranks)
    for rules in (severity.WARNING, severity.INFO):
        assert all(severity.of_rule(rule) != "critical" for rule in rules)


def test_what_is_wrong_with_a_task_is_mended_by_the_swarm_and_never_by_hand() -> None:
    """On one host its owner restarts a container; a Swarm replaces the task, and keeps nothing of the container."""
    by_hand = Finding("stale-endpoint", APP["name"], "w", "e", ("docker network disconnect n x",), fixable=True)
    task = changed(APP, labels={"sse.platform.stack": "sse", "sse.platform.container": "app-1"})
    assert diagnosis.for_tasks(facts({"containers": [task]}), by_hand) == by_hand
    one = diagnosis.for_tasks(facts({"containers": [task], "several": True}), by_hand)
    assert (one.mend, one.fixable) == (("./sse restart app-1",), False)
    of_host = by_hand._replace(subject="kernel")
    assert diagnosis.for_tasks(facts({"containers": [task], "several": True}), of_host) == of_host
