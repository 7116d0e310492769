"""Platform code names no service, none of its containers, secrets and ports: services declare themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from rendered import ROOT, Rendered

PLUGINS = ROOT / "plugins"
DOCUMENTATION = {"DOCUMENTATION", "EXAMPLES", "RETURN"}
FIRST_OWN_PORT = 1024  # the ports below belong to protocols, such as 80 to HTTP
USERS_OWN = {"echo"}  # a service of these tests
PLAIN_WORDS = {"alerts"}  # a service is called after what it sends, and sentences have the word, too
# File and literal, each with the reason why it is not about a service of ours.
EXCEPTIONS = {
    ("action/settings.py", "app"): "the directory with the source of the service, whose parser reads a file of keys",
    ("modules/stack.py", "canary"): "the first replica of a rollout is called so, too",
    ("modules/swarm_services.py", "canary"): "the same",
    ("module_utils/verify/canary.py", "canary"): "the same",
    ("module_utils/model/release.py", "canary"): "the key of a declaration that says how such a replica is judged",
    ("module_utils/model/watch.py", "canary"): "the same",
    ("module_utils/settings/cross_rules.py", "canary"): "a rule about the limits that its settings meet",
    ("module_utils/lab/kit.py", 8000): "the port of the lab's own throwaway containers",
    ("module_utils/model/segments.py", "app"): "a segment has this name, too",
    ("module_utils/model/types.py", "app"): "a segment has this name, too",
    ("module_utils/model/swarm_services.py", "app"): "a group of hosts has this name, too",
}
# What the world uses these ports for, to audit projects of anybody.
EXCEPTED_FILES = {"module_utils/views/well_known_ports.py"}


class Known(NamedTuple):
    """What the declarations name."""

    names: set[str]
    ports: set[int]


@pytest.fixture(scope="session")
def known(rendered: dict[str, Rendered]) -> Known:
    """Names and ports of all services, their containers and their secrets."""
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    settings = {name for one in specs for name in one["argument_specs"].get("main", {}).get("options") or {}}
    containers = [one for host in rendered.values() for one in host.containers.values()]
    ours = [one for one in containers if one["service"] not in USERS_OWN]
    names = {name for one in ours for name in (one["service"], one["container"], *one["aliases"])}
    names |= {name for host in rendered.values() for name in host.platform["secrets"]}
    ports = {port for one in ours for port in one["listens"]}
    ports |= {port["host_port"] for one in ours for port in one["ports"]}
    return Known(names - settings - PLAIN_WORDS, {port for port in ports if port >= FIRST_OWN_PORT})


def literals(path: Path) -> Iterator[tuple[int, str | int]]:
    """Yield each text and number of a file with its line, without docstrings and the documentation of modules."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        names = {ast.unparse(one) for one in node.targets} if isinstance(node, ast.Assign) else set[str]()
        if isinstance(node, ast.Expr) or (isinstance(node, ast.Assign) and names & DOCUMENTATION):
            skipped.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in skipped and isinstance(node.value, (str, int)):
            yield node.lineno, node.value


def named(known: Known, literal: str | int) -> set[str | int]:
    """Return what of ours a literal names: a port, or a whole word of a text."""
    if isinstance(literal, int):
        return {one for one in known.ports if one == literal}
    return {one for one in re.findall(r"[\w-]+", literal) if one in known.names}


def test_platform_code_names_no_service_and_none_of_its_ports(known: Known) -> None:
    assert len(known.names) > 20
    assert len(known.ports) > 10
    found = {
        (str(path.relative_to(PLUGINS)), name): f"plugins/{path.relative_to(PLUGINS)}:{line}: {name}"
        for path in PLUGINS.rglob("*.py")
        if str(path.relative_to(PLUGINS)) not in EXCEPTED_FILES
        for line, literal in literals(path)
        for name in named(known, literal)
    }
    assert [place for key, place in found.items() if key not in EXCEPTIONS] == []
    assert [key for key in EXCEPTIONS if key not in found] == [], "these exceptions are needed no more"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = one['service'] == 'nginx'", {"nginx"}),
        ("x = f'./sse restart redis-master {y}'", {"redis-master"}),
        ("x = 'redis-master-data'", set[str]()),
        ("REPLICA_PORT = 8000", {8000}),
        ('def f():\n    """Ask kafka:9092."""', set[str]()),
        ("DOCUMENTATION = 'source: sse-kafka, kafka'", set[str]()),
    ],
)
def test_a_name_is_found_in_code_and_not_in_documentation(
    known: Known, tmp_path: Path, code: str, said: set[str | int]
) -> None:
    (tmp_path / "x.py").write_text(code)
    assert {name for _, literal in literals(tmp_path / "x.py") for name in named(known, literal)} == said
