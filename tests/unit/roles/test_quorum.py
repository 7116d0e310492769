"""Who decides about the data of a broker: what others get to decide as well, and when that counts."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

PROGRAM = (Path(__file__).parents[3] / "roles/kafka/files/quorum.py").read_text()
THREE = "1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093"


def run(data: Path, do: str, code: int = 0, **more: Any) -> Any:
    question = json.dumps({"do": do, "data": str(data), **more})
    command = [sys.executable, "-I", "-c", PROGRAM]
    ended = subprocess.run(command, input=question, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr if code else json.loads(ended.stdout)


def broker(path: Path, number: int = 1, cluster: str = "c") -> Path:
    """The data of a broker that has run: its metadata, its votes, and a partition."""
    (path / "__cluster_metadata-0").mkdir(parents=True)
    (path / "sse-events-0").mkdir()
    for name in ("__cluster_metadata-0", "sse-events-0"):
        (path / name / "partition.metadata").write_text("version: 0\ntopic_id: t\n")
    (path / "meta.properties").write_text(
        f"#\n#Mon\ncluster.id={cluster}\nversion=1\ndirectory.id=d{number}\nnode.id={number}\n"
    )
    for name in ("00000000000000000000.log", "quorum-state", "00000000000000000012-0000000001.checkpoint"):
        (path / "__cluster_metadata-0" / name).write_text(f"{name} of {number}")
    return path


def files(path: Path) -> dict[str, str]:
    return {str(one.relative_to(path)): one.read_text() for one in path.rglob("*") if one.is_file()}


def test_others_get_the_metadata_and_no_votes_instead_of_all_that_they_have(tmp_path: Path) -> None:
    first, second = broker(tmp_path / "1"), broker(tmp_path / "2", 2, "old")
    (second / "quorum").write_text("what was before")
    before = files(first)
    assert 0 < run(first, "look")["needed"] <= run(first, "look")["bytes"]
    taken = run(first, "take")
    assert files(first) == before
    for __ in range(2):  # a run that was killed does it again
        run(second, "give", taken=taken, number=2, decides=THREE)
        assert files(second) == {
            "__cluster_metadata-0/00000000000000000000.log": "00000000000000000000.log of 1",
            "__cluster_metadata-0/00000000000000000012-0000000001.checkpoint": before[
                "__cluster_metadata-0/00000000000000000012-0000000001.checkpoint"
            ],
            "__cluster_metadata-0/partition.metadata": before["__cluster_metadata-0/partition.metadata"],
            "meta.properties": "version=1\nnode.id=2\ncluster.id=c\n",
            "quorum": f"{THREE}\n",
        }
        assert not (second / "sse-events-0").exists()
    assert [run(one, "look")["kept"] for one in (first, second)] == [True, False]


def test_who_decides_is_written_last_and_the_votes_of_before_are_gone(tmp_path: Path) -> None:
    first = broker(tmp_path / "1")
    seen = run(first, "look")
    assert {key: seen[key] for key in ("decides", "members", "cluster")} == {
        "decides": "",
        "members": [],
        "cluster": "c",
    }
    run(first, "decide", decides=THREE)
    assert run(first, "look")["members"] == ["kafka", "kafka-2", "kafka-3"]
    assert run(first, "look")["decides"] == (first / "quorum").read_text().strip() == THREE
    assert not (first / "__cluster_metadata-0/quorum-state").exists()
    run(first, "decide", decides="")
    assert run(first, "look")["decides"] == ""
    assert not (first / "quorum").exists()


def test_a_directory_without_data_says_so_and_gives_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "none", "look") == {}
    assert "the data of a broker: " in run(tmp_path, "take", code=1)


@pytest.mark.parametrize("name", ["../out", "__cluster_metadata-0/../../out", "other/x"])
def test_nothing_is_written_elsewhere(tmp_path: Path, name: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for one in ("__cluster_metadata-0/log", name):
            entry = tarfile.TarInfo(one)
            entry.size = 1
            archive.addfile(entry, io.BytesIO(b"x"))
    second = broker(tmp_path / "2")
    taken = {"cluster": "c", "archive": base64.b64encode(packed.getvalue()).decode()}
    run(second, "give", taken=taken, number=2, decides="")
    assert set(files(second)) == {"__cluster_metadata-0/log", "meta.properties", "quorum"}
    assert {one.name for one in tmp_path.iterdir()} == {"2"}


def test_nothing_is_read_or_written_through_a_link_that_a_broker_made(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("of root")
    first = broker(tmp_path / "1")
    (first / "quorum.new").symlink_to(secret / "file")
    run(first, "decide", decides=THREE)
    (first / "quorum").unlink()
    (first / "quorum").symlink_to(secret / "file")
    assert "is a link" in run(first, "look", code=1)
    second = broker(tmp_path / "2")
    (second / "new").symlink_to(secret)
    given = run(broker(tmp_path / "3"), "take")
    assert "is a link" in run(second, "give", code=1, taken=given, number=2, decides=THREE)
    (first / "__cluster_metadata-0").rename(first / "moved")
    (first / "__cluster_metadata-0").symlink_to(secret)
    assert "is a link" in run(first, "take", code=1)
    assert "is a link" in run(first, "decide", code=1, decides="")
    assert files(secret) == {"file": "of root"}
