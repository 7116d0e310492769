"""Only an engine that this collection installed is removed, and only with what came with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import engine_removal


class Engine:
    """An engine that answers."""

    def __init__(self, *stacks: str) -> None:
        self.stacks = stacks

    def containers(self) -> list[dict[str, Any]]:
        return [
            {"Names": [f"/c{number}"], "Labels": {"sse.platform.stack": stack} if stack else None}
            for number, stack in enumerate(self.stacks)
        ]

    def networks(self) -> list[dict[str, Any]]:
        return [
            {"Driver": "bridge", "Id": "0123456789abcdef", "Options": {"com.docker.network.bridge.name": "docker0"}},
            {"Driver": "bridge", "Id": "fedcba9876543210", "Options": None},
            {"Driver": "host", "Id": "1", "Options": {}},
        ]

    def info(self) -> dict[str, Any]:
        return {"DockerRootDir": "/nonexistent", "Images": 3}


class Silent(Engine):
    """An engine that does not run."""

    def containers(self) -> list[dict[str, Any]]:
        raise ConnectionRefusedError


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of an installation that added three packages, on a host where apt removes nothing else."""
    monkeypatch.setattr(engine_removal, "RECORD", tmp_path)
    monkeypatch.setattr(engine_removal, "purged", set)
    there = "ii  docker.io\nii  tini\nii  python3-docker\nii  bash\nrc  runc\n"
    monkeypatch.setattr(engine_removal, "run", lambda *_: there)
    (tmp_path / "packages").write_text("docker.io\npython3-docker\nrunc\n")
    return tmp_path


def look(engine: Any) -> engine_removal.Going:
    return engine_removal.look("sse", engine)


def test_an_engine_that_was_there_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_removal, "RECORD", tmp_path / "none")
    with pytest.raises(engine_removal.EngineStaysError, match="was not installed by this collection"):
        look(Engine())


@pytest.mark.usefixtures("record")
def test_an_engine_with_containers_of_others_stays_and_they_are_named() -> None:
    with pytest.raises(engine_removal.EngineStaysError, match=r"not of the stack 'sse', so it stays: c1, c2\."):
        look(Engine("sse", "", "demo"))


@pytest.mark.usefixtures("record")
def test_an_engine_that_does_not_answer_stays() -> None:
    with pytest.raises(engine_removal.EngineStaysError, match="does not answer"):
        look(Silent())


@pytest.mark.usefixtures("record")
def test_the_packages_of_the_record_go_where_they_are_still_installed() -> None:
    going = look(Engine("sse"))
    assert going.packages == ["docker.io", "python3-docker"]
    assert going.networks == ["br-fedcba987654", "docker0"]
    assert going.images == 3


def test_without_a_record_of_packages_only_those_of_an_engine_go(record: Path) -> None:
    (record / "packages").unlink()
    assert look(Engine()).packages == ["docker.io", "tini"]


def test_an_installation_that_was_killed_is_known_by_what_was_there_before(record: Path) -> None:
    (record / "packages").rename(record / "other")
    (record / "packages-before").write_text("bash\npython3-docker\n")
    assert look(Engine()).packages == ["docker.io", "tini"]


def test_a_package_that_others_need_now_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = {"ca-certificates": {"ca-certificates", "curl"}}
    monkeypatch.setattr(engine_removal, "purged", lambda names: set().union(*(needs.get(one, {one}) for one in names)))
    assert engine_removal.removable(["ca-certificates", "docker.io"]) == ["docker.io"]
    assert engine_removal.removable(["docker.io"]) == ["docker.io"]


def test_only_rules_of_the_engines_bridges_are_left_behind() -> None:
    rules = """-P FORWARD DROP
-A FORWARD -o docker0 -j ACCEPT
-A FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT
-A FORWARD -i br-lan -j ACCEPT
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -o eth0 -j MASQUERADE
"""
    assert len(engine_removal.left_behind(rules)) == 3
    assert not [line for line in engine_removal.left_behind(rules) if "lan" in line or "eth0" in line]


def test_a_directory_is_cleared_and_an_absent_one_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    engine_removal.clear(tmp_path / "a")
    engine_removal.clear(tmp_path / "a")
    assert not (tmp_path / "a").exists()
