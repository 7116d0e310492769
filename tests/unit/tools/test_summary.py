"""The summary of a test run: whoever reads only its end learns what failed."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lint import ROOT

LINES = """\
INFO     [doctor > verify] Executing
TASK [Diagnose the host] *******************************************************
fatal: [mol-debian-12]: FAILED! => {"msg": "as the test wants it"}
INFO     [production > verify] Executing
TASK [Read what may be missing] ************************************************
fatal: [mol-debian-12]: FAILED! => {"msg": "it is missing"}
...ignoring

TASK [Expect that none opened] *************************************************
ok: [mol-debian-13]
fatal: [mol-debian-12]: FAILED! => {"msg": "Kafka tells its topics"}
failed: [mol-ubuntu-24] (item=redis) => {"msg": "%s the end"}
fatal: [localhost]: FAILED! =>
    msg: |-
        The image could not be built.

CRITICAL Ansible return code was 2, command was: ansible-playbook verify.yml
TASK [Remove the network] ******************************************************
fatal: [localhost]: FAILED! => {"msg": "what came after it"}
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """Return tools/test.py, whose name the standard library has, too."""
    spec = importlib.util.spec_from_file_location("tool_test", ROOT / "tools" / "test.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_task_of_the_playbook_that_failed_is_named_with_both_ends_of_its_message(tool: ModuleType) -> None:
    lines = (LINES % ("x" * 5000)).splitlines()
    short, long, folded = tool.failed_tasks(lines)
    assert "it is missing" not in short + long
    assert short == 'Expect that none opened: fatal: [mol-debian-12]: FAILED! => {"msg": "Kafka tells its topics"}'
    assert long.startswith("Expect that none opened: failed: [mol-ubuntu-24] (item=redis)")
    assert long.endswith('the end"}')
    assert len(long) < 2100
    assert folded.endswith("fatal: [localhost]: FAILED! => msg: |- The image could not be built.")


def test_a_report_names_the_tests_that_failed(tool: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "unit.xml"
    case = '<testcase classname="tests.unit.test_a" name="test_{}">{}</testcase>'
    path.write_text(f"<testsuite>{case.format('good', '')}{case.format('bad', '<failure/>')}</testsuite>")
    outcome = tool.report(path, 1)
    assert (outcome.passed, outcome.failed, outcome.broken) == (1, 1, ["tests.unit.test_a.test_bad"])


def test_a_run_that_ended_badly_without_a_failed_test_is_named(tool: ModuleType, tmp_path: Path) -> None:
    outcome = tool.report(tmp_path / "unit.xml", 4)
    assert (outcome.failed, outcome.broken) == (1, ["unit: it ended with 4, without a report of a failed test"])


@pytest.fixture
def parts(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts that only say that they ran; gives what the run of those with an engine said."""
    said: list[str] = []
    program = tmp_path / "test.py"
    for name in [name for name in os.environ if name.startswith("SSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(tool, "REPORTS", tmp_path)
    monkeypatch.setattr(tool, "say", said.append)
    for name in ("modules", "chromium", "ssh"):
        monkeypatch.setattr(tool, name, lambda *_: tool.Outcome())
    monkeypatch.setattr(tool, "PARTS", {"unit": None, "integration": lambda _: tool.Outcome(passed=2)})
    monkeypatch.setattr(tool, "__file__", str(program))
    program.write_text(
        "import json, os, sys\n"
        "print('beside', *sys.argv[1:], flush=True)\n"
        "if 'killed' in sys.argv: os._exit(9)\n"
        "assert not [name for name in os.environ if name.startswith('SSE_')]\n"  # the service takes no unknown one
        "outcome = {'passed': 1, 'failed': 1, 'broken': ['unit.x']}\n"
        "open(os.environ['TEST_OUTCOME_FILE'], 'w').write(json.dumps(outcome))\n"
    )
    return said


def test_parts_without_an_engine_run_beside_the_others_and_count_with_them(tool: ModuleType, parts: list[str]) -> None:
    outcome = tool.side_by_side(["unit", "integration"], ["-x"])
    assert (outcome.passed, outcome.failed, outcome.broken) == (3, 1, ["unit.x"])
    assert parts[-1] == "beside unit -x"


def test_a_part_that_needs_the_whole_machine_runs_after_all_others(
    tool: ModuleType, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "ALONE", {"cluster"})
    monkeypatch.setitem(tool.PARTS, "cluster", lambda _: tool.Outcome(passed=len(parts)))
    before = tool.side_by_side(["unit", "integration"], []).passed
    parts.clear()
    outcome = tool.all_of(["cluster", "unit", "integration"], [])
    assert outcome.passed > before + 3  # it has seen what both lanes said
    assert [row.split()[0] for row in outcome.rows][-1] == "cluster"


def test_parts_that_end_without_an_outcome_are_a_failure(tool: ModuleType, parts: list[str]) -> None:
    outcome = tool.side_by_side(["unit", "integration"], ["killed"])
    assert (outcome.passed, outcome.failed) == (2, 1)
    assert outcome.broken[0].startswith("unit: they ended with 9, see ")


def test_a_lane_makes_no_engine_when_the_other_lane_of_its_run_has_made_it(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(name: str, _: list[str]) -> object:
        made.append(name)
        return tool.Outcome(passed=int(len(made) > 1), failed=int(len(made) == 1))

    monkeypatch.setattr(tool, "REPORTS", tmp_path)
    monkeypatch.setattr(tool, "check", make)
    monkeypatch.setenv("TEST_RUN", "one")
    assert tool.engine().failed  # and so nobody takes it for made
    assert [tool.engine().passed, tool.engine().passed, len(made)] == [1, 0, 2]
    monkeypatch.setenv("TEST_RUN", "two")
    assert [tool.engine().passed, len(made)] == [1, 3]


FLAKY = """
from pathlib import Path
TRIED = Path(__file__).with_suffix(".tried")
def test_passes(): pass
def test_passes_when_alone():
    first = not TRIED.exists()
    TRIED.touch()
    assert not first
def test_never_passes(): assert False
"""


@pytest.fixture
def flaky(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One part of three tests, whose run had another one beside it; gives what the run said."""
    said: list[str] = []
    (tmp_path / "test_flaky.py").write_text(FLAKY)
    monkeypatch.setattr(tool, "REPORTS", tmp_path)
    monkeypatch.setattr(tool, "say", said.append)
    monkeypatch.setattr(tool, "PATHS", {"stacks": [str(tmp_path)]})
    monkeypatch.setenv("TEST_TOGETHER", "1")
    return said


def test_a_test_that_fails_beside_other_parts_is_asked_once_more_alone_and_named(
    tool: ModuleType, flaky: list[str]
) -> None:
    first = tool.pytest("stacks", tool.PATHS["stacks"], [])
    assert (first.passed, first.failed, len(first.doubtful["stacks"])) == (1, 0, 2)
    total = tool.once_more(first)
    assert (total.passed, total.failed, total.doubtful) == (2, 1, {})
    assert [one.endswith(".test_never_passes") for one in total.broken] == [True]
    assert [".test_passes_when_alone: it failed beside" in one for one in total.notes] == [True]
    assert flaky[0].startswith("== stacks, once more: ")


def test_tests_that_fail_alone_or_are_many_are_not_asked_again(
    tool: ModuleType, flaky: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "FEW", 1)
    assert tool.pytest("stacks", tool.PATHS["stacks"], []).failed == 2
    monkeypatch.setattr(tool, "FEW", 3)
    monkeypatch.delenv("TEST_TOGETHER")
    assert tool.pytest("stacks", tool.PATHS["stacks"], []).failed == 1
    assert not flaky


def test_files_of_a_browser_test_are_asked_once_more_too(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []

    def vitest(name: str, files: list[str]) -> object:
        asked.extend((name, files))
        return tool.Outcome(passed=2)

    monkeypatch.setattr(tool, "vitest", vitest)
    monkeypatch.setattr(tool, "say", asked.append)
    monkeypatch.setenv("TEST_TOGETHER", "1")
    target = tmp_path / "dashboard-test-browser.xml"
    target.touch()
    failed = tool.Outcome(failed=2, broken=["browser/a.test.ts.one > x", "browser/a.test.ts.two"])
    total = tool.once_more(tool.doubted(failed, target))
    assert (total.passed, total.failed, len(total.notes)) == (2, 0, 2)
    assert asked[1:] == ["dashboard-test-browser", ["browser/a.test.ts"]]
    assert tool.SCRIPTS["dashboard-test-browser"] == ("test:browser", tool.DASHBOARD)
