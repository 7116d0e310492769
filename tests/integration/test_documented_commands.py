"""Every command line of ./sse that a page shows is executed on a stack, or has a test of its own that does so."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import documented
import pytest
from verbs import VERBS

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

# What these verbs do is undone by nothing, or takes long: they say what they would do.
FORESEEN = {"up", "scale", "dashboard", "destroy"}
AS_SHOWN = {
    *("plan", "status", "drift", "releases", "diff", "history", "compose", "verify", "doctor"),
    *(
        "logs",
        "exec",
        "reload",
        "publish",
        "listen",
        "probe",
        "capture",
        "scan",
        "diagram",
        "audit",
        "key",
        "completion",
    ),
}
# What a run here would need, and the test that executes the verb. The path is checked.
ELSEWHERE = {
    "test": ("it runs this test", ".ci/run"),
    "rotate": ("streams, to see that they live on", "tests/integration/test_inner_doors.py"),
    "rollback": ("two releases", "tests/integration/test_releases.py"),
    "lab": ("an engine of its own", "tests/integration/test_lab.py"),
    "backup": ("a passphrase and a second stack", "tests/integration/test_backup.py"),
    "restore": ("a host without the stack", "tests/integration/test_backup.py"),
    "bundle": ("a host without network", "tests/integration/offline.py"),
    "restart": ("streams, to see that they live on", "tests/integration/test_change.py"),
    "node": ("hosts of a cluster", "tests/unit/deploy/test_swarm_rollout.py"),
    "forward": ("hosts of a cluster", "tests/unit/tools/test_forward.py"),
    "pause": ("a publisher that meets the answer", "tests/unit/deploy/test_switches.py"),
    "resume": ("a publisher that meets the answer", "tests/unit/deploy/test_switches.py"),
    "alert-test": ("a receiver", "tests/integration/test_alerts.py"),
    "abort": ("a rollout that is paused", "tests/unit/deploy/test_switches.py"),
}
# Options with which a command needs another host, or never ends.
NOT_HERE = {"-i", "--engine"}
ENDLESS = {"-f", "--watch"}
OF_ANOTHER_STACK = ("stack_", "network_subnet", "redis_databases", "images_source")
KEPT = "RELEASE"  # the number of one that the stack of the tests still keeps
# These need words; without any, a page only mentions them.
WITH_WORDS = {"probe", "key", "publish", "listen", "exec"}
LIMIT_SECONDS = 120


def commands() -> list[tuple[str, ...]]:
    """Return what is executed here, with words that fit the stack of the tests; once where only numbers differ."""
    found = [fitted(one.words[1:]) for one in documented.ours() if one.words[1] in FORESEEN | AS_SHOWN]
    kinds = {tuple(re.sub(r"\d+", "1", word) for word in one): one for one in found}
    return [one for one in kinds.values() if not NOT_HERE & set(one) and (one[1:] or one[0] not in WITH_WORDS)]


def fitted(words: tuple[str, ...]) -> tuple[str, ...]:
    """Exchange what is an example for what the stack of the tests has."""
    verb, *rest = words
    numbered = verb in {"diff", "releases"}
    given = [KEPT if numbered and word.isdigit() else word for word in rest if word not in ENDLESS]
    for index, word in enumerate(given):
        if word == "--seconds":
            given[index + 1] = "1"
        # The stack of the tests has a name, ports and a subnet of its own, and images from where they are.
        if word == "-e" and given[index + 1].startswith(OF_ANOTHER_STACK):
            given[index] = given[index + 1] = ""
        if word in {"acme", "alertmanager", "canary"}:
            given[index] = "nginx"  # test_acme.py, test_alerts.py and test_observability.py have a stack with these
        if word == "PROJECT":
            given[index] = "it-platform"  # of the stack of the tests
        if word in {"NAME", "SERVICE"}:
            given[index] = "nginx" if verb == "reload" else "orders-service"
        if word == "FILE" and verb == "audit":
            given[index] = "compose.yml"
    if verb == "listen" and not {"--count", "--timeout"} & set(given):
        given += ["--timeout", "1"]  # it has no end of its own
    if verb == "capture" and "--seconds" not in given:
        given += ["--seconds", "1"]
    if verb in FORESEEN and "-h" not in given:
        given = [*(word for word in given if word not in {"--check", "--diff"}), "--check", "--diff"]
    return (verb, *filter(None, given))


def test_each_documented_verb_is_executed_here_or_by_a_test_that_exists() -> None:
    verbs = {one.words[1] for one in documented.ours()}
    assert verbs - FORESEEN - AS_SHOWN - ELSEWHERE.keys() == set(), "say how these are executed"
    assert [path for __, path in ELSEWHERE.values() if not (documented.ROOT / path).exists()] == []


@pytest.fixture(scope="module")
def place(deployed: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the pages name."""
    directory = tmp_path_factory.mktemp("call")
    (directory / "compose.yml").write_text("services: {web: {image: 'nginx:1.29', read_only: true}}\n")
    (directory / "FILE").write_text("name.secret\n")  # a credential, which nobody asks for here
    made = execute(deployed, directory, ("key", "keys.json", "orders-service", "--publish", "orders.*"))
    assert made.returncode == 0, made.stdout + made.stderr
    return directory


def execute(stack: Stack, directory: Path, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run ./sse, behind the launcher, on the stack of the tests."""
    verb, *rest = words
    kept = max((one.stem for one in (stack.state / "releases" / f"{stack.name}-platform").glob("*.json")), default="0")
    rest = [str(int(kept)) if one == KEPT else one for one in rest]
    is_tool = (documented.ROOT / "tools" / f"{verb}.py").exists()
    variables = f"stack_name={stack.name}" if is_tool else json.dumps(stack.variables)
    given = [] if verb in {"key", "completion"} else ["-e", variables]
    return subprocess.run(
        [sys.executable, str(documented.ROOT / "tools/front.py"), verb, *given, *rest],
        cwd=directory,
        env={**os.environ, "ANSIBLE_CONFIG": str(documented.ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
        | {"PWD": str(directory), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_documented_command_works(deployed: Stack, place: Path, words: tuple[str, ...]) -> None:
    run = execute(deployed, place, words)
    fine = {0, 2} if VERBS[words[0]].findings else {0}
    assert run.returncode in fine, run.stdout[-3000:] + run.stderr[-3000:]
