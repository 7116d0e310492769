"""A pause is a file that containers see: who made it, how it ends, and who may publish meanwhile."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import switches

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"who": "ana", "where": "laptop", "when": "2026-01-02T03:04:05Z", "why": "a new disk"}


def release(source: str) -> Any:
    return {"containers": {"a": {"binds": {"/run/switches": source}}}}


def test_a_pause_says_who_since_when_and_why_until_it_is_ended(tmp_path: Path) -> None:
    assert switches.lines(str(tmp_path)) == []
    assert switches.pause(str(tmp_path), "publishing", RUN)
    [line] = switches.lines(str(tmp_path))
    assert line == (
        "PUBLISHING IS PAUSED by ana@laptop since 2026-01-02T03:04:05Z (a new disk): "
        "`./sse resume publishing` ends that"
    )
    assert not switches.pause(str(tmp_path), "publishing", {**RUN, "who": "ben"})
    assert switches.lines(str(tmp_path)) == [line]
    assert switches.resume(str(tmp_path), "publishing")
    assert not switches.resume(str(tmp_path), "publishing")
    assert switches.lines(str(tmp_path)) == []
    assert switches.operator(str(tmp_path)) == {}


def test_containers_read_the_pause_and_only_root_the_word_that_passes(tmp_path: Path) -> None:
    switches.pause(str(tmp_path), "publishing", RUN)
    seen = tmp_path / "switches" / "publishing"
    assert stat.S_IMODE(seen.stat().st_mode) == 0o644
    assert stat.S_IMODE(seen.parent.stat().st_mode) == 0o700  # of the user of its containers, after the next run
    assert stat.S_IMODE((tmp_path / switches.PASS).stat().st_mode) == 0o600
    word = switches.operator(str(tmp_path))["SSE-Operator"]
    assert word not in seen.read_text()
    assert json.loads(seen.read_text())["pass"] == hashlib.sha256(word.encode()).hexdigest()


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_file_that_somebody_else_wrote_is_a_pause_too(tmp_path: Path, text: str) -> None:
    switches.ready(str(tmp_path))
    (tmp_path / "switches" / "publishing").write_text(text)
    assert switches.lines(str(tmp_path)) == ["PUBLISHING IS PAUSED: `./sse resume publishing` ends that"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [("publishin", " Did you mean 'publishing'?"), ("streams", ""), ("PUBLISHING", " Did you mean 'publishing'?")],
)
def test_what_cannot_be_paused_is_refused_with_what_can(word: str, meant: str) -> None:
    with pytest.raises(switches.SwitchError) as error:
        switches.choose(word, ["publishing"])
    assert str(error.value) == f"{word!r} can't be paused or resumed: expected publishing.{meant}"


def test_a_pause_that_no_container_would_see_is_refused(tmp_path: Path) -> None:
    state = str(tmp_path)
    switches.refuse_unknown([release("/elsewhere"), release(f"{state}/switches")], state)
    for releases in ([], [release("/elsewhere")]):
        with pytest.raises(switches.SwitchError, match=r"Run `\./sse up`"):
            switches.refuse_unknown(releases, state)


def test_further_hosts_of_a_cluster_pause_what_the_first_one_has_paused(tmp_path: Path) -> None:
    first, other = str(tmp_path / "first"), str(tmp_path / "other")
    assert switches.keep(other, switches.kept(first)) == []
    switches.pause(first, "publishing", RUN)
    told = ["~ publishing is paused, as on the first manager"]
    assert switches.keep(other, switches.kept(first), check=True) == told
    assert switches.lines(other) == []
    assert switches.keep(other, switches.kept(first)) == told
    assert (switches.lines(other), switches.operator(other)) == (switches.lines(first), switches.operator(first))
    assert switches.keep(other, switches.kept(first)) == []
    assert stat.S_IMODE((tmp_path / "other" / switches.PASS).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "other/switches/publishing").stat().st_mode) == 0o644
    switches.resume(first, "publishing")
    assert switches.keep(other, switches.kept(first)) == ["~ publishing is resumed, as on the first manager"]
    assert (switches.kept(other), switches.operator(other)) == ({}, {})
