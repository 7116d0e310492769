"""Who gets which images in a cluster, and what is refused by host, as a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.images.handing import Handing, Node, decide
from ansible_collections.sse.platform.plugins.module_utils.images.steps import Step

STEPS = (
    Step("base", "base", "base:1", "build"),
    Step("web", "web", "web:1", "pull"),
    Step("app", "app", "app:1", "build", needs=("base",)),
    Step("log", "log", "log:1", "build", needs=("base",)),
)
LOADS = tuple(Step(one.image, one.name, one.reference, "load", file="/b.tar.gz") for one in STEPS[1:])


def decided(
    lacks: dict[str, list[str]], has: dict[str, set[str]], source: str = "packages", **changes: dict[str, Any]
) -> Handing:
    """Decide for the hosts a, b and c, of which some have images and some have no way."""
    chosen: Any = {"source": source, "every": [asdict(one) for one in (LOADS if source == "bundle" else STEPS)]}
    nodes = {
        name: Node(
            frozenset(has.get(name, ())),
            changes.get("architectures", {}).get(name, "amd64"),
            changes.get("ways", {}).get(name, ""),
        )
        for name in ("a", "b", "c")
    }
    return decide(chosen, lacks, nodes)


def steps(found: Handing) -> dict[str, list[str]]:
    return {host: [one.reference for one in own] for host, own in found.steps.items()}


def test_one_host_builds_and_hands_to_each_other_one_what_that_lacks() -> None:
    found = decided({"a": ["app:1", "log:1"], "b": ["app:1"], "c": ["log:1"]}, {})
    assert (found.giver, found.problems) == ("a", [])
    assert steps(found) == {"a": ["base:1", "app:1", "log:1"]}
    assert found.handed == {"b": ["app:1"], "c": ["log:1"]}


def test_what_is_pulled_each_host_pulls_where_it_can() -> None:
    lacks = {"a": ["web:1"], "b": ["app:1", "web:1"], "c": ["web:1"]}
    found = decided(lacks, {}, "registry", ways={"c": "it does not answer"})
    assert found.giver == "a"
    assert steps(found)["b"] == ["web:1"]
    assert found.handed == {"b": ["app:1"], "c": ["web:1"]}
    assert set(steps(found)["a"]) == {"web:1", "base:1", "app:1"}


def test_a_host_that_has_them_hands_them_over_and_nobody_builds() -> None:
    found = decided({"a": ["app:1"]}, {"c": {"app:1"}}, ways=dict.fromkeys("abc", "no way"))
    assert (found.giver, found.steps, found.handed, found.problems) == ("c", {}, {"a": ["app:1"]}, [])


def test_a_host_without_a_way_is_not_the_one_that_builds() -> None:
    found = decided({"a": ["app:1"], "b": ["app:1"]}, {}, ways={"a": "no package source answers its apt"})
    assert (found.giver, found.handed) == ("b", {"a": ["app:1"]})


def test_where_only_one_host_lacks_an_image_it_is_handed_nothing() -> None:
    found = decided({"a": ["app:1"]}, {})
    assert (found.giver, steps(found), found.handed) == ("", {"a": ["base:1", "app:1"]}, {})


@pytest.mark.parametrize("lacks", [{}, {"a": []}])
def test_nothing_is_done_where_no_image_is_missing(lacks: dict[str, list[str]]) -> None:
    assert decided(lacks, {}) == Handing("", {}, {}, [])


def test_from_an_archive_each_host_gets_what_it_lacks_and_needs_no_other_host() -> None:
    found = decided({"a": ["app:1", "web:1"], "b": ["web:1"]}, {"a": {"web:1"}}, "bundle")
    assert (steps(found), found.giver, found.handed) == ({"a": ["app:1"], "b": ["web:1"]}, "", {})


def test_each_host_that_would_stay_without_an_image_is_named() -> None:
    found = decided(
        {"a": ["app:1"], "c": ["log:1"]}, {}, ways=dict.fromkeys("abc", "no package source answers its apt")
    )
    assert [one.partition(":")[0] for one in found.problems] == ["a has no way to app", "c has no way to log"]
    assert all("no package source answers its apt" in one for one in found.problems)
    assert found.handed == {"a": ["app:1"], "c": ["log:1"]}


def test_an_image_of_another_architecture_is_not_handed_over() -> None:
    found = decided({"a": ["app:1"], "b": ["app:1"]}, {}, architectures={"b": "arm64"})
    assert [one.partition(",")[0] for one in found.problems] == ["b is arm64"]
