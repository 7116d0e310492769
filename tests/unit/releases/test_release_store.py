"""How releases are numbered and kept, and what a run of some services keeps of the last one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import release
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    ReleaseStore,
    has_ipv6,
    limited,
    newest_releases,
    next_number,
    stale,
)

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = {"name": "n", "segment": "network", "subnet": "10.0.0.0/24", "internal": False}
DUAL = {**NETWORK, "ipv6": {"subnet": "fd99::/64", "gateway": "", "ip_range": ""}}


def build(network: Any = NETWORK, **images: str) -> Any:
    """A release with a service, a container and a check for each of these images."""
    user = {"entrypoint": ["x"], "user": "1:1", "healthcheck": {"command": ["true"]}}
    return release.build(
        {
            name: {"containers": {name: {"image": image, "address": number, **user}}}
            for number, (name, image) in enumerate(images.items(), 9)
        },
        stack="s",
        project="p",
        networks={"network": network},
        references={"old": "old", "new": "new"},
        unavailable={},
        checks=[
            {"service": name, "kind": image, "containers": [name], "parameters": {}} for name, image in images.items()
        ],
    )


def stored(content: Any, number: int = 1, **more: Any) -> Any:
    return {**content, "number": number, **more}


def test_limiting_takes_named_services_and_keeps_the_rest_as_it_was() -> None:
    old, new = build(app="old", db="old"), build(app="new", db="new")
    merged: Any = limited(new, old, ["app"])
    assert {name: one["image"] for name, one in merged["containers"].items()} == {"s-app": "new", "s-db": "old"}
    assert {one["service"]: one["kind"] for one in merged["checks"]} == {"app": "new", "db": "old"}
    older: Any = {key: value for key, value in old.items() if key != "checks"}
    assert limited(new, older, ["app"]).get("checks") == new["checks"][::-1]
    assert limited(new, None, ["app"]) == new


def pair(count: int, upstream: int, network: Any = NETWORK, **environment: str) -> Any:
    """A release of replicas, and of a proxy that uses some of them, and has the names of all that there may ever be."""
    user = {"entrypoint": ["x"], "user": "1:1", "healthcheck": {"command": ["true"]}, "image": "old"}
    known = " ".join(f"app-{number}:8000" for number in range(1, upstream + 1))
    names = " ".join(f"app-{number}" for number in range(1, 20))
    return release.build(
        {
            "app": {"containers": {f"app-{n}": {**user, "address": 20 + n} for n in range(1, count + 1)}},
            "proxy": {
                "containers": {
                    "proxy": {**user, "address": 10, "environment": {"TO": known, "NAMES": names, **environment}}
                }
            },
        },
        stack="s",
        project="p",
        networks={"network": network},
        references={"old": "old"},
        unavailable={},
        checks=[],
    )


@pytest.mark.parametrize("count", [10, 12])
def test_replicas_that_a_service_outside_of_the_run_would_not_know_are_refused(count: int) -> None:
    latest, wanted = stored(pair(11, 11)), pair(count, count)
    with pytest.raises(SpecError) as refused:
        limited(wanted, latest, ["app"])
    assert "proxy would not know them: run `./sse up --tags app,proxy`" in str(refused.value)
    assert len(limited(wanted, latest, ["app", "proxy"])["containers"]) == count + 1
    assert len(limited(pair(count, 11), latest, ["app"])["containers"]) == count + 1  # it knows as many as before


def test_no_tag_is_advised_for_a_service_that_is_no_longer_declared() -> None:
    wanted = pair(11, 10)
    latest = stored(pair(11, 11))
    for number in range(1, 12):
        del wanted["containers"][f"s-app-{number}"]
    with pytest.raises(SpecError, match=r"something else of it: run `\./sse up` without --tags"):
        limited(wanted, latest, ["proxy"])


@pytest.mark.parametrize(("count", "moved"), [(10, "app-11"), (12, "app-12")])
def test_a_run_that_would_tell_a_service_of_containers_that_it_does_not_make_or_remove_is_refused(
    count: int, moved: str
) -> None:
    latest, wanted = stored(pair(11, 11)), pair(count, count)
    with pytest.raises(SpecError) as refused:
        limited(wanted, latest, ["proxy"])
    assert f"this run leaves {moved} as before, and proxy would be told something else of it" in str(refused.value)
    assert "run `./sse up --tags proxy,app`, or `./sse up` without --tags" in str(refused.value)
    assert len(limited(pair(count, 11), latest, ["proxy"])["containers"]) == 12  # it is told the same as before


def test_a_change_that_a_run_of_some_services_leaves_is_named() -> None:
    latest = stored(pair(2, 2))
    for one in latest["containers"].values():
        one["image_id"] = "sha256:1"  # as the host adds it
    assert stale(pair(2, 2), latest, ["app"]) == []
    assert stale(pair(2, 2, LEVEL="debug"), latest, ["app"]) == ["proxy"]
    assert stale(pair(2, 2, LEVEL="debug"), latest, ["app", "proxy"]) == []
    assert stale(pair(2, 2, LEVEL="debug"), latest, []) == []


def test_a_run_of_some_services_does_not_switch_ipv6() -> None:
    latest, wanted = build(a="old"), build(DUAL, a="old")
    assert (has_ipv6(latest), has_ipv6(wanted)) == (False, True)
    with pytest.raises(SpecError, match="network_ipv6 differs from what runs"):
        limited(wanted, stored(latest), ["a"])


def test_a_number_grows_only_with_the_content(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    first = build(a="old")
    assert store.number_for(first, 1) == 1
    store.write(stored(first, meta={"outcome": "applied"}))
    assert store.number_for(first, 2) == 1
    assert store.number_for(build(a="new"), 2) == 2


def test_projects_share_their_numbers_also_where_an_earlier_version_gave_each_its_own(tmp_path: Path) -> None:
    assert next_number(str(tmp_path)) == 1
    for project, numbers in {"p": (1, 2, 3, 4), "q": (1,)}.items():
        store = ReleaseStore(str(tmp_path), project)
        for number in numbers:
            store.write(stored(build(a="old"), number))
    assert next_number(str(tmp_path)) == 5


def test_a_killed_write_leaves_the_earlier_release(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    store.write(stored(build(a="old")))
    (store.directory / "0001.new").write_text("{ half")
    assert store.numbers() == [1]
    assert store.latest() is not None
    assert (store.directory / "0001.json").stat().st_mode & 0o777 == 0o600


def test_a_release_without_meta_was_not_applied(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    store.directory.mkdir(parents=True)
    (store.directory / "0001.json").write_text(json.dumps(stored(build(a="old"))))
    assert not store.has_applied(1)
    assert [one["meta"] for one in newest_releases(str(tmp_path))] == [{}]


@pytest.mark.parametrize("text", ["{ half", "[]", "{}", "", '{"number": 1, "project": "p"}'])
def test_a_damaged_release_is_named(tmp_path: Path, text: str) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    store.directory.mkdir(parents=True)
    (store.directory / "0001.json").write_text(text)
    with pytest.raises(SpecError, match=r"0001\.json is damaged .*: move it away"):
        store.read(1)


def test_a_copy_with_another_number_is_no_release(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    store.write(stored(build(a="old"), 2))
    (store.directory / "0005.json").write_text((store.directory / "0002.json").read_text())
    with pytest.raises(SpecError, match=r"0005\.json is in a wrong place \(it is release 2 of p\): move it"):
        store.all()


def test_something_else_in_place_of_a_release_is_named(tmp_path: Path) -> None:
    (tmp_path / "releases/p/0001.json").mkdir(parents=True)
    with pytest.raises(SpecError, match=r"0001\.json can't be read \(Is a directory\): move it away"):
        ReleaseStore(str(tmp_path), "p").latest()


@pytest.mark.parametrize(
    ("outcomes", "newest"), [(["applied", "applied", "failed"], 2), (["failed"], 1)], ids=["applied", "none applied"]
)
def test_the_newest_release_is_the_last_one_that_was_applied(tmp_path: Path, outcomes: list[Any], newest: int) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    for number, outcome in enumerate(outcomes, 1):
        store.write(stored(build(a="old"), number, meta={"outcome": outcome}))
    assert [one["number"] for one in newest_releases(str(tmp_path))] == [newest]


def test_a_release_of_another_version_is_not_read_but_named(tmp_path: Path) -> None:
    store = ReleaseStore(str(tmp_path), "p")
    store.write(stored(build(a="old"), format=release.FORMAT - 1))
    with pytest.raises(SpecError, match="release 1 of p has format 2"):
        newest_releases(str(tmp_path))
