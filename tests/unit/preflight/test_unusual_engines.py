"""An unusual engine is recognised before anything changes. The rows are in tests/strange_hosts.py."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import containers
import pytest
import strange_hosts
import yaml
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET
from ansible_collections.sse.platform.plugins.module_utils.host import engine_facts, engine_traits, machine, procfs
from ansible_collections.sse.platform.plugins.module_utils.preflight import (
    engine_preflight,
    network_preflight,
    notices,
)

if TYPE_CHECKING:
    from strange_hosts import Engine

INFO = {
    "LiveRestoreEnabled": True,
    "OperatingSystem": "Debian GNU/Linux 13 (trixie)",
    "OSType": "linux",
    "KernelVersion": platform.release(),
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
    "Driver": "overlay2",
    "DefaultRuntime": "runc",
    "Runtimes": {"runc": {}, "io.containerd.runc.v2": {}},
    "IPv4Forwarding": True,
}
VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "Components": [{"Name": "Engine"}, {"Name": "containerd"}]}
AROUND = {
    "socket": {"kind": "socket", "target": "/run/docker.sock", "answers": False},
    "variables": {},
    "context": "",
    "dockerd_user": 0,
    "sdk_problem": "",
}
SETTINGS: Any = {
    "docker_restart_allowed": False,
    "docker_userland_proxy": False,
    "network_layout": "single",
    "network_ipv6": False,
    "exposure_allow_from": [],
}


def facts(row: Engine) -> Any:
    """Return the host facts that concern the engine."""
    words = ["/usr/bin/dockerd", "-H", "fd://", *row.flags]
    info, version = cast("Any", INFO | row.info), cast("Any", VERSION | row.version)
    engine = engine_facts.describe_engine(info, version, row.daemon, None)
    traits = engine_traits.describe(info, version, row.daemon, words, None)
    changed = dict(row.traits)
    proxy = changed.pop("userland_proxy", False)
    engine |= {"userland_proxy": proxy, "managed": False, "traits": cast("Any", {**traits, **changed})}
    around = {**AROUND, **row.around}
    usual = {"engine": engine, "dockerd_pid": 7, "engine_error": "", "daemon_json": {}, "service_manager": "systemd"}
    return {**usual, "surroundings": around, **row.host}


def told(row: Engine) -> tuple[list[str], list[str]]:
    """Return what the preflight refuses, and of what it only tells."""
    host: Any = facts(row)
    settings: Any = {**SETTINGS, **row.settings}
    engine = host["engine"]
    notes = [] if engine is None else [*notices._engine_notices(settings, host, engine)]
    notes += [] if engine is None else [*notices._unusual_notices(host, engine), *notices._swarm_notices(engine)]
    return list(engine_preflight.problems(settings, host)), notes


@pytest.mark.parametrize("row", strange_hosts.ENGINES, ids=lambda row: row.what)
def test_an_unusual_engine_is_refused_by_name_or_works(row: Engine) -> None:
    problems, notes = told(row)
    expected = {strange_hosts.WORKS: (0, 0), strange_hosts.TOLD: (0, 1), strange_hosts.REFUSED: (1, 0)}[row.outcome]
    assert (min(len(problems), 1), min(len(notes), 1) if not problems else 0) == expected, problems + notes
    text = " ".join(problems or notes)
    assert all(part in text for part in row.said), text
    if problems:  # each has what is expected and a way on
        assert all("xpected" in one or "Remove" in one or "turn it on" in one or "have it" in one for one in problems)


@pytest.mark.parametrize("row", strange_hosts.ENGINES, ids=lambda row: row.what)
def test_what_a_notice_proposes_is_accepted_where_it_is_proposed(row: Engine) -> None:
    problems, notes = told(row)
    if problems or not any("docker_restart_allowed=true" in one for one in notes):
        return
    allowed = {**SETTINGS, **row.settings, "docker_restart_allowed": True}
    assert not list(engine_preflight.problems(cast("Any", allowed), facts(row)))
    assert network_preflight.manages_firewall(facts(row)), "without its rules, only docker-proxy serves the ports"


def test_parents_that_are_hidden_end_the_search_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "read", lambda path: "")  # as with hidepid=2, for a user other than root
    monkeypatch.setattr(machine, "read", lambda path: "")
    monkeypatch.setattr(engine_traits, "read", lambda path: "")
    assert list(engine_traits.ancestors()) == [{}]
    assert machine.ssh_client() == ""


def test_without_firewall_rules_the_helper_stays_on() -> None:
    row = next(one for one in strange_hosts.ENGINES if one.what == '"iptables": false, with docker_restart_allowed')
    settings = {**SETTINGS, **row.settings}
    assert network_preflight.twins(cast("Any", settings), facts(row)) == network_preflight.twins(
        cast("Any", {**settings, "docker_userland_proxy": True}), facts(row)
    )


def test_the_page_says_what_the_tables_say() -> None:
    written = strange_hosts.PAGE.read_text()
    assert written == strange_hosts.page(), "run: python tests/strange_hosts.py"


# --- one socket, passed to everything


def tasks_of(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [one for item in value for one in tasks_of(item)]
    if not isinstance(value, dict):
        return []
    return [value, *(one for key in ("block", "rescue", "always", "tasks") for one in tasks_of(value.get(key)))]


def test_each_task_for_docker_names_the_engine_and_how_it_is_asked() -> None:
    found = 0
    for path in [*strange_hosts.ROOT.glob("roles/*/tasks/*.yml"), *strange_hosts.ROOT.glob("playbooks/**/*.yml")]:
        for task in tasks_of(yaml.safe_load(path.read_text())):
            for name, arguments in task.items():
                if name.startswith("community.docker."):
                    found += 1
                    chosen = {
                        key: arguments.get(key) for key in ("docker_host", "tls", "validate_certs", "api_version")
                    }
                    assert chosen == {
                        "docker_host": f"unix://{SOCKET}",
                        "tls": False,
                        "validate_certs": False,
                        "api_version": "auto",
                    }, f"{path}: {name}"
    assert found >= 5


def test_every_place_means_the_same_socket() -> None:
    assert SOCKET == engine_preflight.SOCKET == containers.SOCKET
    assert f"unix://{SOCKET}" in containers.Host((), (), "sse").docker("ps")


# --- what is observed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dockerd", "-H", "fd://"], {}),
        (["dockerd", "--iptables=false", "--live-restore"], {"iptables": False, "live-restore": True}),
        (["dockerd", "--bridge", "none", "-H", "x"], {"bridge": "none"}),
        (["dockerd", "-b=none"], {"bridge": "none"}),
        (["dockerd", "-b", "none"], {"bridge": "none"}),
        (["dockerd", "--config-file", "/a/b.json", ""], {"config-file": "/a/b.json"}),
        ([], {}),
    ],
)
def test_the_options_of_dockerd_are_read(words: list[str], expected: dict[str, Any]) -> None:
    assert daemon.flags(words) == expected


def test_secrets_of_the_configuration_are_not_among_the_traits() -> None:
    configuration = {"proxies": {"http-proxy": "http://a:hunter2@p"}, "iptables": False}
    traits = engine_traits.describe({}, cast("Any", VERSION), configuration, [], None)
    assert traits["options"] == {"iptables": False}


def test_no_password_is_among_the_variables_that_choose_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_traits, "ancestors", lambda: [{"DOCKER_HOST": "tcp://me:hunter@2@host:1"}])
    around = engine_traits.surroundings("/nonexistent", None, "", answers=False)
    assert around["variables"] == {"DOCKER_HOST": "tcp://host:1"}


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ('{"currentContext": "far"}', "far"),
        ('{"currentContext": "default"}', ""),
        ("{}", ""),
        ("[1]", ""),
        ("{,", ""),
    ],
)
def test_a_context_of_the_docker_command_is_seen(tmp_path: Path, text: str, context: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert engine_traits.context([{"DOCKER_CONFIG": str(tmp_path)}]) == context
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(text)
    assert engine_traits.context([{"HOME": str(tmp_path)}]) == context


def test_what_is_at_the_path_of_the_socket_is_told(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    assert engine_traits.socket_fact(str(path), answers=False)["kind"] == "absent"
    path.symlink_to(tmp_path / "none.sock")
    assert engine_traits.socket_fact(str(path), answers=False)["kind"] == "dangling"
    path.unlink()
    path.mkdir()
    assert engine_traits.socket_fact(str(path), answers=False)["kind"] == "directory"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"docker/__init__.py": "__version__ = '2.7.0'\nclass APIClient: pass"}, "it is version 2.7.0"),
        ({"docker/__init__.py": "import nothing_such"}, "nothing_such"),
        (
            {
                "docker/__init__.py": "__version__ = '6.0.0'\nclass APIClient:\n    def __init__(self, **k):\n"
                "        raise ValueError('Not supported URL scheme http+docker')"
            },
            "Not supported URL scheme",
        ),
        (
            {
                "docker/__init__.py": "__version__ = '7.1.0'\nclass APIClient:\n    def __init__(self, **k): pass\n"
                "    def ping(self): pass"
            },
            "",
        ),
    ],
    ids=["old", "broken", "does not fit requests", "new"],
)
def test_an_sdk_from_elsewhere_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], problem: str
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(engine_traits, "place", lambda name: str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = engine_traits.sdk_problem("/nonexistent.sock", "")
    assert problem in found
    assert bool(found) == bool(problem)


def test_answers_of_another_engine_are_never_taken_for_dockers() -> None:
    class Podman:
        def version(self) -> Any:
            return json.loads(json.dumps(strange_hosts.PODMAN))

    engine: Any = engine_facts.observe(cast("Any", Podman()), {}, None).engine
    assert engine["traits"]["product"] == "Podman Engine"
    assert machine.observe_engine("/nonexistent.sock", {}, None)[0] is None
