"""What keeps the repository in order: hooks and checkers are the same, and every lock is kept up to date."""

from __future__ import annotations

import json
import re
import shlex
from itertools import chain

import lint
import yaml

ROOT = lint.ROOT
# Files that pin versions, by name. Go and Maven pin in the file that declares.
LOCKS = re.compile(r"(^|/)(requirements[^/]*\.txt|package-lock\.json|go\.sum|pom\.xml)$")


def test_every_hook_runs_a_checker_of_lint_from_the_same_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [one["repo"] for one in hooks] == ["local"]
    commands = [shlex.split(hook["entry"]) for hook in hooks[0]["hooks"]]
    of_lint = list(lint.checkers().values())
    for program, *options in commands:
        assert program.startswith(".venv/bin/")
        assert any(one[: len(options) + 1] == [program.removeprefix(".venv/bin/"), *options] for one in of_lint), (
            program
        )


def test_the_forge_runs_nothing_but_the_ci_script() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert [step["run"] for job in jobs for step in job["steps"] if "run" in step] == [".ci/run"]


def test_renovate_knows_every_lock() -> None:
    settings = json.loads((ROOT / "renovate.json").read_text())
    # npm, gomod and maven find their files by Renovate's own patterns.
    found_by_name = {"package-lock.json": "npm", "go.sum": "gomod", "pom.xml": "maven"}
    told = [settings[manager]["managerFilePatterns"] for manager in ("pip-compile", "pip_requirements")]
    patterns = [re.compile(one.strip("/")) for one in chain.from_iterable(told)]
    for lock in filter(LOCKS.search, lint.sources()):
        by_name = found_by_name.get(lock.rsplit("/", 1)[-1])
        assert by_name in settings["enabledManagers"] if by_name else any(one.search(lock) for one in patterns), lock
