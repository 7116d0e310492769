"""The log of runs: one that was killed is found, secrets of others are not, and the file stays short."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.releases import history
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder, attempts, run_meta
from ansible_collections.sse.platform.plugins.module_utils.views import history as views_history

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_that_works_is_running_and_one_that_was_killed_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "this_process", lambda: f"{2**22 + 1}:7")
    Recorder(str(tmp_path), run_meta({"asked": "up"}), 3)
    monkeypatch.undo()
    Recorder(str(tmp_path), run_meta({"asked": "up"}), 3)
    assert [(one["outcome"], one["before"]) for one in attempts(str(tmp_path))] == [("interrupted", 3), ("running", 3)]


def test_a_pid_that_another_process_has_now_is_not_taken_for_the_run() -> None:
    assert history.runs(history.this_process())
    assert not history.runs(history.this_process().partition(":")[0] + ":1")
    assert not history.runs("")


def test_only_root_may_read_it_and_a_torn_line_costs_no_other_run(tmp_path: Path) -> None:
    Recorder(str(tmp_path), run_meta({"who": "a"}), 0).end(1, [], [])
    path = tmp_path / history.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as stream:
        stream.write('{"run": "torn')
    Recorder(str(tmp_path), run_meta({"who": "b"}), 1).end(1, [], [], "first line\nsecond line")
    assert [(one["who"], one["outcome"], one["error"]) for one in attempts(str(tmp_path))] == [
        ("a", "applied", ""),
        ("b", "failed", "first line"),
    ]


def test_its_length_is_bounded_and_the_newest_runs_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "LONGEST", 4000)
    monkeypatch.setattr(history, "KEPT", 3)
    for number in range(30):
        Recorder(str(tmp_path), run_meta({"who": str(number)}), number).end(number, [], [])
    assert (tmp_path / history.FILE).stat().st_size < 5000
    assert [one["who"] for one in attempts(str(tmp_path))][-3:] == ["27", "28", "29"]


def test_what_an_older_version_wrote_is_whole_and_what_is_no_entry_is_left_out(tmp_path: Path) -> None:
    Recorder(str(tmp_path), run_meta({"who": "a"}), 0).end(1, [], [])
    whole = attempts(str(tmp_path))[0]
    old = {"run": "1:1@1", "who": "b", "outcome": "applied", "changes": [{"container": "s-web", "kind": "replace"}]}
    lines = [old, {"who": "nobody"}, [], "text", None, {"run": "1:1@2", "changes": ["s-web"]}, {"run": "1:1@3"}]
    with (tmp_path / history.FILE).open("a") as stream:
        stream.writelines(f"{json.dumps(one)}\n" for one in lines)
    found = attempts(str(tmp_path))
    assert [one["run"] for one in found[1:]] == ["1:1@1", "1:1@3"]
    assert [one.keys() for one in found] == [whole.keys()] * 3
    assert found[1]["changes"] == [{"container": "s-web", "kind": "replace", "reasons": [], "seconds": 0.0}]
    assert "b" in views_history.table(found)[2].split()


def test_a_run_without_any_meta_is_kept(tmp_path: Path) -> None:
    Recorder(str(tmp_path), run_meta({}), 0)
    (line,) = (tmp_path / history.FILE).read_text().splitlines()
    assert json.loads(line)["who"] == ""
