"""A backup of a stack under load comes back beside it, and a client resumes there by the id that it had before."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.browser import Publisher, browser, chromium
from ansible_collections.sse.platform.tests.integration.canaries import hits, needles
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from ansible_collections.sse.platform.tests.integration.traffic import Traffic

EVENTS = 20


def resumed(stack: Stack, after: str, wanted: int) -> list[str]:
    """Return the data of the events after an id."""
    url, headers = f"http://127.0.0.1:{stack.http_port}/api/v1/stream?channel=kept", {"Last-Event-ID": after}
    found: list[str] = []
    with httpx.stream("GET", url, headers=headers, timeout=20) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: gap"):
                raise AssertionError("a gap")
            if line.startswith("data: ") and line != "data: {}":  # which only carries the cursor
                found.append(line.removeprefix("data: "))
                if len(found) == wanted:
                    break
    return found


def test_a_backup_under_load_is_restored_beside_and_ids_survive(
    deployed: Stack, other: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSE_BACKUP_PASSPHRASE", "correct horse battery")
    path = str(tmp_path / "it.backup")
    ids = [deployed.publish("kept", number).json()["ids"][0] for number in range(EVENTS)]
    with Traffic(f"http://127.0.0.1:{deployed.http_port}") as traffic:
        before = deployed.ids()
        run = deployed.play("backup", asked_file=path)
        assert run.code == 0, run.output
        assert deployed.ids() == before
    assert not traffic.broken, traffic.broken
    assert [one.name for one in tmp_path.iterdir()] == ["it.backup"]
    assert hits([("the backup", Path(path).read_bytes())], needles(deployed)) == []

    refused = deployed.play("restore", asked_file=path)
    assert "is here already" in refused.output
    assert deployed.ids() == before

    drilled = deployed.play("drill", asked_file=path)
    assert drilled.code == 0, drilled.output
    told = re.search(r"(\d+) events of (\d+) channels", drilled.output)
    assert told, drilled.output
    assert int(told[1]) >= EVENTS
    assert not [one.name for one in deployed.engine.containers.list(all=True) if "it-drill" in str(one.name)]
    assert not [one.name for one in deployed.engine.networks.list() if "it-drill" in str(one.name)]
    assert not deployed.state.with_name(f"{deployed.state.name}-drill").exists()
    assert deployed.ids() == before

    # What the run afterwards would refuse is refused before anything of the backup is placed.
    for wrong, told in (
        ({"exposure_http_port": deployed.http_port}, f"Port {deployed.http_port}"),
        ({"kafka_coordination": "zookeeper"}, "kafka in the backup were written with kraft"),
    ):
        run = other.play("restore", asked_file=path, **wrong)
        assert run.code != 0
        assert told in run.output, run.output
        assert not [one for one in ("data", "secrets", "releases") if (other.state / one).exists()], run.output

    restored = other.play("restore", asked_file=path)
    assert restored.code == 0, restored.output
    assert "WARNING" not in restored.output, restored.output
    assert resumed(other, ids[0], EVENTS - 1) == [str(number) for number in range(1, EVENTS)]
    assert not list(Path("/var/tmp").glob("sse-backup-*"))


@pytest.mark.whole
def test_a_browser_hears_every_event_once_through_a_rollout_a_rollback_and_a_restore(
    other: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not chromium():
        pytest.skip("chromium is not installed")
    monkeypatch.setenv("SSE_BACKUP_PASSPHRASE", "correct horse battery")
    other.up()
    url = f"http://127.0.0.1:{other.http_port}"
    with (
        browser(f"{url}/api/v1/stream?channel=watched", tmp_path / "browser") as page,
        Publisher(url, "watched") as publisher,
    ):
        eventually(lambda: len(page.heard()) > 5, "events in the browser")
        for step, variables in (("site", {"app_environment_extra": {"TRIED": "1"}}), ("rollback", {})):
            opened = len(page.heard("open"))
            run = other.play(step, **variables)
            assert run.code == 0, run.output
            eventually(lambda opened=opened: len(page.heard("open")) > opened, f"a new connection after {step}")
        with publisher.silence():
            run = other.play("backup", asked_file=str(tmp_path / "again.backup"))
            assert run.code == 0, run.output
            other.destroy()
            restored = other.play("restore", asked_file=str(tmp_path / "again.backup"))
            assert restored.code == 0, restored.output
        count = len(publisher.stored)
        eventually(lambda: len(publisher.stored) > count + 5, "events after the restore")
        publisher.end()
        last = publisher.stored[-1]
        eventually(lambda: last in page.heard(), "the last event in the browser")
    due = publisher.stored[publisher.stored.index(page.heard()[0]) :]
    assert page.heard() == due
    assert page.heard("gap") == page.heard("closed") == []
