"""The host verifies a stack by itself, with a program that holds all that it needs of this collection."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_timer, run_lock, schedule
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify import again, timed

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"asked": "up", "who": "me", "process": run_lock.process(1), "controller": "there"}


@pytest.fixture
def timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> backup_timer.HostTimer:
    monkeypatch.setattr(backup_timer, "SYSTEMD", tmp_path / "no systemd")
    monkeypatch.setattr(backup_timer, "CRON", tmp_path / "cron.d")
    monkeypatch.setattr(backup_timer, "UNITS", tmp_path / "units")
    return backup_timer.HostTimer("sse", str(tmp_path / "state"), backup_timer.VERIFY)


def job(timer: backup_timer.HostTimer) -> timed.Job:
    return {"stack": "sse", "state_directory": str(timer.state), "period": 3600}


def test_the_program_runs_alone_and_leaves_a_stack_that_is_being_changed_in_peace(
    timer: backup_timer.HostTimer,
) -> None:
    assert timer.kind.module == again.__name__
    assert timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    with run_lock.locked(str(timer.state), RUN):
        command = [sys.executable, "-I", str(timer.program), str(timer.job)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "up changes the stack sse now: it verifies at its end.\n"


def test_it_says_what_it_found_and_how_often_it_looks(
    timer: backup_timer.HostTimer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    found = [Finding("matrix", "sse-app-1", "does not reach kafka:9092", "refused", ("./sse up",))]

    class Verified:
        findings = found

    def verified(*_: Any, **__: Any) -> Any:
        return Verified

    monkeypatch.setattr(again, "verify_stack", verified)
    monkeypatch.setattr(again, "newest_releases", lambda _: [{}])
    monkeypatch.setattr(sys, "argv", ["program", str(timer.job)])
    assert again.main() == 2
    assert "sse-app-1: does not reach kafka:9092" in capsys.readouterr().out
    text = (timer.state / timed.METRICS).read_text()
    known = dict(re.findall(r"^(sse_\w+) (\S+)$", text, re.MULTILINE))
    assert (known["sse_reach_period_seconds"], known["sse_verify_findings"]) == ("3600", "1")
    found.clear()
    assert again.main() == 0


def test_what_a_run_disturbs_is_told_to_nobody(
    timer: backup_timer.HostTimer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    begun = contextlib.ExitStack()

    class Verified:
        findings = (Finding("matrix", "sse-app-1", "does not reach kafka:9092", "refused", ()),)

    def verified(*_: Any, disturbed: Any) -> Any:
        assert not disturbed()
        begun.enter_context(run_lock.locked(str(timer.state), RUN))
        assert disturbed()
        return Verified

    monkeypatch.setattr(again, "verify_stack", verified)
    monkeypatch.setattr(again, "newest_releases", lambda _: [{}])
    monkeypatch.setattr(sys, "argv", ["program", str(timer.job)])
    with begun:
        assert again.main() == 0
    assert capsys.readouterr().out == "up changes the stack sse now: it verifies at its end.\n"
    assert not (timer.state / timed.METRICS).exists()


def test_a_later_verification_by_hand_counts_and_without_a_timer_nobody_is_told(timer: backup_timer.HostTimer) -> None:
    metrics = timer.state / timed.METRICS
    timed.tell(str(timer.state), [])
    assert not metrics.exists()
    timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    assert timer.job == timer.state / timed.JOB
    timed.record(job(timer), ["a finding"], 1.0)
    timed.tell(str(timer.state), [])
    known = dict(re.findall(r"^(sse_\w+) (\S+)$", metrics.read_text(), re.MULTILINE))
    assert (known["sse_reach_period_seconds"], known["sse_verify_findings"]) == ("3600", "0")


def test_where_nothing_is_deployed_yet_it_finds_nothing(timer: backup_timer.HostTimer) -> None:
    timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    command = [sys.executable, "-I", str(timer.program), str(timer.job)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "The stack sse was verified: 0 findings\n")


def test_the_timer_goes_with_what_it_told_prometheus(timer: backup_timer.HostTimer) -> None:
    timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False)
    timed.record(job(timer), [], 1.0)
    assert json.loads(timer.job.read_text())["period"] == 3600
    assert "verify.pyz" in timer.cron.read_text()
    assert timer.install(job(timer), schedule.parse("hourly"), sys.executable, check=False) == []
    assert timer.remove(check=False)
    assert [one for one in timer.state.rglob("*") if one.is_file() and one.name != "lock"] == []
