"""Of containers with copies of the same data, one is read whole, and each gets it back with what tells who it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup, backup_copies
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Share, joined
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.tests.unit.deploy.test_backup import container, content

HELD = {"sse-log": "a", "sse-log-2": "b", "sse-log-3": "c"}


def releases(count: int = 3) -> list[Any]:
    names = ["log", "log-2", "log-3"][:count]
    made = {f"sse-{name}": {**container(name, log=""), "service": "log", "rolling": True} for name in names}
    return [{"stack": "sse", "project": "p", "containers": {**made, "sse-own": {**container("own"), "rolling": True}}}]


def test_containers_with_copies_are_replicas_with_data() -> None:
    assert [list(one) for one in backup_copies.sets(releases())] == [["sse-log", "sse-log-2", "sse-log-3"]]
    assert backup_copies.sets(releases(1)) == backup_copies.sets(releases(), ["log"]) == []
    assert backup_copies.copies(releases(1), [], {}) == {}


ALL = ["log", "log-2", "log-3"]


@pytest.mark.parametrize(
    ("answers", "read"),
    [
        ({"sse-log": ALL, "sse-log-2": ALL, "sse-log-3": ALL}, "sse-log"),
        # The first is cut off, and does not know it.
        ({"sse-log": ALL, "sse-log-2": ["log-2", "log-3"], "sse-log-3": ["log-2", "log-3"]}, "sse-log-2"),
        ({"sse-log-2": ["log-2", "log-3"], "sse-log-3": ["log-2", "log-3"]}, "sse-log-2"),
        # One that does not say it of itself is none.
        ({"sse-log": ["log-2"], "sse-log-2": ["log", "log-2"], "sse-log-3": ["log"]}, "sse-log-2"),
    ],
)
def test_one_is_read_of_which_most_say_that_it_is_whole(answers: dict[str, list[str]], read: str) -> None:
    assert set(backup_copies.copies(releases(), [], answers).values()) == {read}


@pytest.mark.parametrize("answers", [{}, {"sse-log": ALL}, {"sse-log": ["log"], "sse-log-2": ["log-2"]}])
def test_without_most_of_them_there_is_no_backup(answers: dict[str, list[str]]) -> None:
    with pytest.raises(BackupError, match=r"sse-log, sse-log-2, sse-log-3 have copies .* No backup was made"):
        backup_copies.copies(releases(), [], answers)


def test_each_gets_the_copy_that_was_read_and_keeps_its_own_marker(tmp_path: Path) -> None:
    states = {host: tmp_path / host for host in "abc"}
    for number, (name, host) in enumerate(HELD.items(), 1):
        log = states[host] / "data" / name / "log"
        (log / "events-0").mkdir(parents=True)
        (log / "meta.properties").write_text(f"node.id={number}\n")
        (log / "events-0/0.log").write_text("x" * 1000 * number)
    (states["a"] / "releases/p").mkdir(parents=True)
    (states["a"] / "secrets").mkdir()
    copies = {"sse-log": "sse-log-2", "sse-log-3": "sse-log-2"}
    runs: list[Any] = [{**one, "format": FORMAT, "number": 1, "meta": {"outcome": "applied"}} for one in releases()]
    (states["a"] / "releases/p/0001.json").write_text(json.dumps(runs[0]))
    parts = {}
    for host, state in states.items():
        share, archive = Share(HELD, host, "a"), tmp_path / f"part.{host}"
        parts[str(archive)] = backup.write("sse", str(state), [], archive, share, runs, copies)
    written = joined(parts, tmp_path / "state.tar.gz")
    manifest = written["manifest"]
    assert manifest.get("copies") == {"log": "log-2", "log-3": "log-2"}
    assert sorted(name for name in manifest["files"] if name.startswith("data")) == [
        "data/log-2/log/events-0/0.log",
        "data/log-2/log/meta.properties",
        "data/log-3/log/meta.properties",
        "data/log/log/meta.properties",
    ]
    held = {"demo-log": "z", "demo-log-2": "y", "demo-log-3": "x"}
    for number, host in enumerate("zyx", 1):
        backup.restore(
            Path(written["archive"]), manifest, {}, "demo", str(tmp_path / host), Share(held, host, "manager")
        )
        name = f"demo-log{'' if number == 1 else f'-{number}'}"
        assert content(tmp_path / host) == {
            f"data/{name}/log/events-0/0.log": "x" * 2000,
            f"data/{name}/log/meta.properties": f"node.id={number}\n",
        }
