"""Which release a rollback goes back to, and what this host cannot bring back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases import keeping, rollback
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import StackRelease

DATA = {"container": "s-db", "directory": "db", "fits": {"db_mode": "a"}, "writes": "4.1"}


def stack(number: int, outcome: str = "applied", *, image: str = "1", below: str = "db", **more: Any) -> StackRelease:
    """A release of a stack with one project and one container."""
    spec = {"image": f"db:{image}", "image_id": f"sha256:{image}", "data": {"/data": below}}
    part: Any = {
        "format": FORMAT,
        "project": "p",
        "number": number,
        "meta": {"outcome": outcome},
        "containers": {"s-db": spec},
        "networks": {},
        "checks": [],
        "endpoints": [],
        "data": [DATA],
        **more,
    }
    return StackRelease(number, {"p": part})


def here(image: str) -> str | None:
    return None if "gone" in image else image


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [(["applied", "applied"], 1), (["applied", "failed", "applied"], 1), (["applied", "applied", "failed"], 2)],
    ids=["the one before", "not a failed one", "after a failed run the one that ran before it"],
)
def test_by_default_it_is_the_newest_one_that_was_applied_before_the_last(outcomes: list[str], found: int) -> None:
    kept = [stack(number, outcome) for number, outcome in enumerate(outcomes, 1)]
    assert rollback.target(kept, None).number == found


def rotated(number: int, image: str = "1") -> StackRelease:
    made = stack(number, image=image)
    for one in made.containers.values():
        one["fingerprints"] = {"db_password": str(number)}
    return made


def test_one_that_differs_only_in_secrets_is_no_way_back() -> None:
    assert rollback.target([stack(1), rotated(2), rotated(3, image="2"), rotated(4, image="2")], None).number == 2


def test_rotations_push_out_no_release() -> None:
    kept = [stack(1, image="0"), *(rotated(number) for number in range(2, 9)), rotated(9, image="2")]
    assert keeping.choose(kept, kept[-1], set(), 3).numbers == {1, 8, 9}
    assert keeping.choose(kept[:-1], kept[-2], set(), 3).numbers == {1, 8}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (7, "release 7 is not kept: expected one of 1, 2, 3"),
        (2, r"release 2 did not become what runs \(failed\): expected one that was applied: 1"),
        (3, "release 3 is what runs now: expected one that was applied: 1"),
    ],
)
def test_a_number_that_cannot_be_gone_back_to_is_refused_with_those_that_can(asked: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        rollback.target([stack(1), stack(2, "failed"), stack(3)], asked)


def test_without_an_earlier_release_there_is_no_way_back() -> None:
    with pytest.raises(SpecError, match="there is no earlier release"):
        rollback.target([stack(1)], None)
    with pytest.raises(SpecError, match="release 1 is what runs now: no other one that was applied is kept"):
        rollback.target([stack(1)], 1)


def test_a_release_of_another_format_is_refused() -> None:
    with pytest.raises(SpecError, match="has format 2"):
        rollback.target([stack(1, format=2), stack(2)], 1)


def test_a_release_that_fits_has_no_problem() -> None:
    assert rollback.problems(stack(1), stack(2, image="2"), here) == []


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (stack(1, image="gone"), "image db:gone .sha256:gone. of s-db is no longer on this host"),
        (stack(1, below="old"), "s-db keeps its data for /data in db now, and had them in old then"),
        (stack(1, data=[{**DATA, "fits": {"db_mode": "b"}}]), "s-db: db_mode is 'a' now and was 'b' then"),
        (stack(1, data=[{**DATA, "writes": "3.10"}]), "writes its data as version 4.1 now and was version 3.10 then"),
        (stack(1, data=[], image="0"), "s-db has another image now, and release 2 is the first that records"),
    ],
    ids=["image", "directory", "setting", "version", "unknown"],
)
def test_what_cannot_go_back_is_said_with_the_reason(then: StackRelease, said: str) -> None:
    (problem,) = rollback.problems(then, stack(2), here)
    assert said.replace(".", "") in problem.replace("(", "").replace(")", "").replace(".", "")


def test_a_later_program_reads_what_an_earlier_one_wrote() -> None:
    assert rollback.problems(stack(1), stack(2, data=[{**DATA, "writes": "4.0"}]), here) == []


def test_a_project_that_was_not_there_yet_loses_its_containers() -> None:
    running = StackRelease(2, {**stack(2).parts, "q": {**stack(2).parts["p"], "project": "q"}})
    found: dict[str, Any] = {one["project"]: one for one in rollback.coming(stack(1), running)}
    assert {project: list(one["containers"]) for project, one in found.items()} == {"p": ["s-db"], "q": []}
    assert "number" not in found["p"]
