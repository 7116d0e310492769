"""Releases and the history, as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import (
    current_release,
    kept_release,
    stack_releases,
)
from ansible_collections.sse.platform.plugins.module_utils.views import history, releases
from ansible_collections.sse.platform.tests.unit.views.kept_release import META, keep

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two projects: p changes in 2 and fails in 4, q changes in 3."""
    keep(tmp_path, 1, "p", web={}, db={})
    keep(tmp_path, 1, "q", board={})
    keep(tmp_path, 2, "p", web={"environment": {"X": 1}, "config": {"/etc/w": {"w.conf": "a\nb\n"}}}, cache={})
    keep(tmp_path, 3, "q", board={"memory": "1g"})
    keep(tmp_path, 4, "p", "failed", web={"image": "i"})
    return tmp_path


def test_a_release_of_the_stack_holds_what_each_project_ran_then(state: Path) -> None:
    found = {
        one.number: ({project: part["number"] for project, part in one.parts.items()}, one.outcome)
        for one in stack_releases(str(state))
    }
    assert found == {
        1: ({"p": 1, "q": 1}, "applied"),
        2: ({"p": 2, "q": 1}, "applied"),
        3: ({"p": 2, "q": 3}, "applied"),
        4: ({"p": 4, "q": 3}, "failed"),
    }
    current = current_release(str(state))
    assert current is not None
    assert current.number == 3


def test_the_table_says_in_few_words_what_changed(state: Path) -> None:
    heading, *lines = releases.table(stack_releases(str(state)), 3)
    assert heading.split() == ["RELEASE", "WHEN", "(UTC)", "WHO", "COMMIT", "OUTCOME", "WHAT", "CHANGED"]
    assert [" ".join(one.split()) for one in lines] == [
        "1 2026-03-01 10:20 ada abc1234 applied 3 containers, the first release",
        "2 2026-03-01 10:20 ada abc1234 applied web (environment, config); + s-cache; - s-db",
        "3 (current) 2026-03-01 10:20 ada abc1234 applied board (memory)",
        "4 2026-03-01 10:20 ada abc1234 failed web (environment, config); - s-cache",
    ]
    assert releases.table([], 0) == [releases.NOTHING]


def test_a_release_is_shown_with_its_containers_and_without_the_content_of_files(state: Path) -> None:
    text = "\n".join(releases.details(kept_release(stack_releases(str(state)), 2), 3))
    assert text.startswith("Release 2, applied, made by ada at 2026-03-01 10:20 UTC from commit abc1234\n")
    assert "q on n, as in release 1" in text
    assert "config       /etc/w/w.conf" in text
    assert "environment  X" in text
    assert "limits       256 MiB of memory, 256 processes, 4096 open files" in text
    assert "a\nb" not in text


def test_a_diff_has_the_words_of_a_plan_and_the_lines_of_config_files(state: Path) -> None:
    one, two, three, __ = stack_releases(str(state))
    assert releases.diff(two, two) == ["releases 2 and 2 are the same"]
    assert releases.diff(two, three) == ["~ s-board", "    memory: 268435456 -> 1073741824"]
    text = "\n".join(releases.diff(one, two))
    for line in ("- s-db", "~ s-web", "    environment.X: absent -> 1", "    +a", "+ s-cache (new)"):
        assert line in text.splitlines()


def test_a_number_that_is_not_kept_is_refused_with_those_that_are(state: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="release 9 is not kept: expected one of 1, 2, 3, 4"):
        kept_release(stack_releases(str(state)), 9)
    with pytest.raises(SpecError, match="no release is kept on this host"):
        kept_release(stack_releases(str(tmp_path / "nothing")), 1)


def test_the_history_shows_each_run_with_why_and_what_was_given() -> None:
    run: Any = {
        **run_meta({"asked": "up", "who": "ada", "where": "vm", "when": META["when"], "why": "more replicas"}),
        "run": "1:2@3",
        "before": 1,
        "after": 2,
        "seconds": 4.5,
        "outcome": "failed",
        "error": "s-web: stopped",
        "given": {"app_replicas": 5, "token": None},
        "changes": [{"container": f"s-{name}", "kind": "replace", "reasons": [], "seconds": 1} for name in "abcde"],
        "others": ["firewall S: 5 rules"],
    }
    __, line, *below = history.table([run])
    assert " ".join(line.split()) == (
        "2026-03-01 10:20 ada vm up 1 -> 2 4.5 s failed replace 5 containers; firewall S: 5 rules"
    )
    assert below == ["    why: more replicas", "    -e app_replicas=5 token=...", "    error: s-web: stopped"]
    assert history.table([]) == [history.NOTHING]
