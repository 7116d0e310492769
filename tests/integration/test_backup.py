"""A backup of a stack under load comes back beside it, and a client resumes there by the id that it had before."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack
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
            if line.startswith("data: "):
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

    refused = deployed.play("restore", asked_file=path)
    assert "is here already" in refused.output
    assert deployed.ids() == before

    restored = other.play("restore", asked_file=path)
    assert restored.code == 0, restored.output
    assert resumed(other, ids[0], EVENTS - 1) == [str(number) for number in range(1, EVENTS)]
    assert not list(Path("/var/tmp").glob("sse-backup-*"))
