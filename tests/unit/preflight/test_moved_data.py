"""Data whose place changes stay behind only where somebody has said so."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.preflight.moved_data import problems


def used(*servers: str, keeps: str = "the log", **part: str) -> dict[str, Any]:
    return {
        "name": "Log",
        "servers": list(servers),
        **part,
        "keeps": keeps,
        "instead_of": "log",
        "move": "log_remote_move_allowed",
    }


def release(*elsewhere: dict[str, Any], containers: tuple[str, ...] = ("sse-web",)) -> Any:
    return {"stack": "sse", "containers": dict.fromkeys(containers), "elsewhere": list(elsewhere)}


def kept(*elsewhere: dict[str, Any], containers: tuple[str, ...] = ()) -> Any:
    return {"containers": list(containers), "elsewhere": list(elsewhere)}


INSIDE = release(containers=("sse-web", "sse-log"))
AWAY = release(used("a:1", "b:1"))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, AWAY, None),
        (kept(), AWAY, None),
        (kept(containers=("sse-other",)), AWAY, None),
        (kept(containers=("sse-log",)), INSIDE, None),
        (kept(containers=("sse-log",)), AWAY, "from the container sse-log to Log at a:1, b:1,"),
        (kept(used("a:1", "b:1")), INSIDE, "from Log at a:1, b:1 to the container sse-log,"),
        (kept(used("b:1", "c:1")), AWAY, None),
        (kept(used("c:1")), AWAY, "from Log at c:1 to Log at a:1, b:1,"),
        (kept(used("a:1", part="topic x")), release(used("a:1", part="topic x")), None),
        (
            kept(used("a:1", part="topic x")),
            release(used("a:1", part="topic y")),
            "from topic x of Log at a:1 to topic y of Log at a:1,",
        ),
        # Releases of before do not say which part.
        (kept(used("a:1")), release(used("a:1", part="topic y")), None),
        (kept(used("a:1", part="topic x")), release(used("a:1")), None),
        # A run of another project alone, such as that of the dashboard, moves nothing.
        (kept(used("a:1")), release(containers=("dashboard",)), None),
        (kept(used("a:1", keeps="")), INSIDE, None),
    ],
)
def test_a_move_is_refused_in_both_directions_until_it_is_allowed(before: Any, after: Any, said: str | None) -> None:
    found = list(problems(before, [after], {"log_remote_move_allowed": False}))
    assert [(said or "") in one for one in found] == ([True] if said else [])
    assert all("set log_remote_move_allowed=true for this run" in one for one in found)
    assert list(problems(before, [after], {"log_remote_move_allowed": True})) == []
