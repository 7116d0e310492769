"""A run of some services: which tags there are, and what it leaves."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.plugins.module_utils.preflight import tags

DECLARED = ("redis", "kafka", "app", "nginx", "mine")


@pytest.mark.parametrize(
    ("wanted", "skipped", "services", "containers"),
    [
        (["all"], [], [], True),
        (["app"], [], ["app"], True),
        (["mine", "app"], [], ["app", "mine"], True),
        (["all"], ["kafka"], ["redis", "app", "nginx", "mine"], True),
        (["app", "kafka"], ["kafka"], ["app"], True),
        (["docker"], [], [], False),
        (["all"], ["docker"], [], True),
        (["all"], ["molecule-idempotence-notest", "notest"], [], True),
        (["app"], ["app"], [], False),
    ],
)
def test_a_run_is_limited_to_the_services_that_both_options_leave(
    wanted: list[str], skipped: list[str], services: list[str], containers: bool
) -> None:
    assert tags.scope(wanted, skipped, DECLARED) == {"services": services, "containers": containers}
    assert list(tags.problems(wanted, skipped, DECLARED)) == []


def test_an_unknown_tag_is_named_with_the_one_that_was_meant() -> None:
    assert list(tags.problems(["ap", "nginx"], ["zzz"], DECLARED)) == [
        "--tags ap: did you mean app? expected a service (redis, kafka, app, nginx, mine) or docker or network",
        "--skip-tags zzz: expected a service (redis, kafka, app, nginx, mine) or docker or network",
    ]
